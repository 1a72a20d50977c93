"""Opening a module of one's own, and the tree of modules, in the real window."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from acts import rest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from safetensors.torch import save_file
from torch import nn

from microtome.prompts import ImageInput, Question
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.adapter_requests import LoadAdapter
from microtome_desktop.views.adapter_dialog import AdapterDialog
from microtome_desktop.views.modules_panel import ModulesPanel

LEFT, WAIT = Qt.MouseButton.LeftButton, 60_000
CODE = """
from pathlib import Path
from torch import nn

Path(__file__).with_suffix(".ran").touch()

def build():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2), nn.Tanh(),
    )

IMAGE = {"channels": 1, "size": (8, 8)}
CLASSES = ("cat", "dog")
"""


@pytest.fixture
def files(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2), nn.Tanh(),
    )  # fmt: skip
    module[4].weight.data *= 50  # far into the bend
    save_file(module.state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "net.py").write_text(CODE)
    return tmp_path / "net.py", tmp_path / "net.safetensors"


@pytest.fixture
def dialog(live, qtbot):
    live.window.actions_table.trigger(CommandId.OPEN_ADAPTER)
    (made,) = live.window.findChildren(AdapterDialog)
    qtbot.waitExposed(made)
    yield made
    for left in live.window.findChildren(AdapterDialog):
        left.close()


def _typed(dialog, adapter, weights):
    QTest.keyClicks(dialog.adapter, str(adapter))
    QTest.keyClicks(dialog.weights, str(weights))


def test_code_runs_only_when_the_shown_path_was_allowed(live, qtbot, dialog, files, monkeypatch):
    adapter, weights = files
    _typed(dialog, adapter, weights)
    assert str(adapter) in dialog.consent.text()
    assert not dialog.go.isEnabled()
    QTest.keyClick(dialog.allowed, Qt.Key.Key_Space)
    assert dialog.go.isEnabled()
    QTest.keyClicks(dialog.weights, "x")  # the word was for other files
    assert not dialog.go.isEnabled()
    assert "must end in .safetensors" in dialog.problem.text()
    QTest.keyClick(dialog.weights, Qt.Key.Key_Backspace)
    QTest.keyClick(dialog.allowed, Qt.Key.Key_Space)
    assert not adapter.with_suffix(".ran").exists()
    before = live.desk.workspace.model
    QTest.mouseClick(dialog.go, LEFT)
    qtbot.waitUntil(lambda: live.desk.workspace.model not in (None, before), timeout=WAIT)
    assert adapter.with_suffix(".ran").exists()
    assert live.desk.workspace.model.architecture == "adapter"
    assert live.desk.settings.adapters[0] == (str(adapter), str(weights))
    panel = _walk_the_tree(live, qtbot)
    monkeypatch.chdir(adapter.parent)
    exec("\n".join(panel.exported_lines()[:3]), lines := {})  # noqa: S102  it is what is tested
    assert lines["model"].identity.fingerprint == live.desk.workspace.model.fingerprint
    _look_at_an_image(live, qtbot)


def _walk_the_tree(live, qtbot):
    """The tree tells shapes, is searched by words, and a click selects a layer of units."""
    live.window.actions_table.trigger(CommandId.SHOW_MODULES)
    panel = live.window.findChild(ModulesPanel)
    qtbot.waitUntil(lambda: panel.tree.topLevelItemCount() == 1, timeout=WAIT)
    root = panel.tree.topLevelItem(0)
    assert [root.child(at).text(2) for at in (0, 4)] == ["1 × 4 × 8 × 8", "1 × 2"]
    QTest.keyClicks(panel.field, "linear")
    shown = [root.child(at).text(1) for at in range(6) if not root.child(at).isHidden()]
    assert shown == ["Linear"]
    row = panel.tree.visualItemRect(root.child(4))  # wider than a narrow window
    QTest.mouseClick(
        panel.tree.viewport(), LEFT, pos=row.center() - QPoint(row.width() // 2 - 8, 0)
    )
    assert live.desk.selection.current.unit == "module.4/0"
    panel.field.clear()
    table = panel.exported_table()()
    assert table.rows[1][:3] == ("0", "Conv2d", "1 × 4 × 8 × 8")
    return panel


def _look_at_an_image(live, qtbot):
    """See says why there is no evidence in a net whose logits are no sum: nothing has failed."""
    image = ImageInput(np.full((8, 8, 1), 90, np.uint8), "an even grey", prepared=True)
    live.desk.draft.fill(Question(image))
    rest(live, qtbot)
    live.window.show_panel("see")
    told = len(live.desk.notices.history)
    live.window.actions_table.trigger(CommandId.RUN)
    see = live.furnishing.panels["see"]
    qtbot.waitUntil(lambda: "no sum over a layer" in see.said.text(), timeout=WAIT)
    rest(live, qtbot)
    assert len(live.desk.notices.history) == told


def test_an_adapter_that_raises_loses_nothing(live, qtbot, dialog, files):
    adapter, weights = files
    adapter.write_text("raise ValueError('not today')")
    before = live.desk.workspace.model
    _typed(dialog, adapter, weights)
    QTest.keyClick(dialog.allowed, Qt.Key.Key_Space)
    QTest.mouseClick(dialog.go, LEFT)
    told = live.desk.notices.history
    qtbot.waitUntil(lambda: any("not today" in one.as_text for one in told), timeout=WAIT)
    assert live.desk.workspace.model is before


def test_see_asks_nothing_about_the_layers_of_the_model_before(live, qtbot, files):
    live.handlers.load("shapes-resnet")
    workspace, (adapter, weights) = live.desk.workspace, map(str, files)
    qtbot.waitUntil(lambda: workspace.model is not None and workspace.model.sees, timeout=WAIT)
    live.window.show_panel("see")
    rest(live, qtbot)
    workspace.mark_clean()
    live.runner.ask(LoadAdapter("net", adapter=adapter, weights=weights, allowed=True))
    qtbot.waitUntil(lambda: workspace.model.architecture == "adapter", timeout=WAIT)
    image = ImageInput(np.full((8, 8, 1), 90, np.uint8), "an even grey", prepared=True)
    live.desk.draft.fill(Question(image))
    rest(live, qtbot)
    live.desk.notices.history.clear()
    live.window.actions_table.trigger(CommandId.RUN)
    rest(live, qtbot)
    see = live.furnishing.panels["see"]
    assert see.bar.layer.currentText().startswith("module.")
    assert [notice.as_text for notice in live.desk.notices.history] == []
