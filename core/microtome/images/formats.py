"""Which kind of image a file is, told by how it begins; and how large one may be."""

from __future__ import annotations

import re

# What is decoded, and what is known by name only, each by a pattern of its first bytes.
_DECODED = (
    ("PNG", rb"\x89PNG\r\n\x1a\n"),
    ("JPEG", rb"\xff\xd8\xff"),
    ("GIF", rb"GIF8[79]a"),
    ("BMP", rb"BM.{4}\x00{4}"),
    ("WEBP", rb"RIFF.{4}WEBP"),
    ("TIFF", rb"II[*+]\x00|MM\x00[*+]"),
    ("PPM", rb"P[1-6f]\s"),
)
_NAMED = (
    ("a HEIC or AVIF image", rb".{4}ftyp(?:hei|mif1|msf1|avi)"),
    ("a film", rb".{4}ftyp|\x1aE\xdf\xa3|RIFF.{4}AVI "),
    ("a JPEG 2000 image", rb"\x00\x00\x00\x0cjP  "),
    ("a Photoshop image", rb"8BPS"),
    ("an icon", rb"\x00\x00[\x01\x02]\x00"),
    ("an SVG drawing", rb"(?:\xef\xbb\xbf)?\s*<(?:svg|\?xml)"),
    ("an OpenEXR image", rb"v/1\x01"),
    ("a FITS image", rb"SIMPLE  ="),
    ("a QOI image", rb"qoif"),
    ("a PDF page", rb"%PDF"),
    ("a PostScript page", rb"%!PS"),
    ("an HDF5 file", rb"\x89HDF"),
    ("an archive", rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf"),
)
NAMES = "PNG, JPEG, GIF, BMP, WebP, TIFF and PPM"
HEAD = 64  # bytes that tell the kind

MOST_BYTES = 256_000_000  # of a file
MOST_PIXELS = 64_000_000  # of an image as it is kept


def kind_of(head: bytes) -> str:
    """The kind of image that begins so, by Pillow's name of it; empty for any other file."""
    return _first(_DECODED, head)


def other_kind(head: bytes) -> str:
    """What else begins so, in words; empty for what is not known either."""
    return _first(_NAMED, head)


def _first(table: tuple[tuple[str, bytes], ...], head: bytes) -> str:
    for name, pattern in table:
        if re.match(pattern, head, re.DOTALL):
            return name
    return ""
