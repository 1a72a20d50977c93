"""T5 in the window: both sides of a prompt, three kinds of attention, and no untrue panel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from acts import until
from PySide6.QtCore import QPoint, Qt
from tokenizers import models, pre_tokenizers, processors

import microtome as mt
from microtome_desktop.jobs.model_requests import ReadDraft
from microtome_desktop.presenters.heatmaps import Quantity
from microtome_desktop.presenters.strip import Colouring
from microtome_desktop.views.prompt_panel import PromptPanel

WAIT = 60_000
WORDS = (
    "<pad>",
    "</s>",
    "<unk>",
    "say",
    "it",
    "in",
    "German",
    "good",
    "day",
    "Guten",
    "Tag",
    "der",
)
PROMPT = "say it in German good day ||| Guten Tag"
SOURCE = ["say", "it", "in", "German", "good", "day", "</s>"]
DECODER = ["<pad>", "Guten", "Tag"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny T5 with a tokenizer that ends a source as T5's does."""
    place = tmp_path_factory.mktemp("t5-tiny")
    config = transformers.T5Config(
        vocab_size=len(WORDS), d_model=16, d_kv=4, d_ff=24, num_heads=3, num_layers=2,
        num_decoder_layers=3, pad_token_id=0, decoder_start_token_id=0, initializer_factor=3.0,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.T5ForConditionalGeneration(config).save_pretrained(place)
    plain = tokenizers.Tokenizer(
        models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    plain.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="<unk>", pad_token="<pad>", eos_token="</s>"
    )
    fast.save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def ran(shared_bench, folder):
    """The window with that model, its prompt typed and run."""
    desk = shared_bench.desk
    desk.notices.history.clear()
    shared_bench.handlers.load(str(folder))
    until(lambda: desk.workspace.model is not None and shared_bench.runner.idle)
    panel = shared_bench.window.findChild(PromptPanel)
    assert "|||" in panel.prompt.placeholderText()
    for field, text in ((panel.corrupt, ""), (panel.answer, ""), (panel.wrong, "")):
        field.show_text(text)
    panel.prompt.setPlainText(PROMPT)
    shared_bench.runner.ask(ReadDraft(desk.draft.text))
    until(lambda: shared_bench.runner.idle and not shared_bench.updating)
    assert list(desk.draft.reading.clean) == [*SOURCE, *DECODER]
    shared_bench.window.actions_table.trigger("run")
    until(
        lambda: (
            shared_bench.runner.idle
            and not shared_bench.updating
            and desk.workspace.session.model.architecture == "t5"
        )
    )
    assert [notice.as_text for notice in desk.notices.history] == []
    return shared_bench


def _names(axis):
    return [name.strip("␣ ·") for name in axis]


def test_attention_offers_three_kinds_with_their_own_tokens(qtbot, ran):
    panel, run = ran.furnishing.panels["attention"], ran.desk.workspace.session.clean
    assert panel.kind.isVisibleTo(panel)
    expected = {
        "Decoder": ("pattern", DECODER, DECODER, 3),
        "Cross-attention": ("cross_pattern", DECODER, SOURCE, 3),
        "Encoder": ("enc_pattern", SOURCE, SOURCE, 2),
    }
    for title, (site, rows, columns, layers) in expected.items():
        panel.kind.setCurrentIndex(panel.kind.findText(title))
        panel.kind.activated.emit(panel.kind.currentIndex())
        before = ran.desk.selection.current
        assert panel.layer.count() == layers
        if title != "Decoder":
            panel.layer.activated.emit(1)
            qtbot.mouseClick(panel.thumbnails, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
            panel.head.activated.emit(2)
            assert ran.desk.selection.current == before  # whose heads are the decoder's own
        grid = panel.map.grid
        (low, high), _ = panel.map.plot.getViewBox().viewRange()
        assert (low, high) == (-0.5, len(columns) - 0.5)  # all keys are in view
        assert (_names(grid.rows), _names(grid.columns)) == (rows, columns)
        layer, head = panel._shown
        np.testing.assert_array_equal(grid.values, run.activation(f"{site}.{layer}.{head}"))
        table = panel.exported_table()()
        assert [name.split(" ", 1)[1] for name in table.headers[1:]] == columns
        assert any(site in line or site == "pattern" for line in panel.exported_lines())
        with qtbot.waitSignal(panel.map.cell_clicked):
            panel.map.cell_clicked.emit(1, len(columns) - 1)
        place = ran.desk.selection.current.position
        assert place == {"Decoder": 2, "Cross-attention": 1, "Encoder": before.position}[title]
        ran.desk.selection.update(position=before.position)


def test_heat_maps_show_both_streams(ran):
    panel, run = ran.furnishing.panels["heatmap"], ran.desk.workspace.session.clean
    for quantity, site, tokens in (
        (Quantity.NORM, "resid_post", DECODER),
        (Quantity.ENCODER_NORM, "enc_resid_post", SOURCE),
    ):
        panel.quantity.setCurrentText(str(quantity))
        grid = panel.map.grid
        assert _names(grid.columns) == tokens
        norms = np.linalg.norm(run.activation(site), axis=-1)
        np.testing.assert_allclose(grid.values, norms, rtol=1e-6)
        before = ran.desk.selection.current
        panel.map.cell_clicked.emit(0, 2)
        moved = ran.desk.selection.current != before
        assert moved == (quantity is Quantity.NORM)
    panel.quantity.setCurrentText(str(Quantity.PROBABILITY))
    assert panel.map.grid.values.shape == (4, 3)
    panel.quantity.setCurrentText(str(Quantity.ATTENTION))
    assert "cross-attention" in panel.map.caption.text()


def test_panels_that_cannot_apply_say_why(qtbot, ran):
    panels, desk = ran.furnishing.panels, ran.desk
    empty = panels["circuit"].empty
    qtbot.waitUntil(lambda: empty.headline.text() == "No circuit of this model", timeout=WAIT)
    assert "no rule yet for what flows through cross-attention" in empty.advice.text()
    strip = panels["token_strip"]
    strip.colour_by.setCurrentText(str(Colouring.INFLUENCE))
    assert "cross-attention" in strip.drawing.explanation
    assert _names(strip.drawing.tokens) == DECODER
    summary = desk.library.shelf.coverage.summary
    assert summary.startswith("All panels work on this model but for: direct logit attribution")
    assert desk.library.shelf.checks is None or desk.library.shelf.checks.passed


def test_both_sides_are_shown_from_a_file_too(qtbot, ran, tmp_path):
    place = tmp_path / "both.h5"
    mt.save_session(place, ran.desk.workspace.session)
    again = mt.open_session(place)
    ran.desk.workspace.show(again, Path(place), dirty=False)
    panel = ran.furnishing.panels["attention"]
    qtbot.waitUntil(lambda: ran.runner.idle and not ran.updating, timeout=WAIT)
    panel.kind.setCurrentIndex(1)
    panel.kind.activated.emit(1)
    qtbot.waitUntil(lambda: panel.map.grid is not None, timeout=WAIT)
    assert _names(panel.map.grid.columns) == SOURCE
