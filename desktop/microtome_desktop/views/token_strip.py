"""The prompt's tokens along the top of the centre, coloured by a chosen quantity."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
from PySide6.QtCore import QPoint, QSize, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from microtome.records.marks import Marks
from microtome.records.run_codes import RunCodes
from microtome_desktop import palette as colours
from microtome_desktop.jobs.at_step import AtStep
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.presenters import as_python, exports
from microtome_desktop.presenters.checkpoints import place_of, stops
from microtome_desktop.presenters.feature_python import activation_lines
from microtome_desktop.presenters.patches import patch_grid
from microtome_desktop.presenters.point_groups import token_colours, token_groups
from microtome_desktop.presenters.strip import Colouring, Strip, feature_shown, strip
from microtome_desktop.state.arrays import ArrayKey
from microtome_desktop.state.edit_places import token_place
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.card import EXPORT_TIP, tiny_button
from microtome_desktop.views.checkpoint_slider import CheckpointSlider
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.edit_menu import offer_edits
from microtome_desktop.views.elided import ElidedLabel, WholeLabel
from microtome_desktop.views.image_strip import ImageStrip
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.run_codes import run_codes
from microtome_desktop.views.token_chips import Chip, TokenChips

_LOW = 84  # pixels of height, for a text
_STRONGEST = 0.72  # how much of the accent the strongest token gets


class TokenStrip(Panel):
    """Shows the tokens; a click selects a position."""

    name = "token_strip"
    title = "Tokens"
    icon = "mdi6.format-letter-spacing"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.drawing: Strip | None = None
        self.chips = TokenChips("tokens of the run")
        self.image = ImageStrip()  # in their place for a run on an image
        self.colour_by = Choice()
        self.colour_by.setObjectName("strip_colour")
        self.colour_by.addItems([str(by) for by in Colouring])
        self.explanation = ElidedLabel("Run a prompt to see its tokens.")
        self.training = CheckpointSlider()
        self.export = tiny_button(EXPORT_TIP)  # the strip has no title bar
        self._lay_out()
        self.colour_by.currentIndexChanged.connect(self._on_colouring)
        for tokens in (self.chips, self.image):
            tokens.clicked.connect(self._on_click)
            tokens.hovered.connect(self._on_hover)
            tokens.menu_asked.connect(self._on_menu)
        self.training.step_asked.connect(self._on_step)
        context.library.changed.connect(self._on_library)
        context.workspace.prepared.arrived.connect(self._on_prepared)
        self.show_model()
        self.show_session()

    def _lay_out(self) -> None:
        self.area = QScrollArea()
        self.area.setObjectName("clear")
        self.area.setWidget(self.chips)
        self.area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.chips.setObjectName("clear")
        self.area.viewport().setAutoFillBackground(False)
        self.area.setFixedHeight(42)
        above = QHBoxLayout()
        label = WholeLabel("Tokens coloured by")
        label.setObjectName("dim")
        label.setMinimumWidth(40)
        above.addWidget(label)
        above.addWidget(self.colour_by)
        above.addWidget(self.explanation, 1)
        above.addWidget(self.training)
        above.addWidget(self.export)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 4)
        layout.setSpacing(4)
        layout.addLayout(above)
        layout.addWidget(self.area)
        layout.addWidget(self.image)
        self.image.hide()

    def sizeHint(self) -> QSize:
        """Low for a text; an image takes the height that it needs."""
        wanted = super().sizeHint()
        return QSize(wanted.width(), _LOW) if self._on_text else wanted

    def minimumSizeHint(self) -> QSize:
        """As high as it is to be."""
        return QSize(super().minimumSizeHint().width(), self.sizeHint().height())

    @property
    def _by(self) -> Colouring:
        return Colouring(self.colour_by.currentText())

    def _on_colouring(self, index: int) -> None:
        self.show_session()

    def _on_click(self, column: int) -> None:
        self.context.selection.update(position=column, prompt=None)

    def _on_menu(self, column: int, at: QPoint) -> None:
        session = self.context.workspace.session
        place = None if session is None else token_place(session, column)
        offer_edits(self.context, () if place is None else (place,), at, self)

    def _on_hover(self, column: int) -> None:
        self.context.selection.update(hovered_position=column if column >= 0 else None)

    def exported_table(self) -> Callable[[], Table] | str:
        """The tokens and what they are coloured by."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        selected = self.context.selection.current
        return partial(exports.tokens_table, session, self._by, selected, self._codes(ask=False))

    def exported_lines(self) -> tuple[str, ...] | str:
        """The values of the tokens."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        selected = self.context.selection.current
        if self._by is Colouring.FEATURE:
            return activation_lines(session, feature_shown(selected))
        return as_python.tokens_lines(session, self._by, selected)

    def show_session(self) -> None:
        """Draw the tokens of the run."""
        self._offer_steps()
        workspace, selected = self.context.workspace, self.context.selection.current
        session, by = workspace.session, Colouring(self.colour_by.currentText())
        self.drawing = None
        if session is not None:
            offline, codes = workspace.offline, self._codes(ask=True)
            self.drawing = strip(
                session, workspace.arrays, by, selected, offline=offline, codes=codes
            )
        run = None if session is None else session.clean
        self.area.setVisible(run is None or run.image is None)
        self.image.setVisible(run is not None and run.image is not None)
        self.updateGeometry()
        if self.drawing is None or run is None:
            self.chips.show_rows()
            self.explanation.setText("Run a prompt to see its tokens.")
            return
        chips = _chips(self.drawing, self.context.book.marks)
        self.explanation.setText(self.drawing.explanation)
        if run.image is not None:
            self.image.show_run(run.image, self.drawing, patch_grid(run), chips)
            self.image.select(selected.position)
            return
        self.chips.show_rows(chips)
        self.chips.select(selected.position)

    def _codes(self, *, ask: bool) -> RunCodes | None:
        """What is on in the run by the dictionary of the feature that is shown, if one is."""
        shown = feature_shown(self.context.selection.current)
        if shown is None or self._by is not Colouring.FEATURE:
            return None
        return run_codes(self.context, shown[0], ask=ask)

    def _on_prepared(self, key: object) -> None:
        if isinstance(key, tuple) and key[:1] == ("codes",) and self._by is Colouring.FEATURE:
            self.context.later((self, "codes"), self.show_session)

    def show_model(self) -> None:
        """Offer the training steps of the loaded model; with it, say what a run can bring."""
        self.show_session()

    def _offer_steps(self) -> None:
        workspace = self.context.workspace
        session, model = workspace.session, workspace.model
        made_by = None if session is None else session.model
        held = stops(self.context.library.shelf, model, made_by)
        self.training.show_stops(held, place_of(held, model))

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        if "embedded" in changed:
            self._offer_steps()

    def _on_step(self, name: str) -> None:
        """The question on screen, or else the one that is typed, at another training step."""
        session, text = self.context.workspace.session, self.context.draft.text
        question = session.question if session is not None else None
        if question is None and text.asked:
            question = text.question()
        load = LoadModel(name, self.context.settings.device)
        self.context.ask(load if question is None else AtStep(load, Examine(question)))

    def show_part(self, part: str) -> None:
        """The second run and the circuit bring their colourings, groups of points their marks."""
        if part in {"traces", "circuit", "marks"}:
            self.show_session()

    def show_array(self, key: ArrayKey) -> None:
        """What a colouring waited for has been read."""
        waited = {Colouring.ATTENTION: "pattern", Colouring.NORM: "resid_post"}
        if key.site == waited.get(Colouring(self.colour_by.currentText())):
            self.show_session()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Frame the selected token, and follow the head whose attention is shown."""
        follows = {
            Colouring.ATTENTION: {"layer", "head", "position"},
            Colouring.NORM: {"layer"},
            Colouring.FEATURE: {"feature", "hovered_feature"},
        }
        by = Colouring(self.colour_by.currentText())
        if changed & follows.get(by, set()):
            self.show_session()
        elif "position" in changed:
            (self.chips if self._on_text else self.image).select(selected.position)
        if "position" in changed and selected.position is not None and self.drawing is not None:
            self._reveal(selected.position)

    @property
    def _on_text(self) -> bool:
        session = self.context.workspace.session
        return session is None or session.clean is None or session.clean.image is None

    def _reveal(self, column: int) -> None:
        if self._on_text and self.drawing is not None and column < len(self.drawing.tokens):
            middle = self.chips.column_rect(column).center()
            self.area.ensureVisible(round(middle.x()), round(middle.y()), 60, 0)


def _chips(drawing: Strip, marks: Marks) -> tuple[Chip, ...]:
    groups = token_colours(marks)
    rows = zip(drawing.tokens, drawing.values, drawing.notes, strict=True)
    return tuple(
        Chip(
            text=text,
            fill=(fill := mixed(float(value))),
            ink=colours.ink(fill),
            tip=_tip(position, text, note, drawing, marks if position in groups else None),
            marked=position in drawing.unknown,
            group=groups.get(position, ""),
        )
        for position, (text, value, note) in enumerate(rows)
    )


def _tip(position: int, text: str, note: str, drawing: Strip, marks: Marks | None) -> str:
    known = "\nThe model does not know this word." if position in drawing.unknown else ""
    grouped = f"\n{token_groups(marks, position)}" if marks is not None else ""
    return f"position {position}: {text}\n{note} {drawing.explanation}{known}{grouped}"


def mixed(value: float) -> str:
    """The fill of a value between -1 and 1: raised grey to the accent, or to the warm colour."""
    if np.isnan(value):
        return colours.RAISED
    # A hundred steps are more than the eye tells apart, and a long prompt has thousands of fills.
    full = colours.ACCENT if value >= 0 else colours.INHIBITS
    return _between(colours.RAISED, full, round(min(1.0, abs(value)), 2))


@cache
def _between(grey: str, bright: str, value: float) -> str:
    base, full = QColor(grey), QColor(bright)
    share = _STRONGEST * value

    def between(low: int, high: int) -> int:
        return round((1 - share) * low + share * high)

    return QColor(
        between(base.red(), full.red()),
        between(base.green(), full.green()),
        between(base.blue(), full.blue()),
    ).name()
