"""Bad input in the window: a clear notice with the way out, and what was there stays."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.file_requests import OpenSession, SaveSession
from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.state.notices import Level

WAIT = 60_000


def refused(qtbot, bench, request):
    """The notice after a request that must fail; nothing on screen may change."""
    desk = bench.desk
    before = desk.workspace.session, desk.workspace.model
    with qtbot.waitSignal(bench.runner.failed, timeout=WAIT):
        bench.runner.ask(request)
    assert (desk.workspace.session, desk.workspace.model) == before
    notice = desk.notices.history[-1]
    assert notice.level is Level.ERROR
    assert notice.details
    return notice


def ask(qtbot, bench, *, prompt, corrupt="", answer="", wrong=""):
    """Fill the fields and run; the draft's own problems do not stop the request here."""
    bench.desk.draft.update(prompt=prompt, corrupt=corrupt, answer=answer, wrong=wrong)
    from microtome_desktop.jobs.requests import Examine

    return refused(qtbot, bench, Examine(bench.desk.draft.text.question()))


def test_an_empty_prompt_cannot_be_run(qtbot, bench):
    field = bench.furnishing.panels["ask"].prompt.prompt
    field.setFocus()
    field.selectAll()
    qtbot.keyClick(field, Qt.Key.Key_Delete)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert bench.desk.notices.history[-1].what == "The prompt is empty: type one."
    run = bench.furnishing.panels["ask"].prompt.run
    assert not run.isEnabled()
    assert run.toolTip() == "The prompt is empty: type one."


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"prompt": "Mary and John " * 60}, "64"),
        ({"prompt": "Mary and John", "corrupt": "Mary and"}, "corrupt prompt 3"),
        ({"prompt": "Mary and John", "answer": "zeppelin"}, "zeppelin"),
        ({"prompt": "Mary and John", "answer": "Mary John"}, "Mary John"),
        ({"prompt": "Mary and John", "answer": "Mary", "wrong": "Mary"}, "Mary"),
        ({"prompt": "Mary and John", "wrong": "Mary"}, "wrong answer"),
    ],
)
def test_questions_that_cannot_be_asked(qtbot, live, question, words):
    notice = ask(qtbot, live, **question)
    assert words in f"{notice.what} {notice.way_out}"
    assert notice.way_out


def test_the_fields_say_it_before_the_run(qtbot, live):
    desk = live.desk
    desk.draft.update(prompt="Mary and John", corrupt="Mary and", answer="zeppelin", wrong="")
    qtbot.waitUntil(lambda: bool(desk.draft.reading.answer_problem), timeout=WAIT)
    problem = live.furnishing.panels["ask"].prompt.problem.text()
    assert "same number" in problem
    assert "zeppelin" in problem
    assert "same number" in live.handlers.why_not(CommandId.RUN)


def test_an_unknown_answer_cannot_be_run_and_another_can_at_once(qtbot, live):
    draft, panel = live.desk.draft, live.furnishing.panels["ask"].prompt
    draft.update(prompt="Mary and John", corrupt="", answer="zeppelin", wrong="")
    qtbot.waitUntil(lambda: draft.up_to_date and bool(draft.problem), timeout=WAIT)
    assert not panel.run.isEnabled()
    assert "zeppelin" in panel.run.toolTip()
    assert "zeppelin" in live.handlers.why_not(CommandId.RUN)
    panel.answer.setText("Mary")
    assert not draft.up_to_date  # what stands against "zeppelin" says nothing of "Mary"
    assert live.handlers.why_not(CommandId.RUN) == ""
    qtbot.waitUntil(panel.run.isEnabled, timeout=WAIT)
    assert draft.up_to_date


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "model"
    made.mkdir()
    return made


def test_model_folders_that_cannot_be_loaded(qtbot, live, folder):
    before = live.desk.settings.recent_models
    notice = refused(qtbot, live, LoadModel(str(folder.parent / "nowhere")))
    assert "nowhere" in notice.what
    notice = refused(qtbot, live, LoadModel(str(folder)))
    assert notice.way_out
    (folder / "config.json").write_text('{"model_type": "toaster"}')
    assert "toaster" in refused(qtbot, live, LoadModel(str(folder))).what
    assert live.desk.settings.recent_models == before
    assert live.desk.library.shelf.loading == ""


def test_a_hub_id_without_a_network(qtbot, live):
    notice = refused(qtbot, live, LoadModel("nobody/nothing-here"))
    assert "nobody/nothing-here" in notice.what
    assert "Open hub id" in notice.way_out


def test_files_that_are_no_session(qtbot, bench, tmp_path, sample_session):
    text, cut = tmp_path / "text.h5", tmp_path / "cut.h5"
    text.write_text("hello")
    save_session(cut, sample_session)
    cut.write_bytes(cut.read_bytes()[:3000])
    for path in (text, cut, tmp_path / "none.h5", tmp_path):
        notice = refused(qtbot, bench, OpenSession(path))
        assert path.name in notice.what


def test_a_folder_that_cannot_be_written(qtbot, bench, tmp_path):
    request = SaveSession(tmp_path / "missing" / "x.h5", bench.desk.workspace.session)
    bench.desk.workspace.mark_dirty()
    refused(qtbot, bench, request)
    assert bench.desk.workspace.dirty
    assert list(tmp_path.rglob("*.h5")) == []


def test_no_model_at_all(qtbot, empty_bench):
    empty_bench.desk.draft.update(prompt="Mary")
    empty_bench.handlers.run()
    notice = empty_bench.desk.notices.history[-1]
    assert "Needs a model" in notice.what


def test_asking_about_a_circuit_that_is_not_there(qtbot, empty_bench):
    from microtome_desktop.jobs.requests import AblateNode

    empty_bench.runner.ask(AblateNode("L0H0@1"))
    assert empty_bench.desk.notices.history[-1].way_out == "Run a prompt first."
    assert not [piece for piece in empty_bench.desk.work.pieces if piece.slot == AblateNode.slot]


def test_stop_in_the_middle_keeps_what_was_there(qtbot, live):
    desk = live.desk
    before = desk.workspace.model
    live.handlers.run()
    live.handlers.table()[CommandId.STOP]()
    assert live.runner.under_way == ()
    qtbot.waitUntil(lambda: live.runner.idle, timeout=WAIT)
    assert desk.workspace.model is before
    live.handlers.run()
    uuid = live.runner.under_way[0].uuid
    qtbot.waitUntil(lambda: desk.workspace.session.uuid == uuid, timeout=WAIT)
    qtbot.waitUntil(lambda: live.runner.idle, timeout=WAIT)
