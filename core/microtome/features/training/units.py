"""Training of a dictionary on a layer of units of a model that sees."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from microtome.features.dictionary import Dictionary
from microtome.features.training.asking import Asked
from microtome.features.training.forms import Own
from microtome.features.training.memory import TrainingSize, expect_room
from microtome.features.training.presets import unit_plan
from microtome.features.training.rows import ArrayRows
from microtome.features.training.trainer import Places, Trainer, Watch
from microtome.features.transcoders import Transcoders
from microtome.features.unit_rows import flat, images_of, unit_values
from microtome.features.unit_scores import evaluate_on_images
from microtome.jobs import Job, QuietPart
from microtome.models.model import Model
from microtome.models.vision.sight import UnitLayer
from microtome.prompts import ImageInput
from microtome.records.dictionary import DictionaryIdentity

_WATCHED_PIXELS, _WATCHED_AT_LEAST = 131_072, 8  # 128 grey images of 32 × 32, 8 large ones
_USUAL = ("width", "k", "steps", "batch", "rate", "dead_after")


def unit_rows(
    model: Model, layer: UnitLayer, given: object, *, limit: int | None, seed: int, job: Job
) -> ArrayRows:
    """What a layer does at each place of each image; with a limit, as many rows drawn by chance.

    Raises CorpusError for what holds no images.
    """
    parts = [flat(held).cpu().numpy() for held in unit_values(model, layer, images_of(given), job)]
    rows = np.concatenate(parts)
    if limit is not None and limit < len(rows):
        chosen = np.random.default_rng(seed).permutation(len(rows))[:limit]
        rows = rows[np.sort(chosen)]
    return ArrayRows({layer.name: np.ascontiguousarray(rows, np.float32)})


def unit_trainer(
    model: Model, layer: UnitLayer, given: object, options: Mapping[str, Any]
) -> Trainer:
    """A trainer of a sparse autoencoder of a layer of units.

    What ``options`` leave out is what suits a layer of few units.
    """
    asked = unit_asked(model, layer, options)
    rows = unit_rows(model, layer, given, limit=asked.limit, seed=asked.plan.seed, job=asked.job)
    if "batch" not in options and rows.n < asked.plan.batch:
        asked = asked.but(batch=max(2, rows.n))
    return trainer_on(asked, layer, rows, _watch(asked, layer, images_of(given)))


def _watch(asked: Asked, layer: UnitLayer, images: Sequence[ImageInput]) -> Watch | None:
    """Measures the share of cross-entropy recovered on some of the images, drawn from all parts."""
    if not asked.watch_every or asked.model.sight is None:
        return None
    count = max(_WATCHED_AT_LEAST, _WATCHED_PIXELS // math.prod(asked.model.sight.shape))
    chosen = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
    few, quiet = [images[at] for at in chosen], QuietPart(asked.job)

    def watch(made: Dictionary | Transcoders) -> float:
        if not isinstance(made, Dictionary):
            return math.nan
        return evaluate_on_images(asked.model, made, layer, few, quiet).recovered

    return watch


def unit_asked(model: Model, layer: UnitLayer, options: Mapping[str, Any]) -> Asked:
    """The question, with what suits a layer of few units. Raises as ``Asked.of``."""
    count, width = layer.n_units, options.get("width")
    plan = unit_plan(count, width if isinstance(width, int) and width > 0 else None)
    usual = {name: getattr(plan, name) for name in _USUAL}
    asked = Asked.of(model, {**usual, **options})
    expect_room(asked.plan, TrainingSize(count, count))
    return asked


def trainer_on(
    asked: Asked, layer: UnitLayer, rows: ArrayRows, watch: Watch | None = None
) -> Trainer:
    """A trainer on rows of a layer's units."""
    count, held = layer.n_units, asked.model.identity
    form = Own(asked.plan.width, count, count, False)
    identity = DictionaryIdentity(
        asked.name or f"{held.name} {layer.name}", "", 0, 0, 0, layer.name, layer.name,
        held.name, held.fingerprint, source={"metadata": {"training": asked.plan.told()}},
    )  # fmt: skip
    return asked.made(rows, Places((layer.name,), (layer.name,)), form, [identity], watch)
