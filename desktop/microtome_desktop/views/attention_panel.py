"""Attention: all heads of a layer as small maps, one of them large with its tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QPoint, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from microtome.records.pattern import HeadPattern
from microtome.records.session import Session
from microtome_desktop.jobs.edit_requests import WHOLE
from microtome_desktop.presenters import as_python, as_python_edits, exports
from microtome_desktop.presenters.attention import (
    SELF,
    Kind,
    attention_grid,
    detector_labels,
    head_maps,
    head_pattern,
    kinds_of,
    layers_with_patterns,
)
from microtome_desktop.presenters.heatmaps import Grid, Missing
from microtome_desktop.presenters.unit_maps import shows_units
from microtome_desktop.presenters.with_edits import Side, attention_change, sided
from microtome_desktop.state.arrays import ArrayKey
from microtome_desktop.state.edit_places import head_place
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.edit_menu import offer_edits
from microtome_desktop.views.grid_plot import GridPlot
from microtome_desktop.views.head_thumbnails import HeadThumbnails
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.side_choice import SideChoice
from microtome_desktop.views.unit_maps import UnitMaps

_HEADS = 0.4  # of the panel's height, at most, for all heads


class _Pages(QStackedWidget):
    """Only the page in front asks for room."""

    def minimumSizeHint(self) -> QSize:
        """That of the page in front."""
        front = self.currentWidget()
        return QSize() if front is None else front.minimumSizeHint()


class AttentionPanel(Panel):
    """Shows where the heads of a layer look; follows and sets the selected head and tokens."""

    name = "attention"
    title = "Attention pattern"
    icon = "mdi6.eye-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.kind = Choice()
        self.kind.setObjectName("attention_kind")
        self.layer = Choice()
        self.layer.setObjectName("attention_layer")
        self.head = Choice()
        self.head.setObjectName("attention_head")
        self.side = SideChoice("attention_side")
        self.thumbnails = HeadThumbnails()
        self.map = GridPlot("attention pattern", top_down=True, bar=False)
        self._shown = (0, 0)
        self._pattern: HeadPattern | None = None  # what is drawn
        choice = QHBoxLayout()
        choice.addWidget(self.kind)
        choice.addWidget(self.layer)
        choice.addWidget(self.head, 1)
        choice.addWidget(self.side)
        patterns, self.units = QWidget(), UnitMaps(context)
        layout = QVBoxLayout(patterns)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(choice)
        self._heads = QScrollArea()  # a layer of 32 heads is higher than its panel
        self._heads.setWidgetResizable(True)
        self._heads.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._heads.setWidget(self.thumbnails)
        self._heads.viewport().setAutoFillBackground(False)
        self.thumbnails.setAutoFillBackground(False)
        layout.addWidget(self._heads)
        layout.addWidget(self.map, 1)
        self.pages = _Pages()  # a model that reads an image whole has units, no heads
        self.pages.addWidget(patterns)
        self.pages.addWidget(self.units)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(10, 4, 6, 6)
        whole.addWidget(self.pages)
        self.kind.activated.connect(self._on_kind)
        self.side.activated.connect(self._on_kind)
        self.layer.activated.connect(self._on_layer)
        self.head.activated.connect(self._on_head)
        self.thumbnails.head_clicked.connect(self._on_head)
        self.thumbnails.menu_asked.connect(self._on_head_menu)
        self.map.menu_asked.connect(self._on_map_menu)
        self.map.cell_clicked.connect(self._on_cell)
        self.show_session()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The large map keeps the larger part."""
        self._share()
        super().resizeEvent(event)

    def _share(self) -> None:
        whole = self.thumbnails.heightForWidth(self._heads.viewport().width())
        room = max(self.thumbnails.heightForWidth(10_000), round(_HEADS * self.height()))
        self._heads.setFixedHeight(min(whole, room))

    @property
    def _kind(self) -> Kind:
        """The kind of attention that is chosen."""
        offered = kinds_of(self.context.workspace.session)
        return offered[self.kind.currentIndex()] if self.kind.currentIndex() > 0 else SELF

    def _on_kind(self, index: int) -> None:
        self.show_session()

    def _on_layer(self, index: int) -> None:
        self._choose(self._layers()[index], self._shown[1])

    def _on_head(self, head: int) -> None:
        self._choose(self._shown[0], head)

    def _choose(self, layer: int, head: int) -> None:
        """Select a head; those of an encoder and of cross-attention are this panel's alone."""
        if self._kind is SELF:
            self.context.selection.update(layer=layer, head=head, node=None)
        else:
            self._draw(layer, head)

    def _on_cell(self, query: int, key: int) -> None:
        layer, head = self._shown
        if self._kind is SELF:
            self.context.selection.update(position=key, layer=layer, head=head)
        elif not self._kind.from_source:
            self.context.selection.update(position=query)

    def _on_head_menu(self, head: int, at: QPoint) -> None:
        if self._kind is SELF:
            offer_edits(self.context, (head_place(self._shown[0], head),), at, self)

    def _on_map_menu(self, _row: int, _column: int, at: QPoint) -> None:
        self._on_head_menu(self._shown[1], at)

    def exported_table(self) -> Callable[[], Table] | str:
        """The pattern of the head, or the map of the unit, that is shown large."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        if self._of_units:
            return self.units.exported_table()
        shown, side = (*self._shown, self._pattern, self._kind), self.side.side
        return partial(exports.attention_table, session, *shown, side)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The pattern, or the maps of the layer."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        if self._of_units:
            return self.units.exported_lines()
        if self.side.side is not Side.WITHOUT:
            return as_python_edits.SIDED
        return as_python.attention_lines(session, *self._shown, self._kind.site)

    def show_session(self) -> None:
        """Offer the session's layers and draw the selected head."""
        self._mark_groups()
        self._offer_kinds()
        self.side.follow(self.context.workspace.session)
        layers = self._layers()
        self.layer.clear()
        self.layer.addItems([f"Layer {layer}" for layer in layers])
        selected = self.context.selection.current
        wanted = (selected.layer, selected.head) if self._kind is SELF else self._shown
        layer = wanted[0] if wanted[0] in layers else self._best_layer(layers)
        self._draw(layer, wanted[1] or 0)
        self.pages.setCurrentIndex(int(self._of_units))
        self.units.show_unit()

    @property
    def _of_units(self) -> bool:
        return shows_units(self.context.workspace.session)

    def _offer_kinds(self) -> None:
        """A choice where there is one: an encoder, a decoder, and how that looks at it."""
        titles = tuple(kind.title for kind in kinds_of(self.context.workspace.session))
        if titles != tuple(self.kind.itemText(row) for row in range(self.kind.count())):
            chosen = self.kind.currentText()
            self.kind.clear()
            self.kind.addItems(titles)
            self.kind.setCurrentIndex(max(0, self.kind.findText(chosen)))
        self.kind.setVisible(len(titles) > 1)

    def show_part(self, part: str) -> None:
        """Draw again when the run or the head scores changed."""
        if part == "marks":
            self._mark_groups()
        if part in {"traces", "analyses/head-scores", WHOLE}:
            self.show_session()
        elif part == "circuit" or part.startswith("analyses/image-maps"):
            self.units.show_unit()

    def show_array(self, key: ArrayKey) -> None:
        """Draw again when a pattern was read from the file, or computed."""
        if key.site == self._kind.site and key.layer == self._shown[0]:
            self._draw(*self._shown)

    def show_model(self) -> None:
        """With its model the patterns of a long prompt can be computed again."""
        if self._pattern is None:
            self.show_session()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Follow the selected layer, head and token."""
        layers = self._layers() if self._kind is SELF else ()
        if changed & {"layer", "head"} and selected.layer in layers:
            head = self._shown[1] if selected.head is None else selected.head
            self._draw(selected.layer, head)
        elif changed & {"position"}:
            self._mark(selected.position)
        if "unit" in changed and self._of_units:
            self.units.show_unit()

    def _best_layer(self, layers: tuple[int, ...]) -> int:
        return layers[-1] if layers else 0

    def _layers(self) -> tuple[int, ...]:
        workspace = self.context.workspace
        return layers_with_patterns(workspace.session, offline=workspace.offline, kind=self._kind)

    def _draw(self, layer: int, head: int) -> None:
        workspace, session = self.context.workspace, self.context.workspace.session
        kind = self._kind
        before, self._pattern, self._shown = self._pattern, None, (layer, head)
        if session is None or session.clean is None:
            self.thumbnails.show_maps(())
            self.head.clear()
            self.map.show_grid(None, "Run a prompt to see where heads look.")
            return
        seen, arrays = sided(session, workspace.arrays, self.side.side)
        offline = workspace.offline
        found = head_pattern(seen, arrays, layer, head, offline=offline, kind=kind)
        if isinstance(found, Missing):
            self.map.show_grid(None, found.reason)
            neighbours = before is not None and before.layer == layer
            if not neighbours:
                self.thumbnails.show_maps(())
                self.head.clear()
            elif before is not None:  # the small maps hold for the whole layer
                self.thumbnails.select(head)
                self._name_heads(layer, len(before.heads))
            return
        self._pattern, self._shown = found, (layer, found.head)
        self.thumbnails.show_maps(head_maps(seen, found, kind))
        self._share()
        self.thumbnails.select(found.head)
        self._name_heads(layer, len(found.heads))
        self._show_map(session, found)
        self._mark(self.context.selection.current.position)

    def _show_map(self, session: Session, found: HeadPattern) -> None:
        kind, side = self._kind, self.side.side
        grid: Grid | Missing = attention_grid(session, found, kind)
        if side is Side.DIFFERENCE and isinstance(grid, Grid):
            place = (found.layer, found.head)
            grid = attention_change(grid, session, self.context.workspace.arrays, place, kind)
        if isinstance(grid, Missing):
            self.map.show_grid(None, grid.reason)
        else:
            said = grid.title if side is not Side.WITH else f"{grid.title}, {side}"
            self.map.show_grid(grid, said)

    def _mark_groups(self) -> None:
        groups = self.group_colours
        self.map.mark_groups(groups, groups)  # tokens look at tokens

    def _name_heads(self, layer: int, count: int) -> None:
        session, layers = self.context.workspace.session, self._layers()
        self.layer.setCurrentIndex(layers.index(layer) if layer in layers else -1)
        self.head.clear()
        for head in range(count):
            found = () if session is None else detector_labels(session, layer, head, self._kind)
            names = " · ".join(name for name, _ in found)
            self.head.addItem(f"Head {head} · {names}" if names else f"Head {head}")
        self.head.setCurrentIndex(self._shown[1])

    def _mark(self, position: int | None) -> None:
        """Frame the row of the token that looks."""
        grid = self.map.grid
        inside = position is not None and grid is not None and position < len(grid.rows)
        inside = inside and not self._kind.from_source
        self.map.mark(position if inside else None, None)
