"""The record of a feature visualisation: pictures that a part of a model answers to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from microtome.records.analysis import Analysis, Labelled

VISUALISATION = "visualisation"  # the kind of its analysis


@dataclass(frozen=True, slots=True)
class VisualSettings:
    """How pictures are made.

    ``robustness`` 1 moves the picture at each step by up to a sixteenth of its side, turns it by
    up to 5 degrees, scales it by up to a tenth and adds noise of 0.06 (white is 1); 0 does none
    of it. ``smooth`` is the price of differences between neighbouring pixels and ``grey`` that of
    leaving mid grey, both as a share of the typical slope of what is maximised, so that they mean
    the same for every model and unit. ``diversity`` is how strongly results are pushed apart, in
    the same measure.
    """

    steps: int = 160
    rate: float = 0.02
    robustness: float = 1.0
    smooth: float = 0.3
    grey: float = 0.08
    diversity: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Visualisation:
    """Pictures by gradient ascent, and what models say of them.

    ``values`` are what was maximised, at some steps and under transformation; ``final`` is the
    value of each picture as it is. ``percentile`` is the share (%) of the images of a set whose
    value is lower, and ``reference`` holds the values of these images, the smallest first.
    ``probabilities`` are the model's own, ``second`` those of another model.
    """

    target: Mapping[str, Any]  # kind, text, layer, index, place, negative, name: plain JSON
    pictures: UInt8[np.ndarray, "result row column channel"]
    step: Int[np.ndarray, " point"]
    values: Float[np.ndarray, "point result"]
    final: Float[np.ndarray, " result"]
    classes: tuple[str, ...]
    probabilities: Float[np.ndarray, "result class"]
    settings: VisualSettings = field(default_factory=VisualSettings)
    seed: int = 0
    id: str = VISUALISATION
    model: str = ""
    done: int = 0  # steps; all of them in a whole one
    percentile: Float[np.ndarray, " result"] | None = None
    reference: Float[np.ndarray, " image"] | None = None
    of_set: str = ""
    set_digest: str = ""  # of its content
    second: Float[np.ndarray, "result other"] | None = None
    second_classes: tuple[str, ...] = ()
    second_model: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """What was maximised, as it is written."""
        return str(self.target["text"])

    @property
    def complete(self) -> bool:
        """Whether all steps were done."""
        return self.done >= self.settings.steps

    def says(self, result: int) -> tuple[str, float]:
        """The class that the model sees in a result, and its probability."""
        at = int(self.probabilities[result].argmax())
        return self.classes[at], float(self.probabilities[result, at])

    def second_says(self, result: int) -> tuple[str, float] | None:
        """The same of the second model, None without one."""
        if self.second is None:
            return None
        at = int(self.second[result].argmax())
        return self.second_classes[at], float(self.second[result, at])


_ARRAYS = ("pictures", "step", "values", "final", "probabilities")
_FIELDS = ("seed", "model", "done", "of_set", "set_digest", "second_model", "seconds")


def visualisation_analysis(made: Visualisation) -> Analysis:
    """A visualisation as labelled arrays, for panels, files and exports."""
    image = ("result", "row", "column", "channel")
    arrays = {
        "pictures": Labelled(image, made.pictures, long_name="picture as the model reads it"),
        "step": Labelled(("point",), made.step, long_name="steps done"),
        "values": Labelled(("point", "result"), made.values, long_name=f"{made.text} by step"),
        "final": Labelled(("result",), made.final, long_name=made.text),
        "probabilities": Labelled(("result", "class"), made.probabilities, long_name="probability"),
        "classes": Labelled(("class",), np.array(made.classes, dtype=np.str_)),
    }
    if made.percentile is not None and made.reference is not None:
        arrays["percentile"] = Labelled(("result",), made.percentile, "%", "images below")
        arrays["reference"] = Labelled(("image",), made.reference, long_name=made.text)
    if made.second is not None:
        arrays["second"] = Labelled(("result", "other"), made.second, long_name="probability")
        names = np.array(made.second_classes, dtype=np.str_)
        arrays["second_classes"] = Labelled(("other",), names)
    params = {name: getattr(made, name) for name in _FIELDS}
    params |= {
        "target": dict(made.target), "settings": asdict(made.settings), "notes": list(made.notes),
        "partial": not made.complete, "method": "gradient ascent, Fourier parametrisation",
        "source": "Olah et al. 2017",
    }  # fmt: skip
    return Analysis(made.id, VISUALISATION, f"Visualisation of {made.text}", arrays, params)


def visualisation_of(analysis: Analysis) -> Visualisation:
    """The visualisation that an analysis holds, also one from a file."""
    held, arrays = analysis.params, analysis.arrays
    found: dict[str, Any] = {
        name: analysis.array(name) if name in arrays else None
        for name in ("percentile", "reference", "second")
    }
    found |= {
        name: tuple(str(text) for text in analysis.array(name)) if name in arrays else ()
        for name in ("classes", "second_classes")
    }
    found |= {name: analysis.array(name) for name in _ARRAYS}
    return Visualisation(
        target=held["target"],
        settings=VisualSettings(**held["settings"]),
        id=analysis.id,
        notes=tuple(held["notes"]),
        **{name: held[name] for name in _FIELDS if name in held},
        **found,
    )
