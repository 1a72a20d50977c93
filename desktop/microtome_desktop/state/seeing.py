"""What the panels See and Units ask for and find: frozen wishes, and results in the session."""

from __future__ import annotations

from dataclasses import dataclass

from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis
from microtome.records.seen import (
    ATTRIBUTION_MAP,
    IMAGE_MAPS,
    UNIT_EVIDENCE,
    LayerOutline,
    SightOutline,
    classes_of,
    preprocessing_of,
)
from microtome.records.session import Session
from microtome.records.unit_card import UNIT_CARD, UNIT_TABLE, UnitTable, table_of
from microtome.records.units import Unit
from microtome_desktop.state.image_features import source_of


@dataclass(frozen=True, slots=True)
class ClassWish:
    """A class and, for a difference, another; by their numbers."""

    answer: int
    wrong: int | None = None


@dataclass(frozen=True, slots=True)
class AttributionWish:
    """What an attribution map is asked for."""

    method: str
    score: ClassWish
    baseline: str = "grey"
    layer: str | None = None


@dataclass(frozen=True, slots=True)
class UnitsWish:
    """A layer of units, and the images that are shown to it: a set's name or its folder."""

    layer: str
    images: str


def outline_key(fingerprint: str) -> tuple[str, str]:
    """What the outline of a model that sees is kept under."""
    return "sight", fingerprint


@dataclass(frozen=True, slots=True)
class NoEvidence:
    """Why a model's logits are no sum over units."""

    reason: str
    nbytes: int = 256  # about


def no_evidence_key(digest: str, score: ClassWish) -> tuple[str, str, ClassWish]:
    """What the reason is kept under, of an image's checksum and a class."""
    return "no evidence", digest, score


def image_of(session: Session | None) -> ImageInput | None:
    """The image of the run on screen, as the model saw it."""
    return None if session is None or session.clean is None else session.clean.image


def found(session: Session | None, named: str) -> Analysis | None:
    """An analysis of the session by its name."""
    return None if session is None else session.analyses.get(named)


def tables_in(session: Session | None) -> tuple[UnitTable, ...]:
    """The tables of units that a session holds."""
    held = () if session is None else session.analyses.values()
    return tuple(table_of(each) for each in held if each.kind == UNIT_TABLE)


def card_in(session: Session | None, unit: Unit, table: UnitTable) -> Analysis | None:
    """The card of a unit over the images of a table, which are known by their content."""
    held = () if session is None else tuple(session.analyses.values())
    wanted = {name: table.params.get(name) for name in ("set", "set_digest")}
    for each in reversed(held):
        of_unit = each.kind == UNIT_CARD and each.params.get("unit") == str(unit)
        if of_unit and {name: each.params.get(name) for name in wanted} == wanted:
            return each
    return None


def card_of_others(session: Session | None, unit: Unit, table: UnitTable) -> bool:
    """Whether the newest card of a unit came after a table, and is of images of other content."""
    held = () if session is None else tuple(session.analyses.values())
    source = source_of(table.params)
    for each in reversed(held):
        if source_of(each.params) == source:
            if each.kind == UNIT_TABLE and each.params["layer"] == table.layer:
                return False
            if each.kind == UNIT_CARD and each.params["unit"] == str(unit):
                return bool(each.params.get("set_digest") != table.params.get("set_digest"))
    return False


def outline_of(session: Session | None) -> SightOutline | None:
    """What the results of a session tell of its model, without the model."""
    if session is None or not session.model.sees:
        return None
    layers: dict[str, LayerOutline] = {}
    for each in session.analyses.values():
        if each.kind == IMAGE_MAPS:
            for name in each.params.get("layers", ()):
                shape = each.arrays[name].values.shape
                grid = (int(shape[1]), int(shape[2])) if len(shape) == 3 else None
                kind = each.arrays[name].long_name.removeprefix("activity of ").removesuffix("s")
                layers[name] = LayerOutline(name, kind, int(shape[0]), grid)
    for table in tables_in(session):
        kind = str(table.params.get("kind", "unit"))
        known = LayerOutline(table.layer, kind, len(table.largest), None)
        layers.setdefault(table.layer, known)
    classes = classes_of(session.model) or _classes(session)
    return SightOutline(tuple(layers.values()), classes, preprocessing_of(session.model))


def _classes(session: Session) -> tuple[str, ...]:
    """The names of classes as far as results tell them; a number where they do not."""
    names: dict[int, str] = {}
    clean = session.clean
    if clean is not None:
        for ids, texts in zip(clean.top_ids, clean.top_tokens, strict=True):
            names.update(zip((int(one) for one in ids), texts, strict=True))
    for each in session.analyses.values():
        if each.kind in (UNIT_EVIDENCE, ATTRIBUTION_MAP):
            for which in ("answer", "wrong"):
                if each.params[f"{which}_id"] is not None:
                    names[int(each.params[f"{which}_id"])] = str(each.params[which])
    return tuple(names.get(at, f"class {at}") for at in range(max(names, default=-1) + 1))
