"""The card of the selected node: numbers, parts, ablations, reasons of attention."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from microtome.records.analysis import Analysis, Labelled
from microtome.records.circuit import HEAD, MLP, TOKEN
from microtome_desktop.jobs.requests import AblateEdge, AblateNode, ExplainAttention
from microtome_desktop.presenters.circuit import selection_of
from microtome_desktop.presenters.circuit_text import percent, signed
from microtome_desktop.presenters.node_card import (
    MOST_SOURCES,
    attention_sources,
    card_of,
    verification,
    verification_id,
)
from microtome_desktop.views.node_card import NodeCardPanel

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def panel(qtbot, context):
    made = NodeCardPanel(context)
    made.resize(340, 760)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    return made


@pytest.fixture
def head(sample_session, context, panel):
    """The head that the sample session knows most about, selected."""
    name = next(key for key in sample_session.analyses if key.startswith("why/"))[4:]
    select(context, sample_session.circuit, name)
    return name


def select(context, circuit, name):
    context.selection.update(**selection_of(circuit, circuit.row(name)), edge=None)


def cells(table, column):
    model = table.model()
    return [model.index(row, column).data() for row in range(model.rowCount())]


def click_tab(panel, section):
    bar = panel.parts.tabBar()
    QTest.mouseClick(bar, LEFT, pos=bar.tabRect(panel.parts.indexOf(section)).center())


def click_cell(table, row, column):
    place = table.visualRect(table.model().index(row, column)).center()
    QTest.mouseClick(table.viewport(), LEFT, pos=place)


def test_parts_are_the_edges_of_the_node(sample_session):
    circuit = sample_session.circuit
    for node in range(0, circuit.n_nodes, 9):
        card = card_of(circuit, circuit.node_id[node])
        assert len(card.incoming) == (circuit.edge_target == node).sum()
        assert len(card.outgoing) == (circuit.edge_source == node).sum()
        assert sum(part.weight for part in card.outgoing) == pytest.approx(
            circuit.edge_weight[circuit.edge_source == node].sum(), abs=1e-4
        )
        weights = [abs(part.weight) for part in card.incoming]
        assert weights == sorted(weights, reverse=True)
        if card.incoming and card.influence > 0:
            assert sum(part.share for part in card.incoming) == pytest.approx(1, abs=1e-4)
    assert card_of(circuit, "L9H9@9") is None
    assert card_of(circuit, None) is None


def test_the_card_tells_what_the_node_is(panel, head, sample_session):
    circuit = sample_session.circuit
    row = circuit.row(head)
    assert panel.heading.text() == circuit.node_label[row]
    token = circuit.metadata["tokens"][circuit.node_position[row]]
    assert panel.description.text() == f"attention head at “{token}” ({circuit.node_position[row]})"
    assert panel.stats.value("score") == signed(float(circuit.node_score[row]))
    assert panel.stats.value("influence") == percent(float(circuit.node_influence[row]))
    assert panel.stats.value("bias") == "0"


def test_parts_are_listed_strongest_first_and_sorted_by_any_column(panel, head, sample_session):
    table, card = panel.incoming.table, card_of(sample_session.circuit, head)
    assert cells(table, 0) == [part.label for part in card.incoming]
    assert cells(table, 3) == [signed(part.weight) for part in card.incoming]
    assert panel.parts.tabText(0) == f"Incoming parts  {len(card.incoming)}"
    header = table.horizontalHeader()
    place = header.sectionViewportPosition(2) + 5
    QTest.mouseClick(header.viewport(), LEFT, pos=QPoint(place, 6))
    assert cells(table, 2) == sorted(cells(table, 2))


def test_the_name_of_a_part_leads_to_its_node(panel, head, context, sample_session):
    part = card_of(sample_session.circuit, head).incoming[0]
    click_cell(panel.incoming.table, 0, 0)
    assert context.selection.current.node == part.node
    assert context.selection.current.edge is None
    assert (
        panel.heading.text()
        == sample_session.circuit.node_label[sample_session.circuit.row(part.node)]
    )


def test_a_click_into_a_sorted_table_hits_the_row_it_shows(panel, head, context, sample_session):
    header = panel.incoming.table.horizontalHeader()
    QTest.mouseClick(header.viewport(), LEFT, pos=QPoint(header.sectionViewportPosition(3) + 5, 6))
    weakest = min(card_of(sample_session.circuit, head).incoming, key=lambda p: abs(p.weight))
    click_cell(panel.incoming.table, 0, 0)
    assert context.selection.current.node == weakest.node


def test_the_rest_of_a_row_selects_the_edge(panel, head, context, sample_session, asked):
    part = card_of(sample_session.circuit, head).outgoing[0]
    click_tab(panel, panel.outgoing)
    click_cell(panel.outgoing.table, 0, 3)
    assert context.selection.current.edge == part.edge
    assert context.selection.current.node == head
    assert panel.edge_check.isVisible()
    assert part.label in panel.edge_check.caption.text()
    QTest.mouseClick(panel.edge_check.button, LEFT)
    assert asked == [AblateEdge(*part.edge)]


def test_an_edge_selected_elsewhere_is_marked_in_the_table(panel, head, context, sample_session):
    part = card_of(sample_session.circuit, head).incoming[2]
    context.selection.update(edge=part.edge)
    (row,) = panel.incoming.table.selectionModel().selectedRows()
    assert row.data() == part.label
    context.selection.update(edge=None)
    assert panel.incoming.table.selectionModel().selectedRows() == []
    assert not panel.edge_check.isVisible()


def test_ablating_for_real_shows_predicted_beside_true(panel, context, sample_session, asked):
    circuit = sample_session.circuit
    row = circuit.node_kind.index(MLP)
    name = circuit.node_id[row]
    select(context, circuit, name)
    assert not panel.node_check.bars.isVisible()
    QTest.mouseClick(panel.node_check.button, LEFT)
    assert asked == [AblateNode(name)]
    arrays = {
        "predicted": Labelled(("one",), np.float32([2.0])),
        "true": Labelled(("one",), np.float32([-0.5])),
        "noised": Labelled(("one",), np.float32([-2.5])),
        "denoised": Labelled(("one",), np.float32([1.5])),
    }
    params = {"how": "mean over documents", "base": 6.2, "ablated": 6.7}
    key = verification_id(name)
    context.workspace.add_analysis(Analysis(key, "verification", "Ablating", arrays, params))
    shown = panel.node_check.bars.shown
    assert panel.node_check.bars.isVisible()
    assert (shown.predicted, shown.true) == (2.0, -0.5)
    assert shown.caption == "metric +6.2 → +6.7, mean over documents"
    assert (
        panel.node_check.bars.accessibleName()
        == "predicted +2, true −0.5, cut out −2.5, put back +1.5"
    )
    panel.grab()


def test_verifications_of_edges_have_their_own_key(sample_session):
    assert verification_id(("T@2", "L2H1@14", 2)) == "verification/T@2>L2H1@14/2"
    assert verification(sample_session.analyses, ("T@2", "L2H1@14", 2)) is None


def test_why_a_head_looks_there(panel, head, context, asked, sample_session):
    held = sample_session.analyses[f"why/{head}"]
    table = held.array("score")
    assert panel.parts.isTabVisible(panel.parts.indexOf(panel.sources))
    click_tab(panel, panel.sources)
    assert panel.sources.isVisible()
    assert not panel.why.isVisible()
    shown = cells(panel.sources.table, 2)
    assert len(shown) == table.size
    q, k = np.unravel_index(np.abs(table).argmax(), table.shape)
    first = [cells(panel.sources.table, column)[0] for column in range(3)]
    expected = [held.array("query_source")[q], held.array("key_source")[k], signed(table[q, k])]
    assert first == expected
    assert signed(float(table.sum())) in panel.sources.caption.text()


def test_the_largest_terms_are_kept_and_come_first(sample_session, head):
    held = sample_session.analyses[f"why/{head}"]
    many = np.random.default_rng(0).standard_normal((30, 30))
    names = np.array([f"source{i}" for i in range(30)])
    arrays = {
        "score": Labelled(("query_source", "key_source"), many),
        "query_source": Labelled(("query_source",), names),
        "key_source": Labelled(("key_source",), names),
    }
    analyses = {held.id: replace(held, arrays=arrays)}
    rows = attention_sources(analyses, card_of(sample_session.circuit, head)).rows
    assert len(rows) == MOST_SOURCES
    slow = sorted(np.abs(many).ravel(), reverse=True)[:MOST_SOURCES]
    assert [abs(row.score) for row in rows] == pytest.approx(slow)


def test_why_that_cannot_be_read_is_told_and_can_be_asked_again(
    panel, head, context, asked, sample_session
):
    held = sample_session.analyses[f"why/{head}"]
    short = replace(held.arrays["score"], values=held.array("score")[:, :1])
    for arrays in ({}, {**held.arrays, "score": short}):
        context.workspace.add_analysis(replace(held, arrays=arrays))
        assert panel.parts.isTabVisible(panel.parts.indexOf(panel.sources))
        assert panel.sources.caption.text().startswith("What was found cannot be read")
        assert cells(panel.sources.table, 0) == []
        assert not panel.why.isHidden()
        assert not [row for row in panel.exported_table()().rows if row[0] == "why"]
    context.workspace.add_analysis(held)
    assert panel.why.isHidden()


def test_asking_why(panel, context, asked, sample_session):
    circuit = sample_session.circuit
    known = {key[4:] for key in sample_session.analyses if key.startswith("why/")}
    row = next(
        row
        for row in range(circuit.n_nodes)
        if circuit.node_kind[row] == HEAD and circuit.node_id[row] not in known
    )
    select(context, circuit, circuit.node_id[row])
    context.workspace.set_model(None)
    QTest.mouseClick(panel.why, LEFT)
    assert asked == []
    context.workspace.set_model(sample_session.model)
    QTest.mouseClick(panel.why, LEFT)
    place = circuit.node_layer[row], circuit.node_head[row], circuit.node_position[row]
    assert asked == [ExplainAttention(*(int(number) for number in place))]


def test_the_metric_cannot_be_ablated_nor_an_embedding_explained(panel, context, sample_session):
    circuit = sample_session.circuit
    for name in (circuit.node_id[circuit.node_kind.index(TOKEN)], "OUT"):
        select(context, circuit, name)
        assert panel.node_check.isVisible() == (name != "OUT")
        assert not panel.why.isVisible()
    assert panel.stats.value("influence") == "100 %"


def test_offline_the_card_is_full_and_says_why_nothing_can_be_asked(
    panel, head, context, asked, sample_session
):
    context.workspace.set_model(None)
    assert panel.reason.isVisible()
    assert "words-4l" in panel.reason.text()
    assert not panel.node_check.button.isEnabled()
    assert panel.node_check.bars.isVisible()  # what was measured stays
    QTest.mouseClick(panel.node_check.button, LEFT)
    assert asked == []
    context.workspace.set_model(sample_session.model)
    assert not panel.reason.isVisible()
    assert panel.node_check.button.isEnabled()


def test_no_session_no_selection_unknown_node(qtbot, panel, context, sample_session):
    assert "No node selected" in panel.empty.headline.text()
    context.selection.update(node="L9H9@9")
    assert panel.empty.isVisible()
    assert "L9H9@9" in panel.empty.headline.text()
    context.workspace.show(replace(sample_session, circuit=None))
    assert panel.empty.headline.text() == "No circuit yet"
    context.workspace.show(None)
    assert panel.empty.isVisible()
