"""The menus of the circuit: what a right click offers, and the named views."""

from __future__ import annotations

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.shortcuts import keys_of
from microtome_desktop.commands.table import command
from microtome_desktop.state.made_by import shows_features
from microtome_desktop.views.circuit_acts import CircuitActs
from microtome_desktop.views.panel import PanelContext

_ID = CommandId
_ON_NODES = (
    (_ID.PIN, _ID.RENAME, _ID.NOTE),
    (_ID.GROUP, _ID.COLLAPSE, _ID.UNGROUP),
    (_ID.HIDE, _ID.SHOW_HIDDEN),
    (_ID.PATCH_PATH, _ID.WHY_EDGE, _ID.ADD_TO_LESION),
)
_ON_FEATURES = (
    *_ON_NODES[:3],
    (_ID.FEATURE_CARD, _ID.FEATURE_ABLATE, _ID.FEATURE_SCALE, _ID.FEATURE_SET, _ID.FEATURE_STEER),
)
_ON_NOTHING = (
    (_ID.FIT, _ID.SEARCH, _ID.COMPACT, _ID.WEIGHTS),
    (_ID.SAVE_VIEW, _ID.SHOW_HIDDEN),
)


def context_menu(context: PanelContext, *, on_node: bool, parent: QWidget) -> QMenu:
    """What can be done where the user clicked; what cannot be done now says why."""
    menu = QMenu(parent)
    menu.setObjectName("circuit_menu")
    menu.setToolTipsVisible(True)
    on_nodes = _ON_FEATURES if shows_features(context.workspace.session) else _ON_NODES
    for block in on_nodes if on_node else _ON_NOTHING:
        if not menu.isEmpty():
            menu.addSeparator()
        for wanted in block:
            menu.addAction(command_action(context, wanted, menu))
    return menu


def command_action(context: PanelContext, wanted: CommandId, menu: QMenu) -> QAction:
    """A command as an entry of a menu; where it cannot be run now, its tool tip says why."""
    row, reason = command(wanted), context.why_not(wanted)
    keys = keys_of(context.settings, wanted)
    # The keys are told and not set: the window's own action has them.
    action = QAction(f"{row.title}\t{keys}" if keys else row.title, menu)
    action.setToolTip(f"{row.tip}\n{reason}" if reason else row.tip)
    action.setEnabled(not reason)
    action.triggered.connect(lambda: context.do(wanted))
    return action


class ViewsMenu(QMenu):
    """The named views of the circuit on screen; filled when it opens."""

    def __init__(self, context: PanelContext, acts: CircuitActs, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("views_menu")
        self._context, self._acts = context, acts
        self._away = QMenu("Delete", self)  # made once: a menu that is cleared keeps its children
        self.aboutToShow.connect(self._fill)

    def _fill(self) -> None:
        self.clear()
        names = [view.name for view in self._context.book.marks.views]
        for name in names:
            show = self.addAction(plain_title(name))
            show.triggered.connect(lambda _=False, name=name: self._acts.show_view(name))
        if names:
            self.addSeparator()
        self.addAction(command_action(self._context, _ID.SAVE_VIEW, self))
        if names:
            self._away.clear()
            self.addMenu(self._away)
            for name in names:
                drop = self._away.addAction(plain_title(name))
                drop.triggered.connect(lambda _=False, name=name: self._acts.delete_view(name))


def plain_title(name: str) -> str:
    """A name as a menu shows it: no letter of it is a mnemonic."""
    return name.replace("&", "&&")
