"""What to learn from: text, one document after another, never all in memory; or images.

A corpus is a text file, a folder of files, JSON lines, Parquet, or a prompt set. In a text file
a blank line ends a document; in one without blank lines every line is a document. For a model
that sees it is a set or a folder of images.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microtome.errors import CorpusError, expect
from microtome.prompt_sets import PromptSet
from microtome.prompts import ImageInput
from microtome.records.image_folder import ImageFolder
from microtome.records.image_set import ImageSet

# How much of a file tells what it is: whether it is text at all, and whether it has blank lines.
_LOOK = 1 << 16
# Rows of a Parquet file that are in memory at once.
_ROWS = 1_024
# A file up to this size is known by all that is in it, a longer one by its ends and its time.
_KNOWN_WHOLE = 16 << 20
_END = 64 << 10
# A document longer than this is taken for damage: no blank line and no line end in 64 MB.
_LONGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a corpus."""

    path: Path
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents, read anew at each pass.

    ``field`` names the column of JSON lines and Parquet that holds the text. ``texts`` are the
    documents of a corpus that is no file. One of ``images`` has nothing else.
    """

    name: str
    parts: tuple[Part, ...] = ()
    field: str = "text"
    texts: tuple[str, ...] = ()
    images: tuple[ImageInput, ...] = ()

    @property
    def n_bytes(self) -> int:
        """Its size on disk, by which progress is told; of images that of their pixels."""
        size = sum(part.n_bytes for part in self.parts) + sum(map(len, self.texts))
        return size + sum(image.values.nbytes for image in self.images)

    def fingerprint(self) -> str:
        """What tells the text from another: SHA-256 over its documents, or its files.

        Files are read whole up to 16 MB; of a longer one stand its size, the time it was changed,
        and the first and last 64 kB. Raises CorpusError for a file that cannot be read.
        """
        told = hashlib.sha256(self.field.encode())
        for image in self.images:
            told.update(image.digest.encode())
        for text in self.texts:
            told.update(hashlib.sha256(text.encode()).digest())
        for part in self.parts:
            told.update(_file_digest(part.path))
        return told.hexdigest()

    def documents(self) -> Iterator[tuple[str, int]]:
        """Each document that is not blank, with the number of bytes that were read by then.

        Raises CorpusError, which names file and place, for text that is binary, not UTF-8, or
        lacks the field; for images; and when no document was there at all.
        """
        if self.images:
            raise CorpusError(
                f"{self.name} holds images, but text is needed.",
                "Choose text, or a model that sees.",
            )
        before, found = 0, False
        for text in self.texts:
            before += len(text)
            found = True
            yield text, before
        for part in self.parts:
            for text, within in _KINDS[part.path.suffix.lower()](part.path, self.field):
                if text.strip():
                    found = True
                    yield text, before + within
            before += part.n_bytes
        if not found:
            raise CorpusError(f"{self.name} holds no text.", "Choose a file with text in it.")


# What a corpus is made from.
Source = Corpus | Path | str | PromptSet | ImageSet | ImageFolder


def read_corpus(source: Source, field: str = "text") -> Corpus:
    """A corpus from a file, a folder (with all below it), or the prompts or images of a set.

    Nothing is read yet but names and sizes. Raises CorpusError for a path that is not there, a
    file of another kind, or a folder without any of the known ones.
    """
    if isinstance(source, Corpus):
        return source
    if isinstance(source, PromptSet):
        prompts = [side for pair in source.pairs for side in (pair.clean, pair.corrupt)]
        texts = tuple(dict.fromkeys(side for side in prompts if isinstance(side, str)))
        return Corpus(source.name, texts=texts)
    if isinstance(source, ImageSet | ImageFolder):
        images = tuple(
            source.image(at) if isinstance(source, ImageSet) else source[at]
            for at in range(len(source))
        )
        return Corpus(source.name, images=images)
    wanted = "a path, a prompt set or a set of images"
    expect(source, (str, Path), "The corpus", wanted, "Write 'texts/mine.txt'.")
    path = Path(source).expanduser()
    known = ", ".join(sorted(_KINDS))
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.suffix.lower() in _KINDS)
        files = [each for each in files if each.is_file()]
        if not files:
            raise CorpusError(f"The folder {path.name} holds no text.", f"Known are {known}.")
        return Corpus(path.name, tuple(map(_part, files)), field)
    if not path.is_file():
        raise CorpusError(f"There is no file or folder {path}.", "Choose one that exists.")
    if path.suffix.lower() not in _KINDS:
        raise CorpusError(f"{path.name} is no text that can be read.", f"Known are {known}.")
    return Corpus(path.name, (_part(path),), field)


def _part(path: Path) -> Part:
    try:
        return Part(path, path.stat().st_size)
    except OSError as error:
        raise _unreadable(path, error) from error


def _file_digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            if stat.st_size <= _KNOWN_WHOLE:
                return hashlib.file_digest(file, "sha256").digest()
            told = hashlib.sha256(f"{stat.st_size} {stat.st_mtime_ns}".encode())
            told.update(file.read(_END))
            file.seek(-_END, os.SEEK_END)
            told.update(file.read(_END))
            return told.digest()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> CorpusError:
    return CorpusError(f"{path.name} cannot be read ({error.strerror}).", "Choose another file.")


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """Lines of a UTF-8 file with the number of bytes read by their end."""
    read = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(_LONGEST):
                if b"\0" in line[:_LOOK]:
                    raise CorpusError(f"{path.name} is binary, not text.", "Choose a text file.")
                try:
                    text = line.decode("utf-8-sig" if not read else "utf-8")
                except UnicodeDecodeError as error:
                    raise CorpusError(
                        f"{path.name} is not UTF-8 at byte {read + error.start:,}.",
                        "Save it as UTF-8 text.",
                    ) from error
                read += len(line)
                yield text, read
    except OSError as error:
        raise _unreadable(path, error) from error


def _plain(path: Path, _field: str) -> Iterator[tuple[str, int]]:
    try:
        with path.open("rb") as file:
            apart = b"\n\n" in file.read(_LOOK).replace(b"\r\n", b"\n").strip()
    except OSError as error:
        raise _unreadable(path, error) from error
    held: list[str] = []
    size, read = 0, 0
    for line, read in _lines(path):
        if apart and line.strip() and size < _LONGEST:
            held.append(line)
            size += len(line)
            continue
        text = "".join(held) if apart else line
        held, size = [], 0
        if text.strip():
            yield text.strip(), read
    if held:
        yield "".join(held).strip(), read


def _json_lines(path: Path, field: str) -> Iterator[tuple[str, int]]:
    for number, (line, read) in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"Line {number} of {path.name}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{where} is not JSON.", "Write one object a line.") from error
        yield _text_of(row, field, where), read


def _text_of(row: Any, field: str, where: str) -> str:
    if isinstance(row, str):
        return row
    text = row.get(field) if isinstance(row, dict) else None
    if not isinstance(text, str):
        held = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
        raise CorpusError(
            f"{where} has no text in {field!r}; it has {held}.", "Name the field that holds it."
        )
    return text


def _parquet(path: Path, field: str) -> Iterator[tuple[str, int]]:
    try:
        from pyarrow import ArrowException, parquet  # an extra of the package
    except ImportError:
        raise CorpusError(
            f"{path.name} needs the package pyarrow to be read.",
            "Install microtome[parquet], or convert the file to JSON lines.",
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if field not in names:
                raise CorpusError(
                    f"{path.name} has no column {field!r}; it has {', '.join(names)}.",
                    "Name the column that holds the text.",
                )
            size, done = path.stat().st_size, 0
            for batch in file.iter_batches(_ROWS, columns=[field]):
                for text in batch.column(0).to_pylist():
                    done += 1
                    if isinstance(text, str):
                        yield text, size * done // file.metadata.num_rows
    except (ArrowException, OSError) as error:
        raise CorpusError(f"{path.name} is no readable Parquet file.", "Choose another.") from error


_KINDS: dict[str, Callable[[Path, str], Iterator[tuple[str, int]]]] = {
    ".txt": _plain,
    ".md": _plain,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
