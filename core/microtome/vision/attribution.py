"""Attribution maps: how much each pixel of an image is to do with the logit of a class.

The methods are those of captum; what is theirs and what is asked of them is written into the
result. Every forward pass is a checkpoint, so that a map can be stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from microtome.errors import InputError, SiteMissing, expect, expect_count
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.models.vision.sight import Sight, UnitLayer
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis, Labelled
from microtome.records.seen import ATTRIBUTION_MAP, attribution_id
from microtome.vision.activity import sight_of
from microtome.vision.scores import Score, score_of, seen

BASELINES = ("grey", "black", "white", "noise")
_GREY, _WHITE = 127.5, 255.0
_AT_ONCE = 16  # images of a forward pass


@dataclass(frozen=True, slots=True)
class _Asked:
    """All that a method may need."""

    sight: Sight
    score: Score
    pixels: Float[Tensor, "one channel row column"]
    baseline: Float[Tensor, "one channel row column"]
    steps: int
    window: int
    stride: int
    layer: str
    job: Job
    passes: int = 0  # foreseen, for the progress


# What a method gives: the map, and what it tells of itself.
_Made = tuple[Float[Tensor, "row column"], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class AttributionMethod:
    """A row of the table: a method's name, its title, its source and what computes it."""

    name: str
    title: str
    source: str
    compute: Callable[[_Asked], _Made]


@small_on_one_thread
def attribution_map(  # noqa: PLR0913, each says what a method needs
    model: Model,
    image: ImageInput,
    answer: str | int | None = None,
    *,
    method: str = "integrated-gradients",
    wrong: str | int | None = None,
    baseline: str = "grey",
    steps: int = 50,
    window: int | None = None,
    stride: int | None = None,
    layer: str | None = None,
    seed: int = 0,
    job: Job | None = None,
) -> Analysis:
    """What each pixel adds to the logit of ``answer`` (less that of ``wrong``), by a method.

    ``map`` is [row, column] of the image as the model saw it, in logits; channels are summed.
    ``method`` is one of ``METHODS``: ``integrated-gradients`` (``steps`` between ``baseline`` and
    the image; ``params["completeness_error"]`` is what the sum of the map lacks of the change of
    the logit), ``occlusion`` (a square of ``window`` pixels of ``baseline`` moved by ``stride``;
    an eighth and a sixteenth of the image where none are given), ``grad-cam`` (at ``layer``, the
    last with places where none is given) and ``gradient-x-input`` (of the normalised pixels).
    ``seed`` draws the baseline ``noise``.
    Raises ModelError for a model that reads text, AnswerError, SiteMissing or InputError.
    """
    sight = sight_of(model)
    row = _method(method)
    score = score_of(model, image, answer, wrong)
    side = min(sight.shape[1:])
    asked = _Asked(
        sight, score, sight.pixels([image]), baseline_pixels(sight, baseline, seed), steps,
        max(1, side // 8) if window is None else window,
        max(1, side // 16) if stride is None else stride,
        last_with_places(sight) if layer is None else layer,
        job_or_default(job),
    )  # fmt: skip
    for name in ("steps", "window", "stride"):
        expect_count(getattr(asked, name), name)
    made, told = row.compute(asked)
    asked.job.check()
    told = {**seen(sight, image), **score.params(sight), "method": method, **told,
            "source": row.source}  # fmt: skip
    if "baseline" in told:
        told |= {"baseline": baseline, "seed": seed}
    arrays = {
        "map": Labelled(("row", "column"), made.cpu().numpy(), "logit", row.title),
        "image": Labelled(
            ("row", "column", "channel"), np.asarray(sight.preprocessing.prepare(image).values)
        ),
    }
    named = attribution_id(told["digest"], method, score.answer, score.wrong)
    title = f"{row.title} for {score.name(sight)} on {image.name}"
    return Analysis(named, ATTRIBUTION_MAP, title, arrays, told)


def baseline_pixels(
    sight: Sight, name: str, seed: int = 0
) -> Float[Tensor, "one channel row column"]:
    """What stands for nothing: an even grey, black or white, or noise, normalised as images are.

    Raises InputError for another name.
    """
    if name not in BASELINES:
        raise InputError(f"There is no baseline {name!r}.", f"There are {', '.join(BASELINES)}.")
    channels, rows, columns = sight.shape
    if name == "noise":
        raw = np.random.default_rng(seed).uniform(0, _WHITE, (channels, rows, columns))
    else:
        level = {"grey": _GREY, "black": 0.0, "white": _WHITE}[name]
        raw = np.full((channels, rows, columns), level)
    return sight.normalised(torch.from_numpy(raw[None]))


def last_with_places(sight: Sight) -> str:
    """The last layer of maps, behind which only pooling and the readout stand.

    Raises SiteMissing where there is none.
    """
    found = [name for name, layer in sight.layers.items() if _mapped(layer)]
    if not found:
        raise SiteMissing(f"{sight.title} has no layer with places in the image.")
    return found[-1]


def _mapped(layer: UnitLayer) -> bool:
    return layer.grid is not None and layer.kind != "head"


def _method(name: str) -> AttributionMethod:
    expect(name, str, "method", "a method's name", f"Methods are {', '.join(METHODS)}.")
    if name not in METHODS:
        raise InputError(f"There is no method {name!r}.", f"Methods are {', '.join(METHODS)}.")
    return METHODS[name]


@dataclass(slots=True)
class _Forward:
    """What captum calls: the scores of pixels; each call is a checkpoint of the job."""

    asked: _Asked
    title: str
    done: int = 0

    def __call__(self, pixels: Tensor) -> Tensor:
        total = max(self.asked.passes, self.done + len(pixels))
        self.asked.job.progress(self.title, self.done, total, "images")
        self.done += len(pixels)
        return self.asked.score.of(self.asked.sight.logits(pixels))


def _integrated_gradients(asked: _Asked) -> _Made:
    from captum.attr import IntegratedGradients

    forward = _Forward(replace(asked, passes=asked.steps + 2), "Integrating gradients")
    found, lacking = IntegratedGradients(forward).attribute(
        asked.pixels, asked.baseline, n_steps=asked.steps, method="gausslegendre",
        internal_batch_size=_AT_ONCE, return_convergence_delta=True,
    )  # fmt: skip
    told = {"steps": asked.steps, "baseline": "", "completeness_error": float(lacking[0])}
    return _summed(found), told


def _occlusion(asked: _Asked) -> _Made:
    from captum.attr import Occlusion

    channels, rows, columns = asked.sight.shape
    if asked.window > min(rows, columns):
        raise InputError(
            f"A window of {asked.window} pixels was given, but the model reads {rows} × {columns}.",
            f"Give at most {min(rows, columns)}.",
        )
    windows = [-(-(size - asked.window) // asked.stride) + 1 for size in (rows, columns)]
    forward = _Forward(replace(asked, passes=windows[0] * windows[1] + 1), "Covering parts")
    stride = min(asked.stride, asked.window)  # else some pixels would never be covered
    with torch.no_grad():
        found = Occlusion(forward).attribute(
            asked.pixels, sliding_window_shapes=(channels, asked.window, asked.window),
            strides=(channels, stride, stride), baselines=asked.baseline,
            perturbations_per_eval=_AT_ONCE,
        )  # fmt: skip
    # captum gives every channel the whole change of the score.
    return found[0, 0].detach().float(), {
        "window": asked.window, "stride": stride, "baseline": "",
    }  # fmt: skip


class _Tapped(nn.Module):
    """The scores of pixels, with the maps of a layer passing through ``tap`` on their way."""

    def __init__(self, asked: _Asked, layer: UnitLayer) -> None:
        super().__init__()
        self.tap = nn.Identity()
        self._layer = layer
        self._forward = _Forward(replace(asked, passes=1), "Computing a class activation map")

    def forward(self, pixels: Tensor) -> Tensor:
        """The score of each image."""
        asked = self._forward.asked
        with asked.sight.changing({self._layer.name: self._through}):
            return self._forward(pixels)

    def _through(self, values: Tensor) -> Tensor:
        layer = self._layer
        if values.dim() == 4:
            passed: Tensor = self.tap(values * 1)  # the net may change its own values in place
            return passed
        assert layer.grid is not None  # noqa: S101, asked before
        before, patches = values[:, :, : layer.leading], values[:, :, layer.leading :]
        maps = self.tap(patches.unflatten(-1, layer.grid))
        return torch.cat([before, maps.flatten(2)], dim=2)


def _grad_cam(asked: _Asked) -> _Made:
    from captum.attr import LayerGradCam

    layer = asked.sight.layer(asked.layer)
    if not _mapped(layer):
        maps = [name for name, each in asked.sight.layers.items() if _mapped(each)]
        raise SiteMissing(
            f"{layer.name} has no maps of channels over the image.", f"Take of {', '.join(maps)}."
        )
    net = _Tapped(asked, layer)
    found = LayerGradCam(net, net.tap).attribute(asked.pixels, relu_attributions=True)
    size = asked.sight.shape[1:]
    large = nn.functional.interpolate(
        found.detach().float(), size=size, mode="bilinear", align_corners=False
    )
    return large[0, 0], {"layer": layer.name, "upsampling": "bilinear"}


def _gradient_x_input(asked: _Asked) -> _Made:
    from captum.attr import InputXGradient

    forward = _Forward(replace(asked, passes=1), "Computing a gradient")
    return _summed(InputXGradient(forward).attribute(asked.pixels.requires_grad_())), {}


def _summed(found: Float[Tensor, "one channel row column"]) -> Float[Tensor, "row column"]:
    return found.detach()[0].float().sum(dim=0)


METHODS: dict[str, AttributionMethod] = {
    row.name: row
    for row in (
        AttributionMethod(
            "integrated-gradients", "Integrated gradients",
            "Sundararajan, Taly and Yan 2017, by captum", _integrated_gradients,
        ),
        AttributionMethod(
            "occlusion", "Occlusion", "Zeiler and Fergus 2014, by captum", _occlusion
        ),
        AttributionMethod(
            "grad-cam", "Grad-CAM", "Selvaraju and others 2017, by captum", _grad_cam
        ),
        AttributionMethod(
            "gradient-x-input", "Gradient × input", "Shrikumar and others 2016, by captum",
            _gradient_x_input,
        ),
    )
}  # fmt: skip
