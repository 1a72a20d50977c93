"""What every panel hands out: pictures, drawings, tables, lines of Python."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog

import microtome
from microtome.records.analysis import Analysis
from microtome.records.marks import Note
from microtome_desktop.jobs.export_requests import MADE
from microtome_desktop.presenters.provenance import SHOWS, as_text, made_by
from microtome_desktop.presenters.strip import Colouring
from microtome_desktop.state.exports import Table
from microtome_desktop.views.panel_picture import RATIO, drawing_of, picture_of
from microtome_desktop.views.panel_table import PLACES

PANELS = [place.name for place in PLACES]
SVG = "{http://www.w3.org/2000/svg}"
WAIT = 20_000


def menu(bench, name):
    return bench.exports.menus[name]


@pytest.fixture
def full(bench, qtbot, sample_sweep):
    """The window with a node, a layer and a head selected, and everything read."""
    circuit = bench.desk.workspace.session.circuit
    row = circuit.node_kind.index("head")
    bench.desk.selection.update(
        node=circuit.node_id[row], layer=int(circuit.node_layer[row]),
        head=int(circuit.node_head[row]), position=3, site="resid_post",
    )  # fmt: skip
    bench.desk.book.mark("Note", notes=(Note("", "of the whole"),))
    bench.desk.workspace.add_analysis(sample_sweep)
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle)
    return bench


def choose(monkeypatch, path):
    """Answer the file dialog."""
    asked = []

    def answer(parent, title, suggested, kind):
        asked.append((title, suggested, kind))
        return (str(path) if path else "", kind)

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    return asked


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_hands_out_pictures_and_its_table(full, qtbot, tmp_path, monkeypatch, name):
    it_saves_as_png_and_as_svg_with_its_text_as_text(full, qtbot, tmp_path, monkeypatch, name)
    its_table_is_the_same_everywhere_or_it_says_why_there_is_none(
        full, qtbot, tmp_path, monkeypatch, name
    )


def it_saves_as_png_and_as_svg_with_its_text_as_text(full, qtbot, tmp_path, monkeypatch, name):
    asked = choose(monkeypatch, tmp_path / f"{name}.png")
    panel = full.furnishing.panels[name]
    size = panel.size()  # one that was never in front may be laid out by being pictured
    menu(full, name).save_png.trigger()
    qtbot.waitUntil(lambda: full.runner.idle, timeout=WAIT)
    image = QImage(str(tmp_path / f"{name}.png"))
    assert (image.width(), image.height()) == (size.width() * RATIO, size.height() * RATIO)
    assert panel.title in asked[0][0]
    assert full.desk.notices.history[-1].title == f"Saved {name}.png"
    colours = {image.pixel(x, y) for x in range(0, image.width(), 7)
               for y in range(0, image.height(), 7)}  # fmt: skip
    assert len(colours) > 3  # something is drawn
    choose(monkeypatch, tmp_path / f"{name}.svg")
    menu(full, name).save_svg.trigger()
    qtbot.waitUntil(lambda: full.runner.idle, timeout=WAIT)
    root = ET.fromstring((tmp_path / f"{name}.svg").read_bytes())  # noqa: S314  # our own
    assert root.find(f"{SVG}title").text == f"Microtome: {panel.title}"
    fingerprint = full.desk.workspace.session.model.fingerprint
    shows = bool(made_by(name, full.desk.workspace.session, panel.shown_ids()))
    assert (fingerprint in root.find(f"{SVG}desc").text) == shows
    assert (fingerprint in image.text(MADE)) == shows
    texts = {node.text for node in root.iter(f"{SVG}text")}
    assert any(text and text.strip() for text in texts)


def test_the_drawing_of_the_circuit_has_its_labels_and_curves(full):
    panel = full.furnishing.panels["circuit"]
    panel.finish_drawing()
    root = ET.fromstring(drawing_of(panel))  # noqa: S314  # our own
    text = " ".join(node.text or "" for node in root.iter(f"{SVG}text"))
    for label in panel.canvas.labels.labels[:5]:
        assert panel.canvas.labels.text_of(label.node) in text
    paths = [node.get("d") for node in root.iter(f"{SVG}path")]
    assert sum("C" in (d or "") for d in paths) >= panel.canvas.drawing.n_edges


def test_a_panel_saves_as_a_page_of_lines_and_text(full, qtbot, tmp_path, monkeypatch):
    choose(monkeypatch, tmp_path / "circuit.pdf")
    panel = full.furnishing.panels["circuit"]
    panel.finish_drawing()
    menu(full, "circuit").save_pdf.trigger()
    qtbot.waitUntil(lambda: full.runner.idle, timeout=WAIT)
    held = (tmp_path / "circuit.pdf").read_bytes()
    assert held.startswith(b"%PDF-")
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", held)
    inch = panel.logicalDpiX() / 72
    size = [float(side) * inch for side in box.groups()]
    assert size == pytest.approx([panel.width(), panel.height()], abs=2)
    page = b"".join(
        zlib.decompress(part)
        for part in re.findall(rb"stream\r?\n(x\x9c.*?)endstream", held, re.DOTALL)
    )
    assert page.count(b" c\n") >= panel.canvas.drawing.n_edges  # curves, not a picture of them
    assert b"/Font" in held
    told = as_text(made_by("circuit", full.desk.workspace.session, ()))
    assert b"/EmbeddedFile" in held
    assert told.encode() in page or told.encode() in held


def test_a_picture_shows_what_the_screen_shows(full):
    panel = full.furnishing.panels["histogram"]
    fine = picture_of(panel).scaled(panel.size(), mode=full_smooth())
    plain = panel.grab().toImage().scaled(panel.size(), mode=full_smooth())
    pairs = [
        (fine.pixelColor(x, y).lightness(), plain.pixelColor(x, y).lightness())
        for x in range(2, panel.width() - 2, 3)
        for y in range(2, panel.height() - 2, 3)
    ]
    a, b = np.array(pairs, dtype=float).T
    assert np.corrcoef(a, b)[0, 1] > 0.9


def full_smooth():
    from PySide6.QtCore import Qt

    return Qt.TransformationMode.SmoothTransformation


def rows_of(text, delimiter=","):
    return list(csv.reader(io.StringIO(text), delimiter=delimiter))


def its_table_is_the_same_everywhere_or_it_says_why_there_is_none(
    full, qtbot, tmp_path, monkeypatch, name
):
    one = menu(full, name)
    one.look()
    if not one.save_csv.isEnabled():
        assert one.save_csv.toolTip().endswith(".")
        assert not one.copy_table.isEnabled()
        assert name in WITHOUT_TABLE
        return
    choose(monkeypatch, tmp_path / f"{name}.csv")
    one.save_csv.trigger()
    qtbot.waitUntil(lambda: full.runner.idle, timeout=WAIT)
    saved = rows_of((tmp_path / f"{name}.csv").read_text("utf-8"))
    choose(monkeypatch, tmp_path / f"{name}.json")
    one.save_json.trigger()
    qtbot.waitUntil(lambda: full.runner.idle, timeout=WAIT)
    held = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
    objects = held["rows"]
    told = made_by(name, full.desk.workspace.session, full.furnishing.panels[name].shown_ids())
    assert held["made"] == json.loads(json.dumps([each.told_plainly() for each in told]))
    assert bool(told) == (name in SHOWS)
    assert [list(one) for one in objects[:1]] == [saved[0]]
    assert len(objects) == len(saved) - 1 or name == "jobs"
    one.copy_table.trigger()
    qtbot.waitUntil(lambda: full.runner.idle, timeout=WAIT)
    copied = rows_of(QGuiApplication.clipboard().text(), "\t")
    assert saved[0] == copied[0]
    assert saved == copied or name == "jobs"  # copying is a job itself
    assert len(saved) > 1
    assert {len(row) for row in saved} == {len(saved[0])}


# Those of experiments have one once there is a result: their own tests look at it.
WITHOUT_TABLE = {
    "lessons", "jobs", "edits", "feature_edits", "discovery", "hypothesis", "suite", "features",
    "training", "superposition", "probes", "splitting", "lesions", "see", "units",
    "visualise", "modules",
}  # fmt: skip


def exported(bench, name):
    return bench.furnishing.panels[name].exported_table()()


def numbers(table, column):
    at = table.headers.index(column)
    return np.array([row[at] for row in table.rows], dtype=float)


def test_the_circuit_s_table_is_what_is_drawn_at_full_precision(full):
    table = exported(full, "circuit")
    drawn = full.furnishing.panels["circuit"].shown
    nodes = [row for row in table.rows if row[0] == "node"]
    edges = [row for row in table.rows if row[0] == "edge"]
    assert [row[1] for row in nodes] == list(drawn.node_id)
    assert [row[9] for row in nodes] == drawn.node_score.tolist()
    assert [row[9] for row in edges] == drawn.edge_weight.tolist()
    ends = [(drawn.node_id[s], drawn.node_id[t])
            for s, t in zip(drawn.edge_source, drawn.edge_target, strict=True)]  # fmt: skip
    assert [(row[7], row[8]) for row in edges] == ends


def test_numbers_read_back_as_they_were():
    values = np.array([0.1, 1e-30, np.pi, np.float32(0.1)], dtype=np.float32)
    table = Table(("a", "b"), [(v, float(v)) for v in values])
    back = np.array(rows_of(table.text())[1:], dtype=float)
    assert back[:, 0].astype(np.float32).tolist() == values.tolist()
    assert back[:, 1].tolist() == [float(v) for v in values]


def test_text_with_commas_quotes_and_lines_survives():
    nasty = 'a,"b"\nc\t='
    table = Table(("text", "none"), [(nasty, None), ("x", float("nan"))])
    assert rows_of(table.text())[1:] == [[nasty, ""], ["x", ""]]


def test_the_heat_map_s_table_is_its_picture(full):
    table = exported(full, "heatmap")
    shown = full.desk.workspace.session.analyses["logit-lens"].array("probability")
    values = np.array([row[1:] for row in table.rows], dtype=np.float32)
    np.testing.assert_array_equal(values, np.asarray(shown, dtype=np.float32))


def test_the_attention_table_is_the_pattern(full):
    selected = full.desk.selection.current
    trace = full.desk.workspace.session.clean
    table = exported(full, "attention")
    values = np.array([row[1:] for row in table.rows], dtype=float)
    wanted = np.asarray(trace.attention(selected.layer)[selected.head], dtype=float)
    np.testing.assert_array_equal(np.nan_to_num(values), np.nan_to_num(wanted))


def test_the_tokens_table_is_the_strip(full):
    strip = full.furnishing.panels["token_strip"]
    strip.colour_by.setCurrentText(str(Colouring.NORM))
    table = exported(full, "token_strip")
    assert [row[1] for row in table.rows] == list(full.desk.workspace.session.clean.tokens)
    assert np.isfinite(numbers(table, str(Colouring.NORM))).all()


def test_cancelled_dialogs_do_nothing(full, monkeypatch):
    choose(monkeypatch, None)
    asked = []
    monkeypatch.setattr(full.runner, "ask", asked.append)
    before = len(full.desk.notices.history)
    for act in ("save_png", "save_svg", "save_pdf", "save_csv", "save_json"):
        getattr(menu(full, "circuit"), act).trigger()
    assert asked == []
    assert len(full.desk.notices.history) == before


def test_a_folder_that_is_not_there_is_told_and_nothing_is_left(full, qtbot, tmp_path, monkeypatch):
    wanted = tmp_path / "gone" / "circuit.csv"
    choose(monkeypatch, wanted)
    menu(full, "circuit").save_csv.trigger()
    qtbot.waitUntil(lambda: full.runner.idle, timeout=WAIT)
    notice = full.desk.notices.history[-1]
    assert notice.level.name == "ERROR"
    assert "gone" in notice.as_text
    assert list(tmp_path.iterdir()) == []


def test_an_ending_is_added(full, qtbot, tmp_path, monkeypatch):
    choose(monkeypatch, tmp_path / "plain")
    menu(full, "lists").save_csv.trigger()
    qtbot.waitUntil(lambda: full.runner.idle, timeout=WAIT)
    assert [path.name for path in tmp_path.iterdir()] == ["plain.csv"]
    assert Path(full.desk.settings.folder) == tmp_path


def test_an_empty_window_says_why_nothing_can_be_handed_out(qtbot, empty_bench):
    for name in ("circuit", "heatmap", "attention", "token_strip", "lists", "node_card"):
        one = empty_bench.exports.menus[name]
        one.look()
        assert not one.copy_table.isEnabled()
        assert not one.copy_python.isEnabled()
        assert one.copy_table.toolTip().endswith(".")


def test_words_of_features_and_what_a_model_lacks_are_told_where_they_are_shown(bench):
    lacking = {"summary": "Heads are not known.", "lacks": {"z": "no heads"}, "notes": []}
    held = [Analysis("coverage", "coverage", "What can be seen", {}, lacking),
            Analysis("feature-words", "feature-words", "Words of features", {}, {})]  # fmt: skip
    session = replace(bench.desk.workspace.session, analyses={one.id: one for one in held})
    for panel in ("node_card", "circuit"):
        told = {each.what: each for each in made_by(panel, session, ())}
        assert {"What can be seen", "Words of features"} <= set(told)
        assert not told["What can be seen"].settings
    assert "Words of features" in as_text(made_by("lists", session, ()))
    assert "What can be seen" in as_text(made_by("heatmap", session, ()))


def test_panels_show_kinds_of_results_that_there_are():
    source = "".join(p.read_text("utf-8") for p in Path(microtome.__file__).parent.rglob("*.py"))
    kinds = {kind for shown in SHOWS.values() for kind in shown} - {"run", "run with edits"}
    prefixed = {"edited-metric": "metric"}  # of what is computed again with edits
    assert [kind for kind in kinds if f'"{prefixed.get(kind, kind)}"' not in source] == []
    assert set(SHOWS) <= set(PANELS)
