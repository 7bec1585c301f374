#!/usr/bin/env bash
# Starts Braid in docker-compose.yml. With the profile cluster it waits for the nodes of Qdrant, a minute
# at most: a collection that is made while one of them is missing gets no copy there.
# Usage: compose-start.sh ARGUMENTS OF BRAID
set -eu
if grep -q '^profile = "cluster"' "$BRAID_CONFIG"; then
  for node in qdrant-1 qdrant-2 qdrant-3; do
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
