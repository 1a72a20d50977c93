"""The lines that a panel hands out give, when they are run, the numbers of its table."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtGui import QGuiApplication

import microtome_resources as resources
from microtome.prompts import Question
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.sweep_requests import RunSweep
from microtome_desktop.presenters.heatmaps import quantities
from microtome_desktop.presenters.strip import Colouring
from microtome_desktop.state.features import indexes
from microtome_desktop.state.sweeps import Wish, sweeps_in
from microtome_desktop.views.panel_table import PLACES

EXAMPLE = resources.START_EXAMPLE
NEVER = {"lessons", "jobs", "notes"}
# Those of experiments have lines once there is a result, those of images once one was seen.
NOT_YET = {
    "features", "discovery", "hypothesis", "suite", "training", "superposition", "probes",
    "splitting", "edits", "feature_edits", "see", "units", "visualise", "lesions", "modules",
}  # fmt: skip


@pytest.fixture
def full(live, qtbot):
    """The live window with a head of the circuit selected."""
    runs = live.desk.history._runs  # those of an adapter need its files, which a test before had
    runs[:] = [run for run in runs if run.session.model.architecture != "adapter"]
    circuit = live.desk.workspace.session.circuit
    heads = [row for row, kind in enumerate(circuit.node_kind) if kind == "head"]
    row = max(heads, key=lambda row: circuit.node_influence[row])
    live.desk.selection.update(
        node=circuit.node_id[row], layer=int(circuit.node_layer[row]),
        head=int(circuit.node_head[row]), position=int(circuit.node_position[row]),
    )  # fmt: skip
    if not sweeps_in(live.desk.workspace.session):
        live.runner.ask(RunSweep(Wish(live.desk.draft.text.question())))
    looked_through = indexes(live.desk.workspace.session)
    if looked_through:
        live.desk.book.put_results("Forget", {one.id: None for one in looked_through})
    if not live.desk.book.marks.hypotheses:
        live.furnishing.panels["hypothesis"].acts.add_induction()
    live.runner.turns.finish()
    qtbot.waitUntil(lambda: live.runner.idle)
    live.runner.turns.finish()
    return live


def run(lines):
    """What the copied lines define, in a world that knows nothing of the window."""
    world = {}
    exec(compile("\n".join(lines), "copied", "exec"), world)  # noqa: S102  # that is the test
    return world


def table_of(bench, name):
    table = bench.furnishing.panels[name].exported_table()()
    return {header: [row[at] for row in table.rows] for at, header in enumerate(table.headers)}


def grid_of(bench, name):
    table = bench.furnishing.panels[name].exported_table()()
    return np.array([row[1:] for row in table.rows], dtype=float)


def lines_of(bench, name):
    lines = bench.furnishing.panels[name].exported_lines()
    assert not isinstance(lines, str), lines
    return lines


def close(a, b):
    np.testing.assert_allclose(
        np.asarray(a, dtype=float), np.asarray(b, dtype=float), rtol=1e-4, atol=1e-5
    )


def test_every_panel_has_lines_or_says_why_not(full):
    for place in PLACES:
        has_lines_or_says_why_not(full, place.name)


def has_lines_or_says_why_not(full, name):
    one = full.exports.menus[name]
    one.look()
    if not one.copy_python.isEnabled():
        assert name in NEVER | NOT_YET, name
        assert one.copy_python.toolTip().endswith("."), name
        return
    assert name not in NEVER
    QGuiApplication.clipboard().clear()  # of the lines of the panel before
    one.copy_python.trigger()
    text = QGuiApplication.clipboard().text()
    assert "import microtome as mt" in text, name
    compile(text, name, "exec")


@pytest.mark.parametrize("by", list(Colouring))
def test_the_tokens(full, by):
    strip = full.furnishing.panels["token_strip"]
    strip.colour_by.setCurrentText(str(by))
    full.runner.turns.finish()
    lines = strip.exported_lines()
    if isinstance(lines, str):
        missing = {Colouring.PAIR: "There is no corrupt prompt.",
                   Colouring.FEATURE: "Select a feature first."}  # fmt: skip
        assert lines == missing[by]
        return
    table = table_of(full, "token_strip")
    shown = [np.nan if value is None else value for value in table[str(by)]]
    close(run(lines)["values"], shown)


def test_the_circuit(full):
    world, table = run(lines_of(full, "circuit")), table_of(full, "circuit")
    nodes = [at for at, what in enumerate(table["what"]) if what == "node"]
    assert [name for name, _, _ in world["nodes"]] == [table["id"][at] for at in nodes]
    close([score for _, score, _ in world["nodes"]], [table["score or weight"][at] for at in nodes])
    edges = [at for at, what in enumerate(table["what"]) if what == "edge"]
    ends = [(table["from"][at], table["to"][at]) for at in edges]
    assert [tuple(edge[:2]) for edge in world["edges"]] == ends
    close([edge[3] for edge in world["edges"]], [table["score or weight"][at] for at in edges])
    close([edge[4] for edge in world["edges"]], [table["influence"][at] for at in edges])


@pytest.mark.parametrize("quantity", quantities(None))
def test_the_heat_map(full, qtbot, quantity):
    panel = full.furnishing.panels["heatmap"]
    box = panel.quantity if hasattr(panel, "quantity") else panel.choice
    box.setCurrentText(str(quantity))
    full.runner.turns.finish()
    close(run(lines_of(full, "heatmap"))["values"], grid_of(full, "heatmap"))
    box.setCurrentIndex(0)


def wishes():
    """Sweeps of every sort: of the example, and of prompt sets."""
    pair, single = (Question(EXAMPLE.clean, corrupt, EXAMPLE.answer, EXAMPLE.wrong)
                    for corrupt in (EXAMPLE.corrupt, None))  # fmt: skip
    return (
        Wish(pair, what="z at", mode="noising", metric="rank"),
        Wish(pair, what="z", mode="mean"),
        Wish(single, what="pattern", mode="mean", over="list"),
        Wish(None, data="name", count=4, metric="kl"),
        Wish(single, what="neurons", layer=2, mode="zero", metric="loss"),
        Wish(single, what="causal", span=(2, 4), samples=3, seed=4),
    )


@pytest.mark.parametrize("wish", wishes(), ids=lambda wish: wish.what)
def test_a_sweep(full, qtbot, wish):
    panel = full.furnishing.panels["patching"]
    panel.asking.controls.show_wish(wish)
    panel.asking.asked = wish
    full.runner.ask(RunSweep(wish))
    qtbot.waitUntil(lambda: full.runner.idle, timeout=60_000)
    full.runner.turns.finish()
    lines, table = lines_of(full, "patching"), table_of(full, "patching")
    close(np.ravel(run(lines)["values"]), table["effect"])


def test_attention(full):
    values = run(lines_of(full, "attention"))["values"]
    shown = grid_of(full, "attention")
    visible = np.isfinite(shown)
    close(np.asarray(values)[visible], shown[visible])


def test_neurons(full):
    world, shown = run(lines_of(full, "neurons")), grid_of(full, "neurons")
    close(world["values"], shown)


def test_the_histogram(full):
    world, table = run(lines_of(full, "histogram")), table_of(full, "histogram")
    close(world["counts"], table["values"])


def test_the_feature_space(full):
    world, table = run(lines_of(full, "feature_space")), table_of(full, "feature_space")
    points = np.stack([table["PC1"], table["PC2"], table["PC3"]], axis=1)
    close(world["values"], points)


def test_the_node(full):
    world, table = run(lines_of(full, "node_card")), table_of(full, "node_card")
    wanted = dict(zip(table["kind"], table["value"], strict=True))
    close([world["score"], world["influence"]], [wanted["score"], wanted["influence"]])


def test_ways_through_the_node(full, qtbot):
    circuit, node = full.desk.workspace.session.circuit, full.desk.selection.current.node
    edge = circuit.incoming(circuit.row(node))[0]
    ends = circuit.edge_source[edge], circuit.edge_target[edge]
    names = tuple(circuit.node_id[int(end)] for end in ends)
    full.desk.selection.update(edge=(*names, int(circuit.edge_kind[edge])))
    for wanted in (CommandId.WHY_EDGE, CommandId.PATCH_PATH):
        full.window.actions_table.trigger(wanted)
        qtbot.waitUntil(lambda: full.runner.idle, timeout=60_000)
        full.runner.turns.finish()
    world, table = run(lines_of(full, "node_card")), table_of(full, "node_card")
    rows = list(zip(table["part"], table["name"], table["value"], strict=True))
    weights = [value for part, _, value in rows if part == "why edge"]
    close([weight for _, weight in world["readers"]], weights)
    close(weights and sum(weights), circuit.edge_weight[edge])
    paths = [row for row in zip(*table.values(), strict=True) if row[0] == "path"]
    close(world["shares"], [row[-1] for row in paths])
    assert world["paths"] == [row[1] for row in paths]
    full.desk.selection.update(edge=None, others=())


def test_the_lists(full):
    lists = full.furnishing.panels["lists"]
    lists.tabs.setCurrentWidget(lists.nodes)
    lists.show_session()
    lists._fill()
    world = run(lines_of(full, "lists"))
    table = table_of(full, "lists")
    by_name = {row[0]: row[1] for row in world["rows"]}
    close([by_name[name] for name in table["id"]], table["score"])


def test_the_heads(full, qtbot):
    full.window.actions_table.trigger(CommandId.HEAD_EFFECTS)
    qtbot.waitUntil(lambda: full.runner.idle, timeout=60_000)
    full.runner.turns.finish()
    world, table = run(lines_of(full, "heads")), table_of(full, "heads")
    layers, heads = np.array(table["layer"]), np.array(table["head"])
    session = full.desk.workspace.session
    names = session.analyses["head-scores"].params["detectors"]
    pair = session.question.corrupt is not None
    values = {"direct attribution": world["direct"], "ablation": world["ablation"]}
    values |= {"patching": world["patching"]} if pair else {}
    values |= {name: world["detected"][name] for name in names}
    for name, wanted in values.items():
        close(wanted[layers, heads], table[name])
    here = [name for name in names if table[f"{name} here"][0] is not None]
    assert here
    for name in here:
        close(world["detected_here"][name][layers, heads], table[f"{name} here"])


def test_the_predictions(full):
    world, table = run(lines_of(full, "ask")), table_of(full, "ask")
    assert list(world["tokens"]) == table["token"]
    close(world["probabilities"], table["probability"])
    close(world["logits"], table["logit"])


def test_every_run_of_the_history(full):
    world = run(lines_of(full, "history"))
    values = np.asarray(table_of(full, "history")["value"], dtype=float)
    close(world["rows"], values[~np.isnan(values)])  # a graph of a file has none, and no lines
