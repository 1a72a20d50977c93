"""What edits cost: how well a model does each task of a list without and with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from microtome.records.analysis import Analysis, Labelled

EDIT_PRICE = "edit-price"  # the id and the kind of its analysis
SIDES = ("without", "with")


@dataclass(frozen=True, slots=True, eq=False)
class EditPrice:
    """A row for each prompt set; the last axis is without, with the edits.

    ``right`` is the share of pairs whose answer is more probable than the wrong answer, ``top`` the
    share whose answer is the most probable token of all, ``difference`` the mean logit of the
    answer minus that of the wrong answer. ``pairs`` were run; ``left_out`` are those that the
    edits do not fit, and ``notes`` says why, by the name of the set. Sets still to come have no
    pairs and NaN.
    """

    names: tuple[str, ...]
    titles: tuple[str, ...]
    pairs: Int[np.ndarray, " set"]
    left_out: Int[np.ndarray, " set"]
    right: Float[np.ndarray, "set side"]
    top: Float[np.ndarray, "set side"]
    difference: Float[np.ndarray, "set side"]
    edits: tuple[str, ...]
    model: str
    limit: int | None = None  # pairs of each set at most
    complete: bool = True
    notes: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


_COUNTS = ("pairs", "left_out")
_SHARES = {
    "right": "share of pairs whose answer is above the wrong answer",
    "top": "share of pairs whose answer is the most probable token",
    "difference": "mean logit of the answer minus that of the wrong answer",
}
_PLAIN = ("model", "limit", "complete", "seconds")


def price_analysis(price: EditPrice) -> Analysis:
    """The price as labelled arrays, for panels, files and exports."""
    arrays = {
        name: Labelled(("set",), np.array(texts, dtype=np.str_))
        for name, texts in (("names", price.names), ("titles", price.titles))
    }
    arrays |= {name: Labelled(("set",), getattr(price, name)) for name in _COUNTS}
    for name, long_name in _SHARES.items():
        arrays[name] = Labelled(("set", "side"), getattr(price, name), long_name=long_name)
    params = {name: getattr(price, name) for name in _PLAIN}
    params |= {"edits": list(price.edits), "notes": dict(price.notes), "sides": list(SIDES)}
    return Analysis(EDIT_PRICE, EDIT_PRICE, "Price of the edits", arrays, params)


def price_of(analysis: Analysis) -> EditPrice:
    """The price that an analysis holds, also one from a file.

    Raises SiteMissing when it lacks an array.
    """
    held: dict[str, Any] = {name: analysis.params[name] for name in _PLAIN}
    held |= {name: analysis.array(name) for name in (*_COUNTS, *_SHARES)}
    for name in ("names", "titles"):
        held[name] = tuple(str(text) for text in analysis.array(name))
    edits = tuple(str(text) for text in analysis.params["edits"])
    return EditPrice(**held, edits=edits, notes=dict(analysis.params["notes"]))
