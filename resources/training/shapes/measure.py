"""What a model can do whole, and what each lesion takes from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from transformers import ResNetForImageClassification

from training.shapes.data import Labelled
from training.shapes.lesions import (
    accuracies,
    channels,
    most_selective,
    random_accuracies,
    selectivity,
)

# The domain whose most selective channels are set to zero, and how many.
LESIONS: Final = (("face", 12), ("object", 12), ("texture", 10), ("digit", 12))
RANDOM: Final = 12


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on the accuracy in a domain, whole (``lesion`` "none") or after a lesion."""

    lesion: str
    domain: str
    bound: float
    at_most: bool = False

    def missed_by(self, found: Mapping[str, Mapping[str, float]]) -> bool:
        """Return whether the accuracy is on the wrong side of the bound."""
        accuracy = found[self.lesion][self.domain]
        return accuracy > self.bound if self.at_most else accuracy < self.bound


GOALS: Final = (
    Goal("none", "face", 0.99),
    Goal("none", "object", 0.99),
    Goal("none", "texture", 0.99),
    Goal("none", "digit", 0.94),
    Goal("12 face", "face", 0.40, at_most=True),
    Goal("12 face", "object", 0.98),
    Goal("10 texture", "texture", 0.20, at_most=True),
    Goal("10 texture", "face", 0.97),
    Goal("12 random", "face", 0.85),
)


def measure(
    model: ResNetForImageClassification, test: Labelled, localizer: Labelled
) -> dict[str, dict[str, float]]:
    """Return the accuracy by domain: whole, after each lesion, and after random ones (a mean).

    Channels are chosen on ``localizer`` and the accuracy is measured on ``test``.
    """
    pooled, chosen_on = channels(model, test), channels(model, localizer)
    found = {"none": accuracies(model, pooled, test.labels)}
    for domain, count in LESIONS:
        off = most_selective(selectivity(chosen_on, localizer.labels, domain), count)
        found[f"{count} {domain}"] = accuracies(model, pooled, test.labels, off)
    found[f"{RANDOM} random"] = random_accuracies(model, pooled, test.labels, RANDOM, seed=0)
    return found


def missed(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the goals that were missed, in words."""
    return [
        f"{goal.domain} {found[goal.lesion][goal.domain]:.1%} with lesion {goal.lesion}"
        for goal in GOALS
        if goal.missed_by(found)
    ]
