"""``microtome desktop-entry``: the program's place among the applications of a desktop.

The files lie in ``microtome_resources/share``, laid out as below ``/usr``: an entry, icons and the
type of sessions.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from microtome.errors import InputError, StorageError

# What lists of applications and types are made anew with, where it is there.
_LISTS = (
    ("update-mime-database", "mime"),
    ("update-desktop-database", "applications"),
    ("gtk-update-icon-cache", "icons/hicolor"),
)


def add_desktop_entry(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--install", action="store_true", help="put it into the list of applications")
    what.add_argument("--uninstall", action="store_true", help="take it out again")
    parser.add_argument(
        "--prefix", type=Path, help="below this folder, as a package has it below usr; "
        "without it, for this user alone",
    )  # fmt: skip


def desktop_entry(options: argparse.Namespace) -> int:
    """Write or remove the files, and tell what was done."""
    if sys.platform in {"win32", "darwin"}:
        raise InputError(
            "Desktop entries are for Linux and its relatives.",
            "On this system an installer makes them: see docs/installing.md.",
        )
    place = _users() if options.prefix is None else options.prefix / "share"
    # A package's program is on the path; that of a user's environment need not be.
    program = "microtome" if options.prefix is not None else str(_program())
    try:
        for name, data in _files(program):
            if options.install:
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(data)
            else:
                (place / name).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{place}: {error.strerror}.", "Choose another --prefix.") from error
    if options.prefix is None:
        _list_anew(place)
    print(f"{'installed in' if options.install else 'removed from'} {place}")
    return 0


def _users() -> Path:
    held = os.environ.get("XDG_DATA_HOME", "")
    return Path(held) if Path(held).is_absolute() else Path.home() / ".local" / "share"


def _program() -> Path:
    """What the user started, or a command of the same environment."""
    frozen = getattr(sys, "frozen", False)
    return Path(sys.executable if frozen else shutil.which(sys.argv[0]) or sys.argv[0]).absolute()


def _files(program: str) -> Iterator[tuple[Path, bytes]]:
    """Each file by its place below ``share``, the entry with the program that it starts."""
    from microtome_resources import share_path

    root = share_path()
    for file in sorted(root.rglob("*.*")):
        if file.is_file():
            data = file.read_bytes()
            if file.suffix == ".desktop":
                data = _starting(program, data.decode()).encode()
            yield file.relative_to(root), data


def _starting(program: str, entry: str) -> str:
    if "\n" in program:
        raise InputError(f"{program!r} has a line break in it.", "Move the program elsewhere.")
    # Two layers, says the specification: of arguments, and of any string.
    argument = re.sub(r'(["`$\\])', r"\\\1", program).replace("%", "%%")
    quoted = program if re.fullmatch(r"[\w./+-]+", program) else f'"{argument}"'
    started = quoted.replace("\\", "\\\\")
    tried = program.replace("\\", "\\\\")
    entry = entry.replace("\nExec=microtome ", f"\nExec={started} ")
    return entry.replace("\nTryExec=microtome\n", f"\nTryExec={tried}\n")


def _list_anew(place: Path) -> None:
    for program, folder in _LISTS:
        found = shutil.which(program)
        if found and (place / folder).is_dir():
            subprocess.run([found, str(place / folder)], capture_output=True, check=False)  # noqa: S603
