"""Requests of the IO thread: what a panel shows, as a file or as text for the clipboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtGui import QImage

from microtome.jobs import Job
from microtome.records.provenance import Provenance
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.exports import Table

MakeTable = Callable[[], Table]
MADE = "What made this"  # the key of the text in a PNG, and the name of the one in a PDF


@dataclass(frozen=True, slots=True)
class _SaveExport(Request):
    """Puts bytes in the place of a file, whole or not at all."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "export"
    restless: ClassVar[str] = "A file is written in one step."

    path: Path

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Saving {self.path.name}"

    def content(self) -> bytes:
        """What the file will hold."""
        raise NotImplementedError

    def perform(self, engine: Engine, job: Job) -> Path:
        """The file, complete and on the disk."""
        content = self.content()
        job.check()
        return write(self.path, content)

    def deliver(self, desk: Desk, result: Path) -> None:
        """Say so."""
        desk.notices.info(f"Saved {result.name}")


@dataclass(frozen=True, slots=True)
class SaveTable(_SaveExport):
    """Save a table in UTF-8, as JSON where the file ends so, else as CSV.

    ``make`` reads what it needs, on the IO thread.
    """

    make: MakeTable = field(repr=False)
    # What produced it, told in JSON; None of what no model has made, such as labels.
    made: tuple[Provenance, ...] | None = field(default=None, repr=False)

    def content(self) -> bytes:
        """The table as text."""
        table = self.make()
        if self.path.suffix.lower() != ".json":
            return table.text().encode()
        told = None if self.made is None else [each.told_plainly() for each in self.made]
        return table.json(told).encode()


@dataclass(frozen=True, slots=True)
class SavePicture(_SaveExport):
    """Save a picture as PNG; compressing a large one takes a tenth of a second."""

    picture: QImage = field(repr=False)
    told: str = field(default="", repr=False)  # what produced it, as a text of the file

    def content(self) -> bytes:
        """The picture as PNG."""
        if self.told:
            self.picture.setText(MADE, self.told)
        return as_png(self.picture)


@dataclass(frozen=True, slots=True)
class SaveDrawing(_SaveExport):
    """Save a drawing that is SVG or PDF already."""

    drawing: bytes = field(repr=False)

    def content(self) -> bytes:
        """The drawing as it was made."""
        return self.drawing


@dataclass(frozen=True, slots=True)
class SaveJson(_SaveExport):
    """Save plain values as JSON. ``make`` gives them, on the IO thread."""

    make: Callable[[], Any] = field(repr=False)

    def content(self) -> bytes:
        """The values as JSON."""
        return json.dumps(self.make(), ensure_ascii=False, indent=1).encode()


@dataclass(frozen=True, slots=True)
class CopyTable(Request):
    """Make a table for the clipboard, tab separated."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "copy"
    replaces: ClassVar[frozenset[str]] = frozenset({"copy"})

    name: str
    make: MakeTable = field(repr=False)

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Copying {self.name}"

    def perform(self, engine: Engine, job: Job) -> str:
        """The table as text."""
        return self.make().text("\t")

    def deliver(self, desk: Desk, result: str) -> None:
        """Hand it to the clipboard."""
        desk.clip.put(result)
        rows = result.count("\n") - 1
        desk.notices.info(f"The table of {self.name} is on the clipboard", f"{rows:,} rows")


def as_png(picture: QImage) -> bytes:
    """The picture as the bytes of a PNG file."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")  # type: ignore[call-overload]  # the stubs want bytes
    return bytes(buffer.data().data())


def write(path: Path, content: bytes) -> Path:
    """The file that now holds ``content``; what stood there before stays until then.

    Raises StorageError when it cannot be written; then nothing is left behind.
    """
    from microtome.session import storage

    target = storage.prepare_target(path, len(content))
    temporary = storage.temporary_beside(target)
    try:
        with storage.storing(target):
            temporary.write_bytes(content)
            storage.sync_file(temporary)
            storage.replace_target(temporary, target)
    finally:
        storage.discard(temporary)
    return target
