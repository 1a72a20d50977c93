"""Features from a newcomer's first click on, into the next run, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from featured import LEFT, SMALL, left_clean, opened, with_index
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

import microtome as mt
from microtome.features.formats.finding import embedded_dictionaries
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.presenters.sizes import bytes_text
from microtome_desktop.state.features import index_with

_ID = CommandId


@pytest.fixture
def asked(hand):
    yield from left_clean(hand)


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
    asked.until(lambda: dialog.go.text() == "Ask the hub")
    assert "Press Ask the hub" in dialog.problem.text()
    assert "Python" not in dialog.problem.text()
    dialog.name.setText(str(asked.folder / "not there"))
    QTest.mouseClick(dialog.look, LEFT)
    asked.until(lambda: "There is no dictionary" in dialog.problem.text())
    dialog.close()


def test_size_and_destination_are_told_before_a_dictionary_is_fetched(asked, local_hub):
    folder = embedded_dictionaries()[SMALL]
    files = [path for path in folder.iterdir() if path.suffix in (".json", ".safetensors")]
    held = {path.name: path.read_bytes() for path in files}
    local_hub.models["owner/saes"] = {f"one/{name}": data for name, data in held.items()}
    dialog = opened(asked, _ID.OPEN_DICTIONARY)
    dialog.name.setText("owner/saes/one")
    QTest.keyClick(dialog.name, Qt.Key.Key_Return)
    asked.until(lambda: dialog.go.text() == "Ask the hub")
    assert local_hub.requests == []
    QTest.mouseClick(dialog.go, LEFT)
    asked.until(lambda: dialog.go.text() == "Download")
    rows = range(dialog.facts.rowCount())
    facts = {
        dialog.facts.itemAt(at, dialog.facts.ItemRole.LabelRole).widget().text():
        dialog.facts.itemAt(at, dialog.facts.ItemRole.FieldRole).widget().text() for at in rows
    }  # fmt: skip
    assert facts["Repository"] == "owner/saes"
    assert facts["Size"] == facts["To fetch"] == bytes_text(sum(map(len, held.values())))
    assert facts["Destination"].endswith("models--owner--saes")
    assert local_hub.requests == []
    QTest.mouseClick(dialog.go, LEFT)
    asked.until(lambda: dialog.go.text() == "Open" and dialog.go.isEnabled())
    assert {name for name, _ in local_hub.requests} == set(local_hub.models["owner/saes"])
    dialog.close()
