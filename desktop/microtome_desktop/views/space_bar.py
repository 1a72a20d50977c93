"""What stands above the feature space: colouring, tools, layers, and views side by side."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from microtome_desktop.views.choice import Choice
from microtome_desktop.views.elided import WholeLabel
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.icons import icon
from microtome_desktop.views.space_grid import MOST_VIEWS
from microtome_desktop.views.space_picking import Tool

_TIPS = {
    Tool.BOX: "Box: drag around points to group them. Shift adds to the chosen group, "
    "Alt or Ctrl takes away, Esc ends",
    Tool.LASSO: "Lasso: draw around points to group them. Shift adds to the chosen group, "
    "Alt or Ctrl takes away, Esc ends",
}
_ICONS = {Tool.BOX: "mdi6.selection-drag", Tool.LASSO: "mdi6.lasso"}


class SpaceBar(QWidget):
    """One line of controls; those that say nothing now are not shown."""

    tool_chosen = Signal(object)  # Tool
    layer_asked = Signal(int)
    play_asked = Signal()
    beside_asked = Signal()
    layout_asked = Signal(str)  # how features are to be placed

    def __init__(self) -> None:
        super().__init__()
        self.colour_by = Choice()
        self.colour_by.setObjectName("space_colour")
        self.colour_by.setAccessibleName("coloured by")
        self.colour_by.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToContents)
        self.placed_by = Choice()
        self.placed_by.setObjectName("space_placed")
        self.placed_by.setAccessibleName("features placed by")
        self.placed_by.hide()
        self.images = Choice()
        self.images.setObjectName("space_images")
        self.images.setAccessibleName("images that are shown to the model")
        self.images.setToolTip("The images that are shown to the model")
        self.images.hide()
        self.tools = {tool: small_button(_ICONS[tool], tip) for tool, tip in _TIPS.items()}
        for button in self.tools.values():
            button.setCheckable(True)
            button.clicked.connect(self._on_tool)
        self.play = small_button("mdi6.play", "Play the layers of this site")
        self.layers = QSlider(Qt.Orientation.Horizontal)
        self.layers.setObjectName("space_layer")
        self.layers.setAccessibleName("layer")
        self.layers.setPageStep(1)
        self.layers.setMinimumWidth(44)
        self.layers.setMaximumWidth(140)
        self.layer_told = QLabel()
        self.layer_told.setFont(mono_font(11))
        self.linked = small_button("mdi6.link-variant", "Turn all views together")
        self.linked.setCheckable(True)
        self.linked.setChecked(True)
        self.beside = small_button("mdi6.view-split-vertical", "Show another site beside")
        self._lay_out()
        self.show_views(1)
        self.play.clicked.connect(self.play_asked)
        self.beside.clicked.connect(self.beside_asked)
        self.layers.valueChanged.connect(self._on_layer)
        self.placed_by.activated.connect(
            lambda row: self.layout_asked.emit(str(self.placed_by.itemData(row)))
        )

    def _lay_out(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        by = WholeLabel("Coloured by")
        by.setObjectName("dim")
        by.setMinimumWidth(12)  # gives way first
        row.addWidget(by)
        row.addWidget(self.colour_by)
        row.addWidget(self.placed_by)
        row.addWidget(self.images)
        row.addStretch(1)
        for part in (self.play, self.layers, self.layer_told):
            row.addWidget(part)
        row.addSpacing(6)
        for part in (*self.tools.values(), self.linked, self.beside):
            row.addWidget(part)

    def _on_tool(self) -> None:
        pressed = self.sender()
        chosen = (t for t, button in self.tools.items() if button is pressed)
        tool = next(chosen, Tool.TURN)
        held = tool is not Tool.TURN and self.tools[tool].isChecked()
        self.tool_chosen.emit(tool if held else Tool.TURN)

    def _on_layer(self, value: int) -> None:
        self.layer_told.setText(f"L{value}")
        self.layer_asked.emit(value)

    def show_tool(self, tool: Tool) -> None:
        """Show which tool is in use."""
        for name, button in self.tools.items():
            button.setChecked(name is tool)

    def show_views(self, count: int) -> None:
        """Offer what makes sense with so many views."""
        self.linked.setVisible(count > 1)
        self.beside.setEnabled(count < MOST_VIEWS)
        tip = (
            "Show another site beside" if count < MOST_VIEWS else f"{MOST_VIEWS} views are the most"
        )
        self.beside.setToolTip(tip)

    def offer_colourings(self, offered: Sequence[str], chosen: str) -> None:
        """Offer these, one of them chosen; tells nothing."""
        held = [self.colour_by.itemText(row) for row in range(self.colour_by.count())]
        if held != list(offered):
            self.colour_by.clear()
            self.colour_by.addItems(list(offered))
        self.colour_by.setCurrentIndex(max(0, self.colour_by.findText(chosen)))

    def offer_layouts(self, rows: Sequence[tuple[str, str, str, bool]], chosen: str) -> None:
        """Offer ways of placing features as (name, text, tip, whether it can be had).

        None are offered where the points are no features.
        """
        self.placed_by.setVisible(bool(rows))
        self.placed_by.clear()
        for at, (name, text, tip, able) in enumerate(rows):
            self.placed_by.addItem(text, name)
            self.placed_by.setItemData(at, tip, Qt.ItemDataRole.ToolTipRole)
            held = self.placed_by.model()
            if not able and isinstance(held, QStandardItemModel):
                held.item(at).setEnabled(False)
        self.placed_by.setCurrentIndex(max(0, self.placed_by.findData(chosen)))
        barred = [f"{text}: {tip}" for _, text, tip, able in rows if not able]
        self.placed_by.setToolTip("\n".join(["How features are placed", *barred]))

    def offer_images(self, names: Sequence[str], chosen: str) -> None:
        """Offer sets of images, one of them chosen; hidden where there are none."""
        self.images.setVisible(bool(names))
        held = [self.images.itemText(row) for row in range(self.images.count())]
        if held != list(names):
            self.images.clear()
            self.images.addItems(list(names))
        self.images.setCurrentIndex(self.images.findText(chosen))

    def show_layers(self, count: int, now: int) -> None:
        """Offer so many layers, standing at one; hidden for a site that has none."""
        for part in (self.play, self.layers, self.layer_told):
            part.setVisible(count > 1)
        with QSignalBlocker(self.layers):
            self.layers.setRange(0, max(count - 1, 0))
            self.layers.setValue(now)
        self.layer_told.setText(f"L{now}")

    def show_player(self, *, playing: bool, reason: str = "") -> None:
        """The button says what it does next, or why it cannot."""
        self.play.setIcon(icon("mdi6.pause" if playing else "mdi6.play"))
        self.play.setEnabled(not reason)
        told = "Stop at this layer" if playing else "Play the layers of this site"
        self.play.setToolTip(reason or told)


def small_button(picture: str, tip: str) -> QToolButton:
    """A button with a picture alone; its name is its tip."""
    button = QToolButton()
    button.setObjectName("tiny")
    button.setIcon(icon(picture))
    button.setIconSize(QSize(16, 16))
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setFixedSize(26, 24)
    return button
