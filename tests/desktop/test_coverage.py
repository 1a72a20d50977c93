"""A decoder of no known family in the window: what it shows, and why the rest stays empty."""

from __future__ import annotations

import pytest
import torch
import transformers
from PySide6.QtWidgets import QTreeWidget

from microtome_desktop.jobs.model_requests import ReadDraft
from microtome_desktop.views.coverage_window import CoverageWindow

WAIT = 60_000


@pytest.fixture(scope="module")
def state_space(tmp_path_factory):
    """The folder of a tiny random state-space model: no attention, no MLP."""
    folder = tmp_path_factory.mktemp("mamba")
    config = transformers.MambaConfig(
        vocab_size=31, hidden_size=16, num_hidden_layers=2, state_size=4,
        bos_token_id=0, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture
def loaded(qtbot, live, state_space):
    """The window with that model in it, before anything was run on it."""
    live.handlers.load(str(state_space))
    qtbot.waitUntil(
        lambda: live.desk.workspace.model.architecture == "mamba" and live.runner.idle, timeout=WAIT
    )
    yield live
    live.handlers.load("words-4l")
    qtbot.waitUntil(
        lambda: live.desk.workspace.model.name == "words-4l" and live.runner.idle, timeout=WAIT
    )


def _facts(tree):
    tops = [tree.topLevelItem(row) for row in range(tree.topLevelItemCount())]
    return [top.child(at) for top in tops for at in range(top.childCount())]


def test_the_window_says_before_the_run_what_can_be_seen(qtbot, loaded):
    assert loaded.desk.notices.history == []
    facts = {
        item.text(0): item for item in _facts(loaded.window.findChild(QTreeWidget, "models_tree"))
    }
    assert "3 of 9 kinds of analysis" in facts
    assert "where Mamba keeps its heads" in facts["3 of 9 kinds of analysis"].toolTip(0)
    assert any("2 layers" in text and "heads" not in text for text in facts)
    loaded.window.actions_table.trigger("show_coverage")
    (window,) = loaded.window.findChildren(CoverageWindow)
    assert window.summary.text().endswith("logit lens.")
    rows = {}
    for at in range(window.table.topLevelItemCount()):
        top = window.table.topLevelItem(at)
        rows |= {top.child(i).text(0): top.child(i).text(1) for i in range(top.childCount())}
    assert rows["logit lens"] == rows["resid_post: residual stream after the layer"] == ""
    assert "keeps its heads" in rows["circuit of a prompt"]
    assert "no attention function" in rows["pattern: attention pattern"]
    with qtbot.waitSignal(window.destroyed):
        window.close()


def test_a_run_fills_what_it_can_and_the_other_panels_say_why(qtbot, loaded):
    loaded.desk.draft.update(prompt="3 17 4 4 9", corrupt="", answer="", wrong="", as_ids=True)
    loaded.runner.ask(ReadDraft(loaded.desk.draft.text))
    qtbot.waitUntil(lambda: loaded.runner.idle and not loaded.updating, timeout=WAIT)
    loaded.window.actions_table.trigger("run")
    qtbot.waitUntil(
        lambda: (
            loaded.runner.idle
            and not loaded.updating
            and loaded.desk.workspace.session.model.architecture == "mamba"
        ),
        timeout=WAIT,
    )
    assert loaded.desk.notices.history == []
    panels = loaded.furnishing.panels
    assert panels["heatmap"].map.grid.values.shape == (3, 5)  # the lens, embeddings first
    empty = panels["circuit"].empty
    qtbot.waitUntil(lambda: empty.headline.text() == "No circuit of this model", timeout=WAIT)
    assert "where Mamba keeps its heads: shown are tokens" in empty.advice.text()
    assert "no attention function" in panels["attention"].map.caption.text()
    assert "logit-lens" in loaded.desk.workspace.session.analyses
