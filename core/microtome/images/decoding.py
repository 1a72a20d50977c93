"""Pixels of an image file's bytes. Runs in a child process only: Pillow and NumPy, nothing else.

All that an image loses on the way to one or three channels of whole numbers from 0 to 255 is
said in its notes. Shapes stand in comments: jaxtyping would take half of the child's start.
"""

from __future__ import annotations

import struct
import zlib
from importlib import import_module
from io import BytesIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from microtome.errors import ImageError
from microtome.images.formats import HEAD, MOST_PIXELS, kind_of

# What Pillow raises for damaged files; anything else ends the child, which is an error as well.
_DAMAGE = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, AttributeError,
    ArithmeticError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
_ORIENTATION = 0x0112  # of EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PLUGINS = {
    "PNG": "Png", "JPEG": "Jpeg", "GIF": "Gif", "BMP": "Bmp", "WEBP": "WebP", "TIFF": "Tiff",
    "PPM": "Ppm",
}  # fmt: skip
_GREY = ("1", "L", "LA", "La")
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_SAVE_AGAIN = "Open it in a picture program and save it again, for example as PNG."


def decode(data: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pixels, and what was left away or changed, each a sentence.

    Pixels are uint8 [row, column, channel] with one or three channels.
    Raises ImageError whose ``what`` goes on after the name of the file.
    """
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and names the size
    kind, notes = kind_of(data[:HEAD]), list[str]()
    # Otherwise the library loads its readers of all formats.
    import_module(f"PIL.{_PLUGINS[kind]}ImagePlugin")
    try:
        with Image.open(BytesIO(data), formats=[kind]) as image:
            _limit(image, kind, notes)
            plain = _plain(_loaded(image, notes), kind, notes)
            turned = _turned(plain, image, notes)
            values = np.asarray(turned)
    except MemoryError:
        raise ImageError("takes more memory than any image should.", _SAVE_AGAIN) from None
    except _DAMAGE as error:
        reason = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"
        raise ImageError(
            f"is a damaged {kind} image, or one in a form that cannot be read{reason}.", _SAVE_AGAIN
        ) from error
    return values.reshape(*values.shape[:2], -1), tuple(notes)


def _limit(image: Image.Image, kind: str, notes: list[str]) -> None:
    """Let a JPEG that is too large be decoded smaller; refuse any other before it is decoded."""
    columns, rows = image.size
    if kind == "JPEG" and columns * rows > MOST_PIXELS:
        share = next((one for one in (2, 4) if columns * rows <= MOST_PIXELS * one**2), 8)
        image.draft(None, (columns // share, rows // share))
    if image.size != (columns, rows):
        notes.append(
            f"Its {columns} × {rows} pixels are read as {image.size[0]} × {image.size[1]}."
        )
    if image.size[0] * image.size[1] > MOST_PIXELS:
        raise ImageError(
            f"has {columns} × {rows} pixels, but at most {MOST_PIXELS // 10**6} million are read.",
            "Make it smaller in a picture program.",
        )


def _loaded(image: Image.Image, notes: list[str]) -> Image.Image:
    if getattr(image, "is_animated", False) and image.format != "MPO":
        notes.append("Only the first of its pictures is read.")
    tiles = getattr(image, "tile", ())
    raw = tiles[0].args if tiles else ()
    parts = raw if isinstance(raw, tuple) else (raw,)
    if image.mode not in _DEEP and any("16" in part for part in parts if isinstance(part, str)):
        notes.append("Its 16 bits a channel are made 8.")
    image.load()
    return image


def _plain(image: Image.Image, kind: str, notes: list[str]) -> Image.Image:
    """Grey (L) or colours (RGB), 8 bits each, nothing transparent."""
    if image.mode in _DEEP:
        return Image.fromarray(_eight_bits(np.asarray(image), kind, notes))
    if image.has_transparency_data:
        return _on_white(image, notes)
    if image.mode == "CMYK":
        notes.append("Its printing colours (CMYK) are made red, green and blue.")
    return image.convert("L" if image.mode in _GREY else "RGB")


def _on_white(image: Image.Image, notes: list[str]) -> Image.Image:
    laid = image.convert("RGBA")
    alpha = laid.getchannel("A")
    if alpha.getextrema() != (255, 255):
        notes.append("Its transparent parts are laid on white.")
    white = Image.new("RGB", laid.size, (255, 255, 255))
    white.paste(laid.convert("RGB"), mask=alpha)
    return white.getchannel("R") if image.mode in _GREY else white


def _eight_bits(values: np.ndarray, kind: str, notes: list[str]) -> np.ndarray:
    """16 bits by their whole range; floats from 0 to 1, all others from least to greatest."""
    if values.dtype.kind == "u" or (values.dtype.kind == "i" and kind in ("PNG", "PPM")):
        notes.append("Its 16 bits a pixel are made 8.")
        return np.clip((values.astype(np.int32) + 128) // 257, 0, 255).astype(np.uint8)
    if not np.isfinite(values).all():
        notes.append("Its pixels that are no numbers are black.")
        finite = values[np.isfinite(values)]
        values = np.where(np.isfinite(values), values, finite.min() if finite.size else 0)
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    notes.append(f"Its numbers from {low:.4g} to {high:.4g} are laid on 0 to 255.")
    shares = (values.astype(np.float64) - low) / ((high - low) or 1.0)
    return np.rint(255 * shares).astype(np.uint8)


def _turned(plain: Image.Image, image: Image.Image, notes: list[str]) -> Image.Image:
    """Upright, as the camera says that it was held."""
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    if turn is None:
        return plain
    notes.append("It is turned as its EXIF data say.")
    return plain.transpose(turn)
