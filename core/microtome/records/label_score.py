"""How well a label tells where a feature fires: examples to be told apart, and the score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """Stretches of text, in half of which a feature fires, shuffled by ``seed``.

    It is on somewhere in those of ``fires`` and nowhere in the others.
    """

    feature: int
    texts: tuple[str, ...]
    fires: Bool[np.ndarray, " text"]
    seed: int


@dataclass(frozen=True, slots=True)
class LabelScore:
    """The share of ``n`` texts that a label put on the right side; guessing reaches ``chance``.

    ``auc`` is the probability that a text in which the feature fires is put above one in which
    it does not, whatever the threshold; 0.5 by guessing.
    """

    accuracy: float
    auc: float
    chance: float
    n: int


def score_of(fires: Bool[np.ndarray, " text"], sure: Float[np.ndarray, " text"]) -> LabelScore:
    """The score of answers that say how sure they are of each text.

    As many texts are taken for firing as there are, the surest first; of those that are equally
    sure each counts in part, so that saying the same of all texts scores chance.
    """
    total, count = len(fires), int(fires.sum())
    order = np.sort(sure)[::-1]
    border = order[count - 1]
    above, at = sure > border, sure == border
    share = (count - above.sum()) / at.sum()
    taken = above + share * at
    right = float(np.where(fires, taken, 1 - taken).sum())
    pairs = sure[fires][:, None] - sure[~fires][None, :]
    auc = float(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    p = count / total
    return LabelScore(right / total, auc, p * p + (1 - p) * (1 - p), total)
