"""A short use of an installed Microtome: the engine, its children, and the window on a screen."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import environment
import screen

QUIT_AFTER = 25  # seconds that the window stays
PATIENCE = 300  # seconds for any one step on a busy machine
LINE_WITHOUT_WINDOW = "Install it with: pip install 'microtome[desktop]'."

# Saves what is on the screen; prints how many colours it has, and how much of it is not black.
GRAB = """
import sys
from PySide6.QtGui import QGuiApplication, QImage
application = QGuiApplication([])
image = application.primaryScreen().grabWindow(0).toImage()
image.save(sys.argv[1])
small = image.scaled(480, 300).convertToFormat(QImage.Format.Format_RGB32)
found = [small.pixel(x, y) & 0xFFFFFF for x in range(480) for y in range(300)]
print(len(set(found)), sum(map(bool, found)) / len(found))
"""
WORDS = ["--model", "words-4l", "--answer", "Mary", "--wrong", "John", "--prompt",
         "When Mary and John went to the store, John gave a drink to"]  # fmt: skip


class Failed(Exception):
    """A step did not do what it should; the text says which, and what it said."""


def said(command: Sequence[str | Path], status: int = 0, given: bytes = b"") -> bytes:
    """What a command writes. Raises Failed unless it ends with this status."""
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        told = " ".join(map(str, command))
        raise Failed(f"{told}\nhad not ended after {PATIENCE} seconds.") from None
    if done.returncode != status:
        words = (done.stderr or done.stdout).decode(errors="replace").strip()[-2000:]
        raise Failed(f"{' '.join(map(str, command))}\nended with {done.returncode}: {words}")
    return done.stdout if status == 0 else done.stderr


def engine(program: Path, folder: Path) -> Path:
    """Ask a model a question, look into the answer's file, check a model; the session file."""
    session = folder / "smoke.h5"
    told = json.loads(said([program, "run", *WORDS, "--out", session, "--json"]))
    if told["predictions"][0]["token"].strip() != "Mary" or not told["edges"]:
        raise Failed(f"The model answers otherwise than it did: {told}")
    found = json.loads(said([program, "info", session, "--verify", "--json"]))
    if found["model"]["name"] != "words-4l" or not found["verified"]["chunks"]:
        raise Failed(f"The session does not say what is in it: {found}")
    checked = json.loads(said([program, "check", "induction-exact-tiny", "--json"]))
    if not checked["passed"]:
        raise Failed(f"Self-checks fail: {checked}")
    return session


def image(program: Path, picture: Path, folder: Path) -> None:
    """Ask a model that sees about a picture file, which a child decodes."""
    out: list[str | Path] = ["--out", folder / "seen.h5", "--json"]
    told = json.loads(said([program, "run", "--model", "shapes-resnet", "--image", picture, *out]))
    if not told["predictions"]:
        raise Failed(f"The model says nothing of a picture: {told}")


def window(program: Path, session: Path, picture: Path, python: Path) -> float:
    """Open the window on a session, save what the screen shows; seconds until it was shown.

    The window is to close by itself, with status 0.
    """
    with screen.virtual_screen() as surroundings:
        surroundings["MICROTOME_SETTINGS"] = str(picture.with_suffix(".ini"))
        surroundings["XDG_STATE_HOME"] = str(picture.parent / "state")
        command: list[str | Path] = [program, session, "--quit-after", str(QUIT_AFTER)]
        started = time.monotonic()
        shown = None
        with subprocess.Popen(command, env=surroundings, stderr=subprocess.PIPE) as running:
            while running.poll() is None and time.monotonic() - started < PATIENCE:
                grab: list[str | Path] = [python, "-c", GRAB, str(picture.with_suffix(".now.png"))]
                done = subprocess.run(grab, env=surroundings, capture_output=True, check=False)
                colours, lit = map(float, done.stdout.split() or (0, 0))
                if running.poll() is None and colours > 200 and lit > 0.5:
                    shown = shown or time.monotonic() - started
                    picture.with_suffix(".now.png").replace(picture)
                time.sleep(1)
            running.kill()
            words = running.communicate()[1].decode(errors="replace")
    if running.returncode != 0 or shown is None:
        raise Failed(f"The window ended with {running.returncode}, shown: {shown}. {words}")
    return shown


def size(folder: Path) -> float:
    """Gigabytes in a folder, each file once."""
    found = {}
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            status = file.stat()
            found[status.st_dev, status.st_ino] = status.st_size
    return sum(found.values()) / environment.GIGABYTE
