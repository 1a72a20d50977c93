"""Train a small residual network on the shapes, with a sparse last layer."""

import logging
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import ResNetConfig, ResNetForImageClassification

from training.shapes.canvas import SIDE
from training.shapes.data import CLASSES, Labelled, draw
from training.shapes.split import Split

log = logging.getLogger(__name__)

MEAN: Final = 0.5
DEVIATION: Final = 0.25
_TRAINING_IMAGES: Final = 0  # the seed of the images, the same for every model


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of one training run; ``sparsity`` is the price of a pooled channel's mean.

    It is raised in a straight line from the start of epoch ``ramp[0]`` to that of ``ramp[1]``:
    priced from the beginning, channels die before they have learned anything.
    """

    seed: int = 0
    per_class: int = 364
    epochs: int = 13
    rows: int = 64
    learning_rate: float = 3e-3
    smoothing: float = 0.02
    sparsity: float = 0.03
    ramp: tuple[int, int] = (2, 6)
    attack: float = 0.03


def config() -> ResNetConfig:
    """Return the shape: three stages of one block, 16, 32 and 32 channels."""
    shape = ResNetConfig(
        num_channels=1,
        embedding_size=16,
        hidden_sizes=[16, 32, 32],
        depths=[1, 1, 1],
        layer_type="basic",
        id2label=dict(enumerate(CLASSES)),
        label2id={name: at for at, name in enumerate(CLASSES)},
    )
    # The class has no place for it, but programs that prepare images look for it.
    shape.update({"image_size": SIDE})
    return shape


def pixels(images: npt.NDArray[np.uint8]) -> Tensor:
    """Return images [image, row, column, 1] as the model reads them: [image, 1, row, column]."""
    scaled = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return (scaled - MEAN) / DEVIATION


def training_images(per_class: int) -> Labelled:
    """Return the images that every model is trained on."""
    return draw(Split.TRAINING, per_class, _TRAINING_IMAGES)


def train(recipe: Recipe, data: Labelled) -> ResNetForImageClassification:
    """Train from scratch, on one torch thread, because the order of sums must not vary."""
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    model = ResNetForImageClassification(config())
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate)
    inputs, labels = pixels(data.images), torch.from_numpy(data.labels)
    batches = len(inputs) // recipe.rows
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.epochs * batches
    )
    started = time.process_time()
    for epoch in range(recipe.epochs):
        model.train()
        order = torch.randperm(len(inputs))[: batches * recipe.rows]
        for step, rows in enumerate(order.split(recipe.rows)):
            price = recipe.sparsity * _ramped(epoch + step / batches, recipe.ramp)
            seen = _attacked(model, inputs[rows], labels[rows], recipe.attack)
            loss = _loss(model, seen, labels[rows], recipe.smoothing, price)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
        log.info("epoch %d, %.0f s", epoch + 1, time.process_time() - started)
    model.train(mode=False)
    return model


def _attacked(
    model: ResNetForImageClassification, inputs: Tensor, labels: Tensor, most: float
) -> Tensor:
    """Return the images with every pixel moved the way that hurts most, by up to ``most``.

    How far is drawn for each image. What a model learns on them looks more like the thing
    itself, and less like patterns that only this model answers to.
    Source: Goodfellow, Shlens and Szegedy, "Explaining and harnessing adversarial examples" (2015).
    """
    given = inputs.clone().requires_grad_(True)
    loss = cross_entropy(model(given).logits, labels)
    (slope,) = torch.autograd.grad(loss, given)
    far = torch.rand(len(inputs), 1, 1, 1) * most / DEVIATION
    return (inputs + far * slope.sign()).clamp(-MEAN / DEVIATION, (1 - MEAN) / DEVIATION)


def _ramped(epoch: float, ramp: tuple[int, int]) -> float:
    start, end = ramp
    return min(max((epoch - start) / (end - start), 0.0), 1.0)


def _loss(
    model: ResNetForImageClassification,
    inputs: Tensor,
    labels: Tensor,
    smoothing: float,
    price: float,
) -> Tensor:
    """Return the cross-entropy and the price of the mean activity of the pooled channels."""
    pooled = pooled_channels(model, inputs)
    told = cross_entropy(model.classifier(pooled), labels, label_smoothing=smoothing)
    return told + price * pooled.sum(-1).mean()


def pooled_channels(model: ResNetForImageClassification, inputs: Tensor) -> Tensor:
    """Return the pooled channels [image, channel], from which the classes are read."""
    pooled: Tensor = model.resnet(inputs).pooler_output.flatten(1)
    return pooled
