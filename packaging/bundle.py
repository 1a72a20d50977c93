"""Build the one-folder bundle with PyInstaller, and use it: python packaging/bundle.py [--check].

It comes to ``dist/microtome``; with ``--check`` the one that is there is used and none is built.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import environment
import smoke

from microtome.triage.programs import CHILD, PROGRAMS

ROOT = environment.ROOT
FOLDER = ROOT / "dist" / "microtome"
PICTURE = ROOT / "dist" / "microtome-window.png"
TEXT = {".json", ".txt", ".py", ".toml", ".cfg", ".desktop", ".xml", ".ini", ""}
SMALL = 1 << 20
ARGUMENTS = {"triage": (), "images": ("10",)}


def main(arguments: list[str]) -> int:
    """Build unless only the check is asked for, then check; returns the exit status."""
    try:
        if arguments != ["--check"]:
            _build()
        _check(FOLDER / ("microtome.exe" if sys.platform == "win32" else "microtome"))
    except smoke.Failed as failed:
        print(f"The bundle is not good. {failed}", file=sys.stderr)
        return 1
    return 0


def _build() -> None:
    import torch

    if torch.version.cuda is not None:
        raise smoke.Failed(
            f"This torch is built for CUDA {torch.version.cuda}, which alone takes several "
            "gigabytes: build the bundle where the build of torch for the CPU is installed."
        )
    started = time.monotonic()
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level=WARN"]
    command += ["--distpath", str(ROOT / "dist"), "--workpath", str(ROOT / "build")]
    done = subprocess.run([*command, "packaging/microtome.spec"], cwd=ROOT, check=False)
    if done.returncode:
        raise smoke.Failed(f"PyInstaller ended with {done.returncode}; its words are above.")
    print(f"built in {time.monotonic() - started:.0f} s", flush=True)


def _check(program: Path) -> None:
    """Look into the bundle and use it, as someone who was given the folder would."""
    libraries = [file for file in FOLDER.rglob("*torch_cpu*") if not file.is_symlink()]
    if len([file for file in libraries if file.suffix in {".so", ".dll", ".dylib"}]) != 1:
        raise smoke.Failed(f"There must be one library of torch, and there is {libraries}.")
    _tells_no_path()
    print(f"{FOLDER.name}: {smoke.size(FOLDER):.2f} GB, libtorch_cpu once", flush=True)
    work = ROOT / "build" / "check"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    session = smoke.engine(program, work)
    _children(program, session, work)
    smoke.said([program, "desktop-entry", "--install", "--prefix", work / "usr"])
    if not (work / "usr/share/applications/microtome.desktop").is_file():
        raise smoke.Failed("The bundle has no desktop entry in it.")
    print("engine: runs, saves, verifies, checks itself; children read files", flush=True)
    seconds = smoke.window(program, session, PICTURE, Path(sys.executable))
    print(f"window: shown after {seconds:.1f} s, closed by itself; {PICTURE.name} is what it was")


def _children(program: Path, session: Path, work: Path) -> None:
    """Files of strangers are looked at by children, which are the program itself."""
    for name in (name for name, child in PROGRAMS.items() if child.bare):
        smoke.said([program, CHILD, name, *ARGUMENTS[name]])  # ends at once: nothing is asked
    if Path("/proc/self/cmdline").exists() and not _is_tried_by_a_child(program, session):
        raise smoke.Failed("No child looked at a session that came from elsewhere.")
    broken = work / "broken.h5"
    data = session.read_bytes()
    broken.write_bytes(data[: len(data) // 2])
    smoke.said([program, "info", broken], status=2)
    icon = next((ROOT / "resources").rglob("128x128/apps/microtome.png"))
    smoke.image(program, icon, work)  # raises where the child that decodes does not start


def _is_tried_by_a_child(program: Path, session: Path) -> bool:
    """Whether a process of the program's is a child of it while it opens a file."""
    seen = False
    with subprocess.Popen([program, "info", session], stdout=subprocess.DEVNULL) as running:
        tasks = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        while running.poll() is None:
            with contextlib.suppress(OSError):
                for child in tasks.read_text().split():
                    line = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                    seen = seen or line[:2] == [os.fsencode(program), CHILD.encode()]
            time.sleep(0.002)
    return seen and running.returncode == 0


def _tells_no_path() -> None:
    """The folder is given to others: no small text in it names this checkout."""
    for file in FOLDER.rglob("*"):
        readable = file.is_file() and file.suffix in TEXT and file.stat().st_size < SMALL
        if readable and str(ROOT).encode() in file.read_bytes():
            raise smoke.Failed(f"{file} names {ROOT}.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
