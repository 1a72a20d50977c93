"""The lists of nodes and edges: sorting, filtering, following and leading the selection."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from microtome_desktop.presenters.circuit_lists import edges, nodes, strongest
from microtome_desktop.views.lists_panel import ListsPanel

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def lists(qtbot, context):
    made = ListsPanel(context)
    made.resize(640, 420)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    return made


def column(table, number):
    return [table.held.index(row, number).data() for row in range(table.held.rowCount())]


def click(table, place):
    middle = table.visualRect(table.held.index(place, 0)).center()
    QTest.mouseClick(table.viewport(), LEFT, pos=middle)


def test_every_node_and_edge_is_listed_strongest_first(lists, sample_session):
    circuit = sample_session.circuit
    assert lists.nodes.held.rowCount() == circuit.n_nodes
    assert lists.edges.held.rowCount() == circuit.n_edges
    shown = circuit.node_influence[lists.nodes.held.rows]
    assert np.all(np.diff(np.nan_to_num(shown)) <= 0)
    assert lists.count.text() == f"{circuit.n_nodes:,} of {circuit.n_nodes:,}"


def test_a_click_on_a_title_sorts(lists, sample_session):
    header = lists.nodes.horizontalHeader()
    place = QPoint(header.sectionViewportPosition(3) + 8, 8)
    QTest.mouseClick(header.viewport(), LEFT, pos=place)
    sizes = np.abs(sample_session.circuit.node_score[lists.nodes.held.rows])
    assert np.all(np.diff(sizes) <= 0) or np.all(np.diff(sizes) >= 0)


def test_words_filter_both_lists(lists, sample_session, qtbot):
    qtbot.keyClicks(lists.words, "head l2")
    circuit = sample_session.circuit
    wanted = {
        row
        for row in range(circuit.n_nodes)
        if circuit.node_kind[row] == "head" and "l2" in circuit.node_label[row].lower()
    }
    assert set(lists.nodes.held.rows.tolist()) == wanted
    assert lists.count.text().startswith(f"{len(wanted)} of ")
    qtbot.keyClicks(lists.words, " nothing-has-this")
    assert lists.nodes.held.rowCount() == lists.edges.held.rowCount() == 0
    lists.words.clear()
    assert lists.nodes.held.rowCount() == circuit.n_nodes


def test_a_row_selects_its_node_and_its_edge(lists, context, sample_session):
    circuit = sample_session.circuit
    click(lists.nodes, 2)
    row = int(lists.nodes.held.rows[2])
    assert context.selection.current.node == circuit.node_id[row]
    bar = lists.tabs.tabBar()
    QTest.mouseClick(bar, LEFT, pos=bar.tabRect(1).center())
    click(lists.edges, 1)
    edge = int(lists.edges.held.rows[1])
    source, target, kind = context.selection.current.edge
    assert (circuit.row(source), circuit.row(target)) == (
        circuit.edge_source[edge], circuit.edge_target[edge],
    )  # fmt: skip
    assert kind == circuit.edge_kind[edge]


def test_what_is_selected_elsewhere_is_marked(lists, context, sample_session):
    name = sample_session.circuit.node_id[5]
    context.selection.update(node=name)
    (index,) = lists.nodes.selectionModel().selectedRows()
    assert lists.nodes.held.rows[index.row()] == 5
    context.selection.update(node=None)
    assert lists.nodes.selectionModel().selectedRows() == []


def test_another_circuit_and_none(lists, context, sample_session):
    circuit = sample_session.circuit
    half = np.arange(circuit.n_nodes) % 2 == 0
    small = circuit.select(half, np.ones(circuit.n_edges, dtype=bool))
    context.workspace.change("circuit", circuit=small)
    assert lists.nodes.held.rowCount() == small.n_nodes
    context.workspace.show(None)
    assert lists.nodes.held.rowCount() == 0
    assert lists.count.text() == ""


def test_rows_against_a_plain_filter(sample_session):
    listing = edges(sample_session.circuit)
    rows = range(sample_session.circuit.n_edges)
    texts = [" ".join(c.texts[row] for c in listing.columns).lower() for row in rows]
    for words in ("", "key", "mary value", "m0 john"):
        wanted = {row for row, text in enumerate(texts) if all(w in text for w in words.split())}
        assert set(listing.rows(words, 3, descending=True).tolist()) == wanted
    ordered = nodes(sample_session.circuit).rows("", 0, descending=False)
    labels = [sample_session.circuit.node_label[row] for row in ordered]
    assert labels == sorted(labels)


def test_of_very_many_edges_the_strongest_are_listed():
    weight = np.random.default_rng(0).standard_normal(30_000) ** 3
    for count in (10, 2_000, 20_000):
        found = strongest(weight, count)
        assert set(found) == set(np.argsort(-np.abs(weight))[:count])
