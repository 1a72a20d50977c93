"""Working on the circuit with mouse and keyboard in the real window, and taking it back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu

from microtome.session.reader import open_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.presenters import circuit_look as looks
from microtome_desktop.presenters.circuit import Placing, edge_names
from microtome_desktop.presenters.marking import group_id
from microtome_desktop.views.circuit import CircuitPanel

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
SHIFT = Qt.KeyboardModifier.ShiftModifier
WAIT = 20_000
ID = CommandId


@pytest.fixture
def desk(bench):
    yield bench.desk
    bench.furnishing.panels["circuit"].finder.field.dismiss()
    while bench.desk.book.undo_title:
        bench.desk.book.undo()
    bench.runner.turns.finish()


@pytest.fixture
def graph(bench, desk, qtbot) -> CircuitPanel:
    panel = bench.furnishing.panels["circuit"]
    desk.selection.update(node=None, edge=None, others=())
    settle(bench)
    panel.canvas.fit()
    panel.finish_drawing()
    return panel


def settle(bench):
    panel = bench.furnishing.panels["circuit"]
    for _ in range(3):
        QApplication.processEvents()
        bench.runner.turns.finish()
    panel.finish_drawing()


def do(bench, wanted):
    settle(bench)
    action = bench.window.actions_table.actions[wanted]
    assert action.isEnabled(), action.toolTip()
    action.trigger()
    settle(bench)


def at(graph, node):
    return graph.canvas.place_of(graph.shown.row(node)).toPoint()


def click(bench, graph, node, modifier=Qt.KeyboardModifier.NoModifier, button=LEFT):
    QTest.mouseClick(graph.canvas.view.viewport(), button, modifier, at(graph, node))
    settle(bench)


def heads(graph, count):
    circuit = graph.shown
    rows = [row for row, kind in enumerate(circuit.node_kind) if kind == "head"]
    rows.sort(key=lambda row: -circuit.node_influence[row])
    return [circuit.node_id[row] for row in rows[:count]]


def drag(view, start, end, modifier):
    """A drag as the mouse does it, in steps."""
    port = view.viewport()
    places = [
        QPointF(start) + (QPointF(end) - QPointF(start)) * share for share in (0, 0.3, 0.7, 1)
    ]
    kinds = [QMouseEvent.Type.MouseButtonPress, *[QMouseEvent.Type.MouseMove] * 3]
    for place, kind in zip(places, kinds, strict=True):
        held = LEFT
        pressed = LEFT if kind == QMouseEvent.Type.MouseButtonPress else Qt.MouseButton.NoButton
        event = QMouseEvent(kind, place, port.mapToGlobal(place), pressed, held, modifier)
        QApplication.sendEvent(port, event)
    up = QMouseEvent.Type.MouseButtonRelease
    none = Qt.MouseButton.NoButton
    QApplication.sendEvent(
        port, QMouseEvent(up, places[-1], port.mapToGlobal(places[-1]), LEFT, none, modifier)
    )


# ---------------------------------------------------------------- several nodes


def test_shift_and_click_adds_and_takes_away(bench, desk, graph):
    a, b, c = heads(graph, 3)
    click(bench, graph, a)
    click(bench, graph, b, SHIFT)
    click(bench, graph, c, SHIFT)
    assert set(graph.acts.chosen) == {a, b, c}
    assert desk.selection.current.node == c  # the card shows the last
    click(bench, graph, b, SHIFT)
    assert set(graph.acts.chosen) == {a, c}
    click(bench, graph, c, SHIFT)
    assert graph.acts.chosen == (a,)
    click(bench, graph, b)
    assert graph.acts.chosen == (b,)  # without Shift it is one


def test_a_rubber_band_takes_what_it_holds(bench, desk, graph):
    places = np.array([[p.x(), p.y()] for p in map(graph.canvas.place_of,
                       range(graph.shown.n_nodes))])  # fmt: skip
    low, high = places.min(0) - 6, places.max(0) + 6
    middle = (low + high) / 2
    box = (QPoint(int(low[0]), int(middle[1])), QPoint(int(high[0]), int(high[1])))
    drag(graph.canvas.view, *box, SHIFT)
    settle(bench)
    inside = (places[:, 1] > middle[1]) & (places[:, 0] >= low[0])
    wanted = {graph.shown.node_id[row] for row in np.flatnonzero(inside)}
    assert set(graph.acts.chosen) == wanted
    assert graph.canvas.frame is None  # the band did not move the view


# ---------------------------------------------------------------- pin, hide, name


def test_a_pinned_node_outlasts_the_slider(bench, desk, graph):
    node = heads(graph, 100)[-1]
    click(bench, graph, node)
    do(bench, ID.PIN)
    graph.controls.nodes.setValue(10)
    settle(bench)
    assert node in graph.shown.node_id
    assert [badge.node for badge in graph.canvas.labels.badges] == [graph.shown.row(node)]
    do(bench, ID.PIN)  # again lets it go
    assert desk.book.marks.pins == ()
    assert node not in graph.shown.node_id


def test_hidden_nodes_come_back(bench, desk, graph):
    node = heads(graph, 1)[0]
    before = graph.shown.node_id
    click(bench, graph, node)
    do(bench, ID.HIDE)
    assert set(graph.shown.node_id) == set(before) - {node}
    assert desk.selection.current.node is None
    do(bench, ID.SHOW_HIDDEN)
    assert graph.shown.node_id == before


def test_a_name_is_written_where_the_node_is(bench, desk, graph):
    node = heads(graph, 1)[0]
    click(bench, graph, node)
    do(bench, ID.RENAME)
    assert graph.naming.isVisible()
    graph.naming.setText("copier")
    QTest.keyClick(graph.naming, Qt.Key.Key_Return)
    settle(bench)
    row = graph.shown.row(node)
    assert graph.canvas.labels.text_of(row) == "copier"
    assert bench.furnishing.panels["node_card"].heading.text() == "copier"
    assert desk.book.undo_title == f"Name {node} “copier”"
    do(bench, ID.UNDO)
    assert graph.canvas.labels.text_of(graph.shown.row(node)) != "copier"


def test_escape_leaves_the_name_as_it_was(bench, desk, graph):
    click(bench, graph, heads(graph, 1)[0])
    do(bench, ID.RENAME)
    graph.naming.setText("nonsense")
    QTest.keyClick(graph.naming, Qt.Key.Key_Escape)
    assert not graph.naming.isVisible()
    assert desk.book.undo_title == ""


# ---------------------------------------------------------------- groups


def group(bench, graph, nodes, name):
    click(bench, graph, nodes[0])
    for node in nodes[1:]:
        click(bench, graph, node, SHIFT)
    do(bench, ID.GROUP)
    graph.naming.setText(name)
    QTest.keyClick(graph.naming, Qt.Key.Key_Return)
    settle(bench)


def test_a_group_is_made_expanded_collapsed_renamed_and_taken_apart(bench, desk, graph):
    nodes, before = heads(graph, 3), set(graph.shown.node_id)
    group(bench, graph, nodes, "movers")
    shown = set(graph.shown.node_id)
    assert shown == (before - set(nodes)) | {group_id("movers")}
    card = bench.furnishing.panels["node_card"]
    assert card.heading.text() == "movers"
    assert card.description.text().startswith("group of 3: ")
    do(bench, ID.COLLAPSE)
    assert set(graph.shown.node_id) == before
    assert set(graph.acts.chosen) == set(nodes)
    do(bench, ID.COLLAPSE)
    assert set(graph.shown.node_id) == shown
    do(bench, ID.RENAME)
    graph.naming.setText("name movers")
    QTest.keyClick(graph.naming, Qt.Key.Key_Return)
    settle(bench)
    assert desk.selection.current.node == group_id("name movers")
    do(bench, ID.UNGROUP)
    assert desk.book.marks.supernodes == ()
    assert set(graph.shown.node_id) == before


def test_two_groups_have_two_names_and_share_no_node(bench, desk, graph):
    a, b, c, d = heads(graph, 4)
    group(bench, graph, [a, b], "x")
    do(bench, ID.COLLAPSE)
    group(bench, graph, [b, c, d], "x")
    assert [(g.name, set(g.nodes)) for g in desk.book.marks.supernodes] == [
        ("x", {a}),
        ("x 2", {b, c, d}),
    ]


def test_the_strongest_edge_is_walked_into_a_group(bench, desk, graph):
    nodes = heads(graph, 2)
    group(bench, graph, nodes, "pair")
    desk.selection.update(node=nodes[0], others=())  # as the card of another panel does
    settle(bench)
    chosen = graph.canvas.labels._rings[-1].node
    assert graph.shown.node_id[chosen] == group_id("pair")
    graph.canvas.view.setFocus()
    QTest.keyClick(graph.canvas.view, Qt.Key.Key_Home)
    settle(bench)
    assert desk.selection.current.node == "OUT"


# ---------------------------------------------------------------- undo of everything


def test_everything_is_taken_back_step_by_step_and_done_again(bench, desk, graph):
    first = (desk.book.marks, looks.as_json(desk.book))
    a, b, c = heads(graph, 3)
    graph.controls.edges.setValue(60)
    graph.controls.settled.emit()
    click(bench, graph, a)
    do(bench, ID.PIN)
    do(bench, ID.WEIGHTS)
    do(bench, ID.COMPACT)
    group(bench, graph, [b, c], "g")
    click(bench, graph, a)
    do(bench, ID.HIDE)
    last = (desk.book.marks, looks.as_json(desk.book))
    titles = []
    while desk.book.undo_title:
        titles.append(desk.book.undo_title)
        text = bench.window.actions_table.actions[ID.UNDO].text()
        do(bench, ID.UNDO)
        assert titles[-1] in text.replace("&&", "&")
    assert len(titles) == 6
    assert (desk.book.marks, looks.as_json(desk.book)) == first
    assert graph.controls.edges.value() == 80
    assert not graph.controls.weights.isChecked()
    while desk.book.redo_title:
        do(bench, ID.REDO)
    assert (desk.book.marks, looks.as_json(desk.book)) == last


# ---------------------------------------------------------------- looks


def test_the_weights_stand_on_their_curves(bench, desk, graph):
    do(bench, ID.WEIGHTS)
    weights = graph.canvas.weights.weights
    assert len(weights) >= 5
    samples = graph.canvas.drawing.curves.sampled(900)
    to_view = graph.canvas._to_view()
    for weight in weights:
        line = [to_view.map(QPointF(*place)) for place in samples[weight.edge]]
        away = min(np.hypot(p.x() - weight.x, p.y() - weight.y) for p in line)
        assert away < 3
        value = float(graph.shown.edge_weight[weight.edge])
        assert weight.text.startswith("+" if value > 0 else "\N{MINUS SIGN}")
    boxes = [(w.x, w.y) for w in weights]
    for (ax, ay), (bx, by) in itertools.combinations(boxes, 2):
        assert abs(ax - bx) > 8 or abs(ay - by) > 8


def test_a_view_is_kept_and_comes_back(bench, desk, graph):
    node = heads(graph, 1)[0]
    click(bench, graph, node)
    graph.controls.nodes.setValue(20)
    graph.canvas.zoom(2.0)
    do(bench, ID.SAVE_VIEW)
    graph.naming.setText("near")
    QTest.keyClick(graph.naming, Qt.Key.Key_Return)
    frame = graph.canvas.frame
    graph.controls.nodes.setValue(60)
    desk.selection.update(node="OUT")
    do(bench, ID.FIT)
    assert graph.canvas.frame is None
    menu = graph.controls.views.menu()
    menu.aboutToShow.emit()
    shown = next(action for action in menu.actions() if action.text() == "near")
    shown.trigger()
    settle(bench)
    assert looks.SHOWN_NODES.of(desk.book) == 20
    assert desk.selection.current.node == node
    again = graph.canvas.frame
    for name in ("x", "y", "width", "height"):
        assert getattr(again, name)() == pytest.approx(getattr(frame, name)(), abs=2)
    graph.acts.delete_view("near")
    assert desk.book.marks.views == ()


# ---------------------------------------------------------------- search, overview, menu


def test_the_search_marks_selects_and_steps(bench, desk, graph):
    do(bench, ID.SEARCH)
    field = graph.finder.field
    assert field.isVisible()
    QTest.keyClicks(field.words, "head l1")
    settle(bench)
    found = graph.finder.found
    circuit = graph.shown
    wanted = {n for n, k, layer in zip(circuit.node_id, circuit.node_kind, circuit.node_layer,
              strict=True) if k == "head" and layer == 1}  # fmt: skip
    assert set(found) == wanted
    assert desk.selection.current.node == found[0]
    QTest.keyClick(field.words, Qt.Key.Key_Return)
    assert desk.selection.current.node == found[1 % len(found)]
    QTest.keyClick(field.words, Qt.Key.Key_Return, SHIFT)
    assert desk.selection.current.node == found[0]
    assert field.count.text() == f"1 of {len(found)}"
    field.words.setText("qqqq")
    assert field.count.text() == "none"
    QTest.keyClick(field.words, Qt.Key.Key_Escape)
    assert not field.isVisible()
    assert graph.finder.found == ()


def test_the_overview_shows_when_something_is_out_of_view_and_leads_there(bench, desk, graph):
    overview = graph.canvas.minimap
    assert not overview.isVisible()
    do(bench, ID.ZOOM_IN)
    do(bench, ID.ZOOM_IN)
    assert overview.isVisible()
    before = graph.canvas.frame
    QTest.mouseClick(overview, LEFT, pos=QPoint(12, overview.height() - 12))
    settle(bench)
    after = graph.canvas.frame
    assert after.center().x() < before.center().x()
    assert after.center().y() < before.center().y()
    do(bench, ID.FIT)
    assert not overview.isVisible()


def test_a_right_click_offers_what_can_be_done_there(bench, desk, graph):
    node = heads(graph, 1)[0]
    click(bench, graph, node, button=RIGHT)
    assert desk.selection.current.node == node
    menu = next(m for m in graph.findChildren(QMenu, "circuit_menu") if m.isVisible())
    titles = [action.text().partition("\t")[0] for action in menu.actions() if action.text()]
    assert titles[:3] == ["Pin", "Rename…", "Note…"]
    by_title = {action.text().partition("\t")[0]: action for action in menu.actions()}
    assert not by_title["Group…"].isEnabled()
    assert "Shift" in by_title["Group…"].toolTip()
    by_title["Pin"].trigger()
    menu.close()
    assert desk.book.marks.pins == (node,)


def test_everything_made_is_in_the_file_and_opens_again(bench, desk, graph, qtbot, tmp_path):
    a, b, c = heads(graph, 3)
    group(bench, graph, [a, b], "pair")
    click(bench, graph, c)
    do(bench, ID.PIN)
    do(bench, ID.COMPACT)
    do(bench, ID.NOTE)
    QTest.keyClicks(bench.furnishing.panels["notes"].part, "looks at John")
    path = tmp_path / "marked.h5"
    bench.handlers._save(path)  # takes what is still being typed
    qtbot.waitUntil(lambda: desk.workspace.path == path and bench.runner.idle, timeout=WAIT)
    held = open_session(path)
    assert held.marks == desk.workspace.session.marks
    assert held.marks.note(c) == "looks at John"
    drawn = edge_names(graph.shown)
    bench.desk.workspace.show(None)
    bench.runner.ask(OpenSession(path))
    qtbot.waitUntil(lambda: desk.workspace.path == path and bench.runner.idle, timeout=WAIT)
    settle(bench)
    assert edge_names(graph.shown) == drawn
    assert graph.controls.compact.isChecked()
    looks.PLACING.set(desk.book, Placing.POSITION.value)
