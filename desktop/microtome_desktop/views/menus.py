"""The parts of the menus that depend on what there is: recent files, models, devices, panels."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu

from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.lessons import LESSONS
from microtome_desktop.presenters.models import ModelRow, model_rows
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.settings import PRECISIONS
from microtome_desktop.views.handlers import Handlers
from microtome_desktop.views.main_window import MainWindow


class LivingMenus(QObject):
    """Fills the sub-menus whenever they are about to open."""

    def __init__(self, window: MainWindow, desk: Desk, handlers: Handlers) -> None:
        super().__init__(window)
        self._desk, self._handlers = desk, handlers
        table = window.actions_table
        self.recent = self._before(table.menus["File"], "Recent sessions", CommandId.SAVE, window)
        self.models = self._before(
            table.menus["Model"], "Models", CommandId.OPEN_MODEL_FOLDER, window
        )
        self.devices = self._before(table.menus["Model"], "Device", CommandId.ATTACH_MODEL, window)
        self.precisions = self._before(
            table.menus["Model"], "Precision", CommandId.ATTACH_MODEL, window
        )
        self._one_device, self._one_precision = QActionGroup(window), QActionGroup(window)
        self.precisions.aboutToShow.connect(self._fill_precisions)
        self._panels(table.menus["View"], window)
        self._lessons(table.menus["Examples"])
        self.recent.aboutToShow.connect(self._fill_recent)
        self.models.aboutToShow.connect(self._fill_models)
        self.devices.aboutToShow.connect(self._fill_devices)

    def _before(self, menu: QMenu, title: str, wanted: CommandId, window: MainWindow) -> QMenu:
        inside = QMenu(title, menu)
        inside.setToolTipsVisible(True)
        menu.insertMenu(window.actions_table.actions[wanted], inside)
        return inside

    def _panels(self, menu: QMenu, window: MainWindow) -> None:
        first = menu.actions()[0]
        menu.insertActions(first, window.centre.make_actions())
        for dock in window.docks.values():
            menu.insertAction(first, dock.toggleViewAction())
        menu.insertSeparator(first)

    def _lessons(self, menu: QMenu) -> None:
        menu.addSeparator()
        for lesson in LESSONS:
            action = menu.addAction(lesson.title)
            action.setToolTip(lesson.summary)
            action.setData(lesson)
            action.triggered.connect(self._take_lesson)

    def _take_lesson(self) -> None:
        self._handlers.helping.show_lessons()
        self._desk.course.start(self._sender().data())

    def _fill_recent(self) -> None:
        self.recent.clear()
        for path in self._desk.settings.recent_sessions:
            action = self.recent.addAction(path.name)
            action.setToolTip(str(path))
            action.setData(path)
            action.triggered.connect(self._open_recent)
        self._say_none(self.recent)

    def _open_recent(self) -> None:
        self._handlers.open_path(self._sender().data())

    def _fill_models(self) -> None:
        for inside in self.models.findChildren(QMenu):
            inside.deleteLater()  # a menu that is cleared keeps its children
        self.models.clear()
        shelf, model = self._desk.library.shelf, self._desk.workspace.model
        for row in model_rows(shelf, self._desk.settings.recent_models, model):
            self._add_model(self.models, row)
            steps = [child for child in row.children if child.name]
            if steps:
                inside = self.models.addMenu(f"{row.text} along training")
                for child in steps:
                    self._add_model(inside, child)

    def _add_model(self, menu: QMenu, row: ModelRow) -> None:
        action = menu.addAction(row.text)
        action.setCheckable(True)
        action.setChecked(row.loaded)
        action.setToolTip(row.name)
        action.setData(row.name)
        action.triggered.connect(self._load)

    def _load(self) -> None:
        name = self._sender().data()
        recent = name in self._desk.settings.recent_models
        self._handlers.load(name, remember=recent)

    def _fill_devices(self) -> None:
        self.devices.clear()
        for name in self._desk.library.shelf.machine.devices:
            action = self.devices.addAction(name)
            action.setCheckable(True)
            action.setChecked(name == self._desk.settings.device)
            action.setData(name)
            action.triggered.connect(self._choose_device)
            self._one_device.addAction(action)

    def _fill_precisions(self) -> None:
        self.precisions.clear()
        for name in PRECISIONS:
            action = self.precisions.addAction(name)
            action.setCheckable(True)
            action.setChecked(name == self._desk.settings.dtype)
            action.setData(name)
            action.triggered.connect(self._choose_precision)
            self._one_precision.addAction(action)

    def _choose_precision(self) -> None:
        self._desk.settings.dtype = self._sender().data()
        self._handlers.load_again()

    def _choose_device(self) -> None:
        self._desk.settings.device = self._sender().data()
        self._handlers.load_again()

    def _say_none(self, menu: QMenu) -> None:
        if menu.isEmpty():
            menu.addAction("None yet").setEnabled(False)

    def _sender(self) -> QAction:
        sender = self.sender()
        if not isinstance(sender, QAction):
            raise TypeError(f"A menu entry was expected, not {sender!r}.")
        return sender
