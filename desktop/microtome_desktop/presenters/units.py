"""Units of a layer as rows, and the card of one in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from microtome.records.unit_card import UnitCard, UnitTable
from microtome_desktop.state.exports import Table
from microtome_desktop.state.image_features import source_of

NO_UNITS = (
    "Choose a layer and a set of images, and press Read: the model is shown the images and "
    "gratings, and each unit gets a card."
)
NO_SIGHT = "Open a model that sees, such as shapes-resnet: its units get cards here."


def table_columns(table: UnitTable) -> Mapping[str, NDArray[Any]]:
    """The columns of the table of units, by their keys."""
    units = np.arange(len(table.largest))
    by_domain = np.nan_to_num(table.by_domain, nan=-np.inf)
    domain = by_domain.argmax(axis=0)
    classes, domains = np.array(table.classes), np.array(table.domains)
    return {
        "unit": units,
        "class": classes[table.best],
        "by_class": table.by_class[table.best, units],
        "domain": domains[domain],
        "by_domain": table.by_domain[domain, units],
        "largest": table.largest,
        "share": table.share,
        "tuned": table.tuned,
        "angle": np.where(table.tuned > 0, table.angle, np.nan),
    }


def units_export(table: UnitTable) -> Table:
    """A row for each unit, with the index of every class and domain."""
    held = table_columns(table)
    headers = (*held, *(f"index {name}" for name in (*table.classes, *table.domains)))
    columns = [values.tolist() for values in held.values()]
    columns += [row.tolist() for row in (*table.by_class, *table.by_domain)]
    return Table(headers, list(zip(*columns, strict=True)))


def card_title(card: UnitCard) -> str:
    """The unit, its kind, and the class that it answers to most."""
    kind = str(card.params.get("kind", "unit"))
    return f"{card.unit} \N{MIDDLE DOT} {kind}"


def card_sentences(card: UnitCard) -> str:
    """What was measured, in sentences."""
    told = card.params
    if told.get("silent"):
        return f"The same on all {told['set_images']} images: nothing can be said of it."
    return " ".join((_answers_to(card), _tuning(card)))


def _answers_to(card: UnitCard) -> str:
    domains = np.nan_to_num(card.by_domain, nan=-np.inf)
    classes = np.nan_to_num(card.by_class, nan=-np.inf)
    domain, best = int(domains.argmax()), int(classes.argmax())
    said = f"Answers most to {card.classes[best]} (index {card.by_class[best]:.2f})"
    if len(card.domains) > 1:
        said += f"; of the domains to {card.domains[domain]} ({card.by_domain[domain]:.2f})"
    return f"{said}."


def _tuning(card: UnitCard) -> str:
    told = card.params
    if float(told["grating_peak"]) <= 0:
        return "No grating drives it above even grey."
    selectivity, angle = float(told["orientation_selectivity"]), float(told["orientation"])
    measured = f"orientation selectivity {selectivity:.2f}"
    periods = f"{float(told['frequency']):.2g} periods an image"
    if told.get("oriented"):
        what = "An edge or bar detector" if _sees_little(card) else "Prefers an orientation"
        return f"{what}: gratings of {angle:.0f}° drive it most ({measured}, {periods})."
    return f"Not an edge or bar detector by gratings ({measured}; best {periods})."


def _sees_little(card: UnitCard) -> bool:
    """Whether its field is at most a quarter of the image: one of more is no detector of edges."""
    _row, _column, rows, columns = card.box[0].tolist()
    return bool(4 * rows * columns <= card.images.shape[1] * card.images.shape[2])


def orientation_curve(
    card: UnitCard,
) -> tuple[Float[np.ndarray, " orientation"], Float[np.ndarray, " orientation"]]:
    """Orientations in degrees, and the responses at the best frequency."""
    best = int(card.response.max(axis=1).argmax())
    return card.orientation, card.response[best]


def frequency_curve(
    card: UnitCard,
) -> tuple[Float[np.ndarray, " frequency"], Float[np.ndarray, " frequency"]]:
    """Frequencies, and the largest response over orientations."""
    return card.frequency, card.response.max(axis=1)


def similar_rows(card: UnitCard) -> Mapping[str, NDArray[Any]]:
    """The units most like it, by their keys."""
    names = np.array([f"{card.unit.layer}/{at}" for at in card.similar.tolist()] or [""])
    return {"unit": names[: len(card.similar)], "correlation": card.correlation,
            "cosine": card.cosine}  # fmt: skip


def set_tip(params: Mapping[str, Any]) -> str:
    """Which images a table is of: their name, where they are from, and their content."""
    digest, source = str(params.get("set_digest", "")), source_of(params)
    parts = [str(params.get("set", "")), source, f"checksum {digest[:12]}" if digest else ""]
    return "\n".join(dict.fromkeys(part for part in parts if part))


def told_apart(titles: Sequence[str], digests: Sequence[str]) -> tuple[str, ...]:
    """Titles of results, with the checksum of their images where two have one title."""
    contents: dict[str, set[str]] = {}
    for title, digest in zip(titles, digests, strict=True):
        contents.setdefault(title, set()).add(digest)
    return tuple(
        f"{title}, images {digest[:8]}" if digest and len(contents[title]) > 1 else title
        for title, digest in zip(titles, digests, strict=True)
    )


def images_title(images: str) -> str:
    """A set's name, or the last part of its folder."""
    return Path(images).name


def image_tip(card: UnitCard, at: int) -> str:
    """What stands behind one of the images of a card."""
    name = card.classes[int(card.label[at])]
    row, column, rows, columns = card.box[at].tolist()
    return (
        f"{name}, image {int(card.number[at])} of the set: {float(card.activity[at]):.3g}\n"
        f"The frame is what the unit's strongest place sees: {rows} × {columns} pixels from "
        f"row {row}, column {column}"
    )
