"""Marks the next click of a lesson on the window, and notices lists and tabs that are used."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QRectF, Qt, QTimer
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QComboBox, QPushButton, QScrollArea, QTabBar, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.sweep_map import SweepGrid
from microtome_desktop.state.course import Act, Course, Step
from microtome_desktop.views.attention_panel import AttentionPanel
from microtome_desktop.views.circuit import CircuitPanel
from microtome_desktop.views.discovery_panel import DiscoveryPanel
from microtome_desktop.views.edits_panel import EditsPanel
from microtome_desktop.views.feature_edits_panel import FeatureEditsPanel
from microtome_desktop.views.features_panel import FeaturesPanel
from microtome_desktop.views.heatmap_panel import HeatmapPanel
from microtome_desktop.views.lesson_panel import LessonPanel
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.neuron_panel import NeuronPanel
from microtome_desktop.views.node_card import NodeCardPanel
from microtome_desktop.views.panel import Panel
from microtome_desktop.views.panel_table import PLACES
from microtome_desktop.views.patching_panel import PatchingPanel
from microtome_desktop.views.suite_panel import SuitePanel
from microtome_desktop.views.token_strip import TokenStrip

_EVERY_MS = 120  # how often the mark follows what it marks
_TABS = ("node_card", "neurons", "histogram", "patching", "edits")
_AROUND = 5  # pixels between a target and its mark


class LessonMark(QWidget):
    """A ring over the window that lets the mouse through."""

    def __init__(self, window: MainWindow, course: Course, panels: dict[str, Panel]) -> None:
        super().__init__(window)
        self._window, self._course, self._panels = window, course, panels
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setObjectName("lesson_mark")
        self.hide()
        self._follow = QTimer(self, interval=_EVERY_MS)
        self._follow.timeout.connect(self.place)
        self._brought: QPoint | None = None  # where what is marked lay when it was scrolled to
        self._raised = False  # whether the panel of this step's click was brought to the front
        course.changed.connect(self._on_course)
        for name, box in self._lists().items():
            box.setProperty("lesson_list", name)
            box.textActivated.connect(self._on_list)
        for name in _TABS:
            window.docks[name].setProperty("lesson_tab", name)
            window.docks[name].visibilityChanged.connect(self._on_tab)
        window.centre.came.connect(self._on_came)
        if self._edits is not None:
            self._edits.add.toggled.connect(self._on_add)
            self._edits.pages.currentChanged.connect(self._on_page)
        if self._patching is not None:
            self._patching.asking.found.connect(self._on_found)
        discovery = panels.get("discovery")
        if isinstance(discovery, DiscoveryPanel):
            discovery.asking.found.connect(self._on_circuit)
        neurons = panels.get("neurons")
        if isinstance(neurons, NeuronPanel):
            neurons.as_feature.clicked.connect(self._on_as_feature)
        if self._features is not None:
            self._features.run.sharing.led.connect(self._on_sharer)

    @property
    def _lessons(self) -> Panel | None:
        return self._panels.get("lessons")

    @property
    def _edits(self) -> EditsPanel | None:
        panel = self._panels["edits"]
        return panel if isinstance(panel, EditsPanel) else None

    @property
    def _patching(self) -> PatchingPanel | None:
        panel = self._panels["patching"]
        return panel if isinstance(panel, PatchingPanel) else None

    @property
    def _features(self) -> FeaturesPanel | None:
        panel = self._panels.get("features")
        return panel if isinstance(panel, FeaturesPanel) else None

    def retire(self) -> None:
        """Mark nothing any more, for another mark on other panels."""
        self._follow.stop()
        self._course.changed.disconnect(self._on_course)
        for name in _TABS:
            self._window.docks[name].visibilityChanged.disconnect(self._on_tab)
        self._window.centre.came.disconnect(self._on_came)
        self.hide()
        self.deleteLater()

    def _on_course(self, lesson: object, place: int) -> None:
        step, self._brought, self._raised = self._course.step, None, False
        if step is not None and place == 0:
            self._window.show_panel("circuit")  # where most of the clicks are
        if step is not None and step.front:
            self._window.show_panel(step.front)
            if step.view and step.front in self._panels:
                self._panels[step.front].restore_view(dict(step.view))
        if step is None or step.act is Act.READ:
            self._follow.stop()
            self.hide()
        else:
            self._follow.start()
            self.place()

    def place(self) -> None:
        """Lie around the next click, or hide where it is not on screen now."""
        step = self._course.step
        found = None if step is None else self.target(step)
        if step is not None and self.already(step) and isinstance(self._lessons, LessonPanel):
            self._lessons.say_done()
            found = self._lessons.skip, self._lessons.skip.rect()
        if found is None or not found[0].isVisible():
            self.hide()
            return
        widget, rect = found
        self._bring_to_front(widget)
        # Once, so that who scrolls away may look around; again where the page grew above it.
        if widget.visibleRegion().isEmpty() and self._brought != _place_in_page(widget):
            _scroll_to(widget)
        if widget.visibleRegion().isEmpty():
            self.hide()
            return
        self._brought = _place_in_page(widget)
        corner = widget.mapTo(self._window, rect.topLeft())
        self.setGeometry(QRect(corner, rect.size()).adjusted(-_AROUND, -_AROUND, _AROUND, _AROUND))
        self.show()
        self.raise_()

    def _bring_to_front(self, widget: QWidget) -> None:
        """Raise the panel of the next click once; who then turns to another may look around."""
        if self._raised:
            return
        self._raised = True
        for name, panel in self._panels.items():
            if panel.isAncestorOf(widget) and panel.visibleRegion().isEmpty():
                self._window.show_panel(name)

    def already(self, step: Step) -> bool:
        """Whether a list or a tab is as the step wants it, so that there is nothing to do."""
        edits, patching = self._edits, self._patching
        if step.act is Act.PRESS:
            features = self._features
            if step.name == "read text":
                return features is not None and features.table is not None
            return step.name == "add edit" and edits is not None and edits.add.isChecked()
        if step.act is Act.CELL:
            now = None if patching is None else patching.context.selection.current
            return now is not None and f"{now.layer}.{now.head}" == step.name
        if step.act is Act.TAB and "/" in step.name:
            return (
                edits is not None
                and edits.pages.tabText(edits.pages.currentIndex()) == (step.name.partition("/")[2])
            )
        if step.act is Act.CHOOSE:
            return self._lists()[step.name].currentText() == step.brings
        card = self._window.cards.get(step.name)
        return step.act is Act.TAB and card is not None and not card.visibleRegion().isEmpty()

    def target(self, step: Step) -> tuple[QWidget, QRect] | None:
        """The widget of a step's click and the place in it; None while it is not there."""
        finders = {
            Act.NODE: self._node, Act.TOKEN: self._token, Act.NEURON: self._neuron,
            Act.PRESS: self._button, Act.CHOOSE: self._list, Act.TAB: self._tab,
            Act.STEP: self._slider, Act.CELL: self._cell,
        }  # fmt: skip
        return finders[step.act](step) if step.act in finders else None

    def _node(self, step: Step) -> tuple[QWidget, QRect] | None:
        panel = self._panels["circuit"]
        if not isinstance(panel, CircuitPanel) or panel.canvas.drawing is None:
            return None
        circuit = panel.canvas.drawing.circuit
        if step.name not in circuit.node_id:
            return None
        middle = panel.canvas.place_of(circuit.row(step.name)).toPoint()
        return panel.canvas.view.viewport(), _around(middle, 12)

    def _token(self, step: Step) -> tuple[QWidget, QRect] | None:
        panel = self._panels["token_strip"]
        if not isinstance(panel, TokenStrip) or panel.drawing is None:
            return None
        if step.value >= len(panel.drawing.tokens):
            return None
        return panel.chips, panel.chips.column_rect(step.value).toRect()

    def _neuron(self, step: Step) -> tuple[QWidget, QRect] | None:
        panel = self._panels["neurons"]
        if not isinstance(panel, NeuronPanel) or panel.map.grid is None:
            return None
        grid = panel.map.grid
        if step.value not in grid.layers:
            return None
        row = grid.layers.index(step.value)
        column = panel.context.selection.current.position or 0
        middle = panel.map.cell_centre(row, column).toPoint()
        return panel.map.plot.viewport(), _around(middle, 9)

    def _button(self, step: Step) -> tuple[QWidget, QRect] | None:
        button = self._buttons().get(step.name)
        return None if button is None else (button, button.rect())

    def _buttons(self) -> dict[str, QPushButton]:
        card, edits, patching = self._panels["node_card"], self._edits, self._patching
        found: dict[str, QPushButton] = {}
        if isinstance(card, NodeCardPanel):
            found |= {"why": card.why, "ablate": card.node_check.button}
            found["ablate feature"] = card.feature.buttons[CommandId.FEATURE_ABLATE]
        neurons, features = self._panels["neurons"], self._features
        if isinstance(neurons, NeuronPanel):
            found["as feature"] = neurons.as_feature
        if features is not None:
            found |= {"read text": features.start.read, **features.run.sharing.buttons}
        circuit = self._panels["circuit"]
        if isinstance(circuit, CircuitPanel):
            found["feature graph"] = circuit.facts.features
        discovery, suite = (self._panels.get(name) for name in ("discovery", "suite"))
        if isinstance(discovery, DiscoveryPanel):
            found["discover"] = discovery.asking.run_button
        found |= self._lab()
        if isinstance(suite, SuitePanel):
            found["suite"] = suite.suite.button
        if patching is not None:
            found["sweep"] = patching.asking.run_button
        if edits is not None:
            found |= {
                "add edit": edits.add, "edit done": edits.form.done, "price": edits.price.button,
            }  # fmt: skip
        return found

    def _lab(self) -> dict[str, QPushButton]:
        """Buttons of panels that are made when they are shown."""
        found: dict[str, QPushButton] = {}
        if "superposition" in self._panels:
            from microtome_desktop.views.superposition_panel import SuperpositionPanel

            lab = self._panels["superposition"]
            if isinstance(lab, SuperpositionPanel):
                found |= {"train toy": lab.train, "measure": lab.measure}
        if "lesions" in self._panels:
            from microtome_desktop.views.lesion_lab import LesionLab

            lesions = self._panels["lesions"]
            if isinstance(lesions, LesionLab):
                found["lesion"] = lesions.run
        return found

    def _cell(self, step: Step) -> tuple[QWidget, QRect] | None:
        grid = None if self._patching is None else self._patching.map.grid
        if self._patching is None or not isinstance(grid, SweepGrid):
            return None
        layer, head = (int(number) for number in step.name.split("."))
        row, column = grid.cell_of(layer=layer, head=head)
        if row is None or column is None:
            return None
        middle = self._patching.map.cell_centre(row, column).toPoint()
        return self._patching.map.plot.viewport(), _around(middle, 12)

    def _lists(self) -> dict[str, QComboBox]:
        heat, neurons, attention = (self._panels[n] for n in ("heatmap", "neurons", "attention"))
        found: dict[str, QComboBox] = {}
        if isinstance(heat, HeatmapPanel):
            found["heatmap"] = heat.quantity
        if isinstance(neurons, NeuronPanel):
            found["neurons"] = neurons.layer
        if isinstance(attention, AttentionPanel):
            found["attention"] = attention.layer
        features = self._panels["feature_edits"]
        if isinstance(features, FeatureEditsPanel):
            found["feature mode"] = features.mode
        if self._patching is not None:
            found["patching"] = self._patching.asking.controls.what
        if self._edits is not None:
            found["edit action"] = self._edits.form.action
        return found

    def _list(self, step: Step) -> tuple[QWidget, QRect] | None:
        box = self._lists()[step.name]
        return box, box.rect()

    def _tab(self, step: Step) -> tuple[QWidget, QRect] | None:
        if "/" in step.name and self._edits is not None:
            pages = self._edits.pages
            texts = [pages.tabText(number) for number in range(pages.count())]
            return pages.tabBar(), pages.tabBar().tabRect(texts.index(step.name.partition("/")[2]))
        title = next(place.title for place in PLACES if place.name == step.name)
        for bar in self._window.findChildren(QTabBar):
            for number in range(bar.count()):
                if bar.isVisible() and bar.tabText(number) == title:
                    return bar, bar.tabRect(number)
        return None

    def _slider(self, step: Step) -> tuple[QWidget, QRect] | None:
        strip = self._panels["token_strip"]
        if not isinstance(strip, TokenStrip):
            return None
        return strip.training.slider, strip.training.slider.rect()

    def _on_list(self, text: str) -> None:
        sender = self.sender()
        if isinstance(self._lessons, LessonPanel):
            self._lessons.chosen(str(sender.property("lesson_list")), text)

    def _on_tab(self, visible: bool) -> None:
        dock, step = self.sender(), self._course.step
        # The signal comes for docks behind others too, when the window is shown.
        there = visible and step is not None and self.already(step)
        if there and isinstance(dock, QWidget) and isinstance(self._lessons, LessonPanel):
            self._lessons.opened(str(dock.property("lesson_tab")))

    def _on_came(self, name: str) -> None:
        if isinstance(self._lessons, LessonPanel):
            self._lessons.opened(name)

    def _on_add(self, opened: bool) -> None:
        if opened and isinstance(self._lessons, LessonPanel):
            self._lessons.pressed("add edit")

    def _on_found(self, _analysis: object) -> None:
        if isinstance(self._lessons, LessonPanel):
            self._lessons.pressed("sweep")

    def _on_circuit(self, _analysis: object) -> None:
        if isinstance(self._lessons, LessonPanel):
            self._lessons.pressed("discover")

    def _on_as_feature(self) -> None:
        if isinstance(self._lessons, LessonPanel):
            self._lessons.pressed("as feature")

    def _on_sharer(self, name: str) -> None:
        if isinstance(self._lessons, LessonPanel):
            self._lessons.pressed(name)

    def _on_page(self, number: int) -> None:
        if self._edits is not None and isinstance(self._lessons, LessonPanel):
            self._lessons.opened(f"edits/{self._edits.pages.tabText(number)}")

    def paintEvent(self, event: QPaintEvent) -> None:
        """A ring with a soft glow."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for width, opacity in ((5.0, 0.25), (2.0, 1.0)):
            colour = QColor(colours.ACCENT)
            colour.setAlphaF(opacity)
            painter.setPen(QPen(colour, width))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(3, 3, -3, -3), 5, 5)
        painter.end()


def _scroll_to(widget: QWidget) -> None:
    """Bring a part of a longer page into view."""
    above = widget.parentWidget()
    while above is not None:
        if isinstance(above, QScrollArea):
            above.ensureWidgetVisible(widget)
        above = above.parentWidget()


def _place_in_page(widget: QWidget) -> QPoint:
    """Where it lies in the page that scrolls, wherever that is scrolled to."""
    above = widget.parentWidget()
    while above is not None:
        page = above.widget() if isinstance(above, QScrollArea) else None
        if page is not None:
            return widget.mapTo(page, QPoint())
        above = above.parentWidget()
    return widget.mapTo(widget.window(), QPoint())


def _around(middle: QPoint, reach: int) -> QRect:
    return QRect(middle.x() - reach, middle.y() - reach, 2 * reach, 2 * reach)
