"""The middle of the discovery panel: the graph, two rivals in one, a judgement, or positions."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QScrollArea, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from microtome_desktop.views.compare_view import CompareView
from microtome_desktop.views.discovery_graph import DiscoveryGraph
from microtome_desktop.views.judge_view import JudgeView
from microtome_desktop.views.places_view import PlacesView


class Page(IntEnum):
    """What the middle shows."""

    GRAPH = 0
    COMPARE = 1
    JUDGE = 2
    POSITIONS = 3


_STACKED = {Page.JUDGE: 1, Page.POSITIONS: 2}  # all others are drawn
_TITLES = ("Graph", "Compare", "Judge", "Positions")


class DiscoveryMiddle(QWidget):
    """Tabs; the graph stands below the table of the comparison as well."""

    turned = Signal()  # to another page

    def __init__(self) -> None:
        super().__init__()
        self.graph, self.compare, self.judge = DiscoveryGraph(), CompareView(), JudgeView()
        self.places = PlacesView()
        self.tabs = QTabBar()
        self.tabs.setObjectName("discovery_pages")
        self.tabs.setAccessibleName("what is shown of the circuit")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setStyleSheet("QTabBar::tab { padding: 2px 9px; }")
        for title in _TITLES:
            self.tabs.addTab(title)
        drawn = QWidget()
        column = QVBoxLayout(drawn)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.compare)
        column.addWidget(self.graph, 1)
        self._stack = QStackedWidget()
        self._stack.addWidget(drawn)
        self._stack.addWidget(_scrolling(self.judge))
        self._stack.addWidget(self.places)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self.tabs)
        whole.addWidget(self._stack, 1)
        self.compare.hide()
        self.offer_positions(able=False)
        self.tabs.currentChanged.connect(self._on_tab)

    @property
    def page(self) -> Page:
        """What is shown."""
        return Page(self.tabs.currentIndex())

    def show_page(self, page: Page) -> None:
        """Bring a page to the front, the graph where the circuit has no such page."""
        self.tabs.setCurrentIndex(page if self.tabs.isTabVisible(page) else Page.GRAPH)

    def offer_positions(self, *, able: bool) -> None:
        """Whether the circuit has positions to show."""
        if not able and self.page is Page.POSITIONS:
            self.show_page(Page.GRAPH)
        self.tabs.setTabVisible(Page.POSITIONS, able)

    def _on_tab(self, number: int) -> None:
        self._stack.setCurrentIndex(_STACKED.get(Page(number), 0))
        self.compare.setVisible(number == Page.COMPARE)
        self.turned.emit()


def _scrolling(page: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(page)
    area.viewport().setAutoFillBackground(False)
    page.setAutoFillBackground(False)
    return area
