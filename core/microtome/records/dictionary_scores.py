"""How good a dictionary is on text, and how good a model is whose MLPs are replaced by one."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DictionaryScores:
    """Figures of a dictionary, over the positions of some text; those of special tokens left out.

    Cross-entropies are in nats a token: the model's own, with the reconstruction in the place of
    what the site holds (or the site that is written), and with zeros there. ``recovered`` is the
    share of the way from zeros to the model; ``kl`` the divergence of the predictions with the
    reconstruction from the model's own, in nats. Of a model whose answers are classes the answer
    at each position is the model's own likeliest.
    """

    explained_variance: float
    l0: float
    dead: float  # share of features that are never on
    dense: float  # share of features on in more than a tenth of the positions
    cross_entropy: float
    reconstructed: float
    zeroed: float
    kl: float
    positions: int

    @property
    def recovered(self) -> float:
        """Share of the cross-entropy that the reconstruction recovers: 1 is all of it.

        NaN where zeros cost nothing, as there is nothing to recover.
        """
        lost = self.zeroed - self.cross_entropy
        return (self.zeroed - self.reconstructed) / lost if lost else math.nan

    def told(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {**asdict(self), "recovered": self.recovered}


@dataclass(frozen=True, slots=True)
class ReplacementScores:
    """Figures of a model whose MLPs are all replaced by transcoders.

    ``kl`` is in nats from the model's own predictions; ``agreement`` the share of positions with
    the same most probable token, ``sure_agreement`` of those where the model gives it more than
    0.9. Cross-entropies are the model's own, the replacement model's, and that of the model whose
    MLPs write zeros. Tuples have an entry for each layer: what of the MLP's output is explained,
    features on, dead and dense, as of a dictionary.
    """

    kl: float
    agreement: float
    sure_agreement: float
    cross_entropy: float
    replaced: float
    zeroed: float
    explained_variance: tuple[float, ...]
    l0: tuple[float, ...]
    dead: tuple[float, ...]
    dense: tuple[float, ...]
    positions: int

    @property
    def recovered(self) -> float:
        """Share of the way from MLPs that write zeros to the model's own cross-entropy."""
        return (self.zeroed - self.replaced) / (self.zeroed - self.cross_entropy)

    def told(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {**asdict(self), "recovered": self.recovered}
