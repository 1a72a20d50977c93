"""A model that sees in the window: images chosen, opened, dropped, pasted, run and reviewed."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from acts import drop, drop_data, rest, to_front, until, write
from PIL import Image
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QTreeWidget

import microtome as mt
import microtome_resources as resources
from microtome.prompts import Question
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.image_rows import IMAGE_COMMANDS
from microtome_desktop.commands.table import command
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.file_requests import OpenSession, SaveSession
from microtome_desktop.presenters.circuit_text import metric_text

LEFT = Qt.MouseButton.LeftButton
_ID = CommandId


def png(values, mode=None):
    """The bytes of a PNG file of these pixels."""
    held = io.BytesIO()
    Image.fromarray(values, mode).save(held, "PNG")
    return held.getvalue()


@pytest.fixture(scope="module")
def opened(live_bench, qapp):
    """The live window with shapes-resnet in place of its model, as opening it leaves it."""
    desk = live_bench.desk
    for toast in list(live_bench.toasts.shown):
        toast.close()
    fields = live_bench.furnishing.panels["ask"].prompt
    for field in (fields.answer, fields.wrong):
        field.completer().popup()  # made when first asked for, and kept with the window
    desk.workspace.mark_clean()
    bot = SimpleNamespace(waitUntil=lambda condition, timeout: until(condition))
    # Its example is shown in place of another example, not of what a test before has run.
    example = resources.START_EXAMPLE
    live_bench.handlers.load(example.model)
    until(lambda: desk.workspace.model.name == example.model)
    rest(live_bench, bot)
    single = Question(example.clean, None, example.answer, example.wrong)
    live_bench.runner.ask(Examine(single, example=True))
    rest(live_bench, bot)
    before = desk.workspace.session
    live_bench.handlers.load("shapes-resnet")
    until(lambda: desk.workspace.model.name == "shapes-resnet")
    rest(live_bench, bot)
    first = desk.workspace.session
    assert first is not before
    yield SimpleNamespace(bench=live_bench, first=first)
    for toast in list(live_bench.toasts.shown):
        toast.close()
    desk.albums.aim(corrupt=False)
    desk.draft.update(image=None, corrupt_image=None)
    desk.workspace.mark_clean()
    if desk.workspace.model.name != "words-4l":  # the last tests have opened it
        live_bench.handlers.load("words-4l")
        until(lambda: desk.workspace.model.name == "words-4l")
    rest(live_bench, bot)
    desk.workspace.show(before, dirty=False)
    rest(live_bench, bot)


@pytest.fixture
def eye(opened, qtbot):
    """That window with the first image in it and nothing going on."""
    bench = opened.bench
    for toast in list(bench.toasts.shown):
        toast.close()
    bench.desk.notices.history.clear()
    bench.desk.albums.aim(corrupt=False)
    bench.desk.draft.fill(opened.first.question)
    bench.desk.workspace.show(opened.first, dirty=False)
    rest(bench, qtbot)
    return bench


def prompt_of(bench):
    return bench.furnishing.panels["ask"].prompt


def take(bench, wanted, qtbot):
    """A command by its keys, or by its action where it has none."""
    to_front(bench.window)
    bench.window.setFocus()
    qtbot.waitUntil(bench.window.isActiveWindow)
    if keys := command(wanted).shortcut:
        QTest.keySequence(bench.window, QKeySequence(keys))
    else:
        bench.window.actions_table.trigger(wanted)
    rest(bench, qtbot)


def test_opening_a_model_that_sees_shows_an_image_run(eye, qtbot, opened):
    desk, panels = eye.desk, eye.furnishing.panels
    held = mt.load_image_set("shapes")
    asked = desk.workspace.session.question
    assert asked.prompt == held.image(0)
    assert asked.answer == held.classes[held.labels[0]]
    seen = desk.workspace.session.clean.image
    shown = prompt_of(eye).images.image.view.shown
    assert (shown.height(), shown.width()) == seen.size
    assert shown.pixelColor(5, 9).red() == seen.values[9, 5, 0]
    strip = panels["token_strip"].image
    assert strip.isVisible()
    assert "no patches" in strip.said.text()
    table = panels["ask"].predictions.table
    assert table.horizontalHeaderItem(0).text() == "class"
    assert table.item(0, 0).text() == asked.answer
    words = "resized to 32 × 32"
    assert words in prompt_of(eye).images.steps.text()
    tree = eye.window.findChild(QTreeWidget, "models_tree")
    assert tree.findItems("sees 32 × 32 grey", Qt.MatchFlag.MatchContains | _DEEP)
    assert not prompt_of(eye).texts.isVisible()
    assert "layer × channel" in panels["heatmap"].quantity.currentText()
    assert panels["attention"].pages.currentWidget() is panels["attention"].units


_DEEP = Qt.MatchFlag.MatchRecursive


def test_a_set_is_looked_through_by_keys_mouse_and_wheel_of_classes(eye, qtbot):
    desk, images = eye.desk, prompt_of(eye).images
    held = mt.load_image_set("shapes")
    take(eye, _ID.NEXT_IMAGE, qtbot)
    assert desk.draft.text.image == held.image(1)
    take(eye, _ID.PREVIOUS_IMAGE, qtbot)
    take(eye, _ID.PREVIOUS_IMAGE, qtbot)
    assert desk.draft.text.image == held.image(len(held) - 1)
    assert desk.draft.text.answer == held.classes[held.labels[-1]]
    write(images.picker.number, "7")
    assert desk.draft.text.image == held.image(6)
    images.picker.classes.setFocus()
    QTest.keyClicks(images.picker.classes, "cup")
    QTest.keyClick(images.picker.classes, Qt.Key.Key_Return)
    rest(eye, qtbot)
    cups = np.flatnonzero(held.labels == held.classes.index("cup"))
    if images.picker.classes.currentText() == "cup":
        images.picker.classes.activated.emit(images.picker.classes.currentIndex())
    assert desk.draft.text.image == held.image(int(cups[0]))
    assert desk.draft.text.answer == "cup"
    write(prompt_of(eye).answer, "house")  # what was typed stays
    take(eye, _ID.RANDOM_IMAGE, qtbot)
    assert desk.draft.text.image.name.startswith("cup")
    assert desk.draft.text.image != held.image(int(cups[0]))
    assert desk.draft.text.answer == "house"
    images.image.view.setFocus()
    QTest.keyClick(images.image.view, Qt.Key.Key_PageDown)
    assert desk.draft.text.image.name.startswith("cup")


def test_a_pair_of_images_is_run_kept_and_reviewed_without_its_model(eye, qtbot, tmp_path):
    desk, prompt = eye.desk, prompt_of(eye)
    QTest.mouseClick(prompt.images.corrupt.empty, LEFT)
    take(eye, _ID.RANDOM_IMAGE, qtbot)
    pair = desk.draft.text
    assert pair.corrupt_image is not None
    assert pair.wrong == pair.corrupt_image.name.rpartition(" ")[0]
    QTest.mouseClick(prompt.run, LEFT)
    qtbot.waitUntil(lambda: desk.workspace.session.corrupt is not None, timeout=60_000)
    rest(eye, qtbot)
    session = desk.workspace.session
    assert session.corrupt.image.values.shape == (32, 32, 1)
    # The circuit explains the difference, and its shown units are exchanged with the other image.
    told = session.circuit.metadata
    assert told["rule"] == "two-point"
    assert told["metric_value_corrupt"] == pytest.approx(session.metric["value_corrupt"], abs=1e-4)
    assert "clean" in metric_text(session.circuit)
    assert "corrupt image" in session.analyses["reproduced-share"].params["how"]
    row = eye.furnishing.panels["history"].list.topLevelItem(0).text(0)
    assert f"{pair.image.name} → {pair.corrupt_image.name}" in row
    take(eye, _ID.SWAP_PROMPTS, qtbot)
    assert desk.draft.text.image == pair.corrupt_image
    assert desk.draft.text.answer == pair.wrong
    QTest.mouseClick(prompt.images.corrupt.clear, LEFT)
    assert desk.draft.text.corrupt_image is None
    # Lines of Python give the same numbers, by the images' own names.
    lines = eye.furnishing.panels["ask"].exported_lines()
    held: dict[str, object] = {}
    exec("\n".join(lines), held)  # noqa: S102 - our own lines
    table = eye.furnishing.panels["ask"].predictions.table
    assert held["tokens"][0] == table.item(0, 0).text()
    assert "mt.load_image_set('shapes').image(0)" in "\n".join(lines)
    # From the file alone, while another model is loaded.
    path = tmp_path / "seen.h5"
    eye.runner.ask(SaveSession(path, session, ()))
    rest(eye, qtbot)
    desk.workspace.mark_clean()
    eye.runner.ask(OpenSession(path))
    rest(eye, qtbot)
    desk.workspace.set_model(None)
    rest(eye, qtbot)
    try:
        assert desk.draft.text.image == pair.image
        assert desk.draft.text.corrupt_image == pair.corrupt_image
        assert desk.workspace.session.circuit.metadata["rule"] == "two-point"
        shown = prompt.images.corrupt.view.shown
        assert shown.pixelColor(3, 4).red() == session.corrupt.image.values[4, 3, 0]
        assert eye.furnishing.panels["token_strip"].image.view.shown is not None
    finally:
        desk.workspace.set_model(session.model)


def test_files_folders_and_drops_are_asked_about_and_tell_what_was_left_away(
    eye, qtbot, tmp_path, monkeypatch
):
    desk = eye.desk
    values = np.random.default_rng(1).integers(0, 255, (20, 30, 4), dtype=np.uint8)
    (tmp_path / "see through.png").write_bytes(png(values))
    (tmp_path / "grey.png").write_bytes(png(values[:, :, 0]))
    (tmp_path / "text.png").write_text("no image at all")
    chosen = str(tmp_path / "see through.png")
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([chosen], ""))
    take(eye, _ID.OPEN_IMAGE, qtbot)
    assert desk.draft.text.image == mt.read_image(chosen)
    assert desk.draft.text.image.source == chosen
    assert "see through.png" in desk.notices.history[-1].title  # its transparency is gone
    held, desk.notices.history[:] = desk.draft.text.image, []
    assert drop(eye.window, tmp_path / "text.png")
    rest(eye, qtbot)
    assert "text.png" in desk.notices.history[-1].as_text
    assert desk.draft.text.image == held  # nothing is lost
    eye.window.show_panel("lessons")
    assert drop(eye.window, tmp_path / "grey.png")
    rest(eye, qtbot)
    assert desk.draft.text.image.name == "grey.png"
    assert prompt_of(eye).isVisible()  # what was dropped is seen
    assert drop(eye.window, tmp_path)
    rest(eye, qtbot)
    picker = prompt_of(eye).images.picker
    assert picker.choice.currentText() == f"folder {tmp_path.name}"
    assert picker.number.text() == "1 of 2"
    assert "1 file is no image" in desk.notices.history[-1].as_text
    take(eye, _ID.NEXT_IMAGE, qtbot)
    assert desk.draft.text.image.name == "see through.png"
    for name in ("cup", "hat"):  # a folder a class: a set with labels
        (tmp_path / "classes" / name).mkdir(parents=True)
        (tmp_path / "classes" / name / "one.png").write_bytes(png(values[:, :, 0]))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "classes"))
    take(eye, _ID.OPEN_IMAGE_FOLDER, qtbot)
    assert desk.draft.text.answer == "cup"
    assert picker.classes.count() == 3
    take(eye, _ID.NEXT_IMAGE, qtbot)
    assert desk.draft.text.image.name == "hat 0"


def test_drops_that_are_no_files_are_taken_or_told_why(eye, qtbot, tmp_path):
    desk, held = eye.desk, eye.desk.draft.text.image
    values = np.random.default_rng(3).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    other = QMimeData()
    other.setUrls([QUrl("https://example.org/cup.png")])
    assert drop_data(eye.window, other)
    assert desk.draft.text.image == held
    assert "https://example.org/cup.png is not on this machine" in desk.notices.history[-1].as_text
    other.setData("image/png", png(values))  # as a browser brings the image itself
    assert drop_data(eye.window, other)
    rest(eye, qtbot)
    np.testing.assert_array_equal(desk.draft.text.image.values, values)
    (tmp_path / "page.pdf").write_bytes(b"%PDF-1.7 and so on")
    desk.workspace.mark_dirty()
    assert drop(eye.window, tmp_path / "page.pdf")  # no session that would want room
    rest(eye, qtbot)
    assert "page.pdf is a PDF" in desk.notices.history[-1].as_text
    desk.workspace.mark_clean()


def test_the_clipboard_gives_bytes_files_or_a_reason(eye, qtbot, tmp_path):
    desk, clipboard = eye.desk, QGuiApplication.clipboard()
    values = np.random.default_rng(2).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    data = QMimeData()
    data.setData("image/png", png(values))
    clipboard.setMimeData(data)
    take(eye, _ID.PASTE_IMAGE, qtbot)
    np.testing.assert_array_equal(desk.draft.text.image.values, values)
    eye.runner.ask(_examine(desk))
    rest(eye, qtbot)
    assert "clipboard" in eye.furnishing.panels["ask"].exported_lines()  # no line can name it
    path = tmp_path / "a file.png"
    path.write_bytes(png(values[::-1].copy()))
    files = QMimeData()
    files.setUrls([QUrl.fromLocalFile(str(path))])
    clipboard.setMimeData(files)
    view = prompt_of(eye).images.image.view
    view.setFocus()
    QTest.keyClick(view, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    rest(eye, qtbot)
    assert desk.draft.text.image.name == "a file.png"
    clipboard.setText("only words")
    take(eye, _ID.PASTE_IMAGE, qtbot)
    assert desk.notices.history[-1].title == "There is no image on the clipboard"
    assert desk.draft.text.image.name == "a file.png"
    clipboard.clear()


def _examine(desk):
    from microtome_desktop.jobs.examine import Examine

    return Examine(desk.draft.text.question())


def test_what_was_found_of_units_outlives_the_image_and_words_come_back(eye, qtbot):
    desk = eye.desk
    found = mt.lesion(mt.load_model("shapes-resnet"), ["pool/1"], controls=1)
    desk.book.put_results("Lesion", {found.id: found})
    other = mt.load_image_set("shapes").image(1)
    desk.draft.update(image=other, answer="Ada", wrong="")
    rest(eye, qtbot)
    qtbot.waitUntil(prompt_of(eye).run.isEnabled, timeout=20_000)
    assert "of memory" not in prompt_of(eye).needs.text()  # nobody knows for a net of channels
    before = desk.workspace.session
    QTest.mouseClick(prompt_of(eye).run, LEFT)
    qtbot.waitUntil(lambda: desk.workspace.session is not before, timeout=20_000)
    rest(eye, qtbot)
    assert desk.workspace.session.question.prompt == other
    assert desk.workspace.session.analyses[found.id].params is found.params
    desk.workspace.mark_clean()
    eye.handlers.load("words-4l")
    qtbot.waitUntil(lambda: desk.workspace.session.model.name == "words-4l", timeout=60_000)
    rest(eye, qtbot)
    example = resources.START_EXAMPLE
    text = desk.draft.text
    assert (text.prompt, text.answer, text.wrong) == (example.clean, example.answer, example.wrong)
    assert desk.workspace.session.question.prompt == example.clean
    assert found.id not in desk.workspace.session.analyses


def test_images_in_review_are_shown_beside_a_model_that_reads_text(live, qtbot):
    image = mt.load_image_set("shapes").image(2)
    live.desk.draft.fill(mt.Question(image, None, "cup"))
    rest(live, qtbot)
    assert prompt_of(live).images.image.view.shown is not None
    qtbot.waitUntil(lambda: "reads text" in prompt_of(live).problem.text())
    take(live, _ID.FOCUS_PROMPT, qtbot)
    assert prompt_of(live).prompt.hasFocus()
    assert not live.desk.draft.text.sees


def test_a_model_that_reads_text_takes_no_image(live, qtbot, tmp_path):
    path = tmp_path / "an image.png"
    path.write_bytes(png(np.zeros((4, 4, 3), np.uint8)))
    before = live.desk.draft.text
    assert drop(live.window, path)
    rest(live, qtbot)
    notice = next(n for n in live.desk.notices.history if "dropped" in n.title)
    assert "words-4l reads text" in notice.as_text
    assert "shapes-resnet" in notice.as_text
    assert live.desk.draft.text == before
    actions = live.window.actions_table.actions
    assert not any(actions[row.id].isEnabled() for row in IMAGE_COMMANDS)
    assert prompt_of(live).texts.isVisible()
    assert not prompt_of(live).images.isVisible()
