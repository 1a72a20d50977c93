"""What lesions are asked for, what a model offers to ask, and what of them a session holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from microtome.records.analysis import Analysis
from microtome.records.lesion import LESION, ZERO, units_of_circuit
from microtome.records.provenance import provenance, rivals_differ
from microtome.records.session import Session
from microtome.records.units import Unit

SELECTIVITY, NEED, HAND, CIRCUIT = "selectivity", "need", "hand", "circuit"
BY = {
    SELECTIVITY: "units selective for",
    NEED: "units needed for",
    HAND: "units chosen by hand",
    CIRCUIT: "units of the circuit",
}
MEASURED = (SELECTIVITY, NEED)


@dataclass(frozen=True, slots=True)
class LesionWish:
    """Which units, what is done to them, and on what that is tried.

    ``by`` is one of ``BY``; ``localizer`` and ``data`` are sets by name, empty for the model's
    own; ``units`` are those by hand or of the circuit, as texts. ``beside`` is what else units are
    chosen for, ``beside_count`` of them, for a second lesion to compare with; empty for none.
    """

    by: str = SELECTIVITY
    localizer: str = ""
    target: str = ""
    layers: tuple[str, ...] = ()
    count: int = 1
    units: tuple[str, ...] = ()
    how: str = ZERO
    amount: float = 0.0
    data: str = ""
    controls: int = 20
    seed: int = 0
    beside: str = ""
    beside_count: int = 1

    @property
    def other(self) -> Self | None:
        """The second lesion, None where none is asked for."""
        if not self.beside or self.by not in MEASURED:
            return None
        return replace(self, target=self.beside, count=self.beside_count, beside="")

    def told(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return asdict(self)

    @classmethod
    def of(cls, held: Any) -> Self | None:
        """The wish that ``told`` made; None for what is none."""
        if not isinstance(held, dict):
            return None
        given = {each.name: held[each.name] for each in fields(cls) if each.name in held}
        for name in ("layers", "units"):
            listed = given.get(name, ())
            if not isinstance(listed, list | tuple) or not all(isinstance(x, str) for x in listed):
                return None
            given[name] = tuple(listed)
        numbers = ("count", "controls", "seed", "beside_count")
        whole = all(isinstance(given.get(name, 0), int) for name in numbers)
        words = ("by", "localizer", "target", "how", "data", "beside")
        texts = all(isinstance(given.get(name, ""), str) for name in words)
        return cls(**given) if whole and texts and given.get("by", HAND) in BY else None


@dataclass(frozen=True, slots=True)
class Layers:
    """Layers that units can be chosen from, under one title, and how many units they have."""

    title: str
    names: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A set by name (empty: the model's own), how it is called, and its groups."""

    name: str
    title: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LesionOffer:
    """What a model has to ask for; ``problem`` says why there is nothing.

    ``first`` is how units are chosen at first, and ``layer`` the row of ``layers``.
    """

    layers: tuple[Layers, ...] = ()
    localizers: tuple[NamedSet, ...] = ()
    data: tuple[NamedSet, ...] = ()
    first: str = SELECTIVITY
    layer: int = 0
    sees: bool = False
    problem: str = ""
    nbytes: int = 4096


def offer_key(fingerprint: str) -> tuple[str, str]:
    """What the offer of a model is kept under."""
    return "lesion offer", fingerprint


def lesions_in(session: Session | None) -> tuple[Analysis, ...]:
    """The lesions of a session, the newest first."""
    held = () if session is None else tuple(session.analyses.values())
    return tuple(one for one in reversed(held) if one.kind == LESION)


def beside(one: Analysis, held: tuple[Analysis, ...]) -> Analysis | None:
    """The newest other lesion that was tried on the same cases in the same way.

    One of another model, number format, kind of metric or seed, or with other edits, is none.
    """
    same = ("set", "digest", "tasks", "how", "amount")
    wanted = [one.params.get(name) for name in same]
    others = (each for each in held if each.id != one.id)
    tried = (x for x in others if [x.params.get(name) for name in same] == wanted)
    told = provenance(one)
    return next((x for x in tried if not rivals_differ(provenance(x), told)), None)


def circuit_units(session: Session | None) -> tuple[Unit, ...]:
    """The units that are nodes of the circuit on screen, the strongest first."""
    if session is None or session.circuit is None:
        return ()
    return units_of_circuit(session.circuit)
