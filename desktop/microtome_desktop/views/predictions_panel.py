"""The most probable tokens at the selected position."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.predictions import Prediction, heading, predictions
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.plain_table import PlainTable

_DIFFERENCE_TIP = "Logit on the clean prompt minus logit on the corrupt prompt"
_COLUMNS = (
    ("token", "The most probable tokens"),
    ("p", "Its probability"),
    ("\N{GREEK CAPITAL LETTER DELTA} logit", _DIFFERENCE_TIP),
)
_ROW_HEIGHT = 23


class PredictionsPanel(Panel):
    """A table of tokens, probabilities and what the corrupt prompt changes."""

    name = "predictions"
    title = "Predictions"
    icon = "mdi6.format-list-numbered"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        title = QLabel("Top predictions")
        title.setObjectName("section")
        self.place = ElidedLabel()
        said = "The most probable tokens"
        self.table = PlainTable("predictions_table", said, _COLUMNS, row_height=_ROW_HEIGHT)
        self.table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(title)
        layout.addWidget(self.place)
        layout.addWidget(self.table)
        self.show_session()

    def show_session(self) -> None:
        """Fill the table for the selected position, the last one for none."""
        session = self.context.workspace.session
        position = self.context.selection.current.position
        rows = () if session is None else predictions(session, position)
        self.place.setText(heading(session, position) or "Run a prompt to see what the model says.")
        seen = session is not None and session.model.sees
        if (head := self.table.horizontalHeaderItem(0)) is not None:
            head.setText("class" if seen else "token")
        self.table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            self._fill(number, row)
        # One prompt has nothing to differ from.
        self.table.setColumnHidden(2, all(row.difference is None for row in rows))
        self.table.setFixedHeight(26 + _ROW_HEIGHT * max(1, len(rows)))

    def _fill(self, number: int, row: Prediction) -> None:
        ink = colours.GOOD if row.is_answer else colours.INHIBITS if row.is_wrong else colours.TEXT
        part = "the answer" if row.is_answer else "the wrong answer" if row.is_wrong else ""
        tip = f"logit {row.logit:.3f}{', ' + part if part else ''}"
        difference = row.difference
        change = "" if difference is None else f"{difference:+.2f}"
        tone = colours.TEXT_DIM
        if difference is not None and abs(difference) >= 0.005:
            tone = colours.GOOD if difference > 0 else colours.BAD
        texts = ((row.token, ink), (f"{row.probability:.3f}", colours.TEXT), (change, tone))
        self.table.write(number, texts, (tip, tip, _DIFFERENCE_TIP))
        sign = "mdi6.check" if row.is_answer else "mdi6.close" if row.is_wrong else ""
        self.table.mark(number, sign, part)

    def show_part(self, part: str) -> None:
        """The second run and the metric add columns and marks."""
        if part in {"traces", "metric"}:
            self.show_session()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Show another position."""
        if "position" in changed:
            self.show_session()
