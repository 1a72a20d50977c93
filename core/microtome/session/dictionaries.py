"""The dictionaries of a session by reference: what each is, and how to recognise it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from types import MappingProxyType
from typing import Any

from microtome.records.dictionary import DictionaryIdentity
from microtome.records.feature_labels import LONGEST, FeatureLabel
from microtome.session.handle import Handle
from microtome.session.parts import GroupBuilder, Part

DICTIONARIES = "/dictionaries"
_MOST = 10_000  # dictionaries of a session
_MOST_LABELS = 200_000  # typed labels
_NUMBERS = ("d_in", "d_sae", "d_out")


def dictionaries_part(held: Sequence[DictionaryIdentity], root: Mapping[str, int]) -> Part:
    """The group ``/dictionaries``."""
    about = {"encoding-type": "dictionaries", "encoding-version": "1.0"}
    group = GroupBuilder(DICTIONARIES, root, about)
    group.add_json(
        "dictionaries_json",
        [{**_columns(each), "source": dict(each.source)} for each in held],
    )
    return group.part("dictionaries")


def read_dictionaries(handle: Handle) -> tuple[DictionaryIdentity, ...]:
    """The dictionaries of a file, none when it names none.

    Raises KeyError, TypeError or ValueError for what is not understood.
    """
    path = f"{DICTIONARIES}/dictionaries_json"
    if handle.kind(path) is None:
        return ()
    held = _listed(handle.json(path), _MOST)
    return tuple(_identity(dict(one)) for one in held)


def label_rows(labels: Sequence[FeatureLabel]) -> list[dict[str, Any]]:
    """Typed labels as plain JSON values."""
    return [asdict(one) for one in labels]


def read_labels(held: Any) -> tuple[FeatureLabel, ...]:
    """Typed labels of a file. Raises KeyError, TypeError or ValueError for what is none."""
    return tuple(
        FeatureLabel(str(one["dictionary"]), _whole(one["feature"]), str(one["text"])[:LONGEST])
        for one in _listed(held, _MOST_LABELS)
    )


def _columns(one: DictionaryIdentity) -> dict[str, Any]:
    names = [each.name for each in fields(one) if each.name != "source"]
    return {name: getattr(one, name) for name in names}


def _identity(held: dict[str, Any]) -> DictionaryIdentity:
    known = {each.name for each in fields(DictionaryIdentity)} - {"source", *_NUMBERS}
    values: dict[str, Any] = {name: str(held[name]) for name in known}
    values |= {name: _whole(held[name]) for name in _NUMBERS}
    return DictionaryIdentity(**values, source=MappingProxyType(dict(held.get("source", {}))))


def _listed(held: Any, most: int) -> list[Any]:
    if not isinstance(held, list) or len(held) > most:
        raise TypeError(f"expected a list of at most {most}")
    return held


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"expected a whole number, got {value!r}")
    return value
