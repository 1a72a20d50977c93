"""Opening a model of the hub from the window, with a hub on this machine."""

from __future__ import annotations

import threading

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel

import microtome_resources as resources
from microtome.models.download import look_up as look_up_now
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.hub_requests import DownloadModel
from microtome_desktop.state.hub import Looked
from microtome_desktop.state.work import Outcome
from microtome_desktop.views.hub_dialog import HubDialog

LEFT, WAIT = Qt.MouseButton.LeftButton, 60_000
NAME = "owner/model"


@pytest.fixture
def hub(local_hub):
    folder = resources.embedded_model("words-4l").folder
    held = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    local_hub.models[NAME] = held
    return local_hub


@pytest.fixture
def dialog(bench, qtbot, hub):
    bench.window.actions_table.trigger(CommandId.OPEN_MODEL_HUB)
    (made,) = bench.window.findChildren(HubDialog)
    qtbot.waitExposed(made)
    bench.desk.hub.put(Looked())
    yield made
    bench.runner.cancel("look up", "download")
    qtbot.waitUntil(lambda: bench.runner.idle, timeout=WAIT)
    for left in bench.window.findChildren(HubDialog):
        left.close()


def told(dialog):
    return {
        label.text(): dialog.facts.labelForField(value) and value.text()
        for value in dialog.findChildren(QLabel)
        if (label := dialog.facts.labelForField(value)) is not None
    }


def look_up(qtbot, dialog, name):
    QTest.keyClicks(dialog.name, name)
    QTest.keyClick(dialog.name, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(dialog._shown.name), timeout=WAIT)


def test_size_and_destination_are_told_before_anything_is_fetched(qtbot, dialog, hub):
    assert not dialog.go.isEnabled()
    look_up(qtbot, dialog, NAME)
    facts = told(dialog)
    assert facts["Size"] == facts["To fetch"] == "3.3 MiB"
    assert facts["Destination"].endswith("models--owner--model")
    assert "iB" in facts["Free there"]
    assert dialog.go.text() == "Download"
    assert dialog.go.isEnabled()
    assert hub.requests == []
    QTest.keyClicks(dialog.name, "x")
    assert not dialog.go.isEnabled()  # another name was not looked up


def test_a_download_is_a_job_that_stops_and_goes_on_where_it_stopped(
    qtbot, bench, dialog, hub, monkeypatch
):
    opened = []
    monkeypatch.setattr(bench.handlers, "load", lambda name, **_: opened.append(name))

    def held():  # the hub sends half of the weights and waits
        if hub.fetched("model.safetensors"):
            blocks.append(1)
            stopped.wait(30 if len(blocks) > 8 else 0.03)

    blocks, stopped = [], threading.Event()
    hub.before_block = held
    look_up(qtbot, dialog, NAME)
    QTest.mouseClick(dialog.go, LEFT)
    pieces = lambda: bench.desk.work.pieces  # noqa: E731
    qtbot.waitUntil(
        lambda: pieces()[-1].progress is not None and pieces()[-1].progress.done > 1 << 20,
        timeout=WAIT,
    )
    assert pieces()[-1].title == f"Downloading {NAME}"
    assert pieces()[-1].progress.unit == "B"
    bench.runner.cancel_visible()
    assert bench.runner.under_way == ()  # at once, whatever the network does
    assert pieces()[-1].outcome is Outcome.STOPPED
    stopped.set()
    qtbot.waitUntil(lambda: bench.runner.idle, timeout=WAIT)
    hub.before_block = lambda: None
    hub.requests.clear()
    bench.window.actions_table.trigger(CommandId.OPEN_MODEL_HUB)
    again = bench.window.findChildren(HubDialog)[-1]
    look_up(qtbot, again, NAME)
    assert "iB" in told(again)["Here already"]
    QTest.mouseClick(again.go, LEFT)
    qtbot.waitUntil(lambda: opened == [NAME], timeout=WAIT)
    assert hub.fetched("model.safetensors")[0] >= 1 << 20
    assert bench.desk.settings.recent_models[0] == NAME
    hub.requests.clear()
    bench.window.actions_table.trigger(CommandId.OPEN_MODEL_HUB)
    third = bench.window.findChildren(HubDialog)[-1]
    look_up(qtbot, third, NAME)
    assert third.go.text() == "Open"
    QTest.mouseClick(third.go, LEFT)
    assert opened == [NAME, NAME]
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("owner/none", "has no model"), ("owner/pickled", "pytorch_model.bin"), ("x", "no name")],
)
def test_what_cannot_be_opened_is_said_in_the_dialog(qtbot, dialog, hub, name, said):
    hub.models["owner/pickled"] = {"pytorch_model.bin": b"x"}
    look_up(qtbot, dialog, name)
    assert said in dialog.problem.text()
    assert not dialog.go.isEnabled()


def test_a_download_that_ends_does_not_kill_what_runs(bench, hub, monkeypatch):
    asked = []
    monkeypatch.setattr(bench.runner, "ask", asked.append)
    waits = (DownloadModel(look_up_now(NAME)),)
    monkeypatch.setattr(type(bench.runner), "under_way", property(lambda _: waits))
    bench.handlers.open_downloaded(NAME)
    assert asked == []
    assert bench.desk.notices.history[-1].title == f"{NAME} is on this computer now"
