#!/bin/sh
# Gives the machine back: removes what building, testing and running Braid put in this checkout and
# in the user's data folder. Downloaded crates stay in Cargo's own cache, which other projects share.
set -eu
cd "$(dirname "$0")/.."

case ${XDG_DATA_HOME:-} in
    /*) shared=$XDG_DATA_HOME/braid ;;
    *) shared=${HOME:?"HOME is not set"}/.local/share/braid ;;
esac

for path in target data .venv eval/out node_modules "$shared"; do
    if [ -e "$path" ]; then
        echo "clean-all: removing $path"
        rm -rf "$path"
    fi
done
