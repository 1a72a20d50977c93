"""Every reader of foreign files as a row: its seeds, what reads a folder, how many at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import seeds

from microtome.circuits.formats import files as graph_files
from microtome.features.formats import files as dictionary_files
from microtome.features.formats import vetting as dictionary_vetting
from microtome.features.label_files import read_labels
from microtome.images.decoding import decode
from microtome.images.formats import HEAD, kind_of
from microtome.images.model_settings import read_preprocessing
from microtome.models import vetting as model_vetting
from microtome.prompt_sets import load_prompt_set
from microtome.session import child, reader, verify
from microtome.suites.loading import load_suite


@dataclass(frozen=True)
class Reader:
    """``share`` of a hundred inputs; ``at_once`` go to one copy of the server.

    Where the program has a ``child`` that reads first, memory that runs out is a refusal.
    """

    seeds: Callable[[Path], list[seeds.Folder]]
    read: Callable[[Path], object]
    share: int
    at_once: int = 50
    child: bool = True


def only(folder: Path) -> Path:
    """The one file of a folder."""
    (path,) = folder.iterdir()
    return path


def in_this_process() -> None:
    """Let readers read here, as the child does: this is a copy of the server."""
    reader._begin_look = lambda _: None
    dictionary_files.examine = lambda *_, **__: None


def _session(folder: Path) -> None:
    path = only(folder)
    child.examine([path])
    reader.open_session(path)
    verify.compare(path)


def _dictionary(folder: Path) -> None:
    dictionary_vetting.examine(sorted(folder.iterdir()))
    dictionary_files.load_dictionary(folder)


def _image(folder: Path) -> None:
    data = only(folder).read_bytes()
    if kind_of(data[:HEAD]):  # as the program asks before it decodes
        decode(data)


READERS: Mapping[str, Reader] = {
    "session": Reader(seeds.sessions, _session, 10, 5),
    "model": Reader(seeds.models, lambda folder: model_vetting.examine([folder]), 15),
    "dictionary": Reader(seeds.dictionaries, _dictionary, 15),
    "graph": Reader(seeds.graphs, lambda folder: graph_files.examine([only(folder)]), 25),
    "image": Reader(seeds.images, _image, 15, 20),
    "prompts": Reader(seeds.prompts, lambda folder: load_prompt_set(only(folder)), 5, child=False),
    "suite": Reader(seeds.suites, lambda folder: load_suite(only(folder)), 5, child=False),
    "labels": Reader(
        seeds.labels, lambda folder: read_labels(only(folder), "0" * 64), 5, child=False
    ),
    "preprocessing": Reader(seeds.preprocessing, read_preprocessing, 5, child=False),
}
