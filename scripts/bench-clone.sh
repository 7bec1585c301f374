#!/bin/sh
# Times `make run` (until ready) and `make test` from a clean clone, for docs/benchmarks.md.
# Crates come from Cargo's cache and the ONNX Runtime library from the data folder, if they are there.
set -eu
cd "$(dirname "$0")/.."
here=$(pwd)
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone --quiet --no-hardlinks . "$clone/braid"
cd "$clone/braid"

now() { date +%s; }
port=${PORT:-18090}

start=$(now)
make run PORT="$port" >"$clone/run.log" 2>&1 &
runner=$!
until grep -q 'Braid is ready' "$clone/run.log"; do
    if ! kill -0 "$runner" 2>/dev/null; then
        cat "$clone/run.log" >&2
        exit 1
    fi
    sleep 1
done
run_seconds=$(($(now) - start))
# Not INT: what a script starts in the background ignores it.
pkill -TERM -P "$runner" || true
wait "$runner" 2>/dev/null || true

start=$(now)
BRAID_DATA_DIR=${BRAID_DATA_DIR:-$here/../shared/data} make test
test_seconds=$(($(now) - start))

mkdir -p "$here/target/bench"
printf '{"run_seconds": %s, "test_seconds": %s}\n' "$run_seconds" "$test_seconds" >"$here/target/bench/clone.json"
cat "$here/target/bench/clone.json"
