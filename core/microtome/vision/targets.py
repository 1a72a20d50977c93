"""What a picture is made for: a class, a unit, a direction, or a feature of a dictionary."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from microtome.errors import InputError, expect
from microtome.features.dictionary import Dictionary
from microtome.models.vision.sight import Sight
from microtome.records.units import Unit

MEAN, CENTRE = "mean", "centre"
_PLACE = re.compile(r"^(?P<row>\d+),(?P<column>\d+)$")
_EXAMPLE = (
    "Write a class (stripes), a unit (pool/12: its mean over the image), or a unit in one place "
    "(stage1.block0/3@centre, mlp_post.2/17@0,5); a minus in front makes the least of it."
)


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What is maximised; ``negative`` makes the least of it instead.

    ``layer`` and ``index`` name a unit, or the layer of a direction and the number of a
    dictionary's feature; a class has its number alone. ``place`` is ``mean`` (over the image),
    ``centre``, or ``row,column`` of the layer's own map.
    """

    kind: Literal["class", "unit", "direction", "feature"]
    layer: str = ""
    index: int = 0
    place: str = MEAN
    negative: bool = False
    name: str = ""  # of the class, the direction, or the dictionary
    direction: Float[np.ndarray, " unit"] | None = None
    dictionary: Dictionary | None = None

    @classmethod
    def towards(cls, layer: str, direction: Float[np.ndarray, " unit"], name: str = "") -> Target:
        """A direction in a layer, of any length above 0."""
        return cls("direction", layer, name=name or "a direction", direction=direction)

    @classmethod
    def feature(cls, dictionary: Dictionary, index: int, layer: str = "") -> Target:
        """What a feature's encoder gives before the rule; in the layer that its site names."""
        expect(dictionary, Dictionary, "dictionary", "a Dictionary", "Open one, or train it.")
        held = dictionary.identity
        return cls("feature", layer or held.reads, index, name=held.name or "dictionary",
                   dictionary=dictionary)  # fmt: skip

    @property
    def text(self) -> str:
        """As it is written."""
        named = {
            "class": self.name,
            "unit": f"{self.layer}/{self.index}",
            "direction": f"{self.name} in {self.layer}",
            "feature": f"{self.name} #{self.index} in {self.layer}",
        }[self.kind]
        place = "" if self.place == MEAN or self.kind == "class" else f"@{self.place}"
        return f"{'−' if self.negative else ''}{named}{place}"

    def plain(self) -> dict[str, Any]:
        """What a session keeps of it."""
        held = {name: getattr(self, name) for name in
                ("kind", "layer", "index", "place", "negative", "name", "text")}  # fmt: skip
        if self.direction is not None:
            values = np.asarray(self.direction, np.float64)
            held["direction"] = hashlib.sha256(values.tobytes()).hexdigest()
        if self.dictionary is not None:
            held["dictionary"] = self.dictionary.identity.fingerprint
        return held

    def at(self, place: str) -> Target:
        """The same in one place."""
        return replace(self, place=place)


def parse_target(text: str | Unit | Target, sight: Sight) -> Target:
    """What a text names in a model. Raises InputError, SiteMissing."""
    expect(text, (str, Unit, Target), "target", "a class, a unit or a Target", _EXAMPLE)
    if isinstance(text, Target):
        return text
    written = str(text).strip()
    negative = written[:1] in ("-", "−")
    named, _, place = written.lstrip("-−").strip().partition("@")
    if named.removeprefix("class:") in sight.classes:
        name = named.removeprefix("class:")
        return Target("class", index=sight.classes.index(name), name=name, negative=negative)
    if "/" not in named:
        some = ", ".join(sight.classes[:6])
        raise InputError(f"{sight.title} has no class {named!r}; it has {some} …", _EXAMPLE)
    unit = sight.unit(named)
    return Target("unit", unit.layer, unit.index, place.strip() or MEAN, negative)


def place_in(target: Target, grid: tuple[int, int] | None) -> tuple[int, int] | None:
    """Row and column of a target's place in a map, None for its mean. Raises InputError."""
    if target.place == MEAN:
        return None
    if grid is None:
        raise InputError(
            f"{target.layer} has no places in the image, so that {target.text} is nowhere.",
            "Leave the place out.",
        )
    if target.place == CENTRE:
        return grid[0] // 2, grid[1] // 2
    found = _PLACE.match(target.place)
    if found is None:
        raise InputError(f"{target.place!r} is no place.", "Write mean, centre or row,column.")
    row, column = int(found["row"]), int(found["column"])
    if row >= grid[0] or column >= grid[1]:
        raise InputError(
            f"{target.layer} has {grid[0]} rows and {grid[1]} columns, but {row},{column} was "
            "asked for.",
            f"Give 0,0 to {grid[0] - 1},{grid[1] - 1}.",
        )
    return row, column
