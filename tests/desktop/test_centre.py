"""The views in the middle of the window: tabs, menu, palette, maximising."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from microtome_desktop.commands.command import CommandId
from microtome_desktop.views.panel_table import PLACES, Area

LEFT = Qt.MouseButton.LeftButton
CENTRE = [place for place in PLACES if place.area is Area.CENTRE]


@pytest.fixture
def centre(bench):
    return bench.window.centre


def in_view(bench, name):
    return not bench.window.bodies[name].visibleRegion().isEmpty()


def click_tab(tabs, number):
    QTest.mouseClick(tabs, LEFT, pos=tabs.tabRect(number).center())
    QApplication.processEvents()


def test_each_view_has_a_tab_that_brings_it_to_the_front(bench, centre):
    titles = [centre.tabs.tabText(number) for number in range(centre.tabs.count())]
    assert titles == [place.title for place in CENTRE]
    assert centre.tabs.isVisible()
    for number in (*range(1, len(CENTRE)), 0):
        click_tab(centre.tabs, number)
        assert centre.front == CENTRE[number].name
        assert [in_view(bench, place.name) for place in CENTRE] == [
            at == number for at in range(len(CENTRE))
        ]
    centre.tabs.setFocus()
    QTest.keyClick(centre.tabs, Qt.Key.Key_Right)
    assert centre.front == CENTRE[1].name
    bench.window.reset_layout()
    assert centre.front == CENTRE[0].name


def test_the_buttons_of_the_view_in_front_stand_beside_the_tabs(bench, centre):
    for place in CENTRE[:2]:
        centre.show_card(place.name)
        QApplication.processEvents()
        shown = [p.name for p in CENTRE if bench.window.cards[p.name].bar.maximise.isVisible()]
        assert shown == [place.name]
        bar = bench.window.cards[place.name].bar
        middle = bar.mapTo(centre, bar.rect().center()).y()
        assert abs(middle - centre.tabs.geometry().center().y()) < 4
        assert not bar.name.isVisible()


def test_the_view_menu_has_an_entry_for_each_and_marks_the_one_in_front(bench, centre):
    menu = bench.window.actions_table.menus["View"]
    entries = {a.text(): a for a in menu.actions() if a.text() in {p.title for p in CENTRE}}
    assert len(entries) == len(CENTRE)
    wanted = entries[CENTRE[1].title]
    for _ in range(2):  # a second click leaves the mark where it is
        menu.popup(bench.window.mapToGlobal(QPoint(40, 40)))
        QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(wanted).center())
        assert centre.front == CENTRE[1].name
        assert [entry.isChecked() for entry in entries.values()] == [
            title == wanted.text() for title in entries
        ]


def test_a_panel_of_the_centre_is_found_and_fills_the_window(bench, centre):
    bench.window.show_panel("discovery")
    card = bench.window.cards["discovery"]
    QTest.mouseClick(card.bar.maximise, LEFT)
    QApplication.processEvents()
    assert in_view(bench, "discovery")
    assert not any(dock.isVisible() for dock in bench.window.docks.values())
    assert not any(strip.isVisible() for strip in centre.strips.values())
    bench.window.actions_table.trigger(CommandId.MAXIMISE)
    QApplication.processEvents()
    assert any(dock.isVisible() for dock in bench.window.docks.values())
    assert centre.front == "discovery"


def test_only_the_card_in_front_asks_for_room(bench):
    centre = bench.window.centre
    centre.show_card("circuit")
    least = centre.minimumSizeHint().height()
    body = centre.cards["suite"].body
    body.setMinimumHeight(2000)
    try:
        assert centre.minimumSizeHint().height() == least
    finally:
        body.setMinimumHeight(0)


def test_a_button_lists_every_view_whether_its_tab_has_room_or_not(centre):
    listed = centre.all_cards.menu().actions()
    tabs = [centre.tabs.tabText(number) for number in range(centre.tabs.count())]
    assert [action.text() for action in listed] == tabs
    before = centre.front
    listed[-1].trigger()
    assert centre.front == list(centre.cards)[-1]
    centre.show_card(before)
