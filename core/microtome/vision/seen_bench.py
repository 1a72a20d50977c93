"""Labelled images as a bench of lesions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import InputError, ModelError
from microtome.full_memory import telling_of_memory
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.models.vision.sight import Sight
from microtome.prompts import ImageInput
from microtome.records.image_set import ImageSet
from microtome.records.lesion import CLASS, OTHER, Treatment
from microtome.records.units import Unit
from microtome.vision.activity import batches, sight_of, unit_activity
from microtome.vision.bench import Cases, Outcome, masks
from microtome.vision.going_on import GoingOn
from microtome.vision.replacing import New, Put, Reference, new_values

_ROWS, _BATCH_BYTES = 8192, 96 << 20  # of what runs together
_REFERENCE_BYTES, _REFERENCES = 256 << 20, 512  # of values on reference images


class SeenBench:
    """A model that sees on a set of images.

    Means and others' values come from ``over``, drawn by ``seed`` where its images are too many.
    """

    measures = ("top",)

    def __init__(self, model: Model, images: ImageSet, over: ImageSet, seed: int) -> None:
        self.model, self.images, self.over, self.seed = model, images, over, seed
        self.sight: Sight = sight_of(model)
        self._target = np.array(_columns(self.sight, images, model.identity.name))
        self._new: dict[tuple[str, Treatment], New] = {}

    @cached_property
    def _own(self) -> bool:
        """Whether the reference is the set itself, by content."""
        return self.over is self.images or self.over.digest == self.images.digest

    @cached_property
    def cases(self) -> Cases:
        """The images by class and domain."""
        held = self.images
        domains = held.domains if len(set(held.domains)) > 1 else ()
        return Cases(held.labels, held.classes, domains, CLASS)

    @cached_property
    def said(self) -> tuple[str, ...]:
        """The classes of the set, and all others of the model as one."""
        more = len(self.sight.classes) > len(self.images.classes)
        return (*self.images.classes, OTHER) if more else self.images.classes

    @cached_property
    def layers(self) -> Mapping[str, int]:
        """The layers of units."""
        return {name: layer.n_units for name, layer in self.sight.layers.items()}

    def activity(self, layers: Sequence[str], job: Job) -> Mapping[str, np.ndarray]:
        """The mean activity of units on each image."""
        return unit_activity(self.model, layers, self.images, job)

    def run(
        self,
        lesions: Sequence[frozenset[Unit]],
        treatment: Treatment,
        job: Job,
        progress: tuple[int, int] = (0, 0),
    ) -> Outcome:
        """What the model says to each image with each lesion."""
        changed = masks(lesions, self.layers)
        new = {name: self._new_values(name, treatment, job) for name in changed}
        logits = np.empty((len(lesions), len(self.images), len(self.sight.classes)), np.float32)
        spans = list(batches(self.sight, len(self.images)))
        for place, (start, end) in enumerate(spans):
            shown = self.sight.pixels([self._image(self.images, at) for at in range(start, end)])
            going = GoingOn(self.sight, shown, tuple(changed))
            most = max(1, min(_ROWS, _BATCH_BYTES // going.row_bytes) // (end - start))
            for first in range(0, len(lesions), most):
                done = progress[0] + len(lesions) * (place + first / len(lesions)) / len(spans)
                job.progress("Running with lesions", int(done), progress[1] or len(lesions))
                some = slice(first, min(first + most, len(lesions)))
                logits[some, start:end] = self._logits(going, changed, new, some, start)
        return self._outcome(logits)

    def _logits(
        self,
        going: GoingOn,
        changed: Mapping[str, np.ndarray],
        new: Mapping[str, New],
        some: slice,
        start: int,
    ) -> Float[np.ndarray, "lesion image class"]:
        count, images = some.stop - some.start, len(going.pixels)
        cases = torch.arange(start, start + images).repeat(count)
        changes = {
            name: Put(new[name], torch.from_numpy(mask[some]).repeat_interleave(images, 0), cases)
            for name, mask in changed.items()
        }
        with telling_of_memory(
            f"Memory ran out while {self.sight.title} ran on {count * images} images",
            "Give a smaller set, or fewer controls.",
        ):
            found = going.run(changes, count)
        shaped: np.ndarray = found.float().cpu().numpy().reshape(count, images, -1)
        return shaped

    def _outcome(self, logits: Float[np.ndarray, "lesion image class"]) -> Outcome:
        target = self._target[self.images.labels]
        answer = np.take_along_axis(logits, target[None, :, None], 2)[..., 0]
        others = logits.copy()
        np.put_along_axis(others, target[None, :, None], -np.inf, 2)
        best = others.max(2)
        column = np.full(len(self.sight.classes), len(self.images.classes))
        column[self._target] = np.arange(len(self._target))
        return Outcome((answer > best)[:, None], column[logits.argmax(2)], answer - best)

    def _new_values(self, name: str, treatment: Treatment, job: Job) -> New:
        if (name, treatment) not in self._new:
            reference = self._reference(name, job) if treatment.needs_reference else None
            self._new[name, treatment] = new_values(treatment, reference)
        return self._new[name, treatment]

    def _reference(self, name: str, job: Job) -> Reference:
        layer = self.sight.layer(name)
        random = np.random.default_rng(self.seed)
        numbers = self._reference_images(4 * layer.n_units * int(np.prod(layer.places or (1,))))
        parts: list[Tensor] = []
        for start, end in batches(self.sight, len(numbers)):
            job.progress("Looking at the reference", start, len(numbers), "images")
            given = [self._image(self.over, at) for at in numbers[start:end].tolist()]
            with self.sight.reading([name]) as found, torch.inference_mode():
                self.sight.logits(self.sight.pixels(given))
            parts.append(found[name].float().cpu())
        return Reference(torch.cat(parts), self._donors(numbers, random), layer.kind == "head")

    def _reference_images(self, nbytes: int) -> np.ndarray:
        """Of the reference set, all images or as many as there is room for."""
        most = max(8, min(_REFERENCES, _REFERENCE_BYTES // max(1, nbytes)))
        numbers = np.arange(len(self.over))
        if len(numbers) > most:
            numbers = np.sort(np.random.default_rng(self.seed).permutation(numbers)[:most])
        return numbers

    def _donors(self, numbers: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Another image for each one: never itself where both are of one set."""
        donors = random.integers(0, len(numbers), len(self.images))
        if self._own and len(numbers) > 1:
            same = numbers[donors] == np.arange(len(donors))
            donors[same] = (donors[same] + 1) % len(numbers)
        return donors

    def _image(self, images: ImageSet, at: int) -> ImageInput:
        return ImageInput(images.images[at], "image")

    def told(self) -> dict[str, Any]:
        """The sets by name and content."""
        told = {
            "set": self.images.name, "title": self.images.name,
            "digest": self.images.digest, "over": self.over.name,
        }  # fmt: skip
        return told if self._own else {**told, "over_digest": self.over.digest}


def _columns(sight: Sight, images: ImageSet, name: str) -> list[int]:
    """The model's class of each class of a set.

    Raises ModelError for a model without classes, InputError for one with others.
    """
    if not sight.named:
        raise ModelError(
            f"{name} does not name its classes, so that no answer of it is right or wrong.",
            "Load a model that names them, for example 'shapes-resnet'.",
        )
    missing = [one for one in images.classes if one not in sight.classes]
    if missing:
        raise InputError(
            f"{name} has no class {missing[0]!r}, which the image set {images.name} has"
            + (f", nor {len(missing) - 1} others of it." if len(missing) > 1 else "."),
            f"Its classes are {_some(sight.classes)}: give a set of these.",
        )
    return [sight.classes.index(one) for one in images.classes]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more
