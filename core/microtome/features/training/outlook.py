"""What a training will take, measured before it starts."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from microtome.activations.harvest import estimate_harvest, harvest
from microtome.corpora.reading import Corpus, Source
from microtome.features.fitting import width_of
from microtome.features.training.asking import Asked, one_place, text_file
from microtome.features.training.rows import ArrayRows
from microtome.features.training.single import Options
from microtome.features.training.trainer import Trainer
from microtome.features.training.units import trainer_on, unit_asked, unit_rows
from microtome.features.unit_rows import images_of, unit_layer
from microtome.jobs import QuietPart
from microtome.models.model import Model
from microtome.models.vision.sight import UnitLayer
from microtome.sites import Site

# Tokens that are harvested to time it. What is the same for any text is in both, and taken off.
_TRIED = (512, 3_072)
_TIMED_S = 0.4  # seconds of steps that are timed
_FEW_IMAGES = 64  # that are shown to the model to time it
_FIRST = 2  # steps that are not: memory is found and kernels are chosen


@dataclass(frozen=True, slots=True)
class TrainingEstimate:
    """What a training will take: ``n_bytes`` of activations on disk of which ``free`` are free.

    ``rows`` is how many activations there are at most, of a text's size. Seconds are those of
    this machine: to harvest the activations, and to train.
    """

    rows: int
    n_bytes: int
    free: int
    harvest_seconds: float
    training_seconds: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.harvest_seconds + self.training_seconds


def estimate_training(
    model: Model,
    text: Source,
    site: Site | str,
    writes: Site | str | None = None,
    **options: Unpack[Options],
) -> TrainingEstimate:
    """What ``train_dictionary`` will take: a few tokens are harvested, and a few steps timed.

    Raises what ``train_dictionary`` raises before it starts.
    """
    layer = unit_layer(model, site)
    if layer is not None:
        return _of_units(model, layer, text, options)
    asked = Asked.of(model, options)
    read = one_place(model, site)
    written = read if writes is None else one_place(model, writes)
    asked.expect_room(read, written)
    sites = list(dict.fromkeys((str(read), str(written))))
    source = text_file(text) if isinstance(text, str) else text
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as held:
        folder = _standing(asked.folder or Path(held))
        told = estimate_harvest(model, source, sites, folder, limit=asked.limit)
        a_row = _row(asked, source, sites, Path(held))
    return TrainingEstimate(
        told.rows, told.n_bytes, told.free, a_row * told.rows,
        _step(asked, read, written) * asked.plan.steps,
    )  # fmt: skip


def _row(asked: Asked, source: Source, sites: list[str], folder: Path) -> float:
    """Seconds that each further row of a harvest takes."""
    took, rows = [], []
    for limit in _TRIED:
        begun, into = time.perf_counter(), folder / str(limit)
        quiet = QuietPart(asked.job)
        rows.append(harvest(asked.model, source, sites, into, limit=limit, job=quiet).n)
        took.append(time.perf_counter() - begun)
    if rows[1] == rows[0]:
        return took[1] / max(1, rows[1])
    return max(0.0, took[1] - took[0]) / (rows[1] - rows[0])


def _standing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there: that disk it will be on."""
    return next((each for each in (folder, *folder.parents) if each.exists()), Path())


def _step(asked: Asked, read: Site, written: Site) -> float:
    """Seconds of a step, on rows that nobody made: what they are does not count."""
    widths = {str(site): width_of(asked.model, site) for site in (read, written)}
    trial = asked.quiet()
    return _timed(trial.trainer(_chance(asked, widths), read, written), asked)


def _of_units(
    model: Model, layer: UnitLayer, source: object, options: Mapping[str, Any]
) -> TrainingEstimate:
    """Of a layer of units, whose rows stay in memory."""
    asked, images = unit_asked(model, layer, options), images_of(source)
    few, began = images[:_FEW_IMAGES], time.perf_counter()
    tried = unit_rows(model, layer, Corpus("", images=few), limit=None, seed=0,
                      job=QuietPart(asked.job))  # fmt: skip
    seconds = (time.perf_counter() - began) / len(few) * len(images)
    rows = tried.n // len(few) * len(images)
    trainer = trainer_on(asked.quiet(), layer, _chance(asked, {layer.name: layer.n_units}))
    free, kept = shutil.disk_usage(_standing(asked.folder or Path())).free, asked.limit or rows
    return TrainingEstimate(
        min(rows, kept), 0, free, seconds, _timed(trainer, asked) * asked.plan.steps
    )


def _chance(asked: Asked, widths: Mapping[str, int]) -> ArrayRows:
    random, rows = np.random.default_rng(0), 2 * asked.plan.batch
    return ArrayRows({
        name: random.standard_normal((rows, width), dtype=np.float32)
        for name, width in widths.items()
    })  # fmt: skip


def _timed(trainer: Trainer, asked: Asked) -> float:
    steps = trainer.steps()
    begun, done = time.perf_counter(), 0
    for done in steps:
        if done == min(_FIRST, asked.plan.steps - 1):
            begun = time.perf_counter()
        if done > _FIRST and time.perf_counter() - begun > _TIMED_S:
            break
    steps.close()
    return (time.perf_counter() - begun) / max(1, done - min(_FIRST, asked.plan.steps - 1))
