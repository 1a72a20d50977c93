"""What is asked about the circuit on screen: one more size, a judgement, a known circuit."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QDialog, QWidget

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.edits import EditSpec
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.discovery_requests import DISCOVERY_SLOT, MeasureSize
from microtome_desktop.jobs.judge_requests import JUDGE_SLOT, JudgeCircuit
from microtome_desktop.presenters.discovery_edits import edits_outside
from microtome_desktop.presenters.discovery_judge import KnownAreas, Verdict, verdict_of
from microtome_desktop.state.discoveries import (
    judgements_of,
    known_analysis,
    known_edges,
    results_of,
    search_of,
)
from microtome_desktop.state.made_by import needs_model
from microtome_desktop.state.work import Piece
from microtome_desktop.views.discovery_dial import DiscoveryDial
from microtome_desktop.views.discovery_middle import Page
from microtome_desktop.views.known_dialog import KnownDialog
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.preparing import prepared_by

_OF_CIRCUITS = frozenset({DISCOVERY_SLOT, JUDGE_SLOT, MeasureSize.slot})
NO_CIRCUIT = "There is no discovered circuit yet: choose a task and a method, and find one."


class DiscoveryTests(QObject):
    """Asks for tests of the dial's circuit, and tells their results on the page Judge."""

    def __init__(self, context: PanelContext, right: DiscoveryDial, parent: QWidget) -> None:
        super().__init__(parent)
        self.context, self._right, self._widget = context, right, parent
        self._areas = KnownAreas(prepared_by(context))
        self._outside: tuple[EditSpec, ...] = ()  # what was put on the list last
        self._contest, self._middle = right.contest, right.middle
        self._middle.judge.asked.connect(self._on_judge)
        self._middle.judge.known_asked.connect(self.ask_known)
        right.measure_asked.connect(self.measure)
        right.turned.connect(self.tell)

    def measure(self) -> None:
        """Test a circuit of exactly the dial's size."""
        front = self._right.front
        curve = None if front is None else self._contest.curve(front)
        search = None if front is None else search_of(front)
        if front is not None and curve is not None and search is not None and not self.why_not_now:
            self.context.ask(MeasureSize(search, front, curve, self._right.share))

    def judge(self) -> None:
        """Ask whether the circuit of the dial's size is complete, minimal and stable."""
        self._middle.show_page(Page.JUDGE)
        front, right = self._right.front, self._right
        search = None if front is None else search_of(front)
        if front is not None and search is not None and not self.why_not_now:
            self.context.ask(JudgeCircuit(search, front, right.share, right.signed))

    def ask_known(self) -> None:
        """Ask for the edges of a circuit that is known."""
        workspace, front = self.context.workspace, self._right.front
        if front is None or workspace.session is None:
            return
        self._middle.show_page(Page.JUDGE)
        held = known_edges(workspace.session)
        dialog = KnownDialog(self._contest.edges(front), held, self.context.settings, self._widget)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            model = {"model": workspace.session.model.name}
            known = known_analysis(dialog.edges, model)
            self.context.book.put_results("Known circuit", {known.id: known})
        dialog.deleteLater()

    def forget(self) -> str:
        """Take the circuit on screen off the list, with all that is known of it; why not."""
        front, pieces = self._right.front, self.context.work.pieces
        if front is None:
            return NO_CIRCUIT
        if any(p.slot in _OF_CIRCUITS and p.under_way for p in pieces):
            return "Something is being found out about a circuit: stop it, or wait for it."
        gone = results_of(self.context.workspace.session, front)
        title = f"Forget the circuit by {self._contest.titles()[front.id]}"
        self.context.book.put_results(title, dict.fromkeys(gone))
        return ""

    def ablate_outside(self) -> str:
        """Put edits on the list for what the dial's circuit leaves out; why not, else empty."""
        front, right, session = self._right.front, self._right, self.context.workspace.session
        if front is None or session is None:
            return NO_CIRCUIT
        ranked = self._contest.ranked(front)
        if ranked is None:
            return right.nothing
        kept = ranked.kept(right.now, signed=right.signed)
        made = edits_outside(ranked, kept, session, str(front.params["ablation"]),
                             front.params.get("over", ()))  # fmt: skip
        if isinstance(made, str):
            return made
        former = {*self._outside, *made}
        held = tuple(e for e in self.context.book.marks.edits if replace(e, on=True) not in former)
        title = f"Ablate {len(made)} parts outside the circuit"
        self.context.book.mark(title, edits=(*held, *made))
        self._outside = made
        return ""

    @property
    def why_not(self) -> str:
        """Why no circuit of a size can be tested now, empty when one can."""
        workspace, front = self.context.workspace, self._right.front
        if front is None:
            return NO_CIRCUIT
        if search_of(front) is None:
            return "This circuit was not found in a window: use mt.faithfulness with sizes=[…]."
        if workspace.offline and workspace.session is not None:
            return needs_model(workspace.session)
        curve = self._contest.curve(front)
        if curve is None or curve.params.get("partial"):
            return "Its curve is not finished: find the circuit again."
        return ""

    @property
    def why_not_now(self) -> str:
        """Why the circuit of the dial's size cannot be tested, empty when it can."""
        return self.why_not or self._right.nothing

    @property
    def job(self) -> Piece | None:
        """The judgement that is under way."""
        pieces = self.context.work.pieces
        return next((p for p in pieces if p.slot == JUDGE_SLOT and p.under_way), None)

    def _on_judge(self) -> None:
        piece = self.job
        if piece is not None:
            self.context.stop(piece.number)
        else:
            self.context.do(CommandId.JUDGE_CIRCUIT)

    def tell(self) -> None:
        """Show what is known of the circuit at the dial's size."""
        front, right = self._right.front, self._right
        if front is None or self._middle.page is not Page.JUDGE:
            return
        session = self.context.workspace.session
        verdict = self._verdict(judgements_of(session, front, right.share, signed=right.signed))
        known, titles = known_edges(session), self._contest.titles()
        rivals = self._contest.same_model(front, right.ticks) if known else ()
        rows = self._areas.rows([(titles[one.id], one) for one in rivals], known)
        self._middle.judge.tell(verdict, rows)
        self._middle.judge.set_able(self.why_not_now, running=self.job is not None)

    def _verdict(self, held: dict[str, Analysis]) -> Verdict | None:
        try:
            return verdict_of(held)
        except InputError:  # damaged, or of another version: as if nobody had judged
            return None
