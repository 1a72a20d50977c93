"""The right of the discovery panel: curves and dial, and the circuit that the dial says."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from microtome.records.analysis import Analysis
from microtome_desktop.presenters.contest import Contest
from microtome_desktop.presenters.dial_text import (
    reading,
    told_at,
    typed_count,
    typed_threshold,
)
from microtome_desktop.presenters.discovery_compare import (
    Comparison,
    colouring_of,
    comparison_rows,
    groups_of,
    where_comparable,
)
from microtome_desktop.presenters.discovery_dial import Ranked, count_at, step_at
from microtome_desktop.views.dial import Dial
from microtome_desktop.views.discovery_middle import DiscoveryMiddle, Page
from microtome_desktop.views.faithfulness_plot import FaithfulnessPlot, Line

_FIRST_SHARE = 0.05
_JOINING = "Joining both circuits \N{HORIZONTAL ELLIPSIS}"
Kept = Bool[np.ndarray, " edge"]
_NO_WAY = "No way leads from the input to the logits at this size: turn the dial up."
_LOW = 280  # pixels
_RESTS_MS = 150  # after the last step


class DiscoveryDial(QWidget):
    """Turns the circuit in front to any size: of the list's rivals, ``middle`` draws it."""

    measure_asked = Signal()
    turned = Signal()

    def __init__(self, contest: Contest, middle: DiscoveryMiddle) -> None:
        super().__init__()
        self.contest, self.middle = contest, middle
        self.plot, self.dial = FaithfulnessPlot(), Dial()
        self.count = 0  # of the best edges; 0 before a size was chosen
        self.signed = True
        self.front: Analysis | None = None
        self.ticks: tuple[str, ...] = ()
        self._two = 0  # which two of the ticked ones are compared
        self._why_no_test = ""
        self.nothing = ""  # why nothing can be asked of this size
        self._rest = QTimer(self, singleShot=True, interval=_RESTS_MS)
        self._rest.timeout.connect(self._on_rest)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.plot, 1)
        column.addWidget(self.dial)
        self.plot.turned.connect(self._on_share)
        self.dial.stepped.connect(self._on_step)
        self.dial.share_typed.connect(self._on_typed)
        self.dial.threshold_typed.connect(self._on_threshold)
        self.dial.order_changed.connect(self._on_order)
        self.dial.measure_asked.connect(self.measure_asked)
        middle.compare.chosen.connect(self._on_two)
        middle.turned.connect(self.turn)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """On a low screen the curves have the room of what the list says as well."""
        super().resizeEvent(event)
        self.dial.areas.setVisible(self.height() >= _LOW)

    @property
    def total(self) -> int:
        """How many edges there are."""
        return 0 if self.front is None else self.contest.edges(self.front).count

    @property
    def now(self) -> int:
        """How many of the best edges are shown."""
        first = max(1, int(_FIRST_SHARE * self.total))
        return min(self.count or first, self.total)

    @property
    def share(self) -> float:
        """The same as a share of all."""
        return self.now / max(self.total, 1)

    def show_front(self, front: Analysis | None, ticks: tuple[str, ...], why_no_test: str) -> None:
        """Another circuit, other ticks, or another curve."""
        self.front, self.ticks, self._why_no_test = front, ticks, why_no_test
        if front is None:
            return
        if not self.count:
            self.count = self._first_count(front)
        self.middle.offer_positions(able=self.contest.places(front) is not None)
        self._draw_curves()
        self.turn()

    def _first_count(self, front: Analysis) -> int:
        """The smallest size that keeps 0.9; none as long as the curve is not finished."""
        curve = self.contest.curve(front)
        if curve is None or curve.params.get("partial"):
            return 0
        return max(1, int((curve.smallest or _FIRST_SHARE) * self.total + 1e-9))

    def _draw_curves(self) -> None:
        lines = []
        for one in self.contest.held:
            curve = self.contest.curve(one) if one is self.front or one.id in self.ticks else None
            if curve is not None:
                mark = self.contest.mark(one)
                lines.append(Line(curve, self.contest.colour(one), one is self.front, mark))
        self.plot.show_lines(lines, 1 / max(self.total, 1))

    def turn(self) -> None:
        """Show the circuit of so many best edges."""
        front = self.front
        if front is None:
            return
        ranked, curve = self.contest.ranked(front), self.contest.curve(front)
        if ranked is None:
            self._wait()
            return
        kept = ranked.kept(self.now, signed=self.signed)
        self.nothing = "" if kept.any() else _NO_WAY
        told = told_at(ranked, kept, self.now, curve, signed=self.signed)
        step = step_at(self.now, ranked.count)
        self.dial.tell(told, step, signed=self.signed, why_not=self._why_no_test or self.nothing)
        left = int(np.count_nonzero(kept))
        read = reading(curve, self.now, left, ranked.count, signed=self.signed)
        value = None if read is None else read.value
        self.plot.show_dial(self.share, value, self.contest.colour(front))
        places = self.contest.places(front)
        if self.middle.page is Page.COMPARE:
            self._draw_two(front, kept)
        elif self.middle.page is Page.POSITIONS:
            self.middle.places.show_places(places, kept)
        else:
            self.middle.graph.show_circuit(ranked, front, places)
            self.middle.graph.show_size(kept)
        self.turned.emit()

    def _wait(self) -> None:
        """A worker sorts the edges; the curves can be looked at meanwhile."""
        self.nothing = f"Sorting {self.total:,} edges \N{HORIZONTAL ELLIPSIS}"
        self.dial.tell(None, 0, signed=self.signed)
        self.dial.edges.setText(self.nothing)
        self.middle.graph.wait(self.nothing)
        self.turned.emit()

    def _draw_two(self, front: Analysis, kept: Kept) -> None:
        """Two of the ticked circuits in one graph, coloured by who has which edge."""
        rivals = self.contest.same_model(front, self.ticks)
        held = tuple((one, self.contest.ranked(one)) for one in rivals)
        ranked = tuple(sorted_ for _, sorted_ in held if sorted_ is not None)
        rivals = tuple(one for one, sorted_ in held if sorted_ is not None)
        self._tell_alike(rivals, ranked)
        pairs = [(a, b) for a in range(len(rivals)) for b in range(a + 1, len(rivals))]
        if not pairs:
            self.middle.graph.show_circuit(self.contest.ranked(front), front)
            self.middle.graph.show_size(kept)
            return
        a, b = pairs[min(self._two, len(pairs) - 1)]
        both = self.contest.beside(ranked[a], ranked[b])
        if both is None:
            self.middle.graph.wait(_JOINING)
            return
        first, second = (
            kept if rivals[at] is front else ranked[at].kept(self.now, signed=self.signed)
            for at in (a, b)
        )
        places = self.contest.place(rivals[a]), self.contest.place(rivals[b])
        titles = self.contest.titles()
        self.middle.graph.show_circuit(both, rivals[a])
        self.middle.graph.show_size(
            first | second,
            lambda rows: groups_of(first[rows], second[rows], places),
            colouring_of((titles[rivals[a].id], titles[rivals[b].id]), places),
        )

    def _tell_alike(self, rivals: tuple[Analysis, ...], ranked: tuple[Ranked, ...]) -> None:
        """The table of each two; of large models it is full when the dial rests."""
        titles = self.contest.titles()
        names = tuple(titles[one.id] for one in rivals)
        related = self.contest.correlations(ranked, signed=self.signed)
        shared = self.contest.overlaps(
            ranked, self.now, signed=self.signed, resting=not self._rest.isActive()
        )
        self.middle.compare.show_rows(
            comparison_rows(
                Comparison(
                    names, where_comparable(related, rivals), where_comparable(shared, rivals)
                )
            ),
            self._two,
        )

    def _on_rest(self) -> None:
        if self.middle.page is Page.COMPARE:
            self.turn()

    def turn_to(self, count: int) -> None:
        """Show another size, as many edges as there are at most."""
        self.count = int(np.clip(count, 1, max(self.total, 1)))
        ranked = None if self.front is None else self.contest.ranked(self.front)
        if ranked is not None and ranked.large:
            self._rest.start()
        self.turn()

    def _on_step(self, step: int) -> None:
        self.turn_to(count_at(step, self.total))

    def _on_share(self, share: float) -> None:
        self.turn_to(round(share * self.total))

    def _on_typed(self, text: str) -> None:
        self.turn_to(typed_count(text, self.total) or self.now)

    def _on_threshold(self, text: str) -> None:
        threshold, front = typed_threshold(text), self.front
        ranked = None if front is None else self.contest.ranked(front)
        if threshold is None or ranked is None:
            self.turn()
            return
        self.turn_to(ranked.above(threshold, signed=self.signed))

    def _on_order(self, signed: bool) -> None:
        self.signed = signed
        self.turn()

    def _on_two(self, row: int) -> None:
        self._two = row
        self.turn()
