"""The record of a scrubbed hypothesis: its score, and which inputs were swapped where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from microtome.errors import InputError
from microtome.records.analysis import Analysis, Labelled
from microtome.records.hypothesis import Hypothesis, hypothesis_of

SCRUBBED = "causal-scrubbing"  # the kind of its analysis
_ARRAYS = ("whole", "baseline", "scrubbed", "band", "swaps", "tokens", "claims")


@dataclass(frozen=True, slots=True)
class Wire:
    """What one reader of a box reads of one writer of the model.

    ``box`` is the reader's box, empty for the logits; ``source`` the box whose claim the swapped
    inputs agree on, empty where the hypothesis says that the writer does not matter here.
    """

    box: str
    reader: str
    writer: str
    source: str


@dataclass(frozen=True, slots=True)
class Swap:
    """In place of an input another one was taken, for what one wire brings."""

    wire: Wire
    taken: int


@dataclass(frozen=True, slots=True, eq=False)
class Scrubbed:
    """How much of a behaviour is left when a hypothesis is taken at its word.

    ``recovered`` is (E[scrubbed] - E[baseline]) / (E[whole] - E[baseline]), ``band`` the ends of
    its 95 % bootstrap interval over the inputs. ``whole`` is the metric of the model itself,
    ``baseline`` that of its answer to the input judged by the labels of all others, ``scrubbed``
    that of each draw. ``swaps`` are those of the first draw: the number of the input that each wire
    was read from, -1 where nothing was read. ``tokens`` are the inputs as one reads them, and
    ``claims`` the value of each box's claim everywhere, as rows of ``values``: two inputs agree
    where it is the same. Both have nothing ("" and -1) where an input has no position.
    """

    hypothesis: Hypothesis
    recovered: float
    band: Float[np.ndarray, " 2"]
    whole: Float[np.ndarray, " input"]
    baseline: Float[np.ndarray, " input"]
    scrubbed: Float[np.ndarray, "draw input"]
    inputs: tuple[str, ...]
    wires: tuple[Wire, ...]
    swaps: Int[np.ndarray, "wire input position"]
    tokens: Shaped[np.ndarray, "input position"]
    claims: Int[np.ndarray, "box input position"]
    values: tuple[str, ...]
    metric: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def partial(self) -> bool:
        """Whether draws are still to come."""
        return len(self.scrubbed) < int(self.params.get("draws", 0))

    def claimed(self, box: str, number: int, position: int) -> str:
        """What a box's claim says of an input at a position, as one reads it."""
        names = [each.name for each in self.hypothesis.boxes]
        return self.values[int(self.claims[names.index(box), number, position])]

    def swapped(self, box: str, reader: str, number: int, position: int) -> tuple[Swap, ...]:
        """What a reader of a box read at a position in place of an input: wire by wire.

        From the output (the box ``""`` and the reader ``logits``) on, each swap says with which
        input its source box goes on at the same position; a head reads its keys and values
        at all positions that it sees.
        """
        found = []
        for row, wire in enumerate(self.wires):
            taken = int(self.swaps[row, number, position])
            if (wire.box, wire.reader) == (box, reader) and taken >= 0:
                found.append(Swap(wire, taken))
        return tuple(found)


def scrubbed_analysis(found: Scrubbed) -> Analysis:
    """The record as labelled arrays, for panels, files and exports."""
    arrays = {
        "whole": Labelled(("input",), found.whole, long_name=found.metric),
        "baseline": Labelled(("input",), found.baseline, long_name="with labels of other inputs"),
        "scrubbed": Labelled(("draw", "input"), found.scrubbed, long_name=found.metric),
        "band": Labelled(("end",), found.band, long_name="95 % interval"),
        "inputs": Labelled(("input",), np.array(found.inputs, dtype=np.str_)),
        "swaps": Labelled(("wire", "input", "position"), found.swaps, long_name="input read"),
        "tokens": Labelled(("input", "position"), found.tokens),
        "claims": Labelled(("box", "input", "position"), found.claims, long_name="value"),
        "values": Labelled(("value",), np.array(found.values, dtype=np.str_)),
    }
    for name in Wire.__dataclass_fields__:
        texts = np.array([getattr(wire, name) for wire in found.wires], dtype=np.str_)
        arrays[f"wire_{name}"] = Labelled(("wire",), texts)
    params = {
        "hypothesis": found.hypothesis.plain(),
        "recovered": found.recovered,
        "metric": found.metric,
        "asked": dict(found.params),
    }
    title = found.hypothesis.title or "Hypothesis"
    return Analysis(str(found.params["id"]), SCRUBBED, title, arrays, params)


def scrubbed_of(analysis: Analysis) -> Scrubbed:
    """The record that an analysis holds, also one from a file.

    Raises InputError for a hypothesis that is none, and for numbers that point at nothing.
    """
    held = analysis.params
    _expect_whole(analysis)
    names = [analysis.array(f"wire_{name}") for name in Wire.__dataclass_fields__]
    return Scrubbed(
        **{n: analysis.array(n) for n in _ARRAYS},
        values=tuple(str(text) for text in analysis.array("values")),
        hypothesis=hypothesis_of(held["hypothesis"]),
        recovered=float(held["recovered"]),
        inputs=tuple(str(text) for text in analysis.array("inputs")),
        wires=tuple(Wire(*map(str, texts)) for texts in zip(*names, strict=True)),
        metric=str(held["metric"]),
        params=held["asked"],
    )


def _expect_whole(analysis: Analysis) -> None:
    """Raise InputError where arrays do not fit together: a file may come from anybody."""
    inputs, values = len(analysis.array("inputs")), len(analysis.array("values"))
    swaps, claims = analysis.array("swaps"), analysis.array("claims")
    tokens, draws = analysis.array("tokens"), analysis.array("scrubbed")
    shapes = {"whole": (inputs,), "baseline": (inputs,), "band": (2,)}
    names = [box.name for box in hypothesis_of(analysis.params["hypothesis"]).boxes]
    fits = (
        all(analysis.array(name).shape == shape for name, shape in shapes.items())
        and draws.ndim == 2
        and draws.shape[1] == inputs
        and isinstance(analysis.params["asked"], Mapping)
        and swaps.ndim == 3
        and swaps.shape[:2] == (len(analysis.array("wire_box")), inputs)
        and claims.shape == (len(names), *swaps.shape[1:])
        and tokens.shape == swaps.shape[1:]
        and bool((swaps < inputs).all() and (claims < values).all())
        and not bool(((swaps >= 0).any(0) & (claims < 0).any(0)).any())
        and {str(name) for name in analysis.array("wire_source")} <= {"", *names}
    )
    if not fits:
        raise InputError(
            f"The test {analysis.id} is damaged: its arrays do not fit together.",
            "Test the hypothesis again.",
        )
