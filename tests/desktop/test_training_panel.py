"""The training panel in a real window: on curves made by hand, and on the model itself."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

import microtome as mt
from microtome.features.training.offers import LAYERS, RULES, TRANSCODER
from microtome.records.training import TRAINING, TrainingCurve, curve_of
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.training_requests import TRAINING_SLOT, Train, curve_of_wish
from microtome_desktop.presenters.training import NO_TRAINING, outlook_text
from microtome_desktop.presenters.training_python import training_lines
from microtome_desktop.state.trainings import (
    Stopped,
    TrainingOutlook,
    TrainWish,
    curves_in,
    outlook_key,
    wish_of,
)
from microtome_desktop.state.work import Outcome

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton
WISH = TrainWish("words-4l", site="resid_post.1", width=64, k=4, steps=100, out="/held/small")


def curve(points=4, **params):
    rows = [
        {"step": 25 * (n + 1), "loss": 8.0 / (n + 1), "l0": 4.0, "explained_variance": 0.2 * n,
         "dead": 0.1, "dense": 0.5, "rate": 1e-3, "recovered": np.nan if n % 2 else 0.3 * n}
        for n in range(points)
    ]  # fmt: skip
    held = {"rule": "topk", "width": 64, "steps": 100, "reads": ["resid_post.1"], **params}
    return TrainingCurve.of(rows, held)


def rest(bench, qtbot):
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=WAIT)
    bench.runner.turns.finish()
    QApplication.processEvents()


def front(bench, qtbot):
    bench.window.show_panel("training")
    rest(bench, qtbot)
    bench.desk.notices.history.clear()  # the sample's model is not in the model thread
    return bench.furnishing.panels["training"]


def test_a_curve_is_drawn_exported_kept_and_drawn_again_without_the_model(bench, qtbot, tmp_path):
    panel = front(bench, qtbot)
    assert panel.exported_table() == NO_TRAINING
    assert panel.empty.isVisible()
    bench.desk.workspace.add_analysis(curve_of_wish(curve(), WISH))
    rest(bench, qtbot)
    loss = panel.plots.plots["loss"].curves["loss"]
    np.testing.assert_array_equal(loss.xData, [25, 50, 75, 100])
    recovered = panel.plots.plots["recovered"].curves["recovered"]
    np.testing.assert_allclose(recovered.yData, [0.0, 0.6])  # where it was measured
    assert "step 100 of 100" in panel.said.text()
    assert "recovered 60.0%" in panel.said.text()
    table = panel.exported_table()()
    assert [row[table.headers.index("loss")] for row in table.rows] == [8.0, 4.0, 8 / 3, 2.0]
    lines = "\n".join(panel.exported_lines())
    assert "mt.train_dictionary(model, 'words-4l', 'resid_post.1'," in lines
    compile(lines, "lines", "exec")
    path = tmp_path / "kept.h5"
    save_session(path, bench.desk.workspace.session)
    bench.desk.workspace.set_model(None)
    bench.desk.workspace.show(open_session(path))
    rest(bench, qtbot)
    assert panel.plots.plots["loss"].curves["loss"].yData.tolist() == loss.yData.tolist()
    assert wish_of(panel.current[0]) == WISH
    assert not panel.train.isEnabled()
    assert "attach it first" in panel.train.toolTip()


def test_a_set_has_a_curve_for_each_layer_and_the_list_leads_to_them(bench, qtbot):
    panel, wish = front(bench, qtbot), TrainWish("words-4l", LAYERS, out="/held/set")
    for layer in (0, 1):
        made = curve(layer + 1, reads=[f"mlp_in.{layer}"])
        bench.desk.workspace.add_analysis(curve_of_wish(made, wish))
    rest(bench, qtbot)
    assert [panel.curves.itemText(row) for row in range(2)] == [
        "set-mlp_in.1 · topk 64 at mlp_in.1", "set-mlp_in.0 · topk 64 at mlp_in.0",
    ]  # fmt: skip
    panel.curves.setFocus()
    QTest.keyClick(panel.curves, Qt.Key.Key_Down)
    panel.curves.activated.emit(panel.curves.currentIndex())
    assert len(panel.current[1].step) == 1
    assert "curve = found.curves[0]" in panel.exported_lines()


def test_what_it_takes_and_where_it_stopped_are_told(bench, qtbot):
    panel = front(bench, qtbot)
    panel.form.show_wish(WISH)
    told = TrainingOutlook(50_000, 25_000_000, 10_000_000, 4.0, 70.0)
    bench.desk.workspace.prepared.put(outlook_key(panel.form.wish()), told)
    assert panel.outlook.text() == (
        "50k tokens, 25.0 MB on disk, of which only 10.0 MB are free\n"
        "about 4 s to collect, 1 min 10 s to train"
    )
    assert outlook_text(TrainingOutlook(problem="There is no text.")) == "There is no text."
    panel._looked = "/held/small"
    bench.desk.workspace.prepared.put(("stopped training", "/held/small"), Stopped(WISH, 60))
    assert "Goes on from step 60 of 100." in panel.outlook.text()
    assert panel.view_state()["wish"] == WISH.told()
    panel.restore_view({"wish": WISH.told() | {"seed": 7}, "shown": 3})
    assert panel.form.numbers["seed"].value() == 7


def test_the_form_offers_what_can_be_saved(bench, qtbot, monkeypatch):
    form = front(bench, qtbot).form
    form.preset.setCurrentIndex(0)
    form.preset.activated.emit(0)
    assert (form.rule.currentText(), form.pressure.isEnabled()) == ("topk", False)
    form.form.setCurrentText("transcoder of a layer")
    assert form.rule.currentText() == "batchtopk"
    assert form.preset.currentIndex() == 0  # the same numbers
    enabled = {name: form.rule.model().item(form.rule.findText(name)).isEnabled() for name in RULES}
    assert [name for name, able in enabled.items() if not able] == ["topk", "gated"]
    form.skip.click()
    form.rule.setCurrentText("jumprelu")
    assert not form.numbers["k"].isEnabled()
    form.pressure.setFocus()
    form.pressure.selectAll()
    QTest.keyClicks(form.pressure, "0.25")
    QTest.keyClick(form.pressure, Qt.Key.Key_Return)
    wish = form.wish()
    assert (wish.form, wish.rule, wish.skip, wish.pressure) == (TRANSCODER, "jumprelu", True, 0.25)
    assert {"skip", "pressure"} <= set(wish.options())
    form.form.setCurrentText("cross-layer transcoders")
    assert not form.wish().skip
    assert not form.layer.isEnabled()
    assert not form.field.isEnabled()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("/held/mine.jsonl", ""))
    row = form.text.findText("A file…")
    form.text.setCurrentIndex(row)
    form.text.activated.emit(row)
    QTest.keyClicks(form.field, "body")
    told = curve_of_wish(curve(), form.wish())
    lines = "\n".join(training_lines(bench.desk.workspace.session, told))
    assert "mt.train_transcoders(model, mt.read_corpus('/held/mine.jsonl', 'body')," in lines
    form.show_wish(wish)
    assert form.wish() == wish
    form.show_wish(TrainWish("words-4l"))


@pytest.fixture
def trainer(live, qtbot, tmp_path):
    """The panel on words-4l, set to a training of a second by keys."""
    panel = front(live, qtbot)
    # Another model may have been there, whose settings stay.
    row = panel.form.preset.findText("words-4l, under a minute")
    panel.form.preset.setCurrentIndex(row)
    panel.form.preset.activated.emit(row)
    for name, number in (("width", 32), ("k", 4), ("steps", 50), ("batch", 64)):
        box = panel.form.numbers[name]
        box.setFocus()
        box.selectAll()
        QTest.keyClicks(box, str(number))
        QTest.keyClick(box, Qt.Key.Key_Return)
    assert panel.form.preset.currentText() == "as set below"
    panel.form.layer.setValue(2)  # a smaller model may have been there, whose last layer stays
    panel.form.limit.setValue(1_500)
    panel.form.out.setText(str(tmp_path / "made"))
    yield panel
    for piece in live.desk.work.pieces:
        live.runner.cancel_one(piece.number)
    panel.form.show_wish(TrainWish("words-4l"))
    panel.form.preset.setCurrentIndex(0)
    panel.form.preset.activated.emit(0)
    rest(live, qtbot)
    live.window.show_panel("circuit")


def test_it_trains_rests_stops_goes_on_and_opens_what_was_made(trainer, live, qtbot, tmp_path):
    work, made = live.desk.work, tmp_path / "made"
    trainer.form.numbers["steps"].setValue(400)
    QTest.mouseClick(trainer.train, LEFT)
    qtbot.waitUntil(lambda: bool(curves_in(live.desk.workspace.session)), timeout=WAIT)
    live.runner.turns.finish()
    assert trainer.train.text() == "Stop"
    QTest.mouseClick(trainer.pause, LEFT)
    qtbot.waitUntil(lambda: trainer.piece.rest, timeout=WAIT)
    live.runner.turns.finish()
    assert trainer.pause.text() == "Go on"
    before = live.desk.workspace.session.uuid
    live.window.actions_table.trigger(CommandId.RUN)  # others need not wait for it
    qtbot.waitUntil(lambda: live.desk.workspace.session.uuid != before, timeout=WAIT)
    examined = [p for p in work.pieces if p.slot == "examine"][-1].number
    qtbot.waitUntil(lambda: work.find(examined).outcome is Outcome.DONE, timeout=WAIT)
    assert trainer.piece.outcome is Outcome.PAUSED
    QTest.mouseClick(trainer.train, LEFT)
    rest(live, qtbot)
    assert trainer.piece.outcome is Outcome.STOPPED
    stopped = len(curve_of(curves_in(live.desk.workspace.session)[0]).step)
    assert 0 < stopped < 16
    assert not (made / "cfg.json").exists()
    trainer.form.show_wish(TrainWish("words-4l"))
    trainer.look_at(str(made))
    rest(live, qtbot)
    assert "of 400" in trainer.outlook.text()
    assert trainer.form.numbers["width"].value() == 32
    trainer.form.numbers["steps"].setValue(500)  # it cannot be made longer
    QTest.mouseClick(trainer.train, LEFT)
    rest(live, qtbot)
    assert "not 500" in live.desk.notices.history.pop().as_text
    trainer.look_at(str(made))  # which has forgotten nothing by that
    rest(live, qtbot)
    assert "of 400" in trainer.outlook.text()
    QTest.mouseClick(trainer.train, LEFT)
    rest(live, qtbot)
    assert [n.as_text for n in live.desk.notices.history] == []
    assert [p.outcome for p in work.pieces if p.slot == TRAINING_SLOT][-1] is Outcome.DONE
    analysis = curves_in(live.desk.workspace.session)[0]
    curve = curve_of(analysis)
    assert curve.step.tolist() == list(range(25, 401, 25))
    assert curve.last["explained_variance"] > 0.5
    saved = mt.load_dictionary(made)
    assert (saved.d_sae, saved.identity.reads) == (32, "resid_post.2")
    assert live.desk.dictionaries.current == saved.identity.fingerprint
    assert json.loads((made / "cfg.json").read_text("utf-8"))["architecture"] == "topk"


def test_a_training_that_diverges_says_what_to_change(trainer, live, qtbot, tmp_path):
    trainer.form.rate.setValue(10.0)
    live.window.actions_table.trigger(CommandId.TRAIN)
    rest(live, qtbot)
    assert trainer.piece.outcome is Outcome.FAILED
    assert "diverged" in trainer.problem.text()
    assert "lower learning rate" in trainer.problem.text()
    assert trainer.problem.isVisible()
    assert not (tmp_path / "made").exists()
    trainer.form.out.setText(str(tmp_path))  # where the checkpoints are
    live.window.actions_table.trigger(CommandId.TRAIN)
    rest(live, qtbot)
    assert trainer.problem.text().startswith(f"{tmp_path.name} holds other files.")


@pytest.mark.parametrize(
    ("form", "n"), [("transcoder of a layer", 1), ("cross-layer transcoders", 0)]
)
def test_other_kinds_are_trained_saved_and_opened(form, n, trainer, live, qtbot, tmp_path):
    trainer.form.form.setCurrentText(form)
    if n:
        trainer.form.skip.click()
    before = len(live.desk.dictionaries.held)
    QTest.mouseClick(trainer.train, LEFT)
    rest(live, qtbot)
    told = [] if n else ["The transcoders made are saved"]
    assert [note.title for note in live.desk.notices.history] == told
    made = mt.inspect_dictionary(tmp_path / "made")
    if n:
        assert made.identity.architecture == "jumprelu skip transcoder"
        assert (made.identity.reads, made.identity.writes) == ("mlp_in.2", "mlp_out.2")
    else:
        assert (made.kind, made.n_layers) == ("cross-layer transcoder", 4)
    assert len(live.desk.dictionaries.held) - before == n
    assert curve_of(curves_in(live.desk.workspace.session)[0]).last["step"] == 50


def test_a_disk_that_fills_stops_it_and_loses_nothing(
    trainer, live, qtbot, tmp_path, monkeypatch
):  # fmt: skip
    from microtome.activations import shards
    from microtome.features.training import checkpoints

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept = tmp_path / "made-checkpoints"
    for module, said in ((shards, "harvest"), (checkpoints, "training")):
        with monkeypatch.context() as patch:
            patch.setattr(module, "save_file", full)
            live.window.actions_table.trigger(CommandId.TRAIN)
            rest(live, qtbot)
        assert trainer.piece.outcome is Outcome.FAILED, said
        assert "disk is full" in trainer.problem.text()
        assert not list(kept.rglob("*.tmp*"))
    assert (kept / "activations" / "index.json").exists()
    live.window.actions_table.trigger(CommandId.TRAIN)
    rest(live, qtbot)
    assert trainer.piece.outcome is Outcome.DONE


def test_without_a_folder_it_is_asked_for(trainer, live, qtbot, monkeypatch):
    asked = []
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", lambda *about: asked.append(about) or ""
    )
    trainer.form.out.clear()
    QTest.mouseClick(trainer.train, LEFT)
    rest(live, qtbot)
    assert len(asked) == 1
    assert trainer.piece is None or not trainer.piece.under_way


def test_a_curve_goes_into_no_session_of_another_model(bench, qtbot):
    front(bench, qtbot)
    request = Train(WISH, model="another")
    request.deliver_partial(bench.desk, TRAINING, curve())
    assert not curves_in(bench.desk.workspace.session)
    assert Path(WISH.folder) == Path("/held/small-checkpoints")
