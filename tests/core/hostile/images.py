"""Image files that are none, broken, or larger than they seem."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

RANDOM = np.random.default_rng(7)
COLOUR = RANDOM.integers(0, 256, (6, 5, 3)).astype(np.uint8)


def saved(image, kind="PNG", **settings):
    """The bytes of a file of an array or a picture of Pillow's."""
    held = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    held.save(file, kind, **settings)
    return file.getvalue()


def png(header, rows):
    """A PNG of raw rows, also in forms that Pillow does not write."""
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    made = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


BAD = {
    "empty": (b"", "is empty"),
    "text": (b"These are words. " * 9, "is no image that is known; images of PNG, JPEG"),
    "page": (b"%PDF-1.7 " * 9, "is a PDF page"),
    "phone": (b"\x00\x00\x00\x18ftypheic" + bytes(60), "is a HEIC or AVIF image"),
    "drawing": (b"<?xml version='1.0'?><svg></svg>" * 3, "is an SVG drawing"),
    "archive": (b"PK\x03\x04" + bytes(60), "is an archive"),
    "beginning": (saved(COLOUR)[:20], "is a damaged PNG image"),
    "cut": (saved(RANDOM.integers(0, 256, (90, 90)).astype(np.uint8))[:4000], "damaged PNG"),
    "huge": (
        png(struct.pack(">IIBBBBB", 60_000, 50_000, 8, 2, 0, 0, 0), b""),
        "has 60000 × 50000 pixels, but at most 64 million are read",
    ),
    "negative": (
        b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, -5, 9, 1, 24, 0) + bytes(40),
        "at most 64 million",
    ),
    "channels": (
        saved(COLOUR, "TIFF").replace(
            struct.pack("<HHIHxx", 277, 3, 1, 3), struct.pack("<HHIHxx", 277, 3, 1, 7)
        ),
        "is a damaged TIFF image, or one in a form that cannot be read",
    ),
}


def _chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


_START = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0))
_END = _chunk(b"IDAT", zlib.compress(bytes(6))) + _chunk(b"IEND", b"")
ODD = {
    "rows that are missing": (png(struct.pack(">IIBBBBB", 900, 900, 8, 2, 0, 0, 0), b""), ""),
    "text of 100 MB": (
        _START + _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000))) + _END, ""
    ),
    "a profile of 60 MB": (
        _START + _chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(60_000_000))) + _END, ""
    ),
    "no pixels": (png(struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0), b""), "damaged"),
    "a GIF of nothing": (b"GIF89a" + struct.pack("<HHBBB", 0, 0, 0, 0, 0) + b";", ""),
    "a GIF of 4,000,000,000 pixels": (
        b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b",\0\0\0\0"
        + struct.pack("<HHB", 65_535, 65_535, 0) + b"\x02\x02\x4c\x01\0;", "64 million",
    ),
    "a PPM of words": (b"P6 a b c", ""),
    "a PPM of a billion": (b"P6 100000 100000 255\n" + bytes(100), "64 million"),
    "a TIFF in a circle": (b"II*\0\x08\0\0\0" + struct.pack("<HI", 0, 8) + bytes(64), ""),
    "a WEBP of noise": (b"RIFF\xff\xff\0\0WEBPVP8L" + bytes(range(256)) * 4, "damaged"),
    "a JPEG of markers": (b"\xff\xd8\xff\xe0" + b"\xff\xfe\x00\x02" * 20_000, ""),
    "a pickle": (b"\x80\x04\x95\x05\0\0\0\0\0\0\0cos\nsystem\n.", "no image"),
}  # fmt: skip
