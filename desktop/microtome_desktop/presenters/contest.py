"""The discovered circuits of a session as rivals: sorted edges, curves, names and colours, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import is_

import numpy as np
from jaxtyping import Float

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.faithfulness import Faithfulness
from microtome.records.session import Session
from microtome_desktop import palette as colours
from microtome_desktop.presenters.discovery_choice import Rival, rival_of
from microtome_desktop.presenters.discovery_compare import correlations
from microtome_desktop.presenters.discovery_dial import Ranked
from microtome_desktop.presenters.edge_places import Places
from microtome_desktop.state.discoveries import curve_for, discoveries_in, is_partial
from microtome_desktop.state.discovery_reading import expect_circuit, read_curve


class Contest:
    """What is computed of each rival is kept for as long as its analysis is the same value."""

    def __init__(self) -> None:
        self.held: tuple[Analysis, ...] = ()
        self.unread = 0  # circuits of the session that cannot be shown
        self._session: Session | None = None
        self._titles: dict[str, str] = {}
        self._ranked: dict[str, tuple[Analysis, Ranked]] = {}
        self._places: dict[str, tuple[Analysis, Places | None]] = {}
        self._curves: dict[str, tuple[Analysis, Faithfulness]] = {}
        self._beside: tuple[tuple[Ranked, Ranked], Ranked] | None = None
        self._correlated: tuple[bool, tuple[Ranked, ...], np.ndarray] | None = None

    def use(self, session: Session | None) -> None:
        """Look at the circuits of this session."""
        found = discoveries_in(session)
        self._session, self.held = session, tuple(one for one in found if _readable(one))
        self.unread = len(found) - len(self.held)
        self._titles = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The rivals, oldest first."""
        return tuple(one.id for one in self.held)

    def find(self, wanted: str) -> Analysis | None:
        """A rival's analysis."""
        return next((one for one in self.held if one.id == wanted), None)

    def ranked(self, one: Analysis) -> Ranked:
        """A rival's edges, sorted."""
        kept = self._ranked.get(one.id)
        if kept is None or kept[0] is not one:
            kept = self._ranked[one.id] = one, Ranked.of(one)
        return kept[1]

    def places(self, one: Analysis) -> Places | None:
        """At which tokens a rival's edges work; None for one that has only sums."""
        kept = self._places.get(one.id)
        if kept is None or kept[0] is not one:
            kept = self._places[one.id] = one, Places.of(one, self.ranked(one))
        return kept[1]

    def curve(self, one: Analysis) -> Faithfulness | None:
        """A rival's faithfulness curve, as far as it is there."""
        found = curve_for(self._session, one)
        if found is None:
            return None
        kept = self._curves.get(one.id)
        if kept is None or kept[0] is not found:
            try:
                kept = self._curves[one.id] = found, read_curve(found)
            except InputError:  # as if it had none
                return None
        return kept[1]

    def place(self, one: Analysis) -> int:
        """A rival's number in the list, by which it has its colour."""
        return self.ids.index(one.id)

    def colour(self, one: Analysis) -> str:
        """A rival's colour."""
        return colours.POINT_GROUPS[self.place(one) % len(colours.POINT_GROUPS)]

    def rows(self, *, running: bool) -> tuple[Rival, ...]:
        """The list; ``running`` says that the partial one is still being made."""
        return tuple(
            rival_of(one, self.curve(one), running=running and self._unfinished(one))
            for one in self.held
        )

    def _unfinished(self, one: Analysis) -> bool:
        found = curve_for(self._session, one)
        return is_partial(one) or found is None or is_partial(found)

    def titles(self) -> dict[str, str]:
        """How each rival is called: by its method, and more where others have the same."""
        if not self._titles:
            rows = self.rows(running=False)
            count = Counter(row.title for row in rows)
            names = {
                row.id: row.title if count[row.title] == 1 else f"{row.title} ({row.about})"
                for row in rows
            }
            self._titles = _numbered(names)
        return self._titles

    def partner(self, wanted: str) -> tuple[str, ...]:
        """A rival and the newest other one of the same prompts, else of the same edges."""
        front = self.find(wanted)
        if front is None:
            return ()
        others = [one for one in self.same_model(front, self.ids) if one is not front]
        alike = [one for one in others if one.params["prompts"] == front.params["prompts"]]
        return (wanted, *(one.id for one in (alike or others)[-1:]))

    def same_model(self, one: Analysis, others: tuple[str, ...]) -> tuple[Analysis, ...]:
        """Those of the rivals whose edges are the same as this one's, in the order of the list."""
        edges = self.ranked(one).edges
        found = (other for other in self.held if other.id in others or other is one)
        return tuple(other for other in found if self.ranked(other).edges == edges)

    def beside(self, one: Analysis, other: Analysis) -> Ranked:
        """Two rivals in one, computed anew only for others."""
        both = self.ranked(one), self.ranked(other)
        if self._beside is None or not _same(self._beside[0], both):
            self._beside = both, both[0].beside(both[1])
        return self._beside[1]

    def correlations(
        self, rivals: tuple[Analysis, ...], *, signed: bool
    ) -> Float[np.ndarray, "rival rival"]:
        """Rank correlations, computed anew only for others: turning the dial changes none."""
        ranked = tuple(self.ranked(one) for one in rivals)
        held = self._correlated
        if held is None or held[0] != signed or not _same(held[1], ranked):
            found = correlations(ranked, signed=signed)
            self._correlated = signed, ranked, found
            return found
        return held[2]


def _numbered(names: dict[str, str]) -> dict[str, str]:
    """The names, with a number behind those that are not the only ones."""
    count, seen = Counter(names.values()), Counter[str]()
    told = {}
    for one, name in names.items():
        seen[name] += 1
        told[one] = name if count[name] == 1 else f"{name} #{seen[name]}"
    return told


def _readable(one: Analysis) -> bool:
    try:
        expect_circuit(one)
    except InputError:
        return False
    return True


def _same(first: Sequence[object], second: Sequence[object]) -> bool:
    """Whether both hold the very same values."""
    return len(first) == len(second) and all(map(is_, first, second))
