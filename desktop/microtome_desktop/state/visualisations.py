"""What a feature visualisation is asked for, and what of them a session holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from microtome.records.dictionary import DictionaryIdentity
from microtome.records.session import Session
from microtome.records.visualisation import (
    VISUALISATION,
    Visualisation,
    VisualSettings,
    visualisation_of,
)


@dataclass(frozen=True, slots=True)
class VisualWish:
    """Pictures for a target, as the engine is asked for them.

    ``target`` is a class or a unit as written (``Ada``, ``pool/12@centre``); with ``of`` it is
    the layer of a direction from ``over`` (all others, if empty) to ``of``; with ``fingerprint``
    the layer of a dictionary's ``feature``. ``second`` names another model.
    """

    target: str
    results: int = 4
    seed: int = 0
    negative: bool = False
    settings: VisualSettings = field(default_factory=VisualSettings)
    of: str = ""
    over: str = ""
    fingerprint: str = ""
    feature: int = 0
    images: str = ""  # the set that values are compared with
    second: str = ""


def feature_to_visualise(
    selected: tuple[str, int] | None, held: Sequence[DictionaryIdentity]
) -> tuple[DictionaryIdentity, int] | None:
    """The selected feature with its dictionary, None unless that is open."""
    if selected is None:
        return None
    found = (one for one in held if one.fingerprint == selected[0])
    return next(((one, selected[1]) for one in found), None)


def visualisations_in(session: Session | None) -> tuple[Visualisation, ...]:
    """All that a session holds, the newest first."""
    held = () if session is None else tuple(session.analyses.values())
    return tuple(visualisation_of(one) for one in reversed(held) if one.kind == VISUALISATION)
