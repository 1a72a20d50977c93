"""What the colour of a point of the feature space says, and the legend of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from microtome_desktop import palette
from microtome_desktop.presenters.colour_maps import sequence_table
from microtome_desktop.presenters.tokens import shown_token

# Twelve colours that stay apart on the dark card, also for colour-blind eyes when few are used.
_CATEGORIES = (
    "#6ea8fe", "#f2a65a", "#57c7b8", "#b58cf5", "#ef6a6a", "#a6d854",
    "#e78ac3", "#ffd92f", "#8da0cb", "#66c2a5", "#c9a27e", "#9fb3c8",
)  # fmt: skip


class ColourBy(StrEnum):
    """What the colour of a point says; from Cluster on of features, from Domain on of images."""

    TASK = "Task"
    TOKEN = "Token"
    POSITION = "Position"
    LAYER = "Layer"
    CLUSTER = "Cluster"
    RATE = "Firing rate"
    PURITY = "Purity"
    ACTIVE = "Active here"
    DOMAIN = "Domain"
    CLASS = "Class"
    UNIT = "Unit"
    FEATURE = "Feature"


# What is the task of a token is the domain of an image; what is its text, the class.
_OF_IMAGES = {ColourBy.DOMAIN: "point_task", ColourBy.CLASS: "point_token"}
ARRAYS: Mapping[ColourBy, str] = {
    by: _OF_IMAGES.get(by, f"point_{by.name.lower()}") for by in ColourBy
    if by not in (ColourBy.ACTIVE, ColourBy.UNIT, ColourBy.FEATURE)
}  # fmt: skip
OF_IMAGES = (*_OF_IMAGES, ColourBy.POSITION)
BY_ACTIVITY = (ColourBy.UNIT, ColourBy.FEATURE)  # of what is selected, at each point
OF_TOKENS = (ColourBy.TASK, ColourBy.TOKEN, ColourBy.POSITION, ColourBy.LAYER)
OF_FEATURES = (ColourBy.CLUSTER, ColourBy.TOKEN, ColourBy.RATE, ColourBy.PURITY)
_SILENT = "silent"
Legend = tuple[tuple[str, str], ...]  # (colour, text)


def rgba(code: str) -> tuple[float, float, float, float]:
    """A colour as four shares."""
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue, 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """Texts by kind: the names, which name each point has, and the rows of names by size."""

    names: tuple[str, ...]
    index: NDArray[np.intp]
    by_size: tuple[int, ...]
    tokens: bool = True  # whether the texts are tokens, in which a space is to be seen

    @classmethod
    def of(cls, values: NDArray[np.generic], *, tokens: bool = True) -> Kinds:
        """Put equal values together."""
        names, index, counts = np.unique(values, return_inverse=True, return_counts=True)
        by_size = np.argsort(-counts, kind="stable").tolist()
        return cls(tuple(str(name) for name in names), index.reshape(-1), tuple(by_size), tokens)

    def told(self, row: int) -> str:
        """A kind as it is written beside its colour."""
        name = self.names[row]
        if self.tokens:
            return shown_token(name)
        return "".join(each if each.isprintable() else "\N{OPEN BOX}" for each in name)


def categories(kinds: Kinds) -> tuple[np.ndarray, Legend]:
    """A colour for each of the largest kinds, grey for all others."""
    chosen = dict(zip(kinds.by_size, _CATEGORIES, strict=False))
    grey = palette.TEXT_FAINT
    table = np.array([rgba(chosen.get(i, grey)) for i in range(len(kinds.names))])
    legend = [(colour, kinds.told(i)) for i, colour in chosen.items()]
    if len(kinds.names) > len(chosen):
        legend.append((grey, f"{len(kinds.names) - len(chosen)} more"))
    return table[kinds.index], tuple(legend)


def ordered(values: np.ndarray, by: ColourBy) -> tuple[np.ndarray, Legend]:
    """Colours of whole numbers, from violet to yellow."""
    low, high = int(values.min()), int(values.max())
    table = sequence_table()
    place = ((values - low) * 255 // max(high - low, 1)).astype(np.int64)
    ends = ((low, table[0]), (high, table[-1]))
    word = by.value.lower()
    legend = tuple((_hex(colour), f"{word} {value}") for value, colour in ends)
    return table[place] / 255.0, legend


def _hex(colour: Iterable[float]) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in list(colour)[:3])


def graded(values: Float[np.ndarray, " point"], by: ColourBy) -> tuple[np.ndarray, Legend]:
    """Colours of shares and activations; what is 0 or nothing is grey.

    Rates cover several powers of ten, so that their colours go by the logarithm.
    """
    held = np.nan_to_num(np.asarray(values, np.float64))
    on, shades = held > 0, _shades()
    tints = np.tile(np.array(rgba(palette.TEXT_FAINT)), (len(held), 1))
    if not on.any():
        return tints, ((palette.TEXT_FAINT, _NOTHING[by]),)
    low, high = float(held[on].min()), float(held[on].max())
    scale: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    scale = np.log if by is ColourBy.RATE else np.asarray
    ends = scale(np.array([low, high]))
    reach = float(ends[1] - ends[0]) or 1.0
    place = np.clip((scale(held[on]) - ends[0]) / reach * (len(shades) - 1), 0, None).astype(
        np.int64
    )
    tints[on] = shades[place]
    told = [(_hex(shades[-1] * 255), _number(high, by)), (_hex(shades[0] * 255), _number(low, by))]
    faint = [] if on.all() else [(palette.TEXT_FAINT, _NOTHING[by])]
    return tints, (*told, *faint)


def measured(values: Float[np.ndarray, " point"], by: ColourBy) -> tuple[np.ndarray, Legend]:
    """Colours of what a unit or a feature does; of one that can be negative from least to most."""
    known = np.isfinite(values)
    if not known.any():
        return np.tile(rgba(palette.TEXT_FAINT), (len(values), 1)), ()
    low, high = float(values[known].min()), float(values[known].max())
    if low >= 0:
        return graded(values, by)
    shades = _shades()
    place = (np.nan_to_num(values - low) / ((high - low) or 1.0) * (len(shades) - 1)).astype(int)
    ends = ((shades[-1], high), (shades[0], low))
    return shades[place], tuple((_hex(shade * 255), _number(value, by)) for shade, value in ends)


def _shades() -> Float[np.ndarray, "shade 4"]:
    """From little to much, away from the colour of the card at both ends."""
    table = sequence_table() / 255.0
    return table[70:] if palette.NAME == palette.DARK else table[215::-1]


_NOTHING = {
    ColourBy.RATE: _SILENT, ColourBy.PURITY: _SILENT, ColourBy.ACTIVE: "off here",
    ColourBy.UNIT: "off", ColourBy.FEATURE: "off",
}  # fmt: skip


def _number(value: float, by: ColourBy) -> str:
    if by is ColourBy.RATE:
        return f"on at {100 * value:.2g} %"
    return (
        f"{100 * value:.0f} % on one token" if by is ColourBy.PURITY else f"activation {value:.3g}"
    )
