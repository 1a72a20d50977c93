"""Where the selected unit of a model that sees is active, and the strongest units of its layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QSignalBlocker
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from microtome.prompts import ImageInput
from microtome.records.seen import SightOutline, maps_id
from microtome.records.session import Session
from microtome.records.units import Unit
from microtome_desktop.jobs.seeing_requests import ReadUnitMaps
from microtome_desktop.presenters import seeing as shown
from microtome_desktop.presenters.seeing_python import see_lines
from microtome_desktop.presenters.unit_heatmap import best_unit
from microtome_desktop.presenters.unit_maps import (
    chosen_unit,
    layer_names,
    unit_names,
    without_places,
)
from microtome_desktop.state.exports import Table
from microtome_desktop.state.seeing import AttributionWish, ClassWish, found, image_of
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.map_gallery import MapGallery
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.sight_outline import sight_outline

_HEADING = "Where the selected unit is active"
_NO_MAP = "Select a unit whose map is shown."


class UnitMaps(QWidget):
    """Follows and sets the selected unit; its maps it asks for when it is seen."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._unit: Unit | None = None
        self._names: tuple[str, ...] = ()
        self._asked: object = None
        self.layer, self.unit = Choice(), Choice()
        self.layer.setObjectName("unit_maps_layer")
        self.unit.setObjectName("unit_maps_unit")
        self.layer.setAccessibleName("layer of the unit")
        self.unit.setAccessibleName("unit")
        self.heading = ElidedLabel()
        self.heading.setText(_HEADING)
        self.gallery = MapGallery("unit_maps")
        choice = QHBoxLayout()
        choice.addWidget(self.layer)
        choice.addWidget(self.unit, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(choice)
        column.addWidget(self.heading)
        column.addWidget(self.gallery, 1)
        self.layer.activated.connect(self._on_layer)
        self.unit.activated.connect(self._on_unit)
        self.gallery.chosen.connect(self._on_picture)
        context.workspace.prepared.arrived.connect(self._on_prepared)

    def _on_layer(self, at: int) -> None:
        """Select the unit of a layer that adds most."""
        session, layer = self._context.workspace.session, self._names[at]
        circuit = None if session is None else session.circuit
        best = None if circuit is None else best_unit(circuit, (layer,))
        self._context.selection.update(unit=best or str(Unit(layer, 0)))

    def _on_unit(self, at: int) -> None:
        if self._unit is not None:
            self._context.selection.update(unit=str(Unit(self._unit.layer, at)))

    def _on_picture(self, key: str) -> None:
        self._context.selection.update(unit=key)

    def _on_prepared(self, key: object) -> None:
        if isinstance(key, tuple) and key[:1] == ("sight",):
            self._context.later((self, "sight"), self.show_unit)

    def showEvent(self, event: QShowEvent) -> None:
        """Ask for what only matters when it is seen."""
        super().showEvent(event)
        self.show_unit()

    def show_unit(self) -> None:
        """Draw the map of the selected unit; nothing where no image was run."""
        session = self._context.workspace.session
        image = image_of(session)
        if session is None or image is None:
            return
        outline = sight_outline(self._context, ask=self.isVisible())
        wanted = self._context.selection.current.unit
        self._unit = chosen_unit(session, outline, wanted)
        self._offer(session, outline)
        self.gallery.show_gallery(image.values, self._gallery(session, image))

    def exported_table(self) -> Callable[[], Table] | str:
        """The map that is shown large, place by place."""
        main = self.gallery.main
        return _NO_MAP if main is None else partial(shown.map_table, main)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The maps of the layer."""
        session = self._context.workspace.session
        if session is None or self.gallery.main is None:
            return _NO_MAP
        layer, wish = self.layer.currentText(), AttributionWish("", ClassWish(0))
        return see_lines(session, self._context.workspace.path, shown.ACTIVITY, layer, wish)

    def _offer(self, session: Session, outline: SightOutline | None) -> None:
        unit, self._names = self._unit, layer_names(session, outline)
        for box, names, at in (
            (self.layer, self._names, self._names.index(unit.layer)
             if unit is not None and unit.layer in self._names else -1),
            (self.unit, unit_names(session, outline, unit), -1 if unit is None else unit.index),
        ):  # fmt: skip
            if names != tuple(box.itemText(row) for row in range(box.count())):
                with QSignalBlocker(box):
                    box.clear()
                    box.addItems(names)
            box.setCurrentIndex(at)

    def _gallery(self, session: Session, image: ImageInput) -> shown.Gallery:
        unit = self._unit
        if unit is None:
            return shown.Gallery(lacking="Select a unit: in the circuit, or in the map above.")
        held = found(session, maps_id(image.digest, unit.layer))
        if held is not None:
            if lacking := without_places(held, unit):
                return shown.Gallery(lacking=lacking)
            return shown.activity(held, unit.layer, unit)
        if self._context.workspace.offline or self._context.workspace.model is None:
            return shown.Gallery(lacking="The session holds no maps of this layer.")
        self._ask((session.uuid, image.digest), unit.layer)
        return shown.Gallery(lacking=shown.NOT_YET)

    def _ask(self, of: tuple[str, str], layer: str) -> None:
        """Ask once for what is looked at; what was asked before and replaced is asked again."""
        key = (of, layer)
        if self.isVisible() and key != self._asked:
            self._asked = key
            self._context.ask(ReadUnitMaps(layer))
