"""An encoder in the window: opened from a folder, a masked prompt typed, run and shown."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from microtome.models.loading import load_model
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.head_effects import ABLATION, effect_in
from microtome_desktop.presenters.strip import Colouring, token_values

WAIT = 60_000
TEXT = "the [MASK] sat on the mat"


def tiny_models():
    """The tiny models of the engine's tests."""
    place = Path(__file__).parents[1] / "core" / "tiny_models.py"
    spec = importlib.util.spec_from_file_location("desktop_tiny_models", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory, live_bench):
    prompt = live_bench.furnishing.panels["ask"].prompt
    for field in (prompt.answer, prompt.wrong):
        field.completer().popup()  # made when first asked for, and kept with the window
    made = tmp_path_factory.mktemp("encoders") / "tiny-bert"
    tiny_models().save("bert", made)
    tiny_models().save_masked_tokenizer(made)
    return made


@pytest.fixture
def asked(qtbot, live, folder):
    """The window after the folder was opened and the prompt was typed and run."""
    live.handlers.load(str(folder))
    qtbot.waitUntil(
        lambda: live.desk.workspace.model.name.endswith("tiny-bert") and live.runner.idle,
        timeout=WAIT,
    )
    prompt = live.furnishing.panels["ask"].prompt
    for field, text in ((prompt.prompt, TEXT), (prompt.corrupt, ""), (prompt.answer, "cat")):
        field.setFocus()
        QTest.keyClick(field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClick(field, Qt.Key.Key_Delete)
        QTest.keyClicks(field, text)
    QTest.keyClick(prompt.wrong, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(prompt.wrong, Qt.Key.Key_Delete)
    QTest.keyClick(prompt.answer, Qt.Key.Key_Return)
    qtbot.waitUntil(
        lambda: (
            live.runner.idle
            and not live.updating
            and live.desk.workspace.session.clean.prompt == TEXT
        ),
        timeout=WAIT,
    )
    yield live
    live.handlers.load("words-4l")
    qtbot.waitUntil(lambda: live.runner.idle, timeout=WAIT)


def test_every_panel_speaks_of_the_masked_token(qtbot, asked, folder):
    desk, panels = asked.desk, asked.furnishing.panels
    assert desk.notices.history == []
    session = desk.workspace.session
    assert session.clean.tokens == ("[CLS]", *TEXT.split(), "[SEP]")
    checks = desk.library.shelf.checks
    assert checks.passed
    assert [row.number for row in checks.results if "non-linearity" in row.reason] == [2]
    # The answer is read at the mask: in the graph, in the table, in the selection.
    assert desk.selection.current.position == 2
    assert panels["ask"].predictions.place.text() == "in the place of “[MASK]” (2)"
    module = load_model(folder).module
    with torch.inference_mode():
        logits = module(torch.tensor([session.clean.token_ids.tolist()])).logits[0]
    best = module.config.vocab_size - 1 - int(logits[2].flip(0).argmax())
    assert panels["ask"].predictions.table.item(0, 0).text() == f"w{best}"
    # Attention maps are full: no query is blind for what stands behind it.
    shown = panels["attention"].map.grid.values
    layer, head = desk.selection.current.layer, desk.selection.current.head
    np.testing.assert_array_equal(shown, session.clean.attention(layer)[head])
    assert (shown > 0).all()
    # The map of the lens ends in what the model says at the mask.
    lens = session.analyses["logit-lens"].array("probability")
    assert lens[-1, 2] == pytest.approx(float(logits[2].softmax(-1)[6]), abs=1e-5)
    # Tokens can be coloured by what the model says in their own place.
    strip = panels["token_strip"]
    strip.colour_by.setCurrentText(str(Colouring.PREDICTED))
    values, _, said = token_values(
        session, desk.workspace.arrays, Colouring.PREDICTED, desk.selection.current
    )
    odds = torch.from_numpy(session.clean.logits).softmax(-1).numpy()
    own = odds[np.arange(len(session.clean.tokens)), session.clean.token_ids]
    np.testing.assert_allclose(values, own, rtol=1e-4)
    assert (
        said
        == strip.explanation.text()
        == "probability that the model gave this token in its own place"
    )
    lines = "\n".join(strip.exported_lines())
    assert "odds[np.arange(len(trace.token_ids)), trace.token_ids]" in lines
    strip.colour_by.setCurrentText(str(Colouring.INFLUENCE))


def test_effects_of_heads_are_read_at_the_masked_token(asked, qtbot):
    session = asked.desk.workspace.session
    assert session.metric["position"] == 2
    asked.window.actions_table.trigger(CommandId.HEAD_EFFECTS)
    qtbot.waitUntil(lambda: asked.runner.idle and not asked.updating, timeout=WAIT)
    session = asked.desk.workspace.session
    sweep = effect_in(session, ABLATION)
    np.testing.assert_allclose(sweep.clean, session.metric["value"], rtol=1e-4)
    lines = asked.furnishing.panels["heads"].exported_lines()
    assert "metric = mt.LogitOverMean('cat', position=2)" in lines
