"""The settings, on pages."""

from __future__ import annotations

import os
from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.presenters.setting_rows import (
    PAGES,
    SETTINGS,
    SHORTCUTS,
    number_text,
    setting_row,
)
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.settings import (
    ACTIVATIONS,
    AUTOSAVES,
    COLOUR_MAPS,
    EDGES,
    POINTS,
    PRECISIONS,
    THEMES,
    ZOOMS,
)
from microtome_desktop.views.shortcuts_page import ShortcutsPage

_PAGE_LINE = 32  # height of a page in the list
_NAMED = {"dtype": PRECISIONS, "theme": THEMES, "colour_map": COLOUR_MAPS}
_NUMBERS = {"activations": ACTIVATIONS, "points": POINTS, "edges": EDGES, "autosave": AUTOSAVES}
# What asks for the model to be loaded again.
_OF_MODELS = {"device", "dtype", "threads"}


class SettingsWindow(QDialog):
    """A list of pages, and the page; a change counts at once. Does not block the window."""

    def __init__(self, desk: Desk, load_again: Callable[[], None], parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("settings")
        self.setWindowTitle("Settings")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._desk, self._load_again = desk, load_again
        self.pages = QListWidget()
        self.pages.setObjectName("settings_pages")
        self.pages.setAccessibleName("pages of the settings")
        self.pages.addItems(PAGES)
        for number in range(self.pages.count()):
            self.pages.item(number).setSizeHint(QSize(0, _PAGE_LINE))
        self.pages.setFixedWidth(150)
        self.shortcuts = ShortcutsPage(desk.settings)
        self.choices = {row.name: _box() for row in SETTINGS if row.page != SHORTCUTS}
        self.stack = QStackedWidget()
        for page in PAGES:
            self.stack.addWidget(self.shortcuts if page == SHORTCUTS else self._page(page))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        row = QHBoxLayout()
        row.setSpacing(16)
        row.addWidget(self.pages)
        row.addWidget(self.stack, 1)
        column = QVBoxLayout(self)
        column.addLayout(row, 1)
        column.addWidget(buttons)
        self.pages.currentRowChanged.connect(self.stack.setCurrentIndex)
        for name, box in self.choices.items():
            box.setObjectName(f"setting_{name}")
            box.activated.connect(self._on_activated)
        desk.settings.changed.connect(self._on_changed)
        desk.library.changed.connect(self._on_library)
        self._show_choices()
        self.pages.setCurrentRow(0)
        self.resize(900, 640)

    def _page(self, page: str) -> QWidget:
        made = QWidget()
        column = QVBoxLayout(made)
        column.setContentsMargins(0, 0, 0, 0)
        for row in (row for row in SETTINGS if row.page == page):
            title, tip = QLabel(row.title), QLabel(row.tip)
            title.setObjectName("section")
            title.setBuddy(self.choices[row.name])
            tip.setObjectName("dim")
            tip.setWordWrap(True)
            self.choices[row.name].setAccessibleName(row.title)
            for widget in (title, self.choices[row.name], tip):
                column.addWidget(widget)
            column.addSpacing(14)
        column.addStretch(1)
        return made

    def go_to(self, name: str) -> None:
        """Show a setting, with the keyboard in it."""
        page = setting_row(name).page
        self.pages.setCurrentRow(PAGES.index(page))
        (self.shortcuts.filter if page == SHORTCUTS else self.choices[name]).setFocus()

    def _offers(self, name: str) -> list[tuple[str, str | int]]:
        """What can be chosen: as it reads, and as it is kept."""
        settings = self._desk.settings
        if name == "zoom":
            return [(f"{percent} %", percent) for percent in ZOOMS]
        if name == "threads":
            cores = os.cpu_count() or 1
            counts = sorted(
                {*range(1, cores + 1), *([settings.threads] if settings.threads else [])}
            )
            return [("Automatic", 0), *((str(count), count) for count in counts)]
        if name in _NUMBERS:
            return [(number_text(name, each), each) for each in _NUMBERS[name]]
        if name in _NAMED:
            return [(each, each) for each in _NAMED[name]]
        devices = self._desk.library.shelf.machine.devices
        known = (*devices, *(() if settings.device in devices else (settings.device,)))
        return [(device, device) for device in known]

    def _show_choices(self) -> None:
        for name, box in self.choices.items():
            offers = self._offers(name)
            box.clear()
            for text, value in offers:
                box.addItem(text, value)
            box.setCurrentIndex([v for _, v in offers].index(getattr(self._desk.settings, name)))

    def _on_changed(self, name: str) -> None:
        self._show_choices()

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        if "machine" in changed:
            self._show_choices()

    def _on_activated(self) -> None:
        settings = self._desk.settings
        for name, box in self.choices.items():
            if box.currentData() != getattr(settings, name):
                setattr(settings, name, box.currentData())
                if name in _OF_MODELS:
                    self._load_again()
                return


def _box() -> QComboBox:
    made = QComboBox()
    made.setMaximumWidth(260)
    return made
