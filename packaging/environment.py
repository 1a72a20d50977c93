"""The virtual environment in `.venv`: made once, repaired when half-made, skipped when current."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CONSTRAINTS = "packaging/constraints.txt"
STAMP = VENV / "microtome-setup.json"
# Present while packages are written: an environment that still holds it was cut off half-way.
UNFINISHED = VENV / "microtome-setup-unfinished"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")

TORCH_INDEX = "MICROTOME_TORCH_INDEX"
GIGABYTE = 1e9
LEAST_FREE = 2.5 * GIGABYTE
CUDA_NEEDS = 9 * GIGABYTE

# Measured on Linux x86-64, Python 3.11: (what, gigabytes to download, gigabytes on disk).
SIZES = {
    "desktop": (
        ("PyTorch, CPU build", 0.19, 0.79),
        ("Qt (PySide6 Essentials)", 0.08, 0.24),
        ("transformers, numpy, scipy, h5py and the rest", 0.13, 0.60),
    ),
    "test": (("test tools", 0.14, 0.45),),
    "bundle": (("PyInstaller", 0.01, 0.02),),
}


class SetupError(Exception):
    """Set-up cannot go on; the text says why and what to do."""


def digest() -> str:
    """Return a hash of everything that decides what belongs into the environment."""
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    parts = [
        json.dumps([settings["build-system"], settings["project"]]),
        (ROOT / CONSTRAINTS).read_text("utf-8"),
        sys.version,
        str(ROOT),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read_stamp() -> dict[str, object]:
    """Return what the last finished set-up noted, or nothing."""
    try:
        noted = json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def write_stamp(**notes: object) -> None:
    """Note a finished step beside what was noted before."""
    STAMP.write_text(json.dumps({**read_stamp(), **notes}), "utf-8")


def ensure(extras: set[str]) -> bool:
    """Make `.venv` hold Microtome with `extras`; return whether there was anything to do."""
    wanted, noted = digest(), read_stamp()
    present = {str(extra) for extra in _as_list(noted.get("extras"))}
    if noted.get("digest") == wanted and extras <= present and not UNFINISHED.exists():
        return False
    moved = "root" in noted and noted["root"] != str(ROOT)
    if moved or UNFINISHED.exists() or not _works():
        present = set()
        _announce(extras)
        _make_venv()
    else:
        print("Microtome's environment is out of date; bringing it up to date.", flush=True)
    _install(sorted(extras | present), fresh=not present)
    write_stamp(digest=wanted, root=str(ROOT), extras=sorted(extras | present))
    return True


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _works() -> bool:
    """Return whether `.venv` has an interpreter of this very Python, with pip."""
    probe = "import sys, importlib.util as u; print(sys.version, u.find_spec('pip') is not None)"
    try:
        answer = subprocess.run([PYTHON, "-c", probe], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.stdout.strip() == f"{sys.version} True"


def _announce(extras: set[str]) -> None:
    """Say what will be downloaded and stored, and refuse where it cannot fit."""
    rows = [row for extra in sorted(extras) for row in SIZES[extra]]
    free = shutil.disk_usage(ROOT).free
    print(f"Setting up Microtome in {VENV} (once; it takes some minutes):")
    for what, download, disk in rows:
        print(f"  {what:48} {download:5.2f} GB to download {disk:6.2f} GB on disk")
    print(f"  {'free here':48} {free / GIGABYTE:29.1f} GB", flush=True)
    if free < LEAST_FREE:
        raise SetupError(
            f"{free / GIGABYTE:.1f} GB are free in {ROOT} and set-up needs "
            f"{LEAST_FREE / GIGABYTE:.1f} GB. Free some, or move this folder to a larger disk."
        )
    if platform.system() == "Linux" and TORCH_INDEX not in os.environ:
        print(
            "  Where pip finds only PyTorch with CUDA, it is about 3 GB to download and 7 GB on "
            f"disk;\n  set {TORCH_INDEX} to a package index that has the build you want."
        )
        if free < CUDA_NEEDS:
            print("  That build would not fit here.")
    sys.stdout.flush()


def _make_venv() -> None:
    if Path(sys.prefix) == VENV:
        raise SetupError("The environment must be made anew: start this with the system's Python.")
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            "This Python cannot make virtual environments. "
            f"On Debian and Ubuntu: apt-get install python{version}-venv"
        )
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        reason = (made.stderr or made.stdout).strip() or "no reason given"
        raise SetupError(f"Could not make {VENV}: {reason}")


def _install(extras: list[str], *, fresh: bool) -> None:
    """Let pip install Microtome, editable, with the tested versions."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["-c", CONSTRAINTS]
    if not sys.stdout.isatty():
        command.append("--quiet")
    if index := os.environ.get(TORCH_INDEX):
        command += ["--find-links" if Path(index).is_dir() else "--extra-index-url", index]
    UNFINISHED.touch()
    complaints = _stream([*command, "-e", f".[{','.join(extras)}]"])
    if complaints is None:
        UNFINISHED.unlink()
        return
    if not fresh:
        # pip rolls a failed step back, so what was there before still works.
        UNFINISHED.unlink()
    raise SetupError(_explain(complaints))


def _stream(command: list[str]) -> str | None:
    """Run pip in plain view; return what it wrote to standard error when it fails."""
    lines = []
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or ():
            sys.stderr.write(line)
            lines.append(line)
    return "".join(lines) if process.returncode else None


def _explain(complaints: str) -> str:
    """Turn pip's complaint into a sentence that names the way out."""
    text = complaints.lower()
    if "no space left" in text:
        return (
            f"The disk ran full. Free some space in {ROOT} and in the folder for temporary files "
            "(TMPDIR chooses another one), then run the same command again."
        )
    # Inside its own build steps pip hides the broken connection and reports that nothing exists.
    signs = ("connection", "resolution", "timed out", "max retries", "from versions: none")
    if any(sign in text for sign in signs):
        return (
            "The package index could not be reached, or lacks a package named above. Check the "
            "network or the proxy, or name another index with PIP_INDEX_URL or a folder of wheels "
            "with PIP_FIND_LINKS, then run the same command again."
        )
    return (
        f"pip could not install Microtome's packages for Python {platform.python_version()}; "
        "the lines above name the one. Run the same command again once that is solved."
    )
