"""The feature space: the PCA of a site over a prompt set, to orbit and to pick from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.jobs.requests import ProjectSite, space_needs
from microtome_desktop.presenters import as_python, exports
from microtome_desktop.presenters.sizes import bytes_text
from microtome_desktop.presenters.space import (
    ColourBy,
    Space,
    colourings,
    projections,
    space,
)
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.opengl import opengl_problem
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.space_flat import FlatSpace
from microtome_desktop.views.space_view import SpaceView

_PATIENCE_MS = 400  # how long the last points stay while a run computes the next
_SITES = ("resid_post", "resid_mid", "attn_out", "mlp_out")


class FeatureSpacePanel(Panel):
    """Shows where tokens lie in a site's space; a click selects the token or the prompt."""

    name = "feature_space"
    title = "Feature space"
    icon = "mdi6.scatter-plot-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.drawing: Space | None = None
        self._emptying = QTimer(self, singleShot=True, interval=_PATIENCE_MS)
        self._emptying.timeout.connect(self._show_empty)
        self.site = Choice()
        self.site.setObjectName("space_site")
        self.colour_by = Choice()
        self.colour_by.setObjectName("space_colour")
        self.compute = QPushButton("Project")
        self.compute.setObjectName("space_project")
        self.view = self._make_view()
        self.legend = QLabel()
        self.legend.setObjectName("legend")
        self.legend.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.legend.setMinimumHeight(40)  # what does not fit is cut off below
        self.caption = ElidedLabel()
        self._lay_out()
        self.site.activated.connect(self._on_choice)
        self.colour_by.activated.connect(self._on_choice)
        self.compute.clicked.connect(self._on_compute)
        self.view.hovered.connect(self._on_hover)
        self.view.clicked.connect(self._on_click)
        self.show_session()

    def _make_view(self) -> SpaceView:
        if opengl_problem():
            return FlatSpace()
        # Imported here: vispy takes a third of a second that a machine without OpenGL saves.
        from microtome_desktop.views.space_solid import SolidSpace

        return SolidSpace()

    def _lay_out(self) -> None:
        choice = QHBoxLayout()
        choice.addWidget(QLabel("PCA of"))
        choice.addWidget(self.site, 1)
        by = QLabel("coloured by")
        by.setMinimumWidth(12)  # gives way first
        choice.addWidget(by)
        choice.addWidget(self.colour_by)
        choice.addWidget(self.compute)
        middle = QHBoxLayout()
        middle.addWidget(self.view, 1)
        middle.addWidget(self.legend)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 4, 6, 6)
        layout.addLayout(choice)
        layout.addLayout(middle, 1)
        layout.addWidget(self.caption)

    def _on_choice(self, index: int) -> None:
        self._draw()

    def _on_compute(self) -> None:
        self.context.ask(ProjectSite(self.site.currentData()))

    def _on_hover(self, point: int) -> None:
        if self.drawing is None or point < 0:
            QToolTip.hideText()
            return
        QToolTip.showText(QCursor.pos(), self.drawing.descriptions[point], self)

    def _on_click(self, point: int) -> None:
        if self.drawing is None or point < 0:
            self.context.selection.update(prompt=None)
            return
        prompt = int(self.drawing.prompts[point])
        self.context.selection.update(
            position=int(self.drawing.positions[point]), prompt=prompt if prompt >= 0 else None
        )

    def view_state(self) -> dict[str, Any]:
        """The chosen site and colouring."""
        return {"site": self.site.currentData(), "colour": self.colour_by.currentText()}

    def restore_view(self, held: dict[str, Any]) -> None:
        """Choose what a session was saved with, where it is offered."""
        for box, data in ((self.site, held.get("site")), (self.colour_by, held.get("colour"))):
            box.clear()
            box.addItem(str(data), data)  # stays chosen when the real entries are offered

    def exported_table(self) -> Callable[[], Table] | str:
        """The points with their labels."""
        session, site = self.context.workspace.session, self.site.currentData()
        if session is None or self.drawing is None:
            return exports.NO_RUN if session is None else "Press Project first."
        return partial(exports.space_table, session, site)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The projection."""
        session, site = self.context.workspace.session, self.site.currentData()
        if session is None or self.drawing is None:
            return exports.NO_RUN if session is None else "Press Project first."
        points = int((self.drawing.prompts >= 0).sum())
        return as_python.space_lines(session, site, points == 0, points)

    def show_session(self) -> None:
        """Offer the sites and draw the chosen projection."""
        self.restore_once()
        session = self.context.workspace.session
        held = {str(a.params.get("site", "")) for a in projections(session)}
        layers = range(session.model.n_layers) if session is not None else ()
        names = [f"{site}.{layer}" for site in _SITES for layer in layers]
        before = self.site.currentData()
        self.site.clear()
        for name in sorted({*names, *held}, key=_site_order):
            self.site.addItem(name if name in held else f"{name}  (not computed)", name)
        wanted = self.site.findData(before if before in held else next(iter(sorted(held)), None))
        self.site.setCurrentIndex(wanted)
        self.show_model()
        self._draw()

    def show_part(self, part: str) -> None:
        """Show a projection that has arrived."""
        if part.startswith("analyses/projection/"):
            self.site.addItem("", part.removeprefix("analyses/projection/"))
            self.site.setCurrentIndex(self.site.count() - 1)  # kept when the list is made anew
            self.show_session()

    def show_model(self) -> None:
        """Allow new projections only with the session's model."""
        offline = self.context.workspace.offline
        self.compute.setEnabled(not offline)
        reason = "Needs the model: attach it to project other sites."
        self.compute.setToolTip(reason if offline else self._compute_tip())

    def _compute_tip(self) -> str:
        tip, site = "Project this site over the prompt set", self.site.currentData()
        context = self.context
        points = context.settings.points
        held = site and space_needs(site, points, context.workspace, context.library)
        return tip if not held else f"{tip}: takes about {bytes_text(held)} of memory"

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Ring the tokens that are selected."""
        if changed & {"position", "prompt"}:
            self._highlight(selected)

    def _draw(self) -> None:
        session, site = self.context.workspace.session, self.site.currentData()
        found = [a for a in projections(session) if a.params.get("site") == site]
        if not found and self.drawing is None:
            self._say_why_empty(site)
            return
        if not found:
            self.drawing = None
            self._emptying.start()  # in a run the next one comes at once
            return
        self._emptying.stop()
        self._offer_colourings(colourings(found[0]))
        by = ColourBy(self.colour_by.currentText() or ColourBy.POSITION)
        self.drawing = space(found[0], by)
        self.view.show_space(self.drawing)
        rows = (
            f'<span style="color:{colour}">\N{BLACK CIRCLE}</span> {_escaped(text)}'
            for colour, text in self.drawing.legend
        )
        self.legend.setText("<br>".join(rows))
        self._highlight(self.context.selection.current)

    def _show_empty(self) -> None:
        self.view.show_space(None)
        self.legend.setText("")
        self._say_why_empty(self.site.currentData())

    def _say_why_empty(self, site: str | None) -> None:
        empty = "Run a prompt to see its feature space."
        missing = f"{site} was not projected yet: press Project."
        self.caption.setText(empty if site is None else missing)

    def _offer_colourings(self, offered: tuple[ColourBy, ...]) -> None:
        before = self.colour_by.currentText()
        self.colour_by.clear()
        self.colour_by.addItems([str(by) for by in offered])
        self.colour_by.setCurrentIndex(max(0, self.colour_by.findText(before)))

    def _highlight(self, selected: Selected) -> None:
        if self.drawing is None:
            return
        prompt = -1 if selected.prompt is None else selected.prompt
        hits = (self.drawing.prompts == prompt) & (self.drawing.positions == selected.position)
        self.view.highlight(np.flatnonzero(hits))
        parts = (self.drawing.caption, self.view.drawn_note(), _flat_reason())
        self.caption.setText(" · ".join(part for part in parts if part))


def _flat_reason() -> str:
    problem = opengl_problem()
    return f"flat, because {problem}" if problem else ""


def _site_order(name: str) -> tuple[str, int]:
    site, _, layer = name.partition(".")
    return site, int(layer or 0)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
