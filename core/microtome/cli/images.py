"""An image in a prompt's place: of a file, or of a set of images."""

from __future__ import annotations

import argparse
from typing import Any

from microtome.errors import InputError


def add_asked(parser: argparse.ArgumentParser) -> None:
    """The options that say what a model is asked: a prompt or an image, and a corrupt one."""
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("--prompt", help="the prompt, or comma-separated token ids with --ids")
    one.add_argument("--image", help="a file of an image in the prompt's place")
    one.add_argument(
        "--image-set",
        metavar="NAME[:NUMBER]",
        help="an image of a set (embedded name or folder) in the prompt's place",
    )
    parser.add_argument(
        "--corrupt", help="a corrupt prompt of the same number of tokens, or such an image"
    )


def asked_image(options: argparse.Namespace, given: str) -> Any:
    """The image that ``given`` names, read as ``--image`` or ``--image-set`` was.

    Raises ImageError, or InputError for a number that is none.
    """
    if options.image is not None:
        from microtome.images.reading import read_image

        return read_image(given)
    from microtome.images.sets import load_image_set

    name, number = _parted(given)
    return load_image_set(name).image(number)


def image_facts(image: Any) -> dict[str, Any]:
    """What a summary says of the image that was asked, nothing for a prompt."""
    if image is None:
        return {}
    rows, columns = image.size
    return {"image": {"name": image.name, "rows": rows, "columns": columns, "note": image.note}}


def _parted(given: str) -> tuple[str, int]:
    """A set's name and the number behind its last colon, 0 where there is none."""
    name, colon, number = given.rpartition(":")
    if not colon or "/" in number or "\\" in number:  # a path on a drive
        return given, 0
    if not number.isdecimal():
        raise InputError(f"{number!r} is no number of an image.", "Write for example shapes:3.")
    return name, int(number)
