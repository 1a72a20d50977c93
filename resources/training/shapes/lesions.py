"""Which pooled channels a domain has to itself, and what is lost without them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import ResNetForImageClassification

from training.shapes.data import DOMAIN_OF, DOMAINS, Labelled
from training.shapes.train import pixels, pooled_channels

DRAWS: Final = 20
_DOMAIN_OF_CLASS: Final = np.array(DOMAIN_OF)


@torch.no_grad()
def channels(model: ResNetForImageClassification, data: Labelled) -> Tensor:
    """Return the pooled channels [image, channel] of all images."""
    return pooled_channels(model, pixels(data.images))


def selectivity(pooled: Tensor, labels: npt.NDArray[np.int64], domain: str) -> Tensor:
    """Return the selectivity index [channel] for a domain: (mean in - mean out) / (sd in + sd out).

    A channel that never varies has index 0.
    """
    member = torch.from_numpy(_DOMAIN_OF_CLASS[labels] == domain)
    inside, outside = pooled[member], pooled[~member]
    spread = inside.std(0) + outside.std(0)
    index = (inside.mean(0) - outside.mean(0)) / spread.clamp_min(1e-12)
    return torch.where(spread > 0, index, 0.0)


def most_selective(index: Tensor, count: int) -> list[int]:
    """Return the channels with the highest index, the highest first."""
    return [int(at) for at in index.argsort(descending=True, stable=True)[:count]]


@torch.no_grad()
def accuracies(
    model: ResNetForImageClassification,
    pooled: Tensor,
    labels: npt.NDArray[np.int64],
    off: Sequence[int] = (),
) -> dict[str, float]:
    """Return the accuracy by domain with some pooled channels set to zero."""
    damaged = pooled.clone()
    damaged[:, list(off)] = 0
    right = model.classifier(damaged).argmax(-1).numpy() == labels
    member = _DOMAIN_OF_CLASS[labels]
    return {domain: float(right[member == domain].mean()) for domain in DOMAINS}


def random_accuracies(
    model: ResNetForImageClassification,
    pooled: Tensor,
    labels: npt.NDArray[np.int64],
    count: int,
    seed: int,
) -> dict[str, float]:
    """Return the mean accuracy by domain over twenty random lesions of ``count`` channels."""
    rng = np.random.default_rng(seed)
    draws = [rng.choice(pooled.shape[1], count, replace=False).tolist() for _ in range(DRAWS)]
    found = [accuracies(model, pooled, labels, off) for off in draws]
    return {domain: float(np.mean([each[domain] for each in found])) for domain in DOMAINS}
