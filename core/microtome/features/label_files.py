"""Label files: Neuronpedia's exports, and plain tables of a number and a text.

Neuronpedia exports explanations as JSON lines, packed by gzip in numbered batches
(``explanations/batch-0.jsonl.gz``), and by its API as one JSON array. Each entry has ``index``
(a number or its text), ``description``, and ``layer``, the name of the source, such as
``6-res-jb``. Source: docs.neuronpedia.org, "Exports".
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any

from microtome.errors import InputError, expect
from microtome.records.feature_labels import LabelSet

_LONGEST_LINE = 1 << 24
_LARGEST = 1 << 28  # bytes of a file that is one JSON value
_ALWAYS, _MOST_GROWTH = 16 << 20, 50  # text hardly shrinks to less than a fiftieth
_PIECE = 1 << 20
_MOST = 5_000_000  # entries
_BROKEN = (OSError, EOFError, ValueError, TypeError, RecursionError, zlib.error)
_ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".json.gz")
_WAY_OUT = "Give explanations as Neuronpedia exports them, or a JSON object {number: text}."


def read_labels(
    path: str | os.PathLike[str],
    dictionary: str,
    *,
    layer: str = "",
    n_features: int | None = None,
    reads: str = "",
) -> LabelSet:
    """The labels of a file, or of all files of a folder, for the dictionary of a fingerprint.

    ``layer`` picks a source where a file has several; ``reads``, the site of the dictionary, does
    so by the number of its layer. Of several labels of a feature the first stays.
    Raises InputError for what is no such file, for labels of several sources or of another layer,
    and for numbers beyond ``n_features``.
    """
    expect(path, (str, os.PathLike), "path", "a file's path", _WAY_OUT)
    place, sources = Path(path).expanduser(), dict[str, dict[int, str]]()
    for held in islice(_entries(place), _MOST):
        source = str(held.get("layer", ""))
        if not layer or source == layer:
            sources.setdefault(source, {}).setdefault(*_label(held, place.name))
    if reads and not layer:
        sources = _of_layer(sources, reads, place.name)
    if len(sources) > 1:
        named = ", ".join(sorted(sources)[:5])
        raise InputError(f"{place.name} has labels of {named}.", "Say which by layer=….")
    found = next(iter(sources.values()), {})
    if not found:
        raise InputError(f"{place.name} holds no labels{layer and f' of {layer}'}.", _WAY_OUT)
    beyond = [feature for feature in found if n_features is not None and feature >= n_features]
    if beyond:
        raise InputError(
            f"{place.name} labels feature {beyond[0]}, but the dictionary has {n_features}.",
            "Choose the labels of this dictionary.",
        )
    return LabelSet.of(dictionary, place.name, found)


def _of_layer(
    sources: dict[str, dict[int, str]], reads: str, name: str
) -> dict[str, dict[int, str]]:
    """The sources of the layer that a dictionary reads; those without a number fit any."""
    layer = re.search(r"\.(\d+)", reads)
    numbers = {source: re.match(r"(\d+)-", source) for source in sources}
    if layer is None:
        return sources
    kept = {
        source: sources[source]
        for source, number in numbers.items()
        if number is None or int(number[1]) == int(layer[1])
    }
    if sources and not kept:
        named = ", ".join(sorted(sources)[:5])
        raise InputError(
            f"{name} has labels of {named}, but the dictionary reads {reads}.",
            f"Choose labels of layer {layer[1]}.",
        )
    return kept


def _label(held: Mapping[str, Any], name: str) -> tuple[int, str]:
    try:
        feature, text = int(held["index"]), str(held["description"]).strip()
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} has an entry without index or description.", _WAY_OUT) from error
    if not 0 <= feature < 1 << 31:
        raise InputError(f"{name} labels feature {str(feature)[:40]}.", _WAY_OUT)
    return feature, text


def _entries(place: Path) -> Iterator[Mapping[str, Any]]:
    if place.is_dir():
        files = sorted(one for one in place.iterdir() if one.name.endswith(_ENDINGS))
        if not files:
            raise InputError(f"{place.name} holds no label files.", _WAY_OUT)
    else:
        files = [place]
    for file in files:
        if file.exists() and not file.is_file():  # a pipe would be waited for
            raise InputError(f"{file.name} cannot be read: it is no plain file.", _WAY_OUT)
        try:
            yield from _of_file(file)
        except _BROKEN as error:
            what = getattr(error, "strerror", None) or str(error)[:80]
            raise InputError(f"{file.name} cannot be read: {what}.", _WAY_OUT) from error


def _of_file(file: Path) -> Iterator[Mapping[str, Any]]:
    with gzip.open(file) if file.name.endswith(".gz") else file.open("rb") as stream:
        if ".jsonl" in file.name:
            while line := stream.readline(_LONGEST_LINE):
                if line.strip():
                    yield _mapping(json.loads(line))
            return
        text = _whole(stream, file.stat().st_size)
    value = json.loads(text)
    if isinstance(value, dict):
        listed = value.get("explanations")
        plain = [{"index": key, "description": each} for key, each in value.items()]
        value = plain if listed is None else listed
    if not isinstance(value, list):
        raise TypeError("no list of labels")
    yield from map(_mapping, value)


def _whole(stream: IO[bytes] | gzip.GzipFile, packed: int) -> bytes:
    """All that a stream holds, which a packed file of so many bytes may announce."""
    most, pieces, size = min(_LARGEST, max(_ALWAYS, _MOST_GROWTH * packed)), [], 0
    while piece := stream.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise ValueError(f"over {most >> 20} MB; take the JSON lines")
    return b"".join(pieces)


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("an entry is no object")
    return value
