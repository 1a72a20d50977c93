"""Feature visualisation: pictures made so that a part of a model answers to them.

Source: Olah, Mordvintsev and Schubert, "Feature Visualization", Distill (2017), and its code,
Lucid; how the slope is scaled and which prices stand beside it is told in docs/vision.md.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from microtome.errors import Diverged, InputError, expect, expect_count
from microtome.jobs import Job, job_or_default
from microtome.models.devices import one_thread
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.vision.sight import Sight
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis
from microtome.records.image_set import ImageSet
from microtome.records.units import Unit
from microtome.records.visualisation import (
    VISUALISATION,
    Visualisation,
    VisualSettings,
    visualisation_analysis,
)
from microtome.vision.ascent import Ascent
from microtome.vision.objectives import Objective, objective
from microtome.vision.targets import Target, parse_target

_SHOWN_EVERY = 0.15  # seconds between partial results
_POINTS = 80  # of the curve of values
_MOST = 32  # results
_ROWS = 64  # images of a set that are run at once
_SMALL = 1 << 15  # pixels of all pictures, up to which a step takes one thread least long


def visualise(
    model: Model,
    target: str | Unit | Target,
    *,
    results: int = 4,
    seed: int = 0,
    settings: VisualSettings | None = None,
    references: ImageSet | None = None,
    second: Model | None = None,
    job: Job | None = None,
) -> Analysis:
    """Pictures for which a target is as large (or as small) as it gets.

    The analysis has ``pictures`` uint8 [result, row, column, channel], ``values`` [point, result]
    at ``step`` [point], ``final`` [result], ``probabilities`` [result, class], with
    ``references`` the ``percentile`` of each result among its images, and with a ``second``
    model what that one says. Pictures so far are handed out as partial results ``visualisation``.
    The same call gives the same pictures on one machine.

    Raises InputError, SiteMissing or DictionaryMismatch for a target that the model does not
    have, Diverged when a step gives NaN or infinity.
    """
    sight = _expect_sight(model)
    return visualise_all(
        model, [parse_target(target, sight)], results=results, seed=seed, settings=settings,
        references=references, second=second, job=job,
    )[0]  # fmt: skip


def visualise_all(
    model: Model,
    targets: Sequence[str | Unit | Target],
    *,
    results: int = 4,
    seed: int = 0,
    settings: VisualSettings | None = None,
    references: ImageSet | None = None,
    second: Model | None = None,
    job: Job | None = None,
) -> list[Analysis]:
    """The same for several targets in one batch, which is faster than one after another.

    Arguments and errors are those of ``visualise``; there are no partial results of several.
    """
    sight = _expect_sight(model)
    if second is not None:
        _expect_sight(second)
    if references is not None:
        expect(references, ImageSet, "references", "an ImageSet", "Open one with load_image_set.")
    told = _checked(settings or VisualSettings())
    expect_count(results, "results")
    expect(seed, int, "seed", "a whole number", "Write for example seed=0.")
    if results > _MOST:
        raise InputError(f"{results} results were asked for.", f"Ask for {_MOST} at most.")
    objectives = [objective(parse_target(one, sight), sight) for one in targets]
    asked = _Asked(model, objectives, results, seed, told, references, second)
    return _Making(asked, job_or_default(job)).made()


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    model: Model
    objectives: list[Objective]
    results: int
    seed: int
    settings: VisualSettings
    references: ImageSet | None
    second: Model | None

    @property
    def sight(self) -> Sight:
        return _expect_sight(self.model)

    def id(self, target: Target) -> str:
        """The same question always has the same one."""
        told = [
            self.model.identity.fingerprint, target.plain(), self.results, self.seed,
            asdict(self.settings), self.references and self.references.digest,
            self.second and self.second.identity.fingerprint,
        ]  # fmt: skip
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        return f"{VISUALISATION}-{digest.hexdigest()[:12]}"


class _Making:
    """One call: the ascent, its curve, and what is told of it."""

    def __init__(self, asked: _Asked, job: Job) -> None:
        self._asked, self._job = asked, job
        self._steps, self._values = list[int](), list[NDArray[Any]]()
        self._references: list[NDArray[Any]] | None = None
        self._began = time.monotonic()
        self._shown = -math.inf

    def made(self) -> list[Analysis]:
        """All analyses, at the end."""
        asked = self._asked
        if asked.references is not None:
            self._references = _values_of(
                asked.sight, asked.objectives, asked.references, self._job
            )
        _, height, width = asked.sight.shape
        pixels = len(asked.objectives) * asked.results * height * width
        with one_thread(when=pixels <= _SMALL):
            return self._climbed()

    def _climbed(self) -> list[Analysis]:
        asked, rows = self._asked, range(self._asked.results)
        seeds = [[asked.seed * _MOST + row for row in rows] for _ in asked.objectives]
        ascent = Ascent(asked.sight, asked.objectives, seeds, asked.settings)
        total = asked.settings.steps
        every = max(1, total // _POINTS)
        first = asked.objectives[0].target.text
        title = f"Visualising {first}" if len(asked.objectives) == 1 else "Visualising"
        for step in range(1, total + 1):
            self._job.progress(title, step - 1, total)
            values = self._stepped(ascent, step)
            if step % every == 0 or step in (1, total):
                self._steps.append(step)
                self._values.append(values.cpu().numpy())
            self._hand_out(ascent, step)
        self._job.progress(title, total, total)
        return [self._analysis(ascent, at, total) for at in range(len(asked.objectives))]

    def _stepped(self, ascent: Ascent, step: int) -> Tensor:
        try:
            return ascent.step(step)
        except Diverged:
            if self._steps:  # nothing is lost: what was made before this step
                self._shown = -math.inf
                self._hand_out(ascent, step - 1)
            raise

    def _hand_out(self, ascent: Ascent, step: int) -> None:
        job, now = self._job, time.monotonic()
        alone = len(self._asked.objectives) == 1
        if not (alone and job.hears_partials) or now - self._shown < _SHOWN_EVERY:
            return
        self._shown = now
        if step < self._asked.settings.steps and self._steps:
            job.partial(VISUALISATION, self._analysis(ascent, 0, step))

    def _analysis(self, ascent: Ascent, at: int, done: int) -> Analysis:
        asked, part = self._asked, ascent.parts[at]
        sight, own = asked.sight, part.objective
        pictures = _as_bytes(ascent.pictures()[part.rows])
        final, probabilities = _judged(sight, own, pictures)
        second = None if asked.second is None else _judged(_expect_sight(asked.second), None,
                                                           pictures)[1]  # fmt: skip
        reference = None if self._references is None else np.sort(self._references[at])
        made = Visualisation(
            target=own.target.plain(), pictures=pictures, step=np.array(self._steps, np.int64),
            values=np.stack(self._values)[:, part.rows], final=final, classes=sight.classes,
            probabilities=probabilities, settings=asked.settings, seed=asked.seed,
            id=asked.id(own.target), model=asked.model.identity.name, done=done,
            percentile=None if reference is None else _percentiles(final, reference),
            reference=reference, of_set="" if asked.references is None else asked.references.name,
            second=second,
            second_classes=() if asked.second is None else _expect_sight(asked.second).classes,
            second_model="" if asked.second is None else asked.second.identity.name,
            notes=_notes(own, final, done), seconds=time.monotonic() - self._began,
        )  # fmt: skip
        return visualisation_analysis(made)


def _expect_sight(model: Model) -> Sight:
    expect_model(model)
    if model.sight is None:
        raise InputError(
            f"{model.identity.name} reads text, and has no pictures to make.",
            "Open a model that sees, for example shapes-resnet.",
        )
    return model.sight


def _checked(settings: VisualSettings) -> VisualSettings:
    expect(
        settings, VisualSettings, "settings", "VisualSettings", "Write VisualSettings(steps=160)."
    )
    expect_count(settings.steps, "steps")
    for name in ("rate", "robustness", "smooth", "grey", "diversity"):
        value = getattr(settings, name)
        expect(value, (int, float), name, "a number", f"Write for example {name}=1.0.")
        if not (math.isfinite(value) and value >= 0) or (name == "rate" and value == 0):
            raise InputError(f"{name} is {value}.", "Give a number above 0, or 0 for a price.")
    return settings


def _as_bytes(
    pictures: Float[Tensor, "row channel height width"],
) -> UInt8[np.ndarray, "row height width channel"]:
    whole = (pictures.float() * 255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(whole.permute(0, 2, 3, 1).cpu().numpy())


def _judged(
    sight: Sight, own: Objective | None, pictures: UInt8[np.ndarray, "row height width channel"]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values and probabilities [row, class] of pictures as they are saved."""
    own_shape = pictures.shape[1:3] == sight.shape[1:]
    images = [ImageInput(picture, prepared=own_shape) for picture in pictures]
    with torch.inference_mode(), sight.reading(() if own is None else own.layers) as found:
        logits = sight.logits(sight.pixels(images))
        values = torch.zeros(len(images)) if own is None else own.value(found, logits)
    told = logits.float().softmax(-1)
    return values.cpu().numpy(), told.cpu().numpy()


def _values_of(
    sight: Sight, objectives: Sequence[Objective], images: ImageSet, job: Job
) -> list[NDArray[Any]]:
    """The values [image] of each objective over a set."""
    layers = list(dict.fromkeys(name for one in objectives for name in one.layers))
    found: list[list[NDArray[Any]]] = [[] for _ in objectives]
    for start in range(0, len(images), _ROWS):
        job.progress("Reading the set", start, len(images))
        rows = range(start, min(start + _ROWS, len(images)))
        with torch.inference_mode(), sight.reading(layers) as held:
            logits = sight.logits(sight.pixels([images.image(at) for at in rows]))
            for at, one in enumerate(objectives):
                found[at].append(one.value(held, logits).cpu().numpy())
    return [np.concatenate(each) for each in found]


def _percentiles(
    final: NDArray[np.float32], reference: NDArray[np.float32]
) -> Float[np.ndarray, " result"]:
    """The share (%) of a set that is below."""
    below: NDArray[np.float64] = np.searchsorted(reference, final) / len(reference) * 100
    return below


def _notes(own: Objective, final: NDArray[np.float32], done: int) -> tuple[str, ...]:
    if done == 0 or own.layer is None or not (final == 0).any():
        return ()
    if own.target.negative:
        return (f"{own.target.text} reaches 0, below which a rectified unit does not go.",)
    return (f"{own.target.text} stays 0 in a result: nothing was found that wakes it.",)
