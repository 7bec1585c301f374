#!/bin/sh
# Checks for the tools that building and testing need; says how to get each one that is missing.
set -eu
cd "$(dirname "$0")/.."

missing=0
lack() {
    echo "check-tools: $1" >&2
    missing=1
}
has() { command -v "$1" >/dev/null 2>&1; }

wanted=$(sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' Cargo.toml)
if ! has cargo || ! has rustc; then
    lack "Rust is missing: install rustup (https://rustup.rs), then 'rustup toolchain install stable'"
else
    found=$(rustc --version | sed 's/^rustc \([0-9.]*\).*/\1/')
    # The parts are compared as numbers: 1.100 is newer than 1.95.
    if ! echo "$found $wanted" | tr . ' ' | awk '{ exit !($1 * 1000 + $2 >= $4 * 1000 + $5) }'; then
        lack "rustc $found is older than $wanted: run 'rustup update stable'"
    fi
fi
has cc || lack "a C compiler is missing: install one (Debian, Ubuntu: apt-get install build-essential; macOS: xcode-select --install)"
has c++ || lack "a C++ compiler is missing: install one (Debian, Ubuntu: apt-get install build-essential; macOS: xcode-select --install)"
if ! has python3; then
    lack "Python 3 is missing: install it with pip and venv (Debian, Ubuntu: apt-get install python3 python3-pip python3-venv)"
elif ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))'; then
    lack "$(python3 --version) is older than 3.9: install a newer Python 3"
elif ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    lack "Python's venv module is missing: install it (Debian, Ubuntu: apt-get install python3-venv)"
fi
exit "$missing"
