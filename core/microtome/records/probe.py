"""How well a concept is read off the sites of a model, beside a control task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from microtome.records.analysis import Analysis, Labelled

PROBE = "probe"


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Accuracies (0 to 1) of linear probes, by site and fold; those of the control task as means.

    ``chance`` is what the most frequent label alone reaches. ``direction`` is where each label lies
    in each site's space, at length 1; None for sites of different widths.
    """

    sites: tuple[str, ...]
    accuracy: Float[np.ndarray, "site fold"]
    control: Float[np.ndarray, "site fold"]
    chance: float
    params: Mapping[str, Any] = field(default_factory=dict)
    direction: Float[np.ndarray, "site label d"] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels, in the order of ``direction``."""
        return tuple(map(str, self.params.get("labels", ())))

    @property
    def mean(self) -> Float[np.ndarray, " site"]:
        """The accuracy over all folds."""
        return np.asarray(self.accuracy.mean(axis=1))

    @property
    def error(self) -> Float[np.ndarray, " site"]:
        """The standard error of the mean over folds."""
        folds = self.accuracy.shape[1]
        return np.asarray(self.accuracy.std(axis=1, ddof=1) / np.sqrt(folds))

    @property
    def selectivity(self) -> Float[np.ndarray, " site"]:
        """How much better the concept is read than random labels of words."""
        return np.asarray(self.mean - self.control.mean(axis=1))

    @property
    def best(self) -> str:
        """The site with the highest accuracy, the first of equal ones."""
        return self.sites[int(self.mean.argmax())]


def probe_analysis(found: Probe) -> Analysis:
    """The same as labelled arrays, for panels, files and exports."""
    arrays = {
        "site": Labelled(("site",), np.array(found.sites)),
        "accuracy": Labelled(("site", "fold"), found.accuracy, long_name="share that is right"),
        "control": Labelled(
            ("site", "fold"), found.control, long_name="the same of random labels of words"
        ),
        "selectivity": Labelled(("site",), found.selectivity, long_name="difference of both"),
    }
    if found.direction is not None:
        axes = ("site", "label", "d")
        arrays["direction"] = Labelled(axes, found.direction, long_name="where a label lies")
    params = {**found.params, "chance": found.chance, "source": "Hewitt and Liang 2019"}
    labels = ", ".join(found.labels)
    where = f"{params.get('last', found.sites[-1])} at {params.get('position', -1)}"
    named = f"{PROBE}-{labels[:60]}-{where}"
    return Analysis(named, PROBE, f"Linear probes: {labels} ({where})", arrays, params)


def probe_of(analysis: Analysis) -> Probe:
    """What an analysis holds, also one from a file."""
    params = dict(analysis.params)
    sites = tuple(str(one) for one in analysis.array("site").tolist())
    chance = float(params.pop("chance"))
    held = analysis.array("direction") if "direction" in analysis.arrays else None
    return Probe(sites, analysis.array("accuracy"), analysis.array("control"), chance, params, held)
