"""The discovered circuits of a session as rivals: sorted edges, curves, names and colours, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from operator import is_
from typing import Any

import numpy as np
from jaxtyping import Float

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.edges import Edges
from microtome.records.faithfulness import Faithfulness
from microtome.records.session import Session
from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_curves import Mark, hue_mark
from microtome_desktop.presenters.discovery_choice import Rival, rival_of
from microtome_desktop.presenters.discovery_compare import correlations, overlaps_at, rival_hue
from microtome_desktop.presenters.discovery_dial import Ranked, edges_shown, takes_long
from microtome_desktop.presenters.edge_places import Places
from microtome_desktop.presenters.preparing import Preparing, at_once
from microtome_desktop.state.discoveries import curve_for, discoveries_in, is_partial
from microtome_desktop.state.discovery_reading import expect_circuit, read_curve

_SORTED, _JOINED, _ALIKE, _SHARED = "sorted edges", "joined circuits", "ranks alike", "edges shared"
TOLD = frozenset({_SORTED, _JOINED, _ALIKE, _SHARED})  # the first of the keys that it asks under
MOST_COMPARED = 8  # colours that can be told apart on either background


class Contest:
    """What is computed of each rival is kept for as long as its analysis is the same value.

    What takes long, of large models, is ``prepare``'s: None stands for it until it comes.
    """

    def __init__(self, prepare: Preparing = at_once) -> None:
        self._prepare = prepare
        self._awaited: dict[str, Analysis] = {}  # what is being sorted, by the id
        self.held: tuple[Analysis, ...] = ()
        self.unread = 0  # circuits of the session that cannot be shown
        self._session: Session | None = None
        self._titles: dict[str, str] = {}
        self._ranked: dict[str, tuple[Analysis, Ranked]] = {}
        self._hues: dict[str, int] = {}  # of the circuits that are compared
        self._places: dict[str, tuple[Analysis, Places | None]] = {}
        self._curves: dict[str, tuple[Analysis, Faithfulness]] = {}
        self._beside: tuple[tuple[Ranked, Ranked], Ranked] | None = None
        self._shared: tuple[Hashable, np.ndarray] | None = None
        self._correlated: tuple[bool, tuple[Ranked, ...], np.ndarray] | None = None

    def use(self, session: Session | None) -> None:
        """Look at the circuits of this session."""
        found = discoveries_in(session)
        self._session, self.held = session, tuple(one for one in found if _readable(one))
        self.unread = len(found) - len(self.held)
        self._titles = {}
        for held in (self._ranked, self._awaited):  # large ones take tens of megabytes
            for gone in held.keys() - set(self.ids):
                del held[gone]

    @property
    def ids(self) -> tuple[str, ...]:
        """The rivals, oldest first."""
        return tuple(one.id for one in self.held)

    def find(self, wanted: str) -> Analysis | None:
        """A rival's analysis."""
        return next((one for one in self.held if one.id == wanted), None)

    def edges(self, one: Analysis) -> Edges:
        """Which edges a rival scores."""
        return edges_shown(one.params)

    def ranked(self, one: Analysis) -> Ranked | None:
        """A rival's edges, sorted; of one that grows the last that are, None before the first."""
        kept = self._ranked.get(one.id)
        if kept is not None and kept[0] is one:
            return kept[1]
        asked = one
        if takes_long(one):
            asked = self._awaited.setdefault(one.id, one)  # one at a time, however fast it grows
        make = partial(Ranked.ready, asked)
        made: Ranked | None = self._prepare((_SORTED, asked), make) if takes_long(one) else make()
        if made is None:
            return None if kept is None else kept[1]
        self._awaited.pop(one.id, None)
        self._ranked[one.id] = asked, made
        return self.ranked(one)  # asks for what has grown meanwhile

    def places(self, one: Analysis) -> Places | None:
        """At which tokens a rival's edges work; None for one that has only sums."""
        kept = self._places.get(one.id)
        if kept is None or kept[0] is not one:
            ranked = self.ranked(one)
            if ranked is None:
                return None
            kept = self._places[one.id] = one, Places.of(one, ranked)
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
        """The number of a compared rival's colour."""
        return self._hues.get(one.id, 0)

    def compare(self, ticks: Sequence[str]) -> None:
        """Give each of the compared circuits a colour of its own, as long as they last."""
        self._hues = {name: hue for name, hue in self._hues.items() if name in ticks}
        for name in [each for each in self.ids if each in ticks and each not in self._hues]:
            free = [hue for hue in range(MOST_COMPARED) if hue not in self._hues.values()]
            own = self.ids.index(name) % MOST_COMPARED
            self._hues[name] = own if own in free or not free else free[0]

    def colour(self, one: Analysis) -> str:
        """A rival's colour; faint for one that is not compared."""
        compared = one.id in self._hues
        return colours.POINT_GROUPS[self._hues[one.id]] if compared else colours.TEXT_FAINT

    def mark(self, one: Analysis) -> Mark:
        """The shape that says the same as a rival's colour."""
        return hue_mark(rival_hue(self.place(one))) or ("o", True)

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
        edges = self.edges(one)
        found = (other for other in self.held if other.id in others or other is one)
        return tuple(other for other in found if self.edges(other) == edges)

    def beside(self, one: Ranked, other: Ranked) -> Ranked | None:
        """Two rivals in one, computed anew only for others."""
        if self._beside is None or not _same(self._beside[0], (one, other)):
            made = self._made((_JOINED, one, other), partial(_joined, one, other), one)
            if made is None:
                return None
            self._beside = (one, other), made
        return self._beside[1]

    def _made(self, key: Hashable, make: Callable[[], Any], of: Ranked) -> Any:
        """What is small at once, what is large when a worker has made it."""
        return self._prepare(key, make) if of.large else make()

    def correlations(
        self, ranked: tuple[Ranked, ...], *, signed: bool
    ) -> Float[np.ndarray, "rival rival"]:
        """Rank correlations, computed anew only for others: turning the dial changes none."""
        held = self._correlated
        if held is not None and held[0] == signed and _same(held[1], ranked):
            return held[2]
        make = partial(correlations, ranked, signed=signed)
        found = self._made((_ALIKE, ranked, signed), make, ranked[0])
        if found is None:
            return np.full((len(ranked), len(ranked)), np.nan)
        self._correlated = signed, ranked, found
        return np.asarray(found)

    def overlaps(
        self, ranked: tuple[Ranked, ...], count: int, *, signed: bool, resting: bool
    ) -> Float[np.ndarray, "rival rival"]:
        """The overlap of each two at a size; of large ones when the dial is ``resting``."""
        if ranked[0].large and not resting:
            return np.full((len(ranked), len(ranked)), np.nan)
        key = _SHARED, ranked, count, signed
        if self._shared is None or self._shared[0] != key:
            found = self._made(key, partial(overlaps_at, ranked, count, signed=signed), ranked[0])
            if found is None:
                return np.full((len(ranked), len(ranked)), np.nan)
            self._shared = key, found
        return self._shared[1]


def _numbered(names: dict[str, str]) -> dict[str, str]:
    """The names, with a number behind those that are not the only ones."""
    count, seen = Counter(names.values()), Counter[str]()
    told = {}
    for one, name in names.items():
        seen[name] += 1
        told[one] = name if count[name] == 1 else f"{name} #{seen[name]}"
    return told


def _joined(one: Ranked, other: Ranked) -> Ranked:
    return one.beside(other).made_ready()


def _readable(one: Analysis) -> bool:
    try:
        expect_circuit(one)
    except InputError:
        return False
    return True


def _same(first: Sequence[object], second: Sequence[object]) -> bool:
    """Whether both hold the very same values."""
    return len(first) == len(second) and all(map(is_, first, second))
