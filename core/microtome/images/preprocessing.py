"""What becomes of an image before a model reads it, as the model's own folder tells it.

The steps and their arithmetic are those of the image processors of the transformers library that
work by Pillow: resize, cut out the middle, multiply, subtract the mean and divide by the standard
deviation. The tests compare both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image

from microtome.errors import ImageError
from microtome.prompts import ImageInput

Resample: TypeAlias = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]

_FILTERS: dict[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
_MOST_PIXELS = 64_000_000  # of a resized image


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The steps from an image to what a model reads.

    ``channels`` is 1 (grey) or 3. ``size`` is (rows, columns), or one number for the shorter
    edge, or None for no resizing; ``crop`` is what is cut out of the middle, (rows, columns).
    Pixels are multiplied by ``scale``, then ``mean`` is subtracted and the rest divided by
    ``std``, each one number a channel. ``source`` says where all this is from.
    """

    channels: int = 3
    size: tuple[int, int] | int | None = (224, 224)
    crop: tuple[int, int] | None = None
    resample: Resample = "bicubic"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    source: str = ""

    @property
    def shape(self) -> tuple[int, int] | None:
        """Rows and columns of what the model reads; None when they depend on the image."""
        return self.crop or (self.size if isinstance(self.size, tuple) else None)

    def prepare(self, image: ImageInput) -> ImageInput:
        """The image as the model sees it: its channels, resized and cut; a prepared one stays.

        Raises ImageError for a prepared one of another size, and for one so narrow that it
        would become too large.
        """
        values = _with_channels(image.values, self.channels)
        if image.prepared:
            if self.shape not in (None, image.size):
                raise _other_size(image, self.shape)
        else:
            values = self._cut(self._resized(values, image.name))
        if image.prepared and values is image.values:
            return image
        return replace(image, values=values, prepared=True)

    def pixels(self, image: ImageInput) -> Float32[np.ndarray, "channel row column"]:
        """What the model reads, prepared, scaled and normalised. Raises as ``prepare``."""
        values = self.prepare(image).values.astype(np.float64) * self.scale
        scaled = values.astype(np.float32)
        mean, std = (np.array(one, np.float32) for one in (self.mean, self.std))
        read = (scaled - mean) / std
        return np.array(read.transpose(2, 0, 1), order="C")

    def shown(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> UInt8[np.ndarray, "row column channel"]:
        """The picture of what a model reads: ``pixels`` undone, and what is beyond cut off."""
        values = np.asarray(pixels, np.float64).transpose(1, 2, 0)
        raw = (values * np.array(self.std) + np.array(self.mean)) / self.scale
        held: np.ndarray = np.clip(np.rint(np.nan_to_num(raw)), 0, 255)
        return held.astype(np.uint8)

    def lines(self) -> tuple[str, ...]:
        """The steps in words, in their order."""
        colour = "grey: one channel" if self.channels == 1 else "red, green and blue"
        found = [colour]
        if isinstance(self.size, int):
            found.append(f"resized so that the shorter edge is {self.size}, {self.resample}")
        elif self.size is not None:
            found.append(f"resized to {self.size[0]} × {self.size[1]}, {self.resample}")
        if self.crop is not None:
            found.append(f"middle {self.crop[0]} × {self.crop[1]} cut out")
        if self.scale != 1:
            inverse = 1 / self.scale
            whole = abs(inverse - round(inverse)) < 1e-6
            found.append(
                f"divided by {round(inverse)}" if whole else f"multiplied by {self.scale:.6g}"
            )
        if any(self.mean) or any(one != 1 for one in self.std):
            found.append(f"minus {_listed(self.mean)}, divided by {_listed(self.std)}")
        return tuple(found)

    def _resized(
        self, values: UInt8[np.ndarray, "row column channel"], name: str
    ) -> UInt8[np.ndarray, "rows columns channel"]:
        rows, columns = self._target(*values.shape[:2])
        if rows * columns > _MOST_PIXELS:
            raise ImageError(
                f"{name} is {values.shape[0]} × {values.shape[1]}, and would become {rows} × "
                f"{columns} for the model.",
                f"Cut it so that it has at most {_MOST_PIXELS // 10**6} million pixels then.",
            )
        if (rows, columns) == values.shape[:2]:
            return values
        flat = values[:, :, 0] if values.shape[2] == 1 else values
        made = Image.fromarray(flat).resize((columns, rows), _FILTERS[self.resample])
        return np.asarray(made).reshape(rows, columns, values.shape[2])

    def _target(self, rows: int, columns: int) -> tuple[int, int]:
        if self.size is None:
            return rows, columns
        if isinstance(self.size, tuple):
            return self.size
        longer = int(self.size * max(rows, columns) / min(rows, columns))
        return (longer, self.size) if rows > columns else (self.size, longer)

    def _cut(
        self, values: UInt8[np.ndarray, "row column channel"]
    ) -> UInt8[np.ndarray, "rows columns channel"]:
        """The middle; black around an image that is smaller than what is cut out."""
        if self.crop is None:
            return values
        around = [(0, 0)] * 3
        for axis, wanted in enumerate(self.crop):
            missing = max(0, wanted - values.shape[axis])
            around[axis] = (ceil(missing / 2), missing // 2)
        padded = np.pad(values, around)
        top, left = ((padded.shape[axis] - self.crop[axis]) // 2 for axis in (0, 1))
        return padded[top : top + self.crop[0], left : left + self.crop[1]]


def _with_channels(
    values: UInt8[np.ndarray, "row column channel"], channels: int
) -> UInt8[np.ndarray, "row column channels"]:
    """Grey three times over, or the brightness of colours."""
    if values.shape[2] == channels:
        return values
    if channels == 3:
        return np.repeat(values, 3, axis=2)
    return np.asarray(Image.fromarray(values).convert("L"))[:, :, None]


def _other_size(image: ImageInput, expected: tuple[int, int] | None) -> ImageError:
    given = " × ".join(map(str, image.size))
    wanted = " × ".join(map(str, expected or ()))
    return ImageError(
        f"{image.name} is {given}, prepared for another model; {wanted} was expected.",
        "Give the image as it was before.",
    )


def _listed(numbers: tuple[float, ...]) -> str:
    shown = numbers[:1] if len(set(numbers)) == 1 else numbers
    return ", ".join(f"{number:.4g}" for number in shown)
