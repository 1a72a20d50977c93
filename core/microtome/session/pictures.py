"""The images of a session: each once, by the checksum of its pixels, and named where it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8

from microtome.errors import SessionDamaged
from microtome.prompts import ImageInput, Prompt
from microtome.records.session import Session
from microtome.session.handle import Handle
from microtome.session.parts import GroupBuilder, Part
from microtome.session.schema import IMAGES

_CHUNKED = 1 << 20  # bytes from which an image is stored in chunks of its rows
_LARGEST = 1 << 30  # bytes of one image that a reader takes
_NAME = 24  # of the checksum, as the name of a dataset

Stored: TypeAlias = Mapping[str, UInt8[np.ndarray, "row column channel"]]


def images_part(session: Session, root: Mapping[str, int]) -> Part | None:
    """The group ``/images``; None for a session without images."""
    held = {image.digest: image for image in _images(session)}
    if not held:
        return None
    about = {"encoding-type": "images", "encoding-version": "1.0"}
    group = GroupBuilder(IMAGES, root, about)
    for digest, image in held.items():
        extra: dict[str, Any] = {
            "encoding-type": "image", "encoding-version": "1.0", "digest": digest,
            "prepared": int(image.prepared),
        }  # fmt: skip
        single = 0 if image.values.nbytes > _CHUNKED else None
        group.add(digest[:_NAME], ("row", "column", "channel"), image.values, extra, single=single)
    return group.part("images")


def image_reference(image: ImageInput | None) -> dict[str, Any] | None:
    """What stands for an image where it is used, as plain JSON."""
    if image is None:
        return None
    return {
        "digest": image.digest, "name": image.name, "note": image.note, "prepared": image.prepared,
        "source": image.source,
    }  # fmt: skip


def read_images(handle: Handle) -> Stored:
    """The pixels of all images of a file by their checksum.

    Raises SessionDamaged for what is no image.
    """
    found = {}
    for name in handle.members(IMAGES):
        path = f"{IMAGES}/{name}"
        attributes = handle.attributes(path)
        if attributes.get("encoding-type") != "image":
            continue  # an axis
        shape, dtype = handle.kind(path) or ((), np.dtype(object))
        if len(shape) != 3 or shape[2] not in (1, 3) or dtype != np.uint8 or 0 in shape:
            raise SessionDamaged(
                f"The image {name} in the session is {dtype} {shape}, but uint8 "
                "[row, column, 1 or 3] was expected.",
                "Open another copy of the session.",
            )
        if int(np.prod(shape, dtype=np.int64)) > _LARGEST:
            raise SessionDamaged(
                f"The image {name} in the session claims {shape[0]} × {shape[1]} pixels, more "
                "than any image that can be asked about.",
                "Open another copy of the session.",
            )
        found[str(attributes["digest"])] = handle.read(path)
    return found


def image_of(reference: Any, stored: Stored) -> ImageInput | None:
    """The image that a reference stands for; None for none.

    Raises SessionDamaged when it is missing, or its pixels are not those that were stored.
    """
    if reference is None:
        return None
    digest, name = str(reference["digest"]), str(reference["name"])
    if digest not in stored:
        raise SessionDamaged(
            f"The session names the image {name}, but does not hold it.",
            "Open another copy of the session.",
        )
    prepared, note = bool(reference["prepared"]), str(reference["note"])
    image = ImageInput(stored[digest], name, prepared, note, str(reference.get("source", "")))
    if image.digest != digest:
        raise SessionDamaged(
            f"The pixels of the image {name} are not those that were stored.",
            "Open another copy of the session.",
        )
    return image


def _images(session: Session) -> Iterator[ImageInput]:
    asked = session.question
    prompts: tuple[Prompt | None, ...] = () if asked is None else (asked.prompt, asked.corrupt)
    yield from (prompt for prompt in prompts if isinstance(prompt, ImageInput))
    edited = () if session.edited is None else (session.edited,)
    runs = (*session.traces, *edited)
    yield from (trace.image for trace in runs if trace.image is not None)
