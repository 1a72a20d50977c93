"""Every command of the Features menu does what it promises, on the model and its dictionaries."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from featured import LEFT, SMALL, left_clean, opened, saving, with_index
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QMessageBox

import microtome as mt
from microtome.analysis.umap_installed import has_umap
from microtome.features.formats.example_files import open_examples
from microtome.records.feature_card import as_examples
from microtome.records.feature_index import index_of
from microtome.records.neuron_prints import neurons_fingerprint
from microtome.records.shared_features import shared_of
from microtome.records.shared_neurons import neurons_of_analysis
from microtome_desktop import palette
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.feature_rows import FEATURE_COMMANDS
from microtome_desktop.jobs.feature_requests import IndexFeatures, OpenDictionary, run_key
from microtome_desktop.presenters.space_colours import rgba
from microtome_desktop.state.features import index_with
from microtome_desktop.state.proposals import proposals_in

_ID = CommandId


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


def save_a_dictionary(hand):
    """One for SAELens with its examples, then a set for circuit-tracer; both are read back."""
    panel = with_index(hand)
    hand.desk.settings.folder = str(hand.folder)
    small = mt.load_dictionary(SMALL)
    dialog = saving(hand)
    assert (dialog.formats.currentText(), dialog.target().name) == ("SAELens", "resid_post.2-small")
    assert not dialog.formats.model().item(1).isEnabled()
    assert dialog.off.text().startswith("circuit-tracer's format is for transcoders")
    assert dialog.told.text().startswith("This dictionary: cfg.json and sae_weights.safetensors")
    place = dialog.target()
    QTest.mouseClick(dialog.go, LEFT)
    hand.rest()
    told = hand.desk.notices.history[-1]
    assert (told.title, told.what) == (f"Saved {place.name}", str(place))
    again = mt.load_dictionary(place)
    assert again.identity.fingerprint == small.identity.fingerprint
    rows = torch.randn(5, 128, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.encode(rows), small.encode(rows))
    assert torch.equal(again.reconstruct(rows), small.reconstruct(rows))
    index, files = panel.table.index, open_examples(place)
    on = np.flatnonzero(index.array("count")).tolist()
    assert list(files.features(2)) == on != []
    assert files.feature(2, on[0]) == as_examples(mt.feature_card(index, on[0]))
    refused_and_asked(hand, place)
    hand.bench.runner.ask(OpenDictionary("words-4l/transcoders"))
    hand.rest()
    dialog = saving(hand)
    assert (dialog.formats.currentText(), dialog.target().name) == ("circuit-tracer", "transcoders")
    assert dialog.formats.model().item(0).isEnabled()  # this layer alone
    assert not dialog.examples.isChecked()
    QTest.mouseClick(dialog.go, LEFT)
    hand.rest()
    saved, held = (
        mt.load_transcoders(hand.folder / "transcoders"),
        mt.load_transcoders("words-4l/transcoders"),
    )
    for one, other in zip(saved.layers, held.layers, strict=True):
        assert one.identity.fingerprint == other.identity.fingerprint
        assert torch.equal(one.reconstruct(rows), other.reconstruct(rows))


def refused_and_asked(hand, place):
    """What holds something else is refused, a dictionary is replaced after a question alone."""
    dialog = saving(hand)
    before = (place / "cfg.json").stat().st_mtime_ns
    hand.patch.setattr(QMessageBox, "exec", lambda box: box.buttons()[-1].click())
    QTest.mouseClick(dialog.go, LEFT)
    assert dialog.isVisible()
    dialog.examples.click()
    hand.patch.setattr(QMessageBox, "exec", lambda box: box.buttons()[0].click())
    QTest.mouseClick(dialog.go, LEFT)
    hand.rest()
    assert (place / "cfg.json").stat().st_mtime_ns > before
    assert not (place / "features").exists()
    (place / "thesis.txt").write_text("years of work")
    dialog = saving(hand)
    assert "holds thesis.txt, which is no part of a dictionary" in dialog.problem.text()
    assert not dialog.go.isEnabled()
    dialog.reject()
    hand.rest()


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
    assert [str(by) for by in space.drawing.offered] == [
        "Cluster", "Token", "Firing rate", "Purity"
    ]  # fmt: skip
    rates = panel.table.figures["rate"]
    assert held.array("point_rate") == pytest.approx(rates, rel=1e-6)
    point, place = lonely_point(space)
    feature = int(space.drawing.positions[point])
    space.view.hovered.emit(point)  # what the pointer over it says; test_feature_space moves it
    assert hand.desk.selection.current.hovered_feature == (panel.current.fingerprint, feature)
    QTest.mouseClick(space.view.surface(), LEFT, pos=place)
    hand.rest()
    assert panel.feature == feature
    key = run_key(panel.current.fingerprint, hand.session.clean)
    hand.until(lambda: hand.desk.workspace.prepared.get(key) is not None)
    told = space.features.told(space.active, point).split("\n")
    assert told[0].startswith(f"feature {feature}")
    assert f"on at {100 * rates[feature]:.2g} %" in told[1]
    codes = hand.desk.workspace.prepared.get(key)
    on = codes.of(feature)
    strip = hand.panels["token_strip"]
    strip.colour_by.setCurrentText("activation of the feature")
    most = on.max() or 1.0
    np.testing.assert_allclose(np.nan_to_num(strip.drawing.values), on / most, atol=1e-6)
    world = {}
    exec("\n".join(strip.exported_lines()), world)  # noqa: S102  # that is the test
    np.testing.assert_allclose(world["values"], on, rtol=1e-4, atol=1e-5)
    coloured_by_what_is_on(hand, space, codes)
    strip.colour_by.setCurrentIndex(0)


def coloured_by_what_is_on(hand, space, codes):
    """A token that is selected colours the features that are on at it."""
    box = space.colour_by
    box.setCurrentText("Active here")
    box.activated.emit(box.currentIndex())
    chips = hand.panels["token_strip"].chips
    QTest.mouseClick(chips, LEFT, pos=chips.column_rect(2).center().toPoint())
    hand.rest()
    assert hand.desk.selection.current.position == 2
    faint = np.array(rgba(palette.TEXT_FAINT), np.float32)
    lit = ~np.isclose(space.drawing.colours, faint).all(axis=1)
    at = sorted(space.drawing.positions[lit].tolist())
    assert at == sorted(codes.feature[codes.position == 2].tolist()) != []
    box.setCurrentText("Cluster")
    box.activated.emit(box.currentIndex())


def lonely_point(space):
    """A point that no other covers, away from the controls above, and where it is drawn."""
    places = space.view.screen_places()
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    room = space.view.surface().rect()
    inside = (places > (12, 40)).all(1) & (places < (room.width() - 12, room.height() - 12)).all(1)
    point = int(np.where(inside, apart.min(axis=1), 0).argmax())
    return point, QPoint(*(round(v) for v in places[point]))


def place_by_umap(hand):
    """Where UMAP is not installed the reason and the way out stand where it is asked for."""
    if has_umap():
        pytest.skip("UMAP is installed; what it does is tested in test_feature_splits.py")
    with_index(hand)
    hand.do(_ID.FEATURE_DIRECTIONS)
    action = hand.window.actions_table.actions[_ID.FEATURE_UMAP]
    assert not action.isEnabled()
    told = "UMAP is not installed. Install microtome[umap]"
    assert told in action.toolTip()
    placed = hand.panels["feature_space"].bar.placed_by
    assert placed.isVisible()
    row = placed.findData("umap")
    assert not placed.model().item(row).isEnabled()
    assert told in placed.itemData(row, Qt.ItemDataRole.ToolTipRole)
    assert told in placed.toolTip()
    hand.panels["feature_space"].look_at("resid_post.2")
    assert placed.isHidden()


def split_the_features(hand):
    """The embedded pair is opened, looked through and compared by one command."""
    text = hand.folder / "text.txt"
    text.write_text("When Mary and John went to the store , John gave a drink to Mary .\n" * 40)
    panel = hand.panels["splitting"]
    asking = panel.asking
    hand.patch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(text), ""))
    asking.text.setCurrentIndex(asking.text.findText("a file…"))
    asking.text.activated.emit(asking.text.currentIndex())
    hand.do(_ID.SPLIT_FEATURES)
    hand.until(lambda: panel.table is not None)
    small, large = (mt.load_dictionary(name) for name in (SMALL, SMALL.replace("small", "large")))
    wanted = mt.feature_splits(mt.load_model("words-4l"), small, large, text, limit=20_000)
    np.testing.assert_array_equal(panel.table.splits.covering, wanted.covering)
    for one in (small, large):
        assert index_with(hand.session, one.identity.fingerprint) is not None
    row = int(np.argmax(panel.table.columns["parts"]))
    panel.rows.chosen.emit(row)
    hand.rest()
    world = {}
    exec("\n".join(panel.exported_lines()), world)  # noqa: S102  # that is the test
    shown = [(box.part.feature, box.part.share, box.part.cosine) for box in panel.drawing.boxes()]
    np.testing.assert_allclose(shown, world["values"][: len(shown)], rtol=1e-5)
    assert len(shown) > 1
    assert panel.asking.compare.text() == "Compare again"


def show_a_neuron(hand):
    hand.desk.selection.update(layer=1, neuron=5)
    hand.do(_ID.NEURON_CARD)
    panel = hand.panels["features"]
    model = hand.desk.workspace.model.fingerprint
    of_layer = neurons_fingerprint(1, model)
    assert panel.current.fingerprint == of_layer
    hand.bench.runner.ask(IndexFeatures(of_layer, "neurons of layer 1", "words-4l", 1_500))
    hand.rest()
    hand.until(lambda: panel.card is not None)
    assert panel.view.title.text() == "Neuron 5 · layer 1"
    held = index_of(index_with(hand.session, of_layer))
    assert panel.table.n_features == held.n_features == 512
    hand.bench.runner.ask(OpenDictionary(SMALL))
    hand.rest()
    small = panel.current.fingerprint
    hand.do(_ID.NEURON_CARD)
    assert panel.current.fingerprint == of_layer
    sharing = panel.run.sharing
    offered = [sharing.coder.itemText(at) for at in range(sharing.coder.count())]
    assert offered[0].startswith("words-4l/transcoders")  # for the neuron's own layer
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
    assert hand.desk.selection.current.feature == (neurons_fingerprint(layer, model), number)


def propose_labels(hand):
    panel = with_index(hand)
    on = np.flatnonzero(panel.table.index.array("count") > 30)[:2].tolist()
    panel.choose(on[0])
    hand.rest()
    dialog = opened(hand, _ID.PROPOSE_LABELS)
    assert dialog.which.currentText() == f"feature {on[0]}"
    dialog.pairs.setValue(3)
    hand.rest()
    hand.until(lambda: dialog.outlook.text().startswith("At most"))
    dialog.who.setCurrentIndex(dialog.who.findData("itself"))
    hand.until(lambda: dialog.outlook.text().startswith("At most"))
    QTest.mouseClick(dialog.go, LEFT)
    hand.rest()
    source = panel.current
    held = proposals_in(hand.session, source.fingerprint).newest
    model, dictionary = mt.load_model("words-4l"), mt.load_dictionary(SMALL)
    wanted = mt.label_features(
        model, dictionary, panel.table.index, mt.LocalLabeller(model), on[:1], pairs=3
    )
    assert {f: (one.text, one.origin) for f, one in held.items()} == {
        on[0]: (wanted.text[0], "words-4l")
    }
    assert held[on[0]].score == pytest.approx(float(wanted.score[0]))
    assert panel.table.proposed[on[0]] == wanted.text[0]
    assert panel.labels == {}
    # A folder without a model says so, and nothing can be started.
    dialog = opened(hand, _ID.PROPOSE_LABELS)
    hand.patch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(hand.folder))
    QTest.mouseClick(dialog.folder, LEFT)
    hand.until(lambda: not dialog.go.isEnabled())
    assert str(hand.folder.name) in dialog.outlook.text()
    dialog.reject()
    hand.rest()


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
    path = path.with_suffix(".json")
    hand.do(_ID.EXPORT_LABELS)
    assert json.loads(path.read_text()) == [{"feature": 3, "label": "three"}]
    hand.do(_ID.UNDO)


PROMISES = {
    _ID.OPEN_DICTIONARY: open_a_dictionary, _ID.SAVE_DICTIONARY: save_a_dictionary,
    _ID.INDEX_FEATURES: look_through_a_text,
    _ID.FEATURE_DIRECTIONS: show_the_directions, _ID.NEURON_CARD: show_a_neuron,
    _ID.FEATURE_UMAP: place_by_umap, _ID.SPLIT_FEATURES: split_the_features,
    _ID.PROPOSE_LABELS: propose_labels, _ID.ACCEPT_LABELS: accept_labels,
    _ID.IMPORT_LABELS: import_labels, _ID.EXPORT_LABELS: export_labels,
}  # fmt: skip


@pytest.fixture
def asked(hand):
    yield from left_clean(hand)


@pytest.mark.parametrize("wanted", [row.id for row in FEATURE_COMMANDS])
def test_a_command_does_what_it_promises(asked, wanted):
    assert wanted in PROMISES, f"{wanted} has no check: say here what it promises"
    PROMISES[wanted](asked)
