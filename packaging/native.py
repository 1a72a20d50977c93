"""The native libraries and fonts that Qt takes from the system, on Linux."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

# Debian's package and the library it brings; found by adding one at a time to a bare system.
LIBRARIES = {
    "libgl1": "libGL.so.1",
    "libegl1": "libEGL.so.1",
    "libxkbcommon0": "libxkbcommon.so.0",
    "libdbus-1-3": "libdbus-1.so.3",
    "libfontconfig1": "libfontconfig.so.1",
    "libglib2.0-0": "libglib-2.0.so.0",
    "libxkbcommon-x11-0": "libxkbcommon-x11.so.0",
    "libxcb-cursor0": "libxcb-cursor.so.0",
    "libxcb-icccm4": "libxcb-icccm.so.4",
    "libxcb-keysyms1": "libxcb-keysyms.so.1",
    "libxcb-shape0": "libxcb-shape.so.0",
}
PROGRAMS = {"xvfb": "Xvfb"}
FONTS = {"fonts-inter": "Inter*", "fonts-jetbrains-mono": "JetBrainsMono*"}
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")


def missing_libraries() -> list[str]:
    """Return the Debian packages whose library or program this Linux lacks."""
    if not sys.platform.startswith("linux"):
        return []
    lacking = [package for package, name in LIBRARIES.items() if not _loads(name)]
    return lacking + [package for package, name in PROGRAMS.items() if not shutil.which(name)]


def missing_fonts() -> list[str]:
    """Return the Debian packages of the window's fonts that this Linux lacks."""
    if not sys.platform.startswith("linux"):
        return []
    folders = [Path(folder).expanduser() for folder in FONT_FOLDERS]
    return [
        package
        for package, pattern in FONTS.items()
        if not any(next(folder.rglob(pattern), None) for folder in folders)
    ]


def provide() -> bool:
    """Install what Qt lacks where that is allowed, else say how; return whether nothing lacks."""
    lacking = missing_libraries()
    wanted = lacking + missing_fonts()
    if not wanted:
        return True
    if shutil.which("apt-get") and os.geteuid() == 0:
        _install(_named_for_this_release(wanted))
        lacking = missing_libraries()
        wanted = lacking + missing_fonts()
    if wanted:
        print(advice(wanted), flush=True)
    return not lacking


def advice(packages: list[str]) -> str:
    """Return the command that brings `packages`, or their names where there is no apt-get."""
    optional = "" if set(packages) - FONTS.keys() else " (fonts only: the window works without)"
    if shutil.which("apt-get"):
        names = " ".join(_named_for_this_release(packages))
        way_out = f"sudo apt-get install --no-install-recommends {names}"
    else:
        parts = {**LIBRARIES, **PROGRAMS, **FONTS}
        way_out = "your system's packages for " + ", ".join(parts[name] for name in packages)
    return f"Qt lacks some parts of this system{optional}. Install them with:\n  {way_out}"


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _named_for_this_release(packages: list[str]) -> list[str]:
    """Return `packages` under the names that this release of Debian or Ubuntu gives them."""
    if "libglib2.0-0" not in packages:
        return packages
    later = "libglib2.0-0t64"
    known = subprocess.run(["apt-cache", "show", later], capture_output=True, check=False)
    return [later if name == "libglib2.0-0" and not known.returncode else name for name in packages]


def _install(packages: list[str]) -> None:
    """Let apt-get install `packages`, with fresh lists if it must."""
    print(f"Installing what Qt needs: {' '.join(packages)}", flush=True)
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    if _quietly(command):
        return
    _quietly(["apt-get", "update", "-q"])
    _quietly(command)


def _quietly(command: list[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode == 0
