"""The encoder that training starts from: all-MiniLM-L6-v2, out of a pinned package, or a folder."""

import pathlib
import shutil

import packages

# What the package may lack is taken from Braid's own copy of the same model.
BESIDE = ("config.json", "special_tokens_map.json", "tokenizer_config.json", "LICENSE", "NOTICE")
BUNDLED = pathlib.Path(__file__).resolve().parents[2] / "models" / "all-MiniLM-L6-v2-int8"


def find(out, given=None):
    """A folder with `model.safetensors`, `config.json` and `tokenizer.json`."""
    return packages.find(packages.ENCODER, out, given, complete)


def complete(folder):
    for name in BESIDE:
        if not (folder / name).is_file():
            shutil.copyfile(BUNDLED / name, folder / name)
