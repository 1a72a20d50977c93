"""Which dictionaries can be compared for how features split, and what a session holds of it."""

from __future__ import annotations

from dataclasses import dataclass

import microtome_resources as resources
from microtome.records.analysis import Analysis
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.feature_splits import FEATURE_SPLITS
from microtome.records.model import ModelIdentity
from microtome.records.session import Session
from microtome_desktop.state.dictionaries import Dictionaries
from microtome_desktop.state.workspace import Workspace

_SMALL, _LARGE = "-small", "-large"


@dataclass(frozen=True, slots=True)
class Side:
    """One of two dictionaries: its name, and its fingerprint where it is open or was compared."""

    name: str
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class SplitWish:
    """Two dictionaries of one site, and the text that is read for where features are on."""

    small: Side
    large: Side
    text: str  # an embedded text by its name, a file or a folder
    tokens: int = 20_000


def embedded_pair(model: ModelIdentity | None) -> tuple[Side, Side] | None:
    """A small and a large dictionary of one site that are embedded for a model."""
    names = () if model is None else resources.dictionary_names()
    for name in names:
        if model is not None and name.startswith(f"{model.name}/") and name.endswith(_SMALL):
            other = name.removesuffix(_SMALL) + _LARGE
            if other in names:
                return Side(name), Side(other)
    return None


def partners(held: tuple[DictionaryIdentity, ...]) -> tuple[DictionaryIdentity, ...]:
    """Open dictionaries that another one of another size writes the same site as, by size."""
    found = [
        one
        for one in held
        if any(one.writes == other.writes and one.d_sae != other.d_sae for other in held)
    ]
    return tuple(sorted(found, key=lambda one: (one.writes, one.d_sae)))


def why_no_pair(workspace: Workspace, dictionaries: Dictionaries) -> str:
    """Why nothing can be compared, empty where two are open or embedded."""
    if partners(dictionaries.held) or embedded_pair(workspace.model) is not None:
        return ""
    return "Open two dictionaries of different sizes that write the same site."


def splits_in(session: Session | None) -> tuple[Analysis, ...]:
    """The comparisons that a session holds, the newest last."""
    held = () if session is None else session.analyses.values()
    return tuple(one for one in held if one.kind == FEATURE_SPLITS)


def sides_of(analysis: Analysis) -> tuple[Side, Side]:
    """Whose features were compared."""
    told = analysis.params
    small, large = (
        Side(str(told.get(which, "")), str(told.get(f"{which}_fingerprint", "")))
        for which in ("small", "large")
    )
    return small, large


def comparison_of(session: Session | None, pair: tuple[Side, Side]) -> Analysis | None:
    """The newest comparison of two dictionaries, by their fingerprints or else their names."""
    for analysis in reversed(splits_in(session)):
        if all(_same(*both) for both in zip(sides_of(analysis), pair, strict=True)):
            return analysis
    return None


def _same(one: Side, other: Side) -> bool:
    if one.fingerprint and other.fingerprint:
        return one.fingerprint == other.fingerprint
    return one.name == other.name
