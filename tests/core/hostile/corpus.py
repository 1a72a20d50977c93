"""All hostile and broken files in one table: how each is made, and what its reader says.

``make(folder, outside)`` returns the path that is opened. ``outside`` is a folder with what no
file may lead to. ``said`` is a pattern of the reason, empty where any will do, None for a file
that is sound.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import tiny_models
from hostile import dictionaries, graphs, images, models, sessions, texts
from session_records import full_session

import microtome as mt
from microtome.sites import SITES

Make = Callable[[Path, Path], Path]


@dataclass(frozen=True)
class Case:
    """A file of some kind."""

    kind: str
    name: str
    make: Make
    said: str | None

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def _session(edit: Callable[[h5py.File, Path], object]) -> Make:
    def make(folder: Path, outside: Path) -> Path:
        path = folder / "given.h5"
        shutil.copy(_base(folder, "session.h5", _saved), path)
        with h5py.File(path, "r+") as file:
            edit(file, outside)
        return path

    return make


def _model(spoil: Callable[[Path], object]) -> Make:
    def make(folder: Path, outside: Path) -> Path:
        given = outside / "spoilt"  # what it links to lies beside it
        shutil.copytree(_base(folder, "gpt2", lambda path: tiny_models.save("gpt2", path)), given)
        spoil(given)
        return given.rename(folder / "spoilt") if given.exists() else given

    return make


def _base(folder: Path, name: str, save: Callable[[Path], object]) -> Path:
    """A sound file of which all cases take copies, made once."""
    made = folder.parents[1] / "sound" / name
    if not made.exists():
        made.parent.mkdir(exist_ok=True)
        save(made)
    return made


def _saved(path: Path) -> None:
    mt.save_session(path, full_session(), include=(*SITES, "logits"))


def _dictionary(make: Callable[[Path], object]) -> Make:
    def made(folder: Path, _: Path) -> Path:
        given = folder / "given"
        given.mkdir()
        make(given)
        return given

    return made


def _file(held: str | bytes | Callable[[], str], name: str) -> Make:
    def make(folder: Path, _: Path) -> Path:
        found = held() if callable(held) else held
        return _written(folder / name, found.encode() if isinstance(found, str) else found)

    return make


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _pickle(case: str, within: str) -> Make:
    def make(folder: Path, outside: Path) -> Path:
        data = graphs.hostile(outside / "ran")[case]
        if within == "torch":
            return graphs.zipped(folder, ("a/data.pkl", data))
        return _written(folder / "a.pkl", data if data[:1] in b"\x80(c" else b"\x80\x02" + data)

    return make


def _xml_outside(folder: Path, outside: Path) -> Path:
    secret = _written(outside / "secret.txt", b"secret")
    start = f'<!DOCTYPE g [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
    return _written(folder / "a.graphml", (start + graphs.HEAD + "&x;</graphml>").encode())


def _files() -> Iterator[Case]:
    """Files that are what a table says."""
    tables = (
        ("graph", "given.json", graphs.TEXTS), ("graph", "given.graphml", graphs.GRAPHML),
        ("graph", "given.pkl", graphs.BYTES), ("image", "given.png", images.BAD),
        ("image", "given.png", images.ODD), ("prompts", "given.json", texts.PROMPTS),
        ("labels", "given.json", texts.LABELS), ("labels", "given.jsonl.gz", texts.LABELS_PACKED),
    )  # fmt: skip
    for kind, file, table in tables:
        for name, (held, said) in table.items():
            yield Case(kind, name, _file(held, file), said)


def _folders() -> Iterator[Case]:
    """Sound files and folders that are spoilt."""
    for name, (edit, said) in sessions.HARMS.items():
        yield Case("session", name, _session(edit), said)
    for name, (change, said) in sessions.CONTRADICTIONS.items():
        yield Case("session", name, _session(lambda file, _, change=change: change(file)), said)
    for name, (spoil, kind, said) in models.BAD.items():
        yield Case("model", name, _model(spoil), f"{kind.__name__}: .*{said}")
    for name, (make, said) in dictionaries.CASES.items():
        kind = "Unsafe" if name in dictionaries.UNSAFE else "DictionaryError"
        yield Case("dictionary", name, _dictionary(make), f"{kind}.*{said}")


def _pickles() -> Iterator[Case]:
    for name, (zipped, said) in graphs.ZIPS.items():
        yield Case("graph", name, lambda folder, _, zipped=zipped: zipped(folder), said)
    for name in graphs.hostile(Path("x")):
        for within in ("pickle", "torch"):
            yield Case("graph", f"{name} in a {within}", _pickle(name, within), "UnsafeGraph")
    yield Case("graph", "XML of another file", _xml_outside, "document type")


CASES = (*_files(), *_folders(), *_pickles())
