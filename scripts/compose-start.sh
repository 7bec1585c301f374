#!/usr/bin/env bash
# Starts Braid in docker-compose.yml. Where everything is in Qdrant it waits for as many of its nodes as
# there are copies, a minute at most: a collection that is made while one of them is missing gets no copy there.
# Usage: compose-start.sh ARGUMENTS OF BRAID
set -eu
if grep -q '^profile = "cluster"' "$BRAID_CONFIG"; then
  copies=$(sed -n 's/^replication = //p' "$BRAID_CONFIG")
  for node in $(seq -f 'qdrant-%.0f' "$copies"); do
    until timeout 3 bash /usr/local/bin/braid-healthcheck 6333 /readyz "$node" 2>/dev/null; do
      if [ "$SECONDS" -ge 60 ]; then
        echo "$node is not ready: going on without it" >&2
        break
      fi
      sleep 1
    done
  done
fi
exec braid "$@"
