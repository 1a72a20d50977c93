"""See: the image as the model sees it, maps over it, and what speaks for a class."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from microtome.errors import InputError
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis
from microtome.records.seen import evidence_id, maps_id
from microtome.records.session import Session
from microtome.records.units import Unit
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.seeing_requests import (
    ATTRIBUTION_SLOT,
    MapAttribution,
    ReadEvidence,
    ReadMaps,
)
from microtome_desktop.presenters import exports
from microtome_desktop.presenters import seeing as shown
from microtome_desktop.presenters.seeing_python import see_lines
from microtome_desktop.state.arrays import ArrayKey
from microtome_desktop.state.exports import Table
from microtome_desktop.state.seeing import NoEvidence, found, image_of, no_evidence_key
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.elided import TwoLines
from microtome_desktop.views.lazy_rows import LazyColumn
from microtome_desktop.views.map_gallery import MapGallery
from microtome_desktop.views.number_rows import NumberRows
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.run_buttons import RunButton, RunButtons
from microtome_desktop.views.see_bar import SeeBar
from microtome_desktop.views.seen_image import SeenImage
from microtome_desktop.views.sight_outline import sight_outline
from microtome_desktop.views.text_flow import EmptyState

_EVIDENCE = (
    LazyColumn("unit", "unit", "The unit", 70),
    LazyColumn("contribution", "adds", "What it adds to the logit of the class", 56, right=True),
    LazyColumn("value", "activity", "What it does on this image", 56, right=True),
    LazyColumn("weight", "weight", "What a step of it is worth", 56, right=True),
)
_LOW = 300  # pixels


class SeePanel(Panel):
    """The image at the left, maps in the middle, evidence for a class at the right."""

    name = "see"
    title = "See"
    icon = "mdi6.eye-outline"

    def minimumSizeHint(self) -> QSize:
        """As wide as its parts; on a low screen the pictures become smaller."""
        return QSize(super().minimumSizeHint().width(), 120)

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.bar, self.gallery, self.seen = SeeBar(), MapGallery(), SeenImage()
        self.said = TwoLines()
        self.evidence = NumberRows(
            _EVIDENCE, "contribution", "unit", formats={"contribution": "+.3f"},
            signed=("contribution", "weight"),
        )  # fmt: skip
        self.empty, self.pages = EmptyState(), QStackedWidget()
        self._picked = {shown.ATTENTION: "", shown.LENS: ""}
        self._asked: dict[type, object] = {}  # what was asked for last, of each kind of request
        self._offered: tuple[object, ...] = ()
        self._dress()
        self._lay_out()
        self._connect()
        self.show_session()

    def _dress(self) -> None:
        self.evidence.setObjectName("see_evidence")
        self.evidence.setAccessibleName("what each unit adds to the class")

    def _lay_out(self) -> None:
        right, head = QWidget(), QLabel("Evidence for the class")
        head.setObjectName("section")
        last = QVBoxLayout(right)
        last.setContentsMargins(0, 0, 0, 0)
        last.setSpacing(5)
        last.addWidget(head)
        last.addWidget(self.evidence, 1)
        last.addWidget(self.said)
        self.parts = QSplitter(Qt.Orientation.Horizontal)
        self.parts.setChildrenCollapsible(False)
        for at, (part, share) in enumerate(((self.seen, 2), (self.gallery, 5), (right, 3))):
            self.parts.addWidget(part)
            self.parts.setStretchFactor(at, share)
        self.parts.setSizes([160, 410, 260])
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.bar)
        column.addWidget(self.parts, 1)
        self.pages.addWidget(self.empty)
        self.pages.addWidget(whole)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(10, 6, 8, 6)
        outer.addWidget(self.pages)

    def _connect(self) -> None:
        self.buttons = RunButtons(
            self.context,
            RunButton(self.bar.run, ATTRIBUTION_SLOT, CommandId.ATTRIBUTE_IMAGE, "Map",
                      "Compute this attribution map"),
        )  # fmt: skip
        self.bar.changed.connect(self._on_bar)
        self.gallery.chosen.connect(self._on_picture)
        self.evidence.chosen.connect(self._on_evidence)
        self.context.work.changed.connect(self._on_work)
        self.context.workspace.prepared.arrived.connect(self._on_prepared)

    # acts

    def map_attribution(self) -> None:
        """Compute the attribution map that the boxes say. Raises InputError without an image."""
        if self._given is None:
            raise InputError("No image was run.", shown.NO_IMAGE)
        self.bar.choose(shown.ATTRIBUTION)
        self.context.ask(MapAttribution(self.bar.wish))
        self._show()

    def _on_bar(self) -> None:
        self._offer()
        self._show()

    def _on_picture(self, key: str) -> None:
        mode = self.mode
        if mode == shown.ATTRIBUTION:
            self.bar.method.setCurrentIndex(max(0, self.bar.method.findData(key)))
            self._on_bar()
        elif mode == shown.ACTIVITY:
            self.context.selection.update(unit=key)
        else:
            self._picked[mode] = key
            if mode == shown.ATTENTION and key != shown.ROLLOUT:
                self.context.selection.update(unit=key)
            self._show()

    def _on_evidence(self, row: int) -> None:
        held = self._held_evidence()
        if held is not None:
            named = str(held.array("unit")[row])
            if "/" in named:
                self.context.selection.update(unit=named)

    # what there is

    @property
    def mode(self) -> str:
        """The kind of map that is chosen."""
        return str(self.bar.mode.currentData())

    @property
    def _given(self) -> ImageInput | None:
        return image_of(self.context.workspace.session)

    @property
    def _unit(self) -> Unit | None:
        held = self.context.selection.current.unit
        return None if held is None else Unit.parse(held)

    def _held_evidence(self) -> Analysis | None:
        image, score = self._given, self.bar.score
        if image is None:
            return None
        named = evidence_id(image.digest, score.answer, score.wrong)
        return found(self.context.workspace.session, named)

    # what is shown

    def show_session(self) -> None:
        """Another run."""
        self._asked.clear()
        self._offered = ()
        self._picked = dict.fromkeys(self._picked, "")
        self._offer()
        self.restore_once()
        self._show()

    def show_model(self) -> None:
        """What can be asked differs."""
        self._offer()
        self._show()

    def show_part(self, part: str) -> None:
        """A result has arrived."""
        if part.startswith(("analyses/image-maps", "analyses/unit-evidence",
                            "analyses/attribution-map", "analyses/logit-lens")):  # fmt: skip
            self._show()

    def show_array(self, key: ArrayKey) -> None:
        """Patterns were read from the file."""
        if key.site == "pattern":
            self._show()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Follow the selected unit, also into another layer."""
        if "unit" not in changed:
            return
        unit = self._unit
        if unit is not None and self.mode == shown.ACTIVITY:
            at = self.bar.layer.findText(unit.layer)
            if at >= 0:
                self.bar.layer.setCurrentIndex(at)
        self._show()

    def showEvent(self, event: QShowEvent) -> None:
        """Ask for what only matters when it is seen."""
        super().showEvent(event)
        self._offer()
        self._show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where it is low the maps have the room: the image is in the prompt's panel too."""
        super().resizeEvent(event)
        self.seen.setVisible(event.size().height() > _LOW)

    def _on_work(self, *_: object) -> None:
        self.context.later((self, "work"), self.buttons.show)

    def _on_prepared(self, key: object) -> None:
        if isinstance(key, tuple) and key[:1] in {("sight",), ("no evidence",)}:
            self.context.later((self, "sight"), self.show_model)

    def _offer(self) -> None:
        """Layers and classes to choose from."""
        session = self.context.workspace.session
        outline = sight_outline(self.context, ask=self.isVisible())
        if outline is None or session is None:
            return
        names = [layer.name for layer in outline.mapped]
        if self.mode == shown.ATTENTION:
            names = [f"layer {at}" for at in range(session.model.n_layers)]
        elif self.mode == shown.ATTRIBUTION:
            names = [layer.name for layer in outline.mapped if layer.kind != "head"]
        kept: tuple[object, ...] = (session.uuid, tuple(names), outline.classes)
        if kept != self._offered:
            again = self._offered[:1] != kept[:1] or self._offered[2:] != kept[2:]
            self._offered = kept
            self.bar.offer_layers(names, "" if self._unit is None else self._unit.layer)
            if again:
                self.bar.offer_classes(outline.classes, shown.asked_classes(session))
        self.seen.steps.setText(", ".join(outline.steps).capitalize())

    def _show(self) -> None:
        image, session = self._given, self.context.workspace.session
        self.buttons.show()
        if image is None or session is None:
            self.pages.setCurrentIndex(0)
            sees = session is not None and session.model.sees
            no_image = sees or session is None
            self.empty.tell("See what a model sees", shown.NO_IMAGE if no_image else shown.NO_SIGHT)
            return
        self.pages.setCurrentIndex(1)
        self.seen.show_image(image, shown.answers(session))
        self.gallery.show_gallery(image.values, self._gallery(session, image))
        self._show_evidence()

    def _gallery(self, session: Session, image: ImageInput) -> shown.Gallery:
        if self.mode == shown.ACTIVITY:
            return self._activity(session, image)
        if self.mode == shown.ATTRIBUTION:
            return shown.attributions(session, self.bar.wish)
        grid = None if session.clean is None else shown.patch_grid(session.clean.tokens)
        if grid is None:
            return shown.Gallery(lacking="This model reads the image whole: it has no patches.")
        if self.mode == shown.LENS:
            held = found(session, "logit-lens")
            if held is None:
                return shown.Gallery(lacking="The session holds no logit lens.")
            answer = str(session.metric.get("answer", "the answer"))
            return shown.lens(held, grid, answer, self._picked[shown.LENS])
        return self._attention(grid)

    def _activity(self, session: Session, image: ImageInput) -> shown.Gallery:
        layer = self.bar.layer.currentText()
        held = found(session, maps_id(image.digest, layer)) if layer else None
        if held is not None:
            return shown.activity(held, layer, self._unit)
        if self.context.workspace.offline:
            return shown.Gallery(lacking="The session holds no maps of this layer.")
        if layer:
            self._ask((image.digest, layer), ReadMaps(layer))
        return shown.Gallery(lacking=shown.NOT_YET)

    def _attention(self, grid: tuple[int, int]) -> shown.Gallery:
        layer, wanted = max(0, self.bar.layer.currentIndex()), self._picked[shown.ATTENTION]
        unit, workspace = self._unit, self.context.workspace
        if not wanted and unit is not None and unit.layer == f"z.{layer}":
            wanted = str(unit)
        return shown.attention_in(workspace.session, workspace.arrays, grid, layer, wanted)

    def _show_evidence(self) -> None:
        held = self._held_evidence()
        if held is None:
            self.evidence.show_values({})
            self._lack_evidence()
            return
        self.evidence.show_values({column.key: held.array(column.key) for column in _EVIDENCE})
        self.said.setText(shown.evidence_text(held))
        self.said.setToolTip(shown.evidence_text(held))
        rows = np.flatnonzero(held.array("unit") == self.context.selection.current.unit)
        self.evidence.mark(int(rows[0]) if len(rows) else None)

    def _lack_evidence(self) -> None:
        """Say why there is none, or ask for it."""
        image, score = self._given, self.bar.score
        key = None if image is None else no_evidence_key(image.digest, score)
        lacking = self.context.workspace.prepared.get(key)
        text = lacking.reason if isinstance(lacking, NoEvidence) else ""
        self.said.setText(text)
        self.said.setToolTip(text)
        if image is not None and not text and self.bar.answer.count():
            self._ask((image.digest, score), ReadEvidence(score))

    def _ask(self, key: object, request: ReadMaps | ReadEvidence) -> None:
        """Ask for what is looked at and not there; of a kind the newest takes the others' place."""
        if not (self.isVisible() and self._offered) or self.context.workspace.offline:
            return  # nobody looks, or the boxes still hold layers and classes of another model
        if self._asked.get(type(request)) != key:
            self._asked[type(request)] = key
            self.context.ask(request)

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """What is chosen in the boxes."""
        return {"mode": self.mode, "layer": self.bar.layer.currentText(),
                "method": str(self.bar.method.currentData())}  # fmt: skip

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set the boxes as a session was saved."""
        if held.get("mode") in dict(shown.MODES):
            self.bar.choose(str(held["mode"]))
        at = self.bar.method.findData(held.get("method"))
        self.bar.method.setCurrentIndex(max(0, at))
        self._offer()
        if isinstance(held.get("layer"), str):
            self.bar.layer.setCurrentIndex(max(0, self.bar.layer.findText(held["layer"])))

    def exported_table(self) -> Callable[[], Table] | str:
        """The map that is shown, place by place; without one the evidence."""
        main, held = self.gallery.main, self._held_evidence()
        if self._given is None:
            return exports.NO_RUN if self.context.workspace.session is None else shown.NO_IMAGE
        if main is not None:
            return partial(shown.map_table, main)
        return shown.NO_IMAGE if held is None else partial(shown.evidence_table, held)

    def exported_lines(self) -> tuple[str, ...] | str:
        """What is shown, asked again."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        if self._given is None:
            return shown.NO_IMAGE
        layer = self.bar.layer.currentText()
        return see_lines(session, self.context.workspace.path, self.mode, layer, self.bar.wish)
