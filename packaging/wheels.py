"""The wheel, built by what is installed: no network is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(folder: Path, python: str | Path = sys.executable) -> Path:
    """Build the wheel into a folder; returns it. Raises RuntimeError with pip's own words."""
    command = [str(python), "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr or done.stdout)
    (wheel,) = folder.glob("microtome-*.whl")
    return wheel
