"""Every command of the Features menu does what it promises, on the model and its dictionaries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QFileDialog

import microtome as mt
from microtome.records.feature_index import index_of
from microtome.records.shared_features import shared_of
from microtome.records.shared_neurons import neurons_of_analysis
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.feature_rows import FEATURE_COMMANDS
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.feature_requests import IndexFeatures, OpenDictionary, run_key
from microtome_desktop.state.dictionaries import neurons_of
from microtome_desktop.state.features import index_with

_ID = CommandId
LEFT = Qt.MouseButton.LeftButton
SMALL = "words-4l/resid_post.2-small"


def opened(hand, name):
    hand.take(name)
    hand.until(lambda: any(d.isVisible() for d in hand.window.findChildren(QDialog)))
    return next(d for d in hand.window.findChildren(QDialog) if d.isVisible())


def with_index(hand):
    """The panel on the small dictionary, with a little text looked through."""
    hand.bench.runner.ask(OpenDictionary(SMALL))
    hand.rest()
    panel = hand.panels["features"]
    if index_with(hand.session, panel.current.fingerprint) is None:
        source = panel.current
        hand.bench.runner.ask(IndexFeatures(source.fingerprint, source.name, "words-4l", 1_500))
    hand.rest()
    hand.until(lambda: panel.table is not None)
    return panel


def open_a_dictionary(hand):
    dialog = opened(hand, _ID.OPEN_DICTIONARY)
    hand.until(lambda: dialog.embedded.count() >= 3)
    row = next(r for r in range(dialog.embedded.count()) if SMALL in dialog.embedded.item(r).text())
    dialog.embedded.setCurrentRow(row)
    facts = [dialog.facts.itemAt(at).widget().text() for at in range(dialog.facts.count())]
    assert {"resid_post.2", "128", "256", "topk sae", "words-4l"} <= set(facts)
    QTest.mouseClick(dialog.go, LEFT)
    hand.rest()
    current = hand.panels["features"].current
    assert current.name == SMALL
    assert current.told.endswith("256 features")


def look_through_a_text(hand):
    hand.bench.runner.ask(OpenDictionary(SMALL))
    hand.rest()
    text = hand.folder / "mine.txt"
    text.write_text("When Mary and John went to the store , John gave a drink to Mary .\n" * 40)
    dialog = opened(hand, _ID.INDEX_FEATURES)
    hand.patch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(text), ""))
    QTest.mouseClick(dialog.file, LEFT)
    hand.until(lambda: dialog.outlook.text().startswith("At most"))
    QTest.mouseClick(dialog.go, LEFT)
    hand.rest()
    panel = hand.panels["features"]
    hand.until(lambda: panel.table is not None)
    held = index_of(index_with(hand.session, panel.current.fingerprint))
    assert held.params["corpus"] == "mine.txt"
    hand.until(lambda: panel.table.index.params["corpus"] == "mine.txt")
    assert panel.rows.rows[0] == int(held.array("count").argmax())
    panel.choose(int(panel.rows.rows[0]))
    hand.rest()
    key = run_key(panel.current.fingerprint, hand.session.clean)
    hand.until(lambda: hand.desk.workspace.prepared.get(key) is not None)
    codes = hand.desk.workspace.prepared.get(key).of(panel.feature)
    model = mt.load_model("words-4l")
    run = mt.trace(model, hand.session.clean.prompt, sites=["resid_post.2"])
    read = torch.from_numpy(run.activation("resid_post.2"))
    wanted = mt.load_dictionary(SMALL).encode(read)[:, panel.feature].numpy()
    np.testing.assert_allclose(codes, wanted, atol=1e-4)
    world = {}
    exec("\n".join(panel.exported_lines()), world)  # noqa: S102  # that is the test
    held = [panel.table.figures[name][panel.feature] for name in ("rate", "mean", "peak")]
    np.testing.assert_allclose(world["values"], held, rtol=1e-4)


def show_the_directions(hand):
    panel = with_index(hand)
    hand.do(_ID.FEATURE_DIRECTIONS)
    space = hand.panels["feature_space"]
    assert space.site.currentData() == f"features of {SMALL}"
    assert len(space.drawing.points) == 256
    directions = mt.load_dictionary(SMALL).directions.numpy()
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    held = hand.session.analyses[f"projection/features of {SMALL}"]
    middle = unit - unit.mean(0)
    spread = np.linalg.svd(middle, compute_uv=False)[:3] ** 2 / (middle**2).sum()
    np.testing.assert_allclose(held.array("explained_variance_ratio")[:3], spread, rtol=1e-3)
    point = int(np.flatnonzero(space.drawing.positions == 7)[0])
    space.grid.clicked.emit(space.active, point)
    hand.rest()
    assert panel.feature == 7
    assert space.drawing.describe(point).startswith("feature 7")


def show_a_neuron(hand):
    hand.desk.selection.update(layer=1, neuron=5)
    hand.do(_ID.NEURON_CARD)
    panel = hand.panels["features"]
    assert panel.current.fingerprint == neurons_of(1)
    hand.bench.runner.ask(IndexFeatures(neurons_of(1), "neurons of layer 1", "words-4l", 1_500))
    hand.rest()
    hand.until(lambda: panel.card is not None)
    assert panel.view.title.text() == "Neuron 5 · layer 1"
    held = index_of(index_with(hand.session, neurons_of(1)))
    assert panel.table.n_features == held.n_features == 512
    hand.bench.runner.ask(OpenDictionary(SMALL))
    hand.rest()
    small = panel.current.fingerprint
    hand.do(_ID.NEURON_CARD)
    assert panel.current.fingerprint == neurons_of(1)
    sharing = panel.run.sharing
    offered = [sharing.coder.itemText(at) for at in range(sharing.coder.count())]
    assert offered[0] == "words-4l/transcoders"  # what stands for the neuron's own layer
    sharing.coder.setCurrentIndex(offered.index(SMALL))
    QTest.mouseClick(sharing.seek, LEFT)
    hand.rest()
    shared = shared_of(hand.session.analyses["shared-features-1.5"])
    first = shared.strongest(1)[0]
    assert sharing.lines[0].text().startswith(f"{shared.correlation[first]:.2f}  {first}")
    QTest.mouseClick(sharing.lines[0], LEFT)
    hand.rest()
    assert panel.current.fingerprint == small
    assert hand.desk.selection.current.feature == (small, first)
    with_index(hand)
    assert panel.view.title.text() == f"Feature {first} · {SMALL}"
    panel.area.ensureWidgetVisible(sharing.seek)
    QTest.mouseClick(sharing.seek, LEFT)  # and back to its neurons
    hand.rest()
    named = f"shared-neurons-{small[:12]}.{first}"
    layer, number = neurons_of_analysis(hand.session.analyses[named]).strongest(1)[0]
    QTest.mouseClick(sharing.lines[0], LEFT)
    hand.rest()
    assert hand.desk.selection.current.feature == (neurons_of(layer), number)


def accept_labels(hand):
    panel = with_index(hand)
    wanted = {row: told for row, told in enumerate(panel.table.proposed) if told}
    hand.do(_ID.ACCEPT_LABELS)
    assert panel.labels == wanted != {}
    hand.do(_ID.UNDO)
    assert panel.labels == {}


def import_labels(hand):
    panel = with_index(hand)
    path = hand.folder / "labels.csv"
    path.write_text("feature,label\n12,a name\n")
    hand.patch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    hand.do(_ID.IMPORT_LABELS)
    assert panel.labels == {12: "a name"}
    hand.do(_ID.UNDO)


def export_labels(hand):
    with_index(hand)
    import_path = hand.folder / "labels.json"
    import_path.write_text('{"3": "three"}')
    hand.patch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(import_path), ""))
    hand.do(_ID.IMPORT_LABELS)
    path = hand.folder / "out.csv"
    hand.patch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    hand.do(_ID.EXPORT_LABELS)
    assert path.read_text() == "feature,label\n3,three\n"
    hand.do(_ID.UNDO)


PROMISES = {
    _ID.OPEN_DICTIONARY: open_a_dictionary, _ID.INDEX_FEATURES: look_through_a_text,
    _ID.FEATURE_DIRECTIONS: show_the_directions, _ID.NEURON_CARD: show_a_neuron,
    _ID.ACCEPT_LABELS: accept_labels, _ID.IMPORT_LABELS: import_labels,
    _ID.EXPORT_LABELS: export_labels,
}  # fmt: skip


@pytest.fixture
def asked(hand):
    """The hand on the example, without features that others have left."""
    hand.desk.selection.update(feature=None)
    yield hand
    hand.desk.selection.update(feature=None, neuron=None)
    hand.window.reset_layout()


@pytest.mark.parametrize("wanted", [row.id for row in FEATURE_COMMANDS])
def test_a_command_does_what_it_promises(asked, wanted):
    assert wanted in PROMISES, f"{wanted} has no check: say here what it promises"
    PROMISES[wanted](asked)


def test_index_labels_and_the_selected_feature_go_along_into_the_next_run(asked):
    panel = with_index(asked)
    source, before = panel.current, asked.session
    index = index_with(before, source.fingerprint)
    panel.choose(9)
    asked.rest()
    panel.view.labelled.emit("nine")
    panel.view.note.setPlainText("a ninth\nof all")
    panel.view.note.flush()
    asked.bench.runner.ask(Examine(asked.desk.draft.text.question()))
    asked.rest()
    assert asked.session is not before
    assert index_with(asked.session, source.fingerprint) is index
    assert panel.labels == {9: "nine"}
    assert panel.feature == 9
    assert panel.view.label.text() == "nine"
    assert panel.notes == {9: "a ninth\nof all"}


def test_a_newcomer_sees_features_after_one_click(asked):
    panel = asked.panels["features"]
    asked.desk.dictionaries.choose("")
    for name, held in asked.session.analyses.items():
        if held.kind == "feature-index":
            asked.desk.book.put_results("Forget", {name: None})
    asked.window.show_panel("features")
    asked.until(lambda: len(panel.start.offers) == 4)
    asked.rest()
    assert panel.pages.currentWidget() is panel.start
    button = panel.start.offers[SMALL]
    assert "256 features" in button.text()
    asked.patch.setattr("microtome_desktop.views.feature_start.FIRST_TOKENS", 1_500)
    QTest.mouseClick(button, LEFT)
    asked.until(lambda: panel.table is not None)
    asked.rest()
    assert panel.current.name == SMALL
    assert len(panel.rows.rows) == 256
    assert panel.table.index.params["corpus"] == "words-4l.txt"


def test_what_does_not_fit_the_model_is_refused_by_name(asked):
    dialog = opened(asked, _ID.OPEN_DICTIONARY)
    folder = asked.folder / "other"
    narrow = mt.load_dictionary(SMALL)
    held = narrow.weights
    cut = replace(
        held, w_dec=held.w_dec[:, :64].clone(), b_dec=held.b_dec[:64].clone(),
        w_enc=held.w_enc[:, :64].clone(),
    )  # fmt: skip
    told = replace(narrow.identity, d_in=64, d_out=64, model_fingerprint="")
    mt.save_dictionary(type(narrow)(cut, narrow.settings, told), folder)
    dialog.name.setText(str(folder))
    QTest.keyClick(dialog.name, Qt.Key.Key_Return)
    asked.until(lambda: "64 numbers at resid_post.2" in dialog.problem.text())
    assert "words-4l has 128" in dialog.problem.text()
    assert not dialog.go.isEnabled()
    dialog.name.setText("nobody/nothing")
    QTest.mouseClick(dialog.look, LEFT)
    asked.until(lambda: dialog.go.text() == "Download")
    dialog.name.setText(str(asked.folder / "not there"))
    QTest.mouseClick(dialog.look, LEFT)
    asked.until(lambda: "There is no dictionary" in dialog.problem.text())
    dialog.close()
