"""Preprocessing read from a model's own folder, in all forms that such folders have had.

What a file leaves out has the default of the image processor that it names; these stand in one
table. Without such a file the configuration tells size and channels, and the rest is what models
of that type usually take.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microtome.errors import ModelDamaged, ModelError
from microtome.images.preprocessing import Preprocessing, Resample

_HALF = (0.5, 0.5, 0.5)
_OPENAI = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_WHOLE = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255}
_MIDDLE = _WHOLE | {
    "size": {"shortest_edge": 224}, "crop_size": 224, "do_center_crop": True, "resample": 3,
    "image_mean": _OPENAI[0], "image_std": _OPENAI[1],
}  # fmt: skip
_SQUARE = _WHOLE | {"size": 224, "resample": 2, "image_mean": _HALF, "image_std": _HALF}

# What an image processor does unless its file says otherwise. Where ``short`` is set, one number
# for a size is the shorter edge, else both edges.
_PROCESSORS: dict[str, dict[str, Any]] = {
    "ViT": _SQUARE,
    "DeiT": _SQUARE | {"size": 256, "crop_size": 224, "do_center_crop": True, "resample": 3},
    "CLIP": _MIDDLE | {"short": True},
    "Bit": _MIDDLE | {"short": True},
    "ConvNext": _SQUARE
    | {"size": 384, "resample": 3, "crop_pct": 224 / 256, "short": True},
}  # fmt: skip
# The processor that models of a type usually have, for folders without its file.
_OF_TYPE = {
    "vit": "ViT", "deit": "DeiT", "clip": "CLIP", "clip_vision_model": "CLIP", "dinov2": "Bit",
    "dinov2_with_registers": "Bit", "resnet": "ConvNext", "convnext": "ConvNext",
    "convnextv2": "ConvNext",
}  # fmt: skip
# Steps that change pixels and that we do not take.
_UNKNOWN_STEPS = (
    "do_pad", "do_flip_channel_order", "do_align_long_axis", "do_thumbnail", "rescale_offset",
    "do_grayscale", "do_image_splitting", "do_color_quantize",
)  # fmt: skip
_FILTERS: tuple[Resample, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
_LIMIT = 1 << 20  # bytes of a file
_LONGEST = 8192  # pixels of an edge
_LARGEST = 1e30  # of a number that anybody could mean


def read_preprocessing(folder: Path) -> Preprocessing:
    """The preprocessing that a model's folder tells.

    Raises ModelDamaged for files that cannot be read or make no sense, ModelError for steps that
    are not known.
    """
    config = _config(folder)
    for name in ("preprocessor_config.json", "processor_config.json"):
        found = _json(folder / name)
        settings = found.get("image_processor", {}) if name.startswith("processor") else found
        if settings:
            channels = _count(config, "config.json") or _count(settings, name)
            return _Reader(settings, channels, name).read()
    return _usual(config)


def _config(folder: Path) -> Mapping[str, Any]:
    """The configuration, or its part on vision where it has one."""
    config = _json(folder / "config.json")
    inner = config.get("vision_config")
    return {**config, **inner} if isinstance(inner, dict) else config


def _count(settings: Mapping[str, Any], source: str) -> int | None:
    """How many channels a file names. Raises ModelDamaged for other than 1 or 3."""
    channels = settings.get("num_channels")
    if channels not in (1, 3, None):
        raise ModelDamaged(
            f"{source} says num_channels = {channels!r}, but 1 (grey) or 3 was expected.",
            "Models of other images cannot be used.",
        )
    return channels


def _usual(config: Mapping[str, Any]) -> Preprocessing:
    """What the configuration tells, and what models of its type usually take."""
    kind = _OF_TYPE.get(str(config.get("model_type")), "")
    settings: dict[str, Any] = {"image_processor_type": kind}
    size = config.get("image_size")
    if isinstance(size, int) and "size" in _PROCESSORS.get(kind, {}):
        before = 256 / 224 if kind == "DeiT" else 1
        settings |= {"size": round(size * before), "crop_size": size}
    elif size is not None:
        settings["size"] = size
    if not kind:
        settings["do_normalize"] = False
    return _Reader(settings, _count(config, "config.json"), "config.json").read()


class _Reader:
    """One file's settings over the defaults of the processor that it names."""

    def __init__(self, settings: Mapping[str, Any], channels: int | None, source: str) -> None:
        self._source = source
        named = settings.get("image_processor_type") or settings.get("feature_extractor_type") or ""
        self._kind = _kind(str(named))
        self._defaults = _PROCESSORS.get(self._kind, _SQUARE)
        given = {key: value for key, value in settings.items() if value is not None}
        self._held = {**self._defaults, **given}
        self._channels = channels

    def read(self) -> Preprocessing:
        self._expect_known()
        size, crop = self._sizes()
        mean, std = self._numbers("image_mean"), self._numbers("image_std")
        if not self._flag("do_normalize"):
            mean, std = (0.0,), (1.0,)
        channels = self._channels or 3
        return Preprocessing(
            channels=channels,
            size=size,
            crop=crop,
            resample=self._filter(),
            scale=self._scale(),
            mean=self._fitting("image_mean", mean, channels),
            std=self._fitting("image_std", std, channels),
            source=self._source,
        )

    def _expect_known(self) -> None:
        for step in _UNKNOWN_STEPS:
            if self._held.get(step):
                raise ModelError(
                    f"{self._source} asks for {step}, a step of preprocessing that is not known.",
                    "Prepare images yourself and give them as ImageInput(…, prepared=True).",
                )

    def _sizes(self) -> tuple[tuple[int, int] | int | None, tuple[int, int] | None]:
        size = self._size("size") if self._flag("do_resize") else None
        crop = self._size("crop_size") if self._flag("do_center_crop") else None
        if isinstance(crop, int):
            crop = (crop, crop)
        if self._kind == "ConvNext" and isinstance(size, int):
            if size >= 384:  # larger ones are pressed into a square, by the processor's own rule
                return (size, size), crop
            return self._edge("crop_pct", int(size / self._share())), crop or (size, size)
        return size, crop

    def _size(self, name: str) -> tuple[int, int] | int:
        """Rows and columns, or the shorter edge."""
        value = self._held.get(name)
        if isinstance(value, dict):
            if set(value) == {"height", "width"}:
                return self._edge(name, value["height"]), self._edge(name, value["width"])
            if set(value) == {"shortest_edge"}:
                return self._edge(name, value["shortest_edge"])
        elif isinstance(value, list | tuple) and len(value) == 2:
            return self._edge(name, value[0]), self._edge(name, value[1])
        elif isinstance(value, int):
            edge = self._edge(name, value)
            return edge if name == "size" and self._held.get("short") else (edge, edge)
        raise self._bad(name, "a number, height and width, or shortest_edge")

    def _edge(self, name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LONGEST:
            raise self._bad(name, f"whole numbers from 1 to {_LONGEST}")
        return value

    def _share(self) -> float:
        share = self._number("crop_pct", self._held["crop_pct"])
        if not 0.1 <= share <= 1:
            raise self._bad("crop_pct", "a share from 0.1 to 1")
        return share

    def _scale(self) -> float:
        if not self._flag("do_rescale"):
            return 1.0
        scale = self._number("rescale_factor", self._held["rescale_factor"])
        if scale <= 0:
            raise self._bad("rescale_factor", "a number above 0")
        return scale

    def _filter(self) -> Resample:
        value = self._held["resample"]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 5:
            raise self._bad("resample", "a filter of Pillow, 0 to 5")
        return _FILTERS[value]

    def _flag(self, name: str) -> bool:
        value = self._held.get(name, False)
        if not isinstance(value, bool):
            raise self._bad(name, "true or false")
        return value

    def _numbers(self, name: str) -> tuple[float, ...]:
        value = self._held[name]
        listed = value if isinstance(value, list | tuple) else [value]
        numbers = tuple(self._number(name, one) for one in listed)
        if len(numbers) not in (1, 3) or (name == "image_std" and min(numbers) <= 0):
            raise self._bad(name, "one or three numbers, of which deviations are above 0")
        return numbers

    def _number(self, name: str, value: Any) -> float:
        known = isinstance(value, int | float) and not isinstance(value, bool)
        if not known or not abs(value) < _LARGEST:  # NaN, too, and whole numbers without end
            raise self._bad(name, "a number")
        return float(value)

    def _fitting(self, name: str, numbers: tuple[float, ...], channels: int) -> tuple[float, ...]:
        """One number a channel; three that are equal are one for a grey model."""
        if len(numbers) == 1:
            return numbers * channels
        if channels == 3:
            return numbers
        if len(set(numbers)) > 1:
            raise self._bad(name, "one number, as the model has one channel")
        return numbers[:1]

    def _bad(self, name: str, wanted: str) -> ModelDamaged:
        return ModelDamaged(
            f"{self._source} says {name} = {self._held.get(name)!r}, but {wanted} was expected.",
            "Correct the file, or download the model again.",
        )


def _kind(named: str) -> str:
    """The family of an image processor's name: ``ViT`` of ``ViTImageProcessorFast``."""
    for ending in ("Pil", "Fast"):
        named = named.removesuffix(ending)
    for ending in ("ImageProcessor", "FeatureExtractor"):
        named = named.removesuffix(ending)
    return named


def _json(path: Path) -> Mapping[str, Any]:
    """What a file holds, nothing where there is none. Raises ModelDamaged."""
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > _LIMIT:
            raise ModelDamaged(f"{path.name} is too large.", "Download the model again.")
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelDamaged(
            f"{path.name} is not readable as JSON: {error}.", "Download the model again."
        ) from error
    if not isinstance(found, dict):
        raise ModelDamaged(f"{path.name} holds no settings.", "Download the model again.")
    return found
