#!/usr/bin/env bash
# Exit status 0 when the Braid on this machine is ready. Bash alone, because the container image has
# no HTTP client. Usage: healthcheck.sh [PORT [PATH [HOST]]]; a worker has /healthz instead of /readyz.
set -eu
exec 3<>"/dev/tcp/${3:-127.0.0.1}/${1:-8080}"
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "${2:-/readyz}" >&3
read -r -t 2 _version status _reason <&3
[ "$status" = 200 ]
