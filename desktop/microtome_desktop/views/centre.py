"""The middle of the window: strips above, and one card at a time under tabs."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QSizePolicy,
    QStackedWidget,
    QTabBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.views.card import Body, Card
from microtome_desktop.views.panel_table import Area, Place


class Centre(QWidget):
    """Holds the cards of the centre; ``came`` names the one that came to the front."""

    came = Signal(str)

    def __init__(self, places: tuple[Place, ...], strip_height: int) -> None:
        super().__init__()
        self.strips: dict[str, Body] = {}
        self.cards: dict[str, Card] = {}
        self.tabs = QTabBar()
        self.tabs.setObjectName("centre_tabs")
        self.tabs.setAccessibleName("views in the middle of the window")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self._stack, self._bars = QStackedWidget(), QStackedWidget()
        self.all_cards = QToolButton()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(6)
        below = QVBoxLayout()
        below.setSpacing(0)
        head = QHBoxLayout()
        head.setSpacing(0)
        head.addWidget(self.tabs, 1)
        head.addWidget(self.all_cards)
        head.addWidget(self._bars)
        below.addLayout(head)
        below.addWidget(self._stack, 1)
        for place in places:
            if place.area is Area.STRIP:
                self._add_strip(place.name, strip_height)
            elif place.area is Area.CENTRE:
                self._add_card(place)
        self.column.addLayout(below, 1)
        self._share_line()
        self._make_room()
        self.tabs.currentChanged.connect(self._on_tab)

    def _list_cards(self, *, several: bool) -> None:
        """A button that lists all cards: on a small screen not every tab has room."""
        self.all_cards.setObjectName("centre_all")
        self.all_cards.setArrowType(Qt.ArrowType.DownArrow)
        self.all_cards.setToolTip("All views")
        self.all_cards.setAccessibleName("list of all views in the middle of the window")
        self.all_cards.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.all_cards.setAutoRaise(True)
        # As high as the tabs: around it the window would show through.
        self.all_cards.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.all_cards.setVisible(several)
        menu = QMenu(self.all_cards)
        for number in range(self.tabs.count()):
            menu.addAction(self.tabs.tabText(number)).setData(number)
        menu.triggered.connect(self._on_listed)
        self.all_cards.setMenu(menu)

    def _on_listed(self, action: QAction) -> None:
        self.tabs.setCurrentIndex(action.data())

    def _add_strip(self, name: str, height: int) -> None:
        strip = self.strips[name] = Body()
        strip.setObjectName("strip_card")
        strip.setMinimumHeight(height)  # more where its panel asks for it
        strip.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.column.addWidget(strip)

    def _add_card(self, place: Place) -> None:
        self.cards[place.name] = card = Card(place.title)
        self._stack.addWidget(card)
        self.tabs.addTab(place.title)

    def _share_line(self) -> None:
        """Under tabs, which name the cards, their buttons stand beside the tabs."""
        several = len(self.cards) > 1
        self.tabs.setVisible(several)
        self._bars.setVisible(several)
        self._list_cards(several=several)
        for card in self.cards.values() if several else ():
            card.bar.leave_unnamed()
            self._bars.addWidget(card.bar)

    @property
    def bodies(self) -> Mapping[str, Body]:
        """What holds the panels, by their names."""
        return self.strips | {name: card.body for name, card in self.cards.items()}

    @property
    def front(self) -> str:
        """The panel whose card is in front."""
        return list(self.cards)[self._stack.currentIndex()]

    def show_card(self, name: str) -> None:
        """Bring a card to the front."""
        self.tabs.setCurrentIndex(list(self.cards).index(name))

    def show_strips(self, *, on: bool) -> None:
        """The strips above the cards, or not: what fills the window stands alone."""
        for strip in self.strips.values():
            strip.setVisible(on)

    def make_actions(self) -> tuple[QAction, ...]:
        """An entry of a menu for each card, where there are several; the front one is checked."""
        found = []
        for number, card in enumerate(self.cards.values() if len(self.cards) > 1 else ()):
            action = QAction(self.tabs.tabText(number), card)
            action.setCheckable(True)
            action.setData(number)
            action.triggered.connect(self._on_action)
            found.append(action)
        self._actions = tuple(found)
        self._check()
        return self._actions

    _actions: tuple[QAction, ...] = ()

    def _on_action(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self.tabs.setCurrentIndex(action.data())
        self._check()  # a click on the one in front would take its mark away

    def _on_tab(self, number: int) -> None:
        self._stack.setCurrentIndex(number)
        self._bars.setCurrentIndex(number)
        self._make_room()
        self._check()
        self.came.emit(self.front)

    def _make_room(self) -> None:
        """Only the card in front may ask for room: a small screen has none for those behind."""
        for number, card in enumerate(self.cards.values()):
            behind = number != self._stack.currentIndex()
            policy = QSizePolicy.Policy.Ignored if behind else QSizePolicy.Policy.Preferred
            card.setSizePolicy(policy, policy)

    def _check(self) -> None:
        for action in self._actions:
            action.setChecked(action.data() == self._stack.currentIndex())
