"""The same path on a real Llama from outside the repository: a folder, a story, a file."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PySide6.QtCore import Qt

from microtome.records.checks import Verdict
from microtome.records.circuit import HEAD
from microtome.session.reader import open_session

PROMPT = "Once upon a time, there was a little girl named Lily"
CLI = "import sys; from microtome.cli import main; raise SystemExit(main())"


@pytest.fixture(scope="module")
def folder(test_data):
    found = test_data / "models" / "stories260k"
    if not found.is_dir():
        pytest.skip("MICROTOME_TEST_DATA holds no models/stories260k")
    return found


@pytest.fixture
def reader(user, folder, monkeypatch):
    """The user, with the folder opened by shortcut and its numbers checked."""
    user.choose_folder(folder, monkeypatch)
    if user.desk.workspace.model.architecture != "llama":
        user.press(Qt.Key.Key_M)
        user.until(lambda: user.desk.workspace.model.architecture == "llama", "the folder")
        user.rest()
    return user


def test_its_self_checks_pass_and_say_what_does_not_apply(reader):
    report = reader.desk.library.shelf.checks
    assert report.passed
    assert sum(check.verdict is Verdict.PASS for check in report.results) >= 6
    skipped = [check for check in report.results if check.verdict is Verdict.SKIPPED]
    assert all(check.reason for check in skipped)
    assert reader.told() == []


def test_a_story_is_run_saved_and_reviewed_elsewhere(reader, tmp_path):
    reader.type_question(PROMPT)
    reader.run()
    shown, session = reader.contents(), reader.session
    assert session.circuit.metadata["rule"] == "single"
    assert len(session.clean.tokens) > 12
    assert len(shown["drawn"][0]) > 20
    for panel in ("heatmap", "attention", "neurons"):
        assert np.ptp(shown[panel][3]) > 0, panel
    reader.click_node(reader.nodes(HEAD)[0])
    card = reader.panels["node_card"]
    reader.click(card.node_check.button)
    reader.rest()
    assert card.node_check.bars.shown is not None
    path = tmp_path / "lily.h5"
    reader.save_as(path)
    here, there = reader.contents(), reader.reviewed_elsewhere(path)
    assert not {"torch", "transformers"} & set(there["modules"])
    assert there["offline"]
    assert there["told"] == []
    for panel, held in here.items():
        assert there["contents"][panel] == held, panel
    assert reader.told() == ["Saved lily.h5"]


def test_another_model_is_named_and_the_right_one_attached(reader, tmp_path, monkeypatch):
    reader.type_question(PROMPT)
    reader.run()
    path = tmp_path / "lily.h5"
    reader.save_as(path)
    reader.bench.handlers.load("words-4l")
    reader.rest()
    reader.open(path, monkeypatch)
    banner = reader.bench.furnishing.banners["offline_banner"]
    assert "words-4l is loaded, which did not make it" in banner.text.text()
    reader.click(banner.button)  # the folder is among the recent models
    reader.rest()
    assert not reader.desk.workspace.offline
    assert reader.desk.workspace.model.architecture == "llama"
    assert not banner.isVisible()


def test_the_command_line_gives_the_same_circuit(reader, folder, tmp_path):
    reader.type_question(PROMPT)
    reader.run()
    path, command = tmp_path / "typed.h5", [sys.executable, "-c", CLI]
    arguments = ["run", "--model", str(folder), "--prompt", PROMPT, "--out", str(path), "--json"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told, saved, shown = json.loads(done.stdout), open_session(path), reader.session
    assert tuple(told["tokens"]) == saved.clean.tokens == shown.clean.tokens
    assert saved.circuit.node_id == shown.circuit.node_id
    np.testing.assert_allclose(saved.circuit.node_score, shown.circuit.node_score, atol=1e-4)
    assert told["metric"]["value"] == pytest.approx(shown.metric["value"], abs=1e-4)
