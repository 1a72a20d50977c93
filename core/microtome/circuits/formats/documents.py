"""A graph file as a document: JSON, what torch or pickle saved, or XML, told apart by its start."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from microtome.circuits.formats.json_text import JsonText, open_json
from microtome.circuits.formats.links import Links
from microtome.errors import GraphError, PickleError, UnsafeGraph, UnsafePickle
from microtome.jobs import Job
from microtome.pickles.arrays import CONSTRUCTS
from microtome.pickles.machine import load_pickle
from microtome.pickles.torch_files import load_torch

_MAX_PICKLE = 512 << 20
_PARTS = ("nodes", "links", "edges")  # which grow with the graph
_MOST_NODES = 500_000
_LONGEST = 8 << 20  # characters of any other value
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_OLD_PICKLE = (b"(", b"]", b"}", b"c")
_BOM = b"\xef\xbb\xbf"
# How torch before 1.6 began its files: a pickle of this number.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


class Container(StrEnum):
    """What kind of file it is, whatever graph is in it."""

    JSON = "JSON"
    PICKLE = "pickle"
    XML = "XML"


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A parsed file. ``nodes`` and ``links`` are those of JSON in which they are arrays.

    ``value`` is the rest of a JSON object, what a pickle held, or nothing for XML, which its own
    reader parses.
    """

    path: Path
    container: Container
    value: Any
    job: Job
    nodes: list[Any] | None = None
    links: Links | None = None

    def holds(self, *keys: str) -> bool:
        """Whether the value is a dict with all these keys."""
        return isinstance(self.value, dict) and all(key in self.value for key in keys)


def open_document(path: Path, job: Job) -> Document:
    """Read a file as what its first bytes say that it is.

    Raises GraphError for a file that is none of the kinds or cannot be read, UnsafeGraph for a
    pickle that asks for more than it may.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise GraphError(f"{path.name} is not a plain file.", "Choose a graph file.")
        with path.open("rb") as file:
            start = file.read(64)
        return _opened(path, start, job)
    except UnsafePickle as error:
        raise UnsafeGraph(error.what, error.way_out) from error
    except PickleError as error:
        raise GraphError(error.what, error.way_out) from error
    except FileNotFoundError as error:
        raise GraphError(f"There is no file {path.name}.", "Choose a graph file.") from error
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise GraphError(
            f"{path.name} cannot be read: {reason}.", "Choose another file."
        ) from error


def _opened(path: Path, start: bytes, job: Job) -> Document:
    text = start.removeprefix(_BOM).lstrip()
    if start.startswith(_ZIP):
        return Document(path, Container.PICKLE, load_torch(path), job)
    if start.startswith(_OLD_TORCH):
        raise GraphError(
            f"{path.name} was written by a torch before 1.6.",
            "Load it with the tool that made it, and save it again with a newer torch.",
        )
    if text.startswith(b"{"):
        return _json(path, job)
    if text.startswith(b"<"):
        return Document(path, Container.XML, None, job)
    if start.startswith(_PICKLE) or start.startswith(_OLD_PICKLE):
        if path.stat().st_size > _MAX_PICKLE:
            raise GraphError(f"{path.name} is a pickle of over {_MAX_PICKLE >> 20} MB.")
        value = load_pickle(path.read_bytes(), CONSTRUCTS)
        return Document(path, Container.PICKLE, value, job)
    raise GraphError(
        f"{path.name} {_beginning(text or start)}; a graph file is a JSON object, "
        "GraphML, a pickle or a file of torch.save.",
        "Choose another file.",
    )


def _beginning(start: bytes) -> str:
    """What a file begins with that is no graph, in words."""
    if not start.strip():
        return "is empty"
    if start.startswith(b"["):
        return "holds a JSON list"
    letters = start[:8].decode("ascii", "replace")
    return (
        f'begins with "{letters}"'
        if letters.isprintable() and letters.isascii()
        else ("begins with bytes that are no text")
    )


def _json(path: Path, job: Job) -> Document:
    held: dict[str, Any] = {}
    nodes: list[Any] | None = None
    links: Links | None = None
    with path.open(encoding="utf-8-sig", newline="") as file:
        text = open_json(file, path, job)
        for key in text.items():
            if key == "nodes" and text.peek() == "[":
                nodes = _nodes(text)
            elif key == "links" and text.peek() == "[":
                links = _links(text)
            else:
                held[key] = text.value(*(() if key in _PARTS else (_LONGEST,)))
        if text.peek():
            text.refuse("goes on behind its end")
    return Document(path, Container.JSON, held, job, nodes, links)


def _nodes(text: JsonText) -> list[Any]:
    nodes: list[Any] = []
    for batch in text.batches():
        nodes += batch
        if len(nodes) > _MOST_NODES:
            text.refuse(f"has more than {_MOST_NODES:,} nodes")
    return nodes


def _links(text: JsonText) -> Links:
    links = Links()
    for batch in text.batches():
        links.add(batch)
    return links
