"""Install the wheel by pip under each Python that is supported and found here, and use it.

    python packaging/installcheck.py [VERSION …]      3.11 3.12 3.13, unless some are named

Each is a fresh environment in a folder for temporary files (TMPDIR chooses another), with the
tested versions: first the engine alone, then the window too. It takes minutes and, where pip finds
torch with CUDA only, about 8 GB for one version at a time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import environment
import smoke
import wheels

VERSIONS = ("3.11", "3.12", "3.13")
PROBE = "import ctypes, lzma, ssl, sys, venv; print('.'.join(map(str, sys.version_info[:3])))"
# What no engine without a window may load, by the names of mapped files.
GRAPHICS = ("libGL", "libEGL", "libX11", "libxcb", "libQt6")
MAPPED = f"""
import microtome as mt
from pathlib import Path
mt.trace(mt.load_model("induction-exact-tiny"), [0, 1, 2])
lines = Path("/proc/self/maps").read_text().splitlines() if Path("/proc/self/maps").exists() else []
lines = [line for line in lines if "/pillow.libs/" not in line]  # Pillow has a libxcb of its own
print(*{{name for line in lines for name in {GRAPHICS} if "/" + name in line}})
"""


def main(arguments: Sequence[str]) -> int:
    """Try each version; 1 when one that is here does not work, or none is here."""
    told: dict[str, str] = {}
    with TemporaryDirectory(prefix="microtome-wheel-") as folder:
        try:
            built = wheels.build(Path(folder), environment.PYTHON)
        except RuntimeError as error:
            print(f"The wheel cannot be built. {error}", file=sys.stderr)
            return 1
        print(f"{built.name}: {built.stat().st_size / 1e6:.1f} MB", flush=True)
        for version in arguments or VERSIONS:
            told[version] = _tried(version, built)
            print(f"Python {version}: {told[version]}", flush=True)
    works = [text.startswith("works") for text in told.values()]
    absent = [text.startswith("not found") for text in told.values()]
    return 0 if any(works) and all(w or a for w, a in zip(works, absent, strict=True)) else 1


def _tried(version: str, built: Path) -> str:
    """What came of one version, in a line or a few."""
    python = interpreter(version)
    if python is None:
        return "not found here (pyenv's folders and the PATH were searched); nothing was tried."
    free = shutil.disk_usage(gettempdir()).free
    if free < environment.CUDA_NEEDS:
        return f"failed: {free / environment.GIGABYTE:.1f} GB are free, too few to try it."
    with TemporaryDirectory(prefix=f"microtome-{version}-") as folder:
        try:
            return "works: " + "; ".join(_installed(python, built, Path(folder)))
        except smoke.Failed as failed:
            return f"failed: {failed}"


def interpreter(version: str) -> str | None:
    """A Python of this version that runs and is whole; a name on the PATH alone may be neither."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True)
    for candidate in [*map(str, found), shutil.which(f"python{version}"), sys.executable]:
        if candidate is None:
            continue
        asked = subprocess.run(
            [candidate, "-c", PROBE], capture_output=True, text=True, check=False
        )
        if asked.returncode == 0 and asked.stdout.startswith(f"{version}."):
            return candidate
    return None


def _installed(python: str, built: Path, folder: Path) -> Iterator[str]:
    """Install and use the engine, then the window; a phrase about each."""
    place = folder / "venv"
    smoke.said([python, "-m", "venv", place])
    scripts = place / ("Scripts" if os.name == "nt" else "bin")
    seconds = _pip(scripts, [str(built)])
    session = smoke.engine(scripts / "microtome", folder)
    if graphics := smoke.said([scripts / "python", "-c", MAPPED]).decode().strip():
        raise smoke.Failed(f"The engine alone loads {graphics}.")
    line = smoke.said([scripts / "microtome", session], status=2).decode()
    if line.count("\n") != 1 or smoke.LINE_WITHOUT_WINDOW not in line:
        raise smoke.Failed(f"Without a window it says: {line}")
    yield f"engine in {seconds:.0f} s, {smoke.size(place):.1f} GB, no graphics library"
    seconds = _pip(scripts, [f"{built}[desktop]"])
    shown = smoke.window(scripts / "microtome", session, folder / "window.png", scripts / "python")
    yield f"desktop in {seconds:.0f} s more, {smoke.size(place):.1f} GB, shown in {shown:.0f} s"


def _pip(scripts: Path, wanted: list[str]) -> float:
    """Let pip install, with the tested versions; the seconds it took."""
    started = time.monotonic()
    command: list[str | Path] = [scripts / "python", "-m", "pip"]
    install = ["install", "--quiet", "--disable-pip-version-check", "-c"]
    install.append(str(environment.ROOT / environment.CONSTRAINTS))
    if index := os.environ.get(environment.TORCH_INDEX):
        install += ["--find-links" if Path(index).is_dir() else "--extra-index-url", index]
    done = subprocess.run(
        [*command, *install, *wanted], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise smoke.Failed("pip could not resolve or install it: " + " ".join(lines[-3:]))
    smoke.said([*command, "check"])
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
