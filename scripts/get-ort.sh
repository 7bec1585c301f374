#!/bin/sh
# Puts the ONNX Runtime library that Braid loads into the user's data folder. See ort.py for how.
# BRAID_ORT_LIB=/path/to/libonnxruntime.so replaces the download.
set -eu
if ! command -v python3 >/dev/null 2>&1; then
    echo "get-ort: python3 is needed (or set BRAID_ORT_LIB to an ONNX Runtime library you have)" >&2
    exit 1
fi
exec python3 "$(dirname "$0")/ort.py" "$@"
