"""Every lesson is taken click by click on its real model, and what it claims is looked up."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox

import microtome as mt
from microtome.prompt_sets import load_prompt_set
from microtome.records.discovery import DISCOVERY, discovery_of
from microtome.records.edges import edges_of, scores_of
from microtome.records.edits import EditSpec
from microtome.records.feature_index import index_of
from microtome.records.shared_features import shared_of
from microtome.records.shared_neurons import SHARED_NEURONS, neurons_of_analysis
from microtome.records.suite_result import suite_of
from microtome.records.sweep import SWEEP, sweep_of
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.edits import effects
from microtome_desktop.presenters.feature_edits import feature_effects
from microtome_desktop.presenters.lessons import LESSONS, lesson
from microtome_desktop.presenters.node_card import verification
from microtome_desktop.presenters.price import price_in, price_lines
from microtome_desktop.presenters.superposition import sharing_in, toys_in
from microtome_desktop.state.course import Act
from microtome_desktop.state.features import indexes as indexes_of
from microtome_desktop.state.suites import Data, latest
from microtome_desktop.views.lesson_mark import LessonMark

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton


class Pupil:
    """Does what the marked step says, with mouse and keyboard."""

    def __init__(self, qtbot, bench) -> None:
        self.qtbot, self.bench, self.desk = qtbot, bench, bench.desk
        self.course, self.mark = bench.desk.course, bench.mark
        self.panels = bench.furnishing.panels
        self.seen = {}

    def rest(self):
        def done():
            return self.bench.runner.idle and not self.bench.updating

        self.qtbot.waitUntil(done, timeout=WAIT)
        self.panels["circuit"].finish_drawing()

    def start(self, wanted):
        self.bench.window.actions_table.trigger(CommandId.START_PAGE)
        panel = self.panels["lessons"]
        self.qtbot.waitUntil(panel.isVisible)
        QTest.mouseClick(panel.starts[wanted], LEFT)
        self.rest()

    def point(self, step):
        self.qtbot.waitUntil(lambda: self.mark.target(step) is not None, timeout=WAIT)
        # A card that just came has to be laid out before its button can be brought into view.
        self.qtbot.waitUntil(self.marked, timeout=WAIT)
        return self.mark.target(step)

    def marked(self):
        self.mark.place()
        return self.mark.isVisible()

    def do(self, step):
        widget, rect = self.point(step)
        if step.act is Act.STEP:
            stops = widget.maximum() + 1
            for place in range(stops):
                if self.panels["token_strip"].training._stops[place].name == step.brings:
                    widget.setValue(place)
        elif isinstance(widget, QComboBox):
            widget.setFocus()
            QTest.keyClick(widget, Qt.Key.Key_Home)
            while widget.currentText() != step.brings:
                before = widget.currentIndex()
                QTest.keyClick(widget, Qt.Key.Key_Down)
                assert widget.currentIndex() != before, f"{step.brings} is not offered"
        else:
            # The mark lies around what is to be clicked, and lets the click through.
            corner = widget.mapTo(self.bench.window, rect.center())
            assert self.mark.isVisible()
            assert self.mark.geometry().contains(corner)
            QTest.mouseClick(widget, LEFT, pos=rect.center())
        self.rest()

    def take(self, wanted):
        self.start(wanted)
        held = lesson(wanted)
        for place, step in enumerate(held.steps):
            self.qtbot.waitUntil(lambda place=place: self.course.place == place, timeout=WAIT)
            self.rest()
            assert self.panels["lessons"].text.text() == step.text
            self.seen[place] = self.desk.workspace.session
            if step.act is Act.READ or self.mark.already(step):
                QTest.mouseClick(self.panels["lessons"].skip, LEFT)
            else:
                self.do(step)
        assert self.course.lesson is None
        assert self.desk.notices.history == []
        return self.desk.workspace.session


@pytest.fixture
def pupil(qtbot, live):
    made = Pupil(qtbot, live)
    if live.desk.dictionaries.held:  # of a test before: a lesson would offer these first
        live.handlers.load("words-4l")
        made.rest()
    yield made
    made.course.leave()
    live.desk.book.clear_edits()
    live.window.reset_layout()
    if live.desk.workspace.model.name != "words-4l":
        live.handlers.load("words-4l")
    made.rest()


def test_there_are_lessons_and_each_ends_with_a_text():
    assert len(LESSONS) == len({each.id for each in LESSONS}) == 11
    for each in LESSONS:
        assert each.steps[0].question is not None or each.image
        assert each.steps[-1].act is Act.READ
        assert all(len(step.text) <= 420 for step in each.steps), each.id


def test_the_circuit_that_finds_the_name(pupil):
    session = pupil.take("name")
    circuit = session.circuit
    token, head = circuit.row("T@10"), circuit.row("L0H3@14")
    whole = circuit.node_score[circuit.row("OUT")]
    assert circuit.node_score[token] == pytest.approx(whole, rel=1e-3)
    assert circuit.node_influence[head] > 0.9
    assert session.clean.attention(0)[3, 14].argmax() == 10
    found = verification(session.analyses, "L0H3@14")
    assert found.true / found.predicted == pytest.approx(1, abs=0.15)


def test_induction_in_an_exact_model(pupil):
    session = pupil.take("induction")
    assert session.model.name == "induction-exact"
    assert session.clean.attention(1)[0, 7].argmax() == 4  # owl
    assert session.clean.attention(0)[0, 4].argmax() == 3  # the gnu before it
    found = verification(session.analyses, "L0H0@4")
    assert found.true > 0.8 * session.metric["value"]


def test_the_logit_lens(pupil):
    pupil.take("lens")
    trained, young, later = (abs(pupil.seen[place].metric["value"]) for place in (0, 3, 4))
    assert young < 0.1 * trained
    assert later > 0.4 * trained
    lens = pupil.seen[0].analyses["logit-lens"]
    rank = np.asarray(lens.array("rank"))[..., -1]
    assert rank[0] > 20
    assert rank[-1] == 0


def test_a_planted_bias(pupil):
    session = pupil.take("bias")
    clean = pupil.seen[0].clean
    top = dict(zip(clean.top_tokens[-1], clean.top_probabilities[-1], strict=True))
    assert top["she"] > 3 * top["he"]
    circuit = session.circuit
    assert circuit.node_influence[circuit.row("T@2")] > 0.99
    found = verification(session.analyses, "L1H1@4")
    assert found.true > 0.4 * float(circuit.node_score[circuit.row("OUT")])


def test_the_bias_removed_and_its_price(pupil):
    pupil.desk.book.add_edit(EditSpec("z.0.0", "zero"))  # of before: it waits
    session = pupil.take("repair")
    sweep = sweep_of(next(a for a in session.analyses.values() if a.kind == SWEEP))
    assert sweep.effects[1, 1] == pytest.approx(0.9, abs=0.05)
    assert np.sort(sweep.effects.ravel())[-2] < 0.5
    assert [spec.site for spec in session.marks.edits if spec.on] == ["z.1.1"]
    panel = pupil.panels["edits"]
    rows = {row.token: row for row in effects(session, None)}
    said = [(rows[word].before, rows[word].after) for word in ("she", "he")]
    assert said == [
        (pytest.approx(0.78, abs=0.005), pytest.approx(0.66, abs=0.005)),
        (pytest.approx(0.22, abs=0.005), pytest.approx(0.34, abs=0.005)),
    ]
    table, titles = panel.price.table, [row.title for row in price_lines(price_in(session))]
    shown = {table.item(n, 0).text(): table.item(n, 1).text() for n in range(table.rowCount())}
    assert list(shown) == titles
    assert titles[0] == "She or he"
    assert shown.pop("She or he") == "100 → 95"
    assert set(shown.values()) == {"100 → 100"}
    price = price_in(session)
    others = price.right[[name != "pronoun" for name in price.names]]
    assert (others[:, 1] >= others[:, 0]).all()
    cut = mt.edit_price(
        mt.load_model("words-4l"), [mt.Ablate("z.1.1")], [load_prompt_set("pronoun")]
    )
    assert cut.array("right").tolist() == [[1.0, pytest.approx(0.68, abs=0.005)]]


def test_the_bias_as_a_circuit_is_cut_where_nothing_else_passes(pupil):
    pupil.panels["suite"].data.show_data(Data(()))
    session = pupil.take("circuit")
    found = discovery_of(next(a for a in session.analyses.values() if a.kind == DISCOVERY))
    edges, scores = edges_of(found), scores_of(found)
    assert edges.count == 479
    best = [np.unravel_index(at, scores.shape) for at in np.argsort(-np.abs(scores), axis=None)]
    named = [f"{edges.writer_names[w]}->{edges.reader_names[r]}" for w, r in best[:6]]
    assert named[:2] == ["a1.h1->logits", "m0->a1.h1<v>"]
    assert {"a0.h3->m0", "a0.h1->m0", "input->a0.h3<v>", "input->a0.h1<v>"} == set(named[2:])
    circuit = pupil.seen[2].circuit
    whole = circuit.node_score[circuit.row("OUT")]
    assert circuit.node_score[circuit.row("T@2")] == pytest.approx(whole, rel=1e-3)
    (spec,) = session.marks.edits
    assert (spec.site, spec.positions, spec.action) == ("embed", (2,), "project out")
    she = next(row for row in effects(session, None) if row.token == "she")
    assert she.before == pytest.approx(0.78, abs=0.005)
    assert she.after == pytest.approx(0.66, abs=0.005)
    suite = suite_of(latest(session, "suite"))
    rows = {name: at for at, name in enumerate(suite.slices)}
    tasks = [name for name in rows if name.startswith("task: ")]
    assert len(tasks) == 13
    assert not suite.falls.any()
    assert (suite.rate[:, 1] >= suite.rate[:, 0]).all()
    nurse = suite.confidence[rows["task: nurse"]]
    assert nurse.tolist() == [pytest.approx(0.75, abs=0.005), pytest.approx(0.65, abs=0.005)]
    others = suite.confidence[[rows[name] for name in tasks if name != "task: nurse"]]
    assert (others[:, 0] - others[:, 1]).max() < 0.06


def test_a_feature_graph_and_an_edit_made_from_it(pupil):
    session = pupil.take("features")
    circuit = session.circuit
    assert circuit.metadata["features"] == 1099
    drawn = pupil.panels["circuit"].shown
    assert drawn.node_kind.count("feature") == 55
    row = circuit.row("2_706_14")
    features = [row for row, kind in enumerate(circuit.node_kind) if kind == "feature"]
    assert max(features, key=lambda row: circuit.node_influence[row]) == row
    sources = circuit.edge_source[circuit.incoming(row)][:2]
    assert {circuit.node_position[source] for source in sources} == {5}
    mary = [
        (effects[0].before, effects[0].after)
        for place in (3, 5, 7)
        if (effects := feature_effects(pupil.seen[place]))
    ]
    wanted = [0.966, 0.911, 0.664]  # one feature, two, three
    assert mary == [pytest.approx((0.988, after), abs=0.0005) for after in wanted]
    assert session.marks.feature_mode == "frozen"

    def directly():  # these three; the run begins a moment after the choice
        return feature_effects(pupil.desk.workspace.session)[0].after

    pupil.qtbot.waitUntil(lambda: directly() == pytest.approx(0.791, abs=0.0005), timeout=WAIT)


def test_one_neuron_with_many_meanings(pupil):
    session = pupil.take("neuron")
    for place, wanted in ((3, {":"}), (6, {"Everyone", "was"})):
        trace = pupil.seen[place].clean
        active = trace.activation("mlp_post.2")[:, 49]
        strongest = np.flatnonzero(active > 0.6 * active.max())
        assert {trace.tokens[at] for at in strongest} == wanted
    indexes = {held.params["dictionary"]: index_of(held) for held in indexes_of(session)}
    card = mt.feature_card(indexes["neurons of layer 2"], 49)
    assert indexes["neurons of layer 2"].n_features == 512
    tokens = [(word.text, word.value) for word in card.tokens[:3]]
    wanted = [(":", 0.42), ("was", 0.23), ("Everyone", 0.09)]
    assert tokens == [(text, pytest.approx(share, abs=0.01)) for text, share in wanted]
    shared = shared_of(session.analyses["shared-features-2.49"])
    assert shared.strongest(4) == (227, 53, 208, 269)
    features = indexes["words-4l/transcoders, layer 2"]
    assert features.n_features == 768
    first = [mt.feature_card(features, each).tokens[0] for each in shared.strongest(4)]
    assert [word.text for word in first] == [":", "Everyone", ":", "was"]
    assert first[-1].value == pytest.approx(0.87, abs=0.005)
    found = next(a for a in session.analyses.values() if a.kind == SHARED_NEURONS)
    neurons = neurons_of_analysis(found)
    assert neurons.strongest(6).index((2, 49)) == 5
    assert neurons.correlation.max() == pytest.approx(0.73, abs=0.005)


def test_lesion_stimulation_and_imaging(pupil):
    session = pupil.take("brain")
    whole = float(session.circuit.node_score[session.circuit.row("OUT")])
    head, mlp = (verification(session.analyses, name) for name in ("L0H3@14", "M3@14"))
    assert min(value for _, value in head.parts) > 0.7 * whole  # necessary and sufficient
    assert max(value for _, value in mlp.parts) < 0.7 * whole


def test_a_lesson_can_be_left_and_walked_back(pupil):
    pupil.start("name")
    panel = pupil.panels["lessons"]
    QTest.mouseClick(panel.skip, LEFT)
    assert pupil.course.place == 1
    QTest.mouseClick(panel.back, LEFT)
    assert pupil.course.place == 0
    assert not panel.back.isEnabled()
    QTest.mouseClick(panel.leave, LEFT)
    assert pupil.course.lesson is None
    assert not pupil.mark.isVisible()


def test_the_examples_menu_starts_a_lesson(pupil):
    menu = pupil.bench.window.actions_table.menus["Examples"]
    titles = [action.text() for action in menu.actions() if action.text()]
    assert titles == ["Start page", *[each.title for each in LESSONS]]
    menu.actions()[-1].trigger()
    pupil.rest()
    assert pupil.course.lesson is LESSONS[-1]
    assert pupil.panels["lessons"].isVisible()
    assert isinstance(pupil.mark, LessonMark)


def test_superposition_live(pupil):
    lab = pupil.panels["superposition"]
    lab.form.restore({"features": 5, "dimensions": 2, "low": 0, "high": 90, "models": 3,
                      "importance": 85, "steps": 10, "starts": 6, "seed": 0})  # fmt: skip
    lab.layer.setCurrentIndex(0)
    session = pupil.take("superposition")
    toys, (of, layer) = toys_in(session), sharing_in(session)
    assert toys.plan.sparsity == (0.0, 0.68, 0.9)
    dense, pairs, pentagon = (toys.geometry(number) for number in range(3))
    assert dense.represented == 2
    np.testing.assert_allclose(np.sort(pairs.dimensionality), [0, *[0.5] * 4], atol=0.03)
    np.testing.assert_allclose(pentagon.dimensionality, 0.4, atol=0.03)
    assert of == "neurons of layer 0"
    assert (len(layer.norm), layer.width) == (512, 128)
    assert np.mean(layer.dimensionality) < 0.25 > np.median(layer.dimensionality)
