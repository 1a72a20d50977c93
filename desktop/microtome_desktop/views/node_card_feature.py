"""What the card of a node says of a feature: the words it moves, and the edits one click away."""

from __future__ import annotations

from functools import partial

from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.feature_edits import is_feature, words_of
from microtome_desktop.presenters.feature_nodes import examples_text
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.panel import PanelContext

_ID = CommandId
_ACTS = (
    (_ID.FEATURE_ABLATE, "Ablate"), (_ID.FEATURE_SCALE, "Scale"), (_ID.FEATURE_SET, "Set"),
    (_ID.FEATURE_STEER, "Steer"),
)  # fmt: skip


class FeaturePart(QWidget):
    """Shown for features of a graph, and for groups that hold some."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self.raised, self.lowered = ElidedLabel(), ElidedLabel()
        self.raised.setObjectName("")
        self.lowered.setObjectName("")
        self.raised.setStyleSheet(f"color: {colours.EXCITES};")
        self.lowered.setStyleSheet(f"color: {colours.INHIBITS};")
        self.buttons: dict[CommandId, QPushButton] = {}
        self.examples = ElidedLabel()
        self.full = QPushButton("Card")
        self.full.setObjectName("feature_card_button")
        self.full.clicked.connect(partial(context.do, _ID.FEATURE_CARD))
        row = QHBoxLayout()
        row.setSpacing(6)
        for wanted, title in _ACTS:
            self.buttons[wanted] = button = QPushButton(title)
            button.clicked.connect(partial(context.do, wanted))
            row.addWidget(button, 1)
        row.addWidget(self.full, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self.raised)
        column.addWidget(self.lowered)
        column.addWidget(self.examples)
        column.addLayout(row)

    def tell(self, node: str) -> None:
        """Show the part for a node, or hide it."""
        session = self._context.workspace.session
        group = node.startswith("group/")
        reasons = {wanted: self._context.why_not(wanted) for wanted in self.buttons}
        shown = is_feature(session, node) or (group and not all(reasons.values()))
        self.setVisible(shown)
        if not shown or session is None:
            return
        words = words_of(session, node)
        for label, name in ((self.raised, "raised"), (self.lowered, "lowered")):
            label.setVisible(words is not None)
            held = () if words is None else getattr(words, name)
            told = ", ".join(shown_token(word, 16) for word in held)
            label.setText(f"{'raises' if name == 'raised' else 'lowers'}  {told}")
        reason = self._context.why_not(_ID.FEATURE_CARD)
        self.full.setEnabled(not reason)
        self.full.setToolTip(reason or "Its examples in a text, its figures and label: all of it")
        self.examples.setVisible(not reason)
        self.examples.setText(examples_text(session, node))
        for wanted, button in self.buttons.items():
            button.setEnabled(not reasons[wanted])
            button.setToolTip(reasons[wanted])
