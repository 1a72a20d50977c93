"""Images in the feature space: layers to choose from, and what is shown of a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis
from microtome.records.image_set import ImageSet
from microtome.records.seen import LayerOutline
from microtome.records.session import Session
from microtome_desktop.presenters.space import Space, projections
from microtome_desktop.state.albums import album_of
from microtome_desktop.state.seeing import image_of

PLACES = "places"  # ends the name of a space whose points are places in images
_ALL_PLACES = "  \N{MIDDLE DOT} each place"


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnail:
    """The image of a point: what is said of it, and the part that is framed.

    ``part`` is first row and column, and how many of each; none for the whole image.
    """

    values: UInt8[np.ndarray, "row column channel"]
    text: str
    part: tuple[int, int, int, int] | None


def offered_layers(session: Session, seen: Sequence[LayerOutline]) -> tuple[tuple[str, str], ...]:
    """Layers of units as (text, name), each by image and, where it has places, by place."""
    held = {str(one.params.get("site", "")) for one in projections(session)}
    names = [one.name for one in seen]
    names += [f"{one.name} {PLACES}" for one in seen if one.grid is not None]
    names += sorted(held - set(names))
    return tuple((_told(name) + ("" if name in held else "  (not computed)"), name)
                 for name in names)  # fmt: skip


def _told(name: str) -> str:
    layer = name.removesuffix(f" {PLACES}")
    return name if layer == name else f"{layer}{_ALL_PLACES}"


def thumbnail(session: Session, analysis: Analysis, drawing: Space, point: int) -> Thumbnail | None:
    """What is shown of a point; None where its image is not kept."""
    prompt = int(drawing.prompts[point])
    values = _picture(session, analysis, prompt)
    if values is None:
        return None
    told, grid = analysis.params, analysis.params.get("grid")
    if prompt < 0:
        own = image_of(session)
        lines = [own.name if own is not None else "image", "the image of this run"]
    else:
        domain = str(drawing.tasks[point])
        lines = [str(told["prompts"][prompt]), f"class {drawing.tokens[point]}"]
        lines += [f"domain {domain}"] if domain != str(drawing.tokens[point]) else []
    part = None
    if grid:
        row, column = divmod(int(drawing.positions[point]), int(grid[1]))
        lines.append(f"row {row}, column {column} of {grid[0]} \N{MULTIPLICATION SIGN} {grid[1]}")
        part = _part(values.shape[:2], (row, column), (int(grid[0]), int(grid[1])))
    if drawing.active is not None:
        lines.append(f"{drawing.active.named}: {float(drawing.active.values[point]):.3g}")
    return Thumbnail(values, "\n".join(lines), part)


def _picture(
    session: Session, analysis: Analysis, prompt: int
) -> UInt8[np.ndarray, "row column channel"] | None:
    if prompt < 0:
        own = image_of(session)
        return None if own is None else own.values
    held = analysis.arrays.get("thumbnails")
    if held is None or prompt >= held.values.shape[0]:
        return None
    return np.asarray(held.values[prompt], np.uint8)  # of a file: this one alone is read


def _part(
    size: tuple[int, ...], at: tuple[int, int], grid: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The pixels that stand at a place of a grid."""
    first = [side * place // count for side, place, count in zip(size, at, grid, strict=True)]
    ends = [-(-side * (place + 1) // n) for side, place, n in zip(size, at, grid, strict=True)]
    return first[0], first[1], ends[0] - first[0], ends[1] - first[1]


def asked_again(
    analysis: Analysis, prompt: int, sets: Sequence[ImageSet]
) -> tuple[ImageInput, str] | None:
    """An image of a space to ask about, and its class; None where it is kept too small.

    It is taken from the set itself where that is here, else from what the session keeps.
    """
    told = analysis.params
    number = int(told["numbers"][prompt])
    for held in sets:
        if held.name == told["images"] and held.digest == told["digest"]:
            album = album_of(held)
            return album.image(number), held.classes[int(held.labels[number])]
    if not told.get("whole"):
        return None
    rows = np.flatnonzero(np.asarray(analysis.array("point_prompt")) == prompt)
    values = np.asarray(analysis.arrays["thumbnails"].values[prompt], np.uint8)
    image = ImageInput(values, str(told["prompts"][prompt]), prepared=True)
    source = f"set:{told['images']}/{number}"
    return replace(image, source=source), str(analysis.array("point_token")[rows[0]])
