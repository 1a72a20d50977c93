"""Checks of models that see, on pixels: reading, changing and letting go of layers of units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.models.vision.patches import PatchLexicon
from microtome.models.vision.sight import Sight, UnitLayer
from microtome.prompts import ImageInput
from microtome.selfcheck.editing import hook_count
from microtome.selfcheck.subject import DoesNotApply, Measurement, Subject, furthest, typical

# Each takes a pass; so many, evenly spread, meet all kinds of layers.
_LAYERS = 6
_IMAGES = 2


class _StoppedError(Exception):
    """Raised by a change of our own, to see what a broken run leaves behind."""


def _sight(subject: Subject) -> Sight:
    sight = subject.model.sight
    if sight is None:
        raise DoesNotApply("it reads text, not images")
    return sight


def _pixels(subject: Subject, sight: Sight) -> Float[Tensor, "image channel row column"]:
    """Noise, the same every time."""
    generator = torch.Generator().manual_seed(subject.seed)
    made = torch.randn(_IMAGES, *sight.shape, generator=generator)
    return made.to(subject.model.device, subject.model.dtype)


def _some(layers: list[UnitLayer]) -> list[UnitLayer]:
    at = np.unique(np.linspace(0, len(layers) - 1, _LAYERS).astype(int))
    return [layers[number] for number in at.tolist()]


def _logits(subject: Subject, sight: Sight, pixels: Tensor) -> np.ndarray:
    subject.job.check()
    with torch.inference_mode():
        return np.asarray(sight.logits(pixels).to(subject.wide).cpu().numpy())


def _each(subject: Subject, sight: Sight, pixels: Tensor) -> np.ndarray:
    """The logits of each image by itself."""
    return np.concatenate([_logits(subject, sight, pixels[at : at + 1]) for at in range(_IMAGES)])


def own_values(subject: Subject) -> Iterator[Measurement]:
    """18. Layers that get their own values back change nothing; other values arrive."""
    sight = _sight(subject)
    pixels = _pixels(subject, sight)
    plain = _logits(subject, sight, pixels)
    with sight.changing(dict.fromkeys(sight.layers, _copied)), sight.reading(list(sight.layers)):
        same = _logits(subject, sight, pixels)
    yield Measurement(furthest(same, plain), 0.0, "logits with all layers read and put back")
    for layer in _some(list(sight.layers.values())):
        wanted: list[Tensor] = []

        def change(values: Tensor, wanted: list[Tensor] = wanted) -> Tensor:
            wanted.append(1.5 * values + 0.25)
            return wanted[0]

        with sight.changing({layer.name: change}), sight.reading([layer.name]) as found:
            _logits(subject, sight, pixels)
        off = float((found[layer.name] - wanted[0]).abs().max())
        yield Measurement(off, 0.0, f"{layer.name} against the values put in")


def _copied(values: Tensor) -> Tensor:
    return values.clone()


def _zero(values: Tensor) -> Tensor:
    return torch.zeros_like(values)


class _StopOnce:
    """Raises at its first call, so that a hook of it that stays can be outlived."""

    def __init__(self) -> None:
        self._stopped = False

    def __call__(self, values: Tensor) -> Tensor:
        if self._stopped:
            return values
        self._stopped = True
        raise _StoppedError


def after_changes(subject: Subject) -> Iterator[Measurement]:
    """19. A run on pixels after changes were taken back is the run before."""
    sight = _sight(subject)
    pixels = _pixels(subject, sight)
    before = _logits(subject, sight, pixels)
    for layer in _some(list(sight.layers.values())):
        with sight.changing({layer.name: _zero}), sight.reading([layer.name]):
            _logits(subject, sight, pixels)
    off = furthest(_logits(subject, sight, pixels), before)
    yield Measurement(off, 0.0, "logits after layers were zero, one after another")


def batches(subject: Subject) -> Iterator[Measurement]:
    """20. A batch of images gives what each image gives alone."""
    sight = _sight(subject)
    pixels = _pixels(subject, sight)
    together = _logits(subject, sight, pixels)
    alone = _each(subject, sight, pixels)
    size = max(1.0, float(np.abs(together).max()) / 10)
    found = typical(alone, together)
    yield Measurement(found, size * subject.goal(1e-4, 1e-1), "logits, root mean square")


def stopped(subject: Subject) -> Iterator[Measurement]:
    """21. A run on pixels that is stopped within a layer leaves no hook behind."""
    sight = _sight(subject)
    pixels = _pixels(subject, sight)
    plain, before = _logits(subject, sight, pixels), hook_count(sight.module)
    for layer in _some(list(sight.layers.values())):
        try:
            with sight.reading(list(sight.layers)), sight.changing({layer.name: _StopOnce()}):
                _logits(subject, sight, pixels)
        except _StoppedError:
            left = float(abs(hook_count(sight.module) - before))
            yield Measurement(left, 0.0, f"hooks left after a stop at {layer.name}")
        else:
            yield Measurement(1.0, 0.0, f"a stop at {layer.name} went unnoticed")
    off = furthest(_logits(subject, sight, pixels), plain)
    yield Measurement(off, 0.0, "logits after the stopped runs")


def cut_off(subject: Subject) -> Iterator[Measurement]:
    """22. A layer that all of the image passes through, set to zero, hides the image."""
    sight = _sight(subject)
    cuts = [layer for layer in sight.layers.values() if layer.place.carries_all]
    if not cuts:
        raise DoesNotApply("it is not known through which layer all of the image passes")
    pixels = _pixels(subject, sight)
    plain = _logits(subject, sight, pixels)
    blind = float(np.ptp(plain, axis=0).max() == 0)
    yield Measurement(blind, 0.0, "the logits do not depend on the image")
    for layer in (cuts[0], cuts[len(cuts) // 2], cuts[-1]):
        with sight.changing({layer.name: _zero}):
            # One by one: rows of one batch may be rounded differently, by where they stand in it.
            apart = float(np.ptp(_each(subject, sight, pixels), axis=0).max())
        yield Measurement(apart, 0.0, f"difference of images behind {layer.name} at zero")


def patches_and_pixels(subject: Subject) -> Iterator[Measurement]:
    """23. An image as tokens gives the logits that its pixels give."""
    sight, model = _sight(subject), subject.model
    if not model.known or not isinstance(model.lexicon, PatchLexicon):
        raise DoesNotApply("its image is one token, which is read as pixels")
    channels, *size = sight.shape
    random = np.random.default_rng(subject.seed)
    noise = random.integers(0, 256, (*size, channels), dtype=np.uint8)
    image = ImageInput(noise, prepared=True)
    tokens = model.tokenize(image)
    whole = _logits(subject, sight, sight.pixels([image]))[0]
    ours = subject.plain(tuple(tokens.ids.tolist()))[model.read_at(tokens.ids)]
    size_of = max(1.0, float(np.abs(whole).max()) / 10)
    allowed = size_of * subject.goal(1e-4, 1e-1)
    yield Measurement(typical(ours, whole), allowed, "logits, root mean square")
