"""Every command of the suite panel, taken by its keys or from its menu, in the live window.

``PROMISES`` has a check for each, as in test_every_command.py. A command without one fails.
"""

from __future__ import annotations

import numpy as np
import pytest

from microtome.records.adversarial import adversarial_of
from microtome.records.redundancy import redundancy_of
from microtome.records.slice_circuits import slice_circuits_of
from microtome.records.suite_result import suite_of
from microtome.suites.comparing import compare_slices
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.suite_rows import SUITE_COMMANDS
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.presenters.suites import part_title
from microtome_desktop.state.suites import Data, latest

_ID = CommandId


def on_two_tasks(hand):
    """The panel, with a few cases of two tasks chosen."""
    panel = hand.panels["suite"]
    panel.data.show_data(Data(("name",), 4))
    panel.redundancy.threshold.setValue(95)
    return panel


def run_a_suite(hand):
    panel = on_two_tasks(hand)
    hand.do(_ID.SUITE)
    found = suite_of(latest(hand.session, "suite"))
    assert found.complete
    assert found.counts[0] == 4
    assert panel.suite.table.isVisible()
    assert panel.suite.table.item(1, 0).text() == "task: name"
    assert panel.suite.table.item(1, 2).text() == f"{100 * found.rate[1, 0]:.0f}"


def compare_two_slices(hand):
    panel = on_two_tasks(hand)
    hand.do(_ID.SUITE)
    hand.do(_ID.SLICE_CIRCUITS)
    found = slice_circuits_of(latest(hand.session, "slice-circuits"))
    assert found.slices == panel.circuits.chosen
    assert panel.circuits.table.isVisible()
    told = compare_slices(found, *found.slices)
    assert panel.circuits.table.item(0, 0).text() == told.shared[0]


def find_what_can_go(hand):
    panel = on_two_tasks(hand)
    hand.do(_ID.REDUNDANCY)
    found = redundancy_of(latest(hand.session, "redundancy"))
    assert found.complete
    assert panel.redundancy.table.isVisible()
    shown = [panel.redundancy.table.item(row, 0).text() for row in range(len(found.order))]
    assert shown == [part_title(part) for part in found.order]
    np.testing.assert_array_equal(panel.redundancy.map.grid.values, found.similarity)


def remove_what_can_go(hand):
    on_two_tasks(hand)
    hand.do(_ID.REDUNDANCY)
    found = redundancy_of(latest(hand.session, "redundancy"))
    hand.do(_ID.REMOVE_PARTS)
    assert [spec.site for spec in hand.marks.edits] == list(found.sites())
    hand.do(_ID.UNDO)
    assert hand.marks.edits == ()


def search_for_swaps(hand):
    panel = hand.panels["suite"]
    panel.swaps.positions.setText("6, 7")
    panel.swaps.among.setCurrentText("these words")
    panel.swaps.words.setText("Mary John")
    hand.do(_ID.SWAPS)
    found = adversarial_of(latest(hand.session, "adversarial"))
    assert found.params["tried"] == 4
    assert panel.swaps.table.isVisible()
    assert panel.swaps.table.rowCount() == 4
    assert f"tried in {found.params['rounds']} round" in panel.swaps.said.text()


PROMISES = {
    _ID.SUITE: run_a_suite, _ID.SLICE_CIRCUITS: compare_two_slices,
    _ID.REDUNDANCY: find_what_can_go, _ID.REMOVE_PARTS: remove_what_can_go,
    _ID.SWAPS: search_for_swaps,
}  # fmt: skip


@pytest.fixture
def asked(hand):
    """The hand on the example, and the fields of the panel empty afterwards."""
    hand.bench.runner.ask(Examine(hand.desk.draft.text.question()))
    hand.rest()
    yield hand
    panel = hand.panels["suite"]
    panel.swaps.positions.clear()
    panel.swaps.words.clear()
    panel.swaps.among.setCurrentIndex(0)
    panel.pages.setCurrentIndex(0)
    hand.window.reset_layout()


@pytest.mark.parametrize("wanted", [row.id for row in SUITE_COMMANDS])
def test_a_command_does_what_it_promises(asked, wanted):
    assert wanted in PROMISES, f"{wanted} has no check: say here what it promises"
    PROMISES[wanted](asked)
