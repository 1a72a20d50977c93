"""Orientation and spatial frequency: what units of a layer answer to sine gratings.

A unit's response to a grating is how far it is above its value on even grey, at the middle of the
image, a mean over phases of what is above (Hubel and Wiesel's bars, as gratings: De Valois and
others 1982). Stripes of 0° are horizontal, those of 90° vertical; 45° rises to the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.vision.sight import Sight, UnitLayer
from microtome.vision.activity import batches, sight_of

_ORIENTATIONS = 12
_PHASES = 4
_FREQUENCIES = 6
_SLOWEST, _FASTEST = 32, 3  # pixels of a period
_GREY = 127.5


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """Responses of all units of a layer to gratings.

    ``orientation`` is in degrees, ``frequency`` in periods an image (its shorter edge), and
    ``response`` in units of activity above even grey.
    """

    orientation: Float[np.ndarray, " orientation"]
    frequency: Float[np.ndarray, " frequency"]
    response: Float[np.ndarray, "unit frequency orientation"]

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.response.nbytes


def grating(
    shape: tuple[int, int], orientation: float, periods: float, phase: float
) -> Float[np.ndarray, "row column"]:
    """A sine grating of values 0 to 255, ``periods`` on the shorter edge, phase in periods.

    The phase is that of the middle of the image.
    """
    rows, columns = (np.arange(size) - (size - 1) / 2 for size in shape)
    angle = np.deg2rad(orientation)
    # Across the stripes; rows count downward.
    across = columns[None, :] * np.sin(angle) + rows[:, None] * np.cos(angle)
    waves = np.sin(2 * np.pi * (across * periods / min(shape) + phase))
    return np.asarray(_GREY + _GREY * waves)


def orientation_tuning(model: Model, layer: str, job: Job | None = None) -> Tuning:
    """What all units of a layer answer to gratings of many orientations and frequencies.

    Raises ModelError for a model that reads text, SiteMissing for a layer that it does not have.
    """
    sight, job = sight_of(model), job_or_default(job)
    held, side = sight.layer(layer), min(sight.shape[1:])
    orientations = np.arange(_ORIENTATIONS) * 180.0 / _ORIENTATIONS
    slowest = max(1.0, side / _SLOWEST)
    frequencies = np.geomspace(slowest, max(slowest * 2, side / _FASTEST), _FREQUENCIES)
    phases = np.arange(_PHASES) / _PHASES
    waves = [(one, periods, phase) for periods in frequencies for one in orientations
             for phase in phases]  # fmt: skip
    shape = (sight.shape[1], sight.shape[2])
    found = []
    for start, end in batches(sight, len(waves)):
        job.progress("Showing gratings to the model", start, len(waves), "images")
        found.append(_at_centre(sight, held, [grating(shape, *one) for one in waves[start:end]]))
    job.progress("Showing gratings to the model", len(waves), len(waves), "images")
    nothing = _at_centre(sight, held, [np.full(shape, _GREY)])
    above = np.maximum(0, np.concatenate(found) - nothing)  # [image, unit]
    apart = above.reshape(_FREQUENCIES, _ORIENTATIONS, _PHASES, -1).mean(axis=2)
    return Tuning(orientations, frequencies, np.ascontiguousarray(apart.transpose(2, 0, 1)))


@torch.inference_mode()
def _at_centre(
    sight: Sight, layer: UnitLayer, pictures: list[Float[np.ndarray, "row column"]]
) -> Float[np.ndarray, "image unit"]:
    """The activity at the middle place; over all places where a layer has none in the image."""
    raw = np.repeat(np.stack(pictures)[:, None], sight.shape[0], axis=1)
    with sight.reading([layer.name]) as found:
        sight.logits(sight.normalised(torch.from_numpy(raw)))
    values = found[layer.name]
    maps = layer.maps(values)
    if maps is None:
        active = layer.mean(values)
    else:
        active = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]
    return np.asarray(active.float().cpu().numpy())


@dataclass(frozen=True, slots=True)
class Preference:
    """What a unit prefers among gratings.

    ``selectivity`` is 1 − circular variance of the responses over orientations at the best
    frequency: 0 for equal ones, 1 for one orientation alone (Ringach and others 2002). ``peak``
    is the largest response.
    """

    orientation: float  # degrees, 0 to 180
    frequency: float  # periods an image
    selectivity: float
    peak: float


def preference(tuning: Tuning, unit: int) -> Preference:
    """The orientation and frequency that a unit prefers, and how much."""
    responses = tuning.response[unit]
    best = int(responses.max(axis=1).argmax())
    curve = responses[best].astype(np.float64)
    total = float(curve.sum())
    turned = curve @ np.exp(2j * np.deg2rad(tuning.orientation))
    selectivity = float(abs(turned) / total) if total > 0 else 0.0
    orientation = float(np.rad2deg(np.angle(turned)) / 2 % 180)
    frequency = float(tuning.frequency[best])
    return Preference(orientation, frequency, selectivity, float(responses.max()))
