"""A hypothesis about how a model computes something: boxes, what they claim, and arrows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from microtome.errors import InputError, described, expect
from microtome.records.edges import LOGITS

READERS = ("q", "k", "v", "mlp", LOGITS)  # what of a box an arrow may lead into
MOST_BOXES, MOST_ARROWS, MOST_NODES = 64, 256, 64
_LONGEST = 500  # characters of a name, a node or a claim


@dataclass(frozen=True, slots=True)
class Box:
    """A step of the hypothesis: which nodes of the model do it, and what it claims to compute.

    ``nodes`` are names of writers: ``input``, ``a0.h1``, ``m2``. ``claim`` is an expression over
    the tokens of an input and the position ``at`` (docs/scrubbing.md). ``positions`` are those
    that the box speaks of, negative ones from the end; None for all.
    """

    name: str
    nodes: tuple[str, ...]
    claim: str
    positions: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        way_out = "Write Box('token', ('input',), 'token(at)')."
        for name, kind, wanted in (("name", str, "a text"), ("claim", str, "an expression")):
            expect(getattr(self, name), kind, f"The box's {name}", wanted, way_out)
        expect(self.nodes, tuple, "The box's nodes", "a tuple of names", way_out)


@dataclass(frozen=True, slots=True)
class Arrow:
    """One box reads another: by its queries, keys or values (q, k, v), as an MLP, or as logits.

    The target ``logits`` is the output of the model and needs no box.
    """

    source: str
    target: str
    reader: str

    def __post_init__(self) -> None:
        way_out = "Write Arrow('token', 'answer', 'v')."
        for name in ("source", "target", "reader"):
            expect(getattr(self, name), str, f"The arrow's {name}", "a text", way_out)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Boxes and arrows, as plain values; whether a model can have it is seen when it is run."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    title: str = ""

    def __post_init__(self) -> None:
        way_out = "Write Hypothesis((Box(…), …), (Arrow(…), …))."
        for name in ("boxes", "arrows"):
            expect(getattr(self, name), tuple, f"The hypothesis' {name}", "a tuple", way_out)

    def plain(self) -> dict[str, Any]:
        """The hypothesis as JSON values."""
        return {
            "title": self.title,
            "boxes": [
                {
                    "name": box.name,
                    "nodes": list(box.nodes),
                    "claim": box.claim,
                    "positions": None if box.positions is None else list(box.positions),
                }
                for box in self.boxes
            ],
            "arrows": [[arrow.source, arrow.target, arrow.reader] for arrow in self.arrows],
        }


def hypothesis_of(plain: Any) -> Hypothesis:
    """The hypothesis that JSON values hold, of a file that may come from anybody.

    Raises InputError for values of another form, and for more than a hypothesis may have.
    """
    held = _mapping(plain, "A hypothesis")
    boxes = _listed(held.get("boxes"), "boxes", MOST_BOXES)
    arrows = _listed(held.get("arrows"), "arrows", MOST_ARROWS)
    title = _text(held.get("title", ""), "title")
    return Hypothesis(tuple(map(_box, boxes)), tuple(map(_arrow, arrows)), title)


def expect_hypothesis(given: object) -> Hypothesis:
    """The hypothesis, looked at; raises as ``hypothesis_of`` does, WrongKind for what is none."""
    expect(given, Hypothesis, "hypothesis", "a Hypothesis", "Write Hypothesis(boxes, arrows).")
    assert isinstance(given, Hypothesis)  # noqa: S101
    parts: Iterable[tuple[Any, type, str]] = [
        *((box, Box, "A box") for box in given.boxes),
        *((arrow, Arrow, "An arrow") for arrow in given.arrows),
    ]
    for part, kind, name in parts:
        expect(part, kind, name, f"a {kind.__name__}", "Write Box(…) and Arrow(…).")
    return hypothesis_of(given.plain())


def _box(plain: Any) -> Box:
    held = _mapping(plain, "A box")
    nodes = tuple(
        _text(node, "node") for node in _listed(held.get("nodes"), "nodes of a box", MOST_NODES)
    )
    places = held.get("positions")
    if places is not None:
        places = tuple(_whole(each) for each in _listed(places, "positions of a box", _LONGEST))
    name, claim = _text(held.get("name"), "name"), _text(held.get("claim"), "claim")
    return Box(name, nodes, claim, places)


def _arrow(plain: Any) -> Arrow:
    if not isinstance(plain, list | tuple) or len(plain) != 3:
        raise InputError(
            f"An arrow is {described(plain)}.", "Give its source, its target and the reader."
        )
    source, target, reader = (_text(part, "arrow") for part in plain)
    if reader not in READERS:
        raise InputError(
            f"The arrow from {source} to {target} leads into {reader!r}.",
            f"Choose one of {', '.join(READERS)}.",
        )
    return Arrow(source, target, reader)


def _mapping(plain: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(plain, Mapping):
        raise InputError(f"{name} is {described(plain)}.", "Give what Hypothesis.plain() gives.")
    return plain


def _listed(plain: Any, name: str, most: int) -> list[Any]:
    if not isinstance(plain, list | tuple):
        raise InputError(f"The {name} are {described(plain)}.", "Give a list.")
    if len(plain) > most:
        raise InputError(f"There are {len(plain)} {name}, and {most} are the most.", "Give fewer.")
    return list(plain)


def _text(plain: Any, name: str) -> str:
    if not isinstance(plain, str) or len(plain) > _LONGEST:
        raise InputError(
            f"The {name} of a hypothesis is {described(plain)}.",
            f"Give a text of {_LONGEST} characters at most.",
        )
    return plain


def _whole(plain: Any) -> int:
    if not isinstance(plain, int) or isinstance(plain, bool):
        raise InputError(f"A position is {described(plain)}.", "Give a whole number.")
    return plain
