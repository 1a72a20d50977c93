"""See and Units in a real window: maps, evidence and cards of an embedded model that sees."""

from __future__ import annotations

import numpy as np
import pytest
from acts import rest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QScrollArea

import microtome as mt
from microtome.errors import Cancelled
from microtome.jobs import Job
from microtome.records.unit_card import card_of, table_of
from microtome.records.units import Unit
from microtome_desktop import theme
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.jobs.seeing_requests import ReadCard, ReadUnits
from microtome_desktop.presenters.seeing import NO_SIGHT
from microtome_desktop.presenters.units import told_apart
from microtome_desktop.state.seeing import UnitsWish
from microtome_desktop.views.set_choice import insert_set

LEFT = Qt.MouseButton.LeftButton
WAIT = 60_000
LAYER = "stage1.block0"


@pytest.fixture
def dressed(qapp):
    """The theme, whose margins and scroll bars need the most room."""
    sheet, shades = qapp.styleSheet(), qapp.palette()
    theme.apply(qapp)
    yield
    qapp.setStyleSheet(sheet)
    qapp.setPalette(shades)


def front(bench, qtbot, name):
    bench.window.show_panel(name)
    rest(bench, qtbot)
    return bench.furnishing.panels[name]


def told(panel, folder):
    """The panel's lines of Python, with the session in the file that they name."""
    file = mt.save_session(folder / "told.h5", panel.context.workspace.session)
    return [line.replace("session.h5", str(file)) for line in panel.exported_lines()]


def press(view):
    """Press an image in its middle."""
    place = view.place_of(*(size // 2 for size in (32, 32)))
    QTest.mouseClick(view, LEFT, pos=place.toPoint())


def pick(box, text):
    """Choose an entry as the keyboard does."""
    box.setCurrentIndex(box.findText(text))
    box.activated.emit(box.currentIndex())


def test_an_image_is_mapped_explained_and_its_units_get_cards(seeing, qtbot, tmp_path, bench):
    session = lambda: seeing.desk.workspace.session  # noqa: E731
    see, model = front(seeing, qtbot, "see"), mt.load_model("shapes-resnet")
    image = session().clean.image
    # Activity: the panel asked by itself, and shows what the engine gives; also where another
    # layer took the first one's place before its answer was there.
    for name in (LAYER, "stem", LAYER):
        pick(see.bar.layer, name)
    rest(seeing, qtbot)
    maps = mt.image_maps(model, image, [LAYER])
    order = maps.array(f"order/{LAYER}")
    assert see.gallery.main.key == f"{LAYER}/{order[0]}"
    np.testing.assert_allclose(see.gallery.main.values, maps.array(LAYER)[order[0]], rtol=1e-4)
    press(see.gallery.small[2])
    rest(seeing, qtbot)
    assert seeing.desk.selection.current.unit == f"{LAYER}/{order[2]}"
    assert see.gallery.main.key == f"{LAYER}/{order[2]}"
    exec("\n".join(told(see, tmp_path)), lines := {})  # noqa: S102  it is what is tested
    np.testing.assert_allclose(lines["values"], maps.array(LAYER), rtol=1e-4)
    # Evidence: the row that adds most is pressed, and selects its unit.
    held = mt.unit_evidence(model, image, see.bar.score.answer)
    strongest = int(held.array("contribution").argmax())
    assert int(see.evidence.rows[0]) == strongest
    place = see.evidence.visualRect(see.evidence.items.index(0, 0)).center()
    QTest.mouseClick(see.evidence.viewport(), LEFT, pos=place)
    assert seeing.desk.selection.current.unit == f"pool/{strongest}"
    # Attribution: asked by a button, as the engine gives it.
    pick(see.bar.mode, "Attribution")
    pick(see.bar.method, "Occlusion")
    QTest.mouseClick(see.bar.run, LEFT)
    rest(seeing, qtbot)
    wanted = mt.attribution_map(model, image, see.bar.score.answer, method="occlusion")
    np.testing.assert_allclose(see.gallery.main.values, wanted.array("map"), atol=1e-4)
    assert len(see.exported_table()().rows) == 32 * 32
    pick(see.bar.baseline, "black")  # the map that is shown is of another
    assert "from grey" in see.gallery.said.text()
    assert "press Map for black" in see.gallery.said.text()
    card = cards_are_made(seeing, qtbot, model)
    reviewed(seeing, qtbot, tmp_path, bench, card)


def cards_are_made(seeing, qtbot, model):
    """A layer is read, rows and similar units are chosen by hand; the last card."""
    units = front(seeing, qtbot, "units")
    pick(units.layer, "pool")
    QTest.mouseClick(units.run, LEFT)
    rest(seeing, qtbot)
    digest = mt.load_image_set("shapes").digest
    named = f"unit-table-shapes-{digest[:12]}-pool"
    table = table_of(seeing.desk.workspace.session.analyses[named])
    assert len(units.rows.rows) == len(table.largest) == 32
    place = units.rows.visualRect(units.rows.items.index(1, 0)).center()
    QTest.mouseClick(units.rows.viewport(), LEFT, pos=place)
    rest(seeing, qtbot)
    chosen = int(units.rows.rows[1])
    assert seeing.desk.selection.current.unit == f"pool/{chosen}"
    card = units.card.card
    plain = card_of(mt.unit_card(model, f"pool/{chosen}", mt.load_image_set("shapes")))
    np.testing.assert_array_equal(card.number, plain.number)
    np.testing.assert_allclose(card.by_class, plain.by_class, rtol=1e-3, atol=1e-4)
    similar = units.card.similar
    place = similar.visualRect(similar.items.index(0, 0)).center()
    units.card.ensureWidgetVisible(similar)
    QTest.mouseClick(similar.viewport(), LEFT, pos=place)
    rest(seeing, qtbot)
    assert units.card.card.unit.index == int(card.similar[similar.rows[0]])
    return units.card.card


def reviewed(seeing, qtbot, tmp_path, bench, card):
    """All of it is seen again in a window without the model."""
    file = mt.save_session(tmp_path / "seen.h5", seeing.desk.workspace.session)
    seeing.desk.workspace.mark_clean()
    bench.desk.workspace.set_model(None)
    bench.runner.ask(OpenSession(file))
    qtbot.waitUntil(lambda: bench.desk.workspace.path == file, timeout=WAIT)
    units = front(bench, qtbot, "units")
    bench.desk.selection.update(unit=str(card.unit))
    rest(bench, qtbot)
    np.testing.assert_array_equal(units.card.card.images, card.images)
    assert units.card.headline.text() == f"{card.unit} · channel"
    see = front(bench, qtbot, "see")
    pick(see.bar.mode, "Activity of units")
    pick(see.bar.layer, LAYER)
    assert see.gallery.main.key.startswith(LAYER)
    assert see.evidence.rows.size == 32
    assert "resized to 32 × 32" in see.seen.steps.text()
    assert see.bar.answer.count() == 22
    answers, run = see.seen.answers, bench.desk.workspace.session.clean
    assert answers.shares[0].text() == f"{100 * run.top_probabilities[-1][0]:.1f} %"
    assert answers.names[0].text() == run.top_tokens[-1][0]
    assert {share.geometry().right() for share in answers.shares} == {
        answers.shares[0].geometry().right()
    }
    prompt = bench.furnishing.panels["ask"].prompt  # as it was asked, though without an answer
    assert "resized to 32 × 32" in prompt.images.steps.text()
    assert prompt.answer.placeholderText() == f"{run.top_tokens[-1][0]}, the likeliest"


def test_attention_hands_out_the_map_of_the_unit_where_no_head_looks(seeing, qtbot):
    attention = front(seeing, qtbot, "attention")
    seeing.desk.selection.update(unit=f"{LAYER}/19")
    shown = lambda: attention.units.gallery.main  # noqa: E731
    qtbot.waitUntil(lambda: shown() is not None and shown().values.shape == (4, 4), timeout=WAIT)
    maps = mt.image_maps(
        mt.load_model("shapes-resnet"), seeing.desk.workspace.session.clean.image, [LAYER]
    ).array(LAYER)
    rows = attention.exported_table()().rows
    assert {(row, column): value for row, column, value in rows} == {
        place: pytest.approx(float(value), abs=1e-5) for place, value in np.ndenumerate(maps[19])
    }
    assert f"found = mt.image_maps(model, image, ['{LAYER}'])" in attention.exported_lines()


def test_a_session_of_text_says_what_to_do(bench, qtbot):
    see = front(bench, qtbot, "see")
    assert see.empty.advice.text() == NO_SIGHT
    assert see.exported_table().endswith(".")
    units = front(bench, qtbot, "units")
    assert "open one that sees" in units.empty.advice.text()
    assert not units.run.isEnabled()
    for wanted in (CommandId.ATTRIBUTE_IMAGE, CommandId.READ_UNITS):
        assert not bench.window.actions_table.actions[wanted].isEnabled()


def test_a_stop_is_heard_while_a_folder_of_images_is_read(tmp_path):
    for name in ("cup", "hat"):
        (tmp_path / name).mkdir()
        for number in range(40):
            Image.new("L", (8, 8), number).save(tmp_path / name / f"{number}.png")
    told = []

    def stop(progress):
        told.append(progress.title)
        job.cancel()

    job, engine = Job(on_progress=stop), Engine()
    engine.model = mt.load_model("shapes-resnet")
    with pytest.raises(Cancelled):
        ReadUnits(UnitsWish("pool", str(tmp_path))).perform(engine, job)
    assert told == ["Reading images"]


def test_folders_of_one_name_have_tables_and_cards_of_their_own(seeing, qtbot, tmp_path):
    folders = [tmp_path / place / "cups" for place in ("a", "b")]
    for seed, folder in enumerate(folders):
        random_images(folder, seed)
    units, session = front(seeing, qtbot, "units"), lambda: seeing.desk.workspace.session
    pick(units.layer, "pool")
    shown = []
    for folder in folders:
        choose_folder(units, folder)
        assert units.pages.currentWidget() is units.empty  # the other's is not shown for it
        QTest.mouseClick(units.run, LEFT)
        rest(seeing, qtbot)
        seeing.desk.selection.update(unit="pool/3")
        rest(seeing, qtbot)
        shown.append((units.exported_table()().rows, units.card.card))
        seeing.desk.selection.clear()
    for (rows, card), folder in zip(shown, folders, strict=True):
        images = mt.load_image_set(folder)
        table = table_of(mt.unit_table(seeing_model(), "pool", images))
        np.testing.assert_allclose([row[5] for row in rows], table.largest, rtol=1e-4)
        assert card.params["set_digest"] == images.digest == table.params["set_digest"]
        pick_data(units.images, str(folder))  # back again, without a new reading
        rest(seeing, qtbot)
        assert units.exported_table()().rows == rows
    texts = {units.images.itemText(units.images.findData(str(folder))) for folder in folders}
    assert texts == {"cups", str(folders[1])}
    random_images(folders[1], 7)  # other images in the place of those that were read
    engine = Engine()
    engine.model = seeing_model()
    wish = UnitsWish("pool", str(folders[1]))
    found = ReadUnits(wish).perform(engine, Job())
    random_images(folders[1], 8)
    again = ReadUnits(wish).perform(engine, Job())
    assert found.id != again.id
    digest = found.params["set_digest"]
    card = ReadCard(Unit("pool", 3), str(folders[1]), digest).perform(engine, Job())
    assert card.params["set_digest"] == digest  # of the table, as it was read
    kinds = [each.kind for each in session().analyses.values()]
    assert (kinds.count("unit-table"), kinds.count("unit-card")) == (2, 2)


def seeing_model():
    return mt.load_model("shapes-resnet")


def random_images(folder, seed):
    random = np.random.default_rng(seed)
    for name in ("cup", "hat"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            pixels = random.integers(0, 256, (32, 32), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def choose_folder(units, folder):
    insert_set(units.images, str(folder))  # as the file dialog does
    pick_data(units.images, str(folder))


def pick_data(box, data):
    box.setCurrentIndex(box.findData(data))
    box.activated.emit(box.currentIndex())


def test_results_of_one_title_are_told_apart_by_their_images():
    titles, digests = ("a", "b", "a", "c", "c"), ("1" * 64, "1" * 64, "2" * 64, "3" * 64, "3" * 64)
    expected = ("a, images 11111111", "b", "a, images 22222222", "c", "c")
    assert told_apart(titles, digests) == expected


def test_nothing_is_cut_at_the_side_of_a_small_screen(seeing, qtbot, dressed):
    seeing.window.resize(1366, 768)
    seeing.window.reset_layout()
    for name in ("ask", "visualise", "lesions"):
        panel = front(seeing, qtbot, name)
        areas = [one for one in panel.findChildren(QScrollArea) if one.widget() is not None]
        shown = [one for one in areas if one.isVisible()]
        assert shown
        for area in shown:
            assert area.widget().width() <= area.viewport().width(), name
    see = front(seeing, qtbot, "see")
    see.bar.offer_classes([f"output {at}" for at in range(100)], see.bar.score)
    needed = see.bar.answer.fontMetrics().horizontalAdvance("output 99") + 20  # and the arrow
    qtbot.waitUntil(lambda: see.bar.answer.width() > needed, timeout=WAIT)
