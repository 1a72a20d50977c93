"""The neurons that a feature shares: those whose activity goes with its own over a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from microtome.records.analysis import Analysis, Labelled

SHARED_NEURONS = "shared-neurons"
_TEXTS = {
    "correlation": "of the activity of feature and neuron over all tokens",
    "share": "of the feature's activity, at tokens at which the neuron is on",
    "cosine": "of what both write to the residual stream",
}


@dataclass(frozen=True, slots=True, eq=False)
class SharedNeurons:
    """How the neurons of some layers go together with one feature over a text.

    Rows of all arrays are ``layers``. ``correlation`` is that of activities over all tokens (0 for
    what never changes), ``share`` the part of the feature's summed activity that falls on tokens at
    which the neuron is on, ``cosine`` that of what both write, 0 where that cannot be said.
    """

    feature: int
    layers: tuple[int, ...]
    correlation: Float[np.ndarray, "layer neuron"]
    share: Float[np.ndarray, "layer neuron"]
    cosine: Float[np.ndarray, "layer neuron"]
    params: Mapping[str, Any] = field(default_factory=dict)

    def strongest(self, count: int = 10) -> tuple[tuple[int, int], ...]:
        """Layers and numbers of the neurons that go with the feature most, by correlation."""
        order = np.argsort(-self.correlation, axis=None, kind="stable")[:count]
        rows, neurons = np.unravel_index(order, self.correlation.shape)
        return tuple(
            (self.layers[row], neuron)
            for row, neuron in zip(rows.tolist(), neurons.tolist(), strict=True)
        )

    def correlation_of(self, layer: int, neuron: int) -> float:
        """That of one neuron."""
        return float(self.correlation[self.layers.index(layer), neuron])


def neurons_analysis(shared: SharedNeurons) -> Analysis:
    """The same as labelled arrays, for panels, files and exports."""
    arrays = {
        name: Labelled(("layer", "neuron"), getattr(shared, name), long_name=text)
        for name, text in _TEXTS.items()
    }
    params = {**shared.params, "feature": shared.feature, "layers": list(shared.layers)}
    named = f"{SHARED_NEURONS}-{str(params.get('fingerprint', ''))[:12]}.{shared.feature}"
    title = f"Neurons that feature {shared.feature} shares"
    return Analysis(named, SHARED_NEURONS, title, arrays, params)


def neurons_of_analysis(analysis: Analysis) -> SharedNeurons:
    """What an analysis holds, also one from a file."""
    params = dict(analysis.params)
    feature, layers = int(params.pop("feature")), tuple(int(n) for n in params.pop("layers"))
    arrays = {name: analysis.array(name) for name in _TEXTS}
    return SharedNeurons(feature, layers, **arrays, params=params)
