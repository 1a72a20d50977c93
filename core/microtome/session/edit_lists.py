"""Edits of a model as JSON of a session file, and back with every value looked at."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from microtome.records.edits import EditSet, EditSpec
from microtome.records.feature_edit import FeatureEditSpec
from microtome.sites import Site

_MOST = 10_000  # edits of one list


def as_json(edits: Iterable[EditSpec]) -> list[dict[str, Any]]:
    """Edits as plain JSON values."""
    return [spec.as_json() for spec in edits]


def read_edits(held: Any) -> tuple[EditSpec, ...]:
    """The edits of a list; fields that a newer version added are left out.

    Raises TypeError, ValueError, KeyError or InputError for what is not understood.
    """
    return tuple(_edit(dict(one)) for one in _listed(held))


def read_sets(held: Any) -> tuple[EditSet, ...]:
    """The named lists of edits."""
    return tuple(EditSet(str(one["name"]), read_edits(one["edits"])) for one in _listed(held))


def read_feature_edits(held: Any) -> tuple[FeatureEditSpec, ...]:
    """The edits of features; fields that a newer version added are left out."""
    return tuple(
        FeatureEditSpec(
            **{name: read(one[name]) for name, read in _OF_FEATURE.items() if name in one}
        )
        for one in _listed(held)
    )


def _listed(held: Any) -> list[Any]:
    if not isinstance(held, list) or len(held) > _MOST:
        raise TypeError(f"expected a list of at most {_MOST} edits, got {type(held).__name__}")
    return held


def _edit(held: dict[str, Any]) -> EditSpec:
    known: dict[str, Any] = {name: read(held[name]) for name, read in _READ.items() if name in held}
    return EditSpec.from_json({"site": str(held["site"]), "action": str(held["action"]), **known})


def _site(name: Any) -> str:
    return str(Site.parse(str(name)))


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is not finite")
    return number


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected a whole number, got {value!r}")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, got {value!r}")
    return value


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _each(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: tuple(read(value) for value in _listed(values))


def _prompt(value: Any) -> str | tuple[int, ...]:
    return value if isinstance(value, str) else tuple(_whole(token) for token in _listed(value))


def _direction(held: Any) -> dict[str, Any]:
    known = {name: read(held[name]) for name, read in _OF_DIRECTION.items() if name in held}
    return {"kind": str(held["kind"]), **known}


_OF_DIRECTION: dict[str, Callable[[Any], Any]] = {
    "prompts": _each(_prompt), "others": _each(_prompt), "component": _whole,
    "token": _optional(_whole), "other": _optional(_whole), "values": _each(_number),
    "unit": _flag, "positions": _optional(_each(_whole)),
}  # fmt: skip
_READ: dict[str, Callable[[Any], Any]] = {
    "site": _site, "positions": _optional(_each(_whole)), "prompts": _each(_prompt),
    "from_positions": _optional(_each(_whole)), "from_layer": _optional(_whole),
    "strength": _number, "direction": _optional(_direction), "seed": _whole, "on": _flag,
    "neuron": _optional(_whole),
}  # fmt: skip
_OF_FEATURE: dict[str, Callable[[Any], Any]] = {
    "layer": _whole, "feature": _whole, "action": str, "amount": _number,
    "positions": _optional(_each(_whole)), "on": _flag, "group": str,
}  # fmt: skip
