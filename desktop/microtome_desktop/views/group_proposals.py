"""A small window with groups that may be made: each is looked at, named, accepted or left."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSlider,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid
from superqt.utils import qdebounced

from microtome.circuits.grouping import GroupProposal, LikenessTree, likeness_tree
from microtome.jobs import Job
from microtome.records.circuit import Circuit
from microtome.records.trace import Trace
from microtome_desktop.jobs.drawing_request import ProposeGroups
from microtome_desktop.presenters.circuit_text import percent
from microtome_desktop.presenters.marking import ungrouped
from microtome_desktop.views.circuit import CircuitPanel
from microtome_desktop.views.panel import PanelContext

Of = tuple[Circuit, tuple[str, ...], Trace | None]  # what is compared: nodes of a run
_FIRST = 50  # percent of likeness
_NODES = Qt.ItemDataRole.UserRole


class GroupProposals(QDialog):
    """Lists proposals for the nodes on screen; the nodes of the row in use are selected there."""

    def __init__(self, context: PanelContext, panel: CircuitPanel, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("group_proposals")
        self.setWindowTitle("Groups that may be made")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._context, self._panel = context, panel
        self._grown: tuple[Of, LikenessTree] | None = None
        self._uuid = "" if context.workspace.session is None else context.workspace.session.uuid
        self.told = QLabel("Looking for nodes that are alike…")
        self.told.setObjectName("dim")
        self.told.setWordWrap(True)
        self.likeness = QSlider(Qt.Orientation.Horizontal)
        self.likeness.setObjectName("likeness")
        self.likeness.setAccessibleName("likeness")
        self.likeness.setRange(10, 95)
        self.likeness.setValue(_FIRST)
        self.likeness.setToolTip("How alike the two parts of a group must be on average")
        self.value = QLabel(f"{_FIRST} %")
        self.list = QTreeWidget()
        self.list.setAccessibleName("proposed groups")
        self.list.setObjectName("proposals")
        self.list.setHeaderLabels(["name", "nodes", "alike"])
        self.list.setRootIsDecorated(False)
        self.list.setEditTriggers(QTreeWidget.EditTrigger.EditKeyPressed
                                  | QTreeWidget.EditTrigger.DoubleClicked)  # fmt: skip
        header = self.list.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.accept_one = QPushButton("Group")
        self.accept_one.setToolTip("Make these nodes a group, as Ctrl+G does; one step to undo")
        self.leave_one = QPushButton("Leave")
        self.leave_one.setToolTip("Take the proposal off the list (Del)")
        self._lay_out()
        self._connect()
        self._ask()

    def _lay_out(self) -> None:
        how = QHBoxLayout()
        how.addWidget(QLabel("Alike at least"))
        how.addWidget(self.likeness, 1)
        how.addWidget(self.value)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.leave_one)
        buttons.addWidget(self.accept_one)
        layout = QVBoxLayout(self)
        layout.addWidget(self.told)
        layout.addLayout(how)
        layout.addWidget(self.list, 1)
        layout.addLayout(buttons)
        self.resize(430, 320)

    def _connect(self) -> None:
        self.likeness.valueChanged.connect(self._on_likeness)
        self.list.currentItemChanged.connect(self._on_current)
        self.accept_one.clicked.connect(self._on_accept)
        self.leave_one.clicked.connect(self._on_leave)
        key = QShortcut(QKeySequence(Qt.Key.Key_Delete), self.list)
        key.setContext(Qt.ShortcutContext.WidgetShortcut)
        key.activated.connect(self._on_leave)

    def _on_likeness(self, value: int) -> None:
        self.value.setText(f"{value} %")
        self._ask_soon()

    @qdebounced(timeout=120)
    def _ask_soon(self) -> None:
        if isValid(self):
            self._ask()

    def _ask(self) -> None:
        session, shown = self._context.workspace.session, self._panel.shown
        if session is None or session.circuit is None or shown is None:
            return
        nodes = ungrouped(session.circuit, shown, session.marks)
        least = self.likeness.value() / 100
        of = session.circuit, nodes, session.clean
        if self._grown is not None and not _same(self._grown[0], of):
            self._grown = None
        make = partial(_proposed, of, None if self._grown is None else self._grown[1], least)
        self._context.ask(ProposeGroups(make, self._take))

    def _take(self, held: tuple[Of, LikenessTree, tuple[GroupProposal, ...]]) -> None:
        if not isValid(self):  # the window was closed meanwhile
            return
        of, tree, found = held
        self._grown = of, tree
        self.list.clear()
        for proposal in found:
            texts = [proposal.name, str(len(proposal.nodes)), percent(proposal.likeness)]
            item = QTreeWidgetItem(texts)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            item.setData(0, _NODES, proposal.nodes)
            item.setToolTip(0, ", ".join(proposal.nodes))
            self.list.addTopLevelItem(item)
        first = self.list.topLevelItem(0)
        if first is not None:
            self.list.setCurrentItem(first)
        self._tell()

    def _tell(self) -> None:
        count = self.list.topLevelItemCount()
        text = (
            f"{count} group{'s' * (count != 1)} of nodes on screen whose edges, and activity where "
            "a run is kept, are alike. A row selects its nodes; F2 changes its name."
            if count
            else "No nodes on screen are as much alike as this."
        )
        self.told.setText(text)
        for button in (self.accept_one, self.leave_one):
            button.setEnabled(bool(count))

    @property
    def _current(self) -> tuple[QTreeWidgetItem, tuple[str, ...]] | None:
        item = self.list.currentItem()
        return None if item is None else (item, tuple(item.data(0, _NODES)))

    @property
    def _about_this(self) -> bool:
        session = self._context.workspace.session
        return session is not None and session.uuid == self._uuid

    def _on_current(self, *_: object) -> None:
        if self._current is not None and self._about_this:
            first, *rest = self._current[1]
            self._context.selection.update(node=first, others=tuple(rest), edge=None)

    def _on_accept(self) -> None:
        if self._current is None or not self._about_this:
            return
        item, nodes = self._current
        self._panel.acts.group_as(nodes, item.text(0).strip() or "group")
        self._drop(item)

    def _on_leave(self) -> None:
        if self._current is not None:
            self._drop(self._current[0])

    def _drop(self, item: QTreeWidgetItem) -> None:
        self.list.takeTopLevelItem(self.list.indexOfTopLevelItem(item))
        self._tell()


def _same(one: Of, other: Of) -> bool:
    """Whether both are about the same nodes of the same run."""
    return one[0] is other[0] and one[1] == other[1] and one[2] is other[2]


def _proposed(
    of: Of, held: LikenessTree | None, least: float, job: Job
) -> tuple[Of, LikenessTree, tuple[GroupProposal, ...]]:
    """The groups, and the tree that they were cut from: another likeness cuts it again."""
    circuit, nodes, trace = of
    job.check()
    tree = likeness_tree(circuit, nodes, trace=trace, job=job) if held is None else held
    return of, tree, tree.groups(least)
