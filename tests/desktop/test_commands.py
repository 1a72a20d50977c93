"""When each command can be used, and what its shortcut does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from acts import to_front
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog

from microtome.circuits.prune import prune
from microtome.records.coverage import Coverage, Possible
from microtome.records.marks import Supernode
from microtome_desktop.commands.command import CommandId, Situation
from microtome_desktop.commands.table import COMMANDS, command
from microtome_desktop.jobs.requests import Examine, ReproducedShare
from microtome_desktop.state.desk import Desk


@pytest.fixture
def desk(sample_session, sample_identity):
    made = Desk()
    made.workspace.set_model(sample_identity)
    made.workspace.show(sample_session, dirty=False)
    made.draft.fill(sample_session.question)
    sites = (Possible("z", "head outputs"),)
    made.library.update(coverage=Coverage("words-4l", "GPT-2", True, sites, ()))
    return made


def reason(wanted, desk, *, busy=False):
    return command(wanted).blocked(Situation(desk, busy))


ON_NODES = {
    CommandId.PIN, CommandId.RENAME, CommandId.HIDE, CommandId.SHOW_HIDDEN, CommandId.GROUP,
    CommandId.UNGROUP, CommandId.COLLAPSE, CommandId.PATCH_PATH, CommandId.WHY_EDGE,
}  # fmt: skip
ON_THE_CIRCUIT = ON_NODES | {
    CommandId.SEARCH, CommandId.FIT, CommandId.ZOOM_IN, CommandId.ZOOM_OUT, CommandId.COMPACT,
    CommandId.WEIGHTS, CommandId.SAVE_VIEW, CommandId.EXPORT_GRAPH,
    CommandId.PROPOSE_GROUPS,
}  # fmt: skip
ON_A_PLACE = {
    CommandId.ABLATE_ZERO, CommandId.ABLATE_MEAN, CommandId.PATCH_CORRUPT,
    CommandId.STEER_DIFFERENCE, CommandId.STEER_ANSWER,
}  # fmt: skip
ON_EDITS = {
    CommandId.SWITCH_EDITS, CommandId.SAVE_EDITS, CommandId.CLEAR_EDITS, CommandId.PRICE,
}  # fmt: skip
ON_A_CIRCUIT = {  # that was discovered
    CommandId.MEASURE_SIZE, CommandId.COMPARE_CIRCUITS, CommandId.JUDGE_CIRCUIT,
    CommandId.KNOWN_CIRCUIT, CommandId.FORGET_CIRCUIT, CommandId.ABLATE_OUTSIDE,
}  # fmt: skip
ON_IMAGES = {  # of a model that sees
    CommandId.OPEN_IMAGE, CommandId.OPEN_IMAGE_FOLDER, CommandId.PASTE_IMAGE,
    CommandId.NEXT_IMAGE, CommandId.PREVIOUS_IMAGE, CommandId.RANDOM_IMAGE,
    CommandId.ATTRIBUTE_IMAGE, CommandId.READ_UNITS,
    CommandId.VISUALISE, CommandId.VISUALISE_FEATURE, CommandId.USE_VISUALISATION,
}  # fmt: skip
ON_UNITS = {CommandId.LESION, CommandId.ADD_TO_LESION}  # of any model
ON_HYPOTHESES = {CommandId.TEST_HYPOTHESIS}
ON_SUITES = {
    CommandId.SUITE, CommandId.SLICE_CIRCUITS, CommandId.REDUNDANCY, CommandId.REMOVE_PARTS,
    CommandId.SWAPS,
}  # fmt: skip
OF_FEATURES = {
    CommandId.INDEX_FEATURES, CommandId.FEATURE_DIRECTIONS, CommandId.FEATURE_UMAP,
    CommandId.SAVE_DICTIONARY, CommandId.NEURON_CARD,
    CommandId.ACCEPT_LABELS, CommandId.IMPORT_LABELS, CommandId.EXPORT_LABELS,
    CommandId.PROPOSE_LABELS,
}  # fmt: skip
IN_THE_LAB = {
    CommandId.TRAIN, CommandId.CONTINUE_TRAINING, CommandId.TRAIN_TOY, CommandId.PHASES,
    CommandId.MEASURE_SHARING,
}  # fmt: skip
AFTER_SUITES = {CommandId.SLICE_CIRCUITS, CommandId.REMOVE_PARTS}
ON_FEATURES = {
    CommandId.FEATURE_ABLATE, CommandId.FEATURE_SCALE, CommandId.FEATURE_SET,
    CommandId.FEATURE_STEER, CommandId.FEATURE_AFTER, CommandId.FEATURE_CLEAR,
    CommandId.FEATURE_CARD, CommandId.FEATURE_NODE,
}  # fmt: skip
IN_THE_SPACE = {
    CommandId.LASSO, CommandId.BOX, CommandId.PLAY_LAYERS, CommandId.SITE_BESIDE,
}  # fmt: skip


def test_nodes_that_are_selected_can_be_worked_on(desk):
    circuit = desk.workspace.session.circuit
    heads = [n for n, k in zip(circuit.node_id, circuit.node_kind, strict=True) if k == "head"]
    assert "Click a node" in reason(CommandId.PIN, desk)
    desk.selection.update(node=heads[0])
    assert reason(CommandId.PIN, desk) == reason(CommandId.HIDE, desk) == ""
    assert "Shift" in reason(CommandId.GROUP, desk)
    desk.selection.update(others=(heads[1],))
    assert reason(CommandId.GROUP, desk) == ""
    assert "in no group" in reason(CommandId.COLLAPSE, desk)
    desk.book.mark("Group", supernodes=(Supernode("x", tuple(heads[:2])),), hidden=(heads[3],))
    for wanted in (CommandId.COLLAPSE, CommandId.UNGROUP, CommandId.SHOW_HIDDEN, CommandId.UNDO):
        assert reason(wanted, desk) == ""
    desk.book.undo()
    assert reason(CommandId.UNDO, desk) == "There is nothing to undo."
    assert reason(CommandId.REDO, desk) == ""


def test_a_place_that_is_selected_can_be_edited_as_far_as_that_makes_sense(desk):
    assert "Select a node" in reason(CommandId.ABLATE_ZERO, desk)
    desk.selection.update(layer=1, head=2)
    assert reason(CommandId.ABLATE_ZERO, desk) == reason(CommandId.PATCH_CORRUPT, desk) == ""
    assert "No prompt set" in reason(CommandId.ABLATE_MEAN, desk)
    assert "residual stream" in reason(CommandId.STEER_ANSWER, desk)
    desk.selection.update(head=None, neuron=3)
    assert "One neuron has no direction" in reason(CommandId.STEER_DIFFERENCE, desk)
    desk.selection.update(neuron=None, position=4)
    assert reason(CommandId.STEER_ANSWER, desk) == ""
    alone = replace(desk.workspace.session, traces=desk.workspace.session.traces[:1])
    desk.workspace.show(alone)
    assert "run a pair" in reason(CommandId.PATCH_CORRUPT, desk)
    desk.workspace.set_model(None)
    assert "words-4l" in reason(CommandId.ABLATE_ZERO, desk)


def test_an_empty_window_can_only_open_things():
    blocked = {row.id for row in COMMANDS if row.blocked(Situation(Desk()))}
    assert blocked == {
        CommandId.SAVE, CommandId.SAVE_AS, CommandId.ATTACH_MODEL, CommandId.RUN_CHECKS,
        CommandId.SHOW_CHECKS, CommandId.RUN, CommandId.STOP, CommandId.REPRODUCE,
        CommandId.VERIFY_FILE, CommandId.COMPACT_FILE, CommandId.UNDO, CommandId.REDO,
        CommandId.PAUSE, CommandId.WHAT_MADE_THIS,
        CommandId.SHOW_COVERAGE, *ON_THE_CIRCUIT, *IN_THE_SPACE,
        *ON_A_PLACE, *ON_EDITS, CommandId.ADD_EDIT, CommandId.GENERATE,
        CommandId.SWEEP, CommandId.TRACE_CAUSES, CommandId.SWEEP_EDIT, CommandId.HEAD_EFFECTS,
        CommandId.DISCOVER, *ON_A_CIRCUIT,
        *ON_HYPOTHESES,
        *ON_SUITES, *OF_FEATURES, CommandId.OPEN_DICTIONARY, CommandId.SPLIT_FEATURES,
        *ON_FEATURES, CommandId.FEATURE_GRAPH, CommandId.OPEN_TRANSCODERS,
        *IN_THE_LAB, CommandId.PROBE, *ON_IMAGES, *ON_UNITS, CommandId.SHOW_MODULES,
    }  # fmt: skip


def test_a_run_with_its_model_can_do_everything_but_stop_and_attach(desk):
    blocked = {row.id for row in COMMANDS if row.blocked(Situation(desk))}
    assert blocked == {
        CommandId.STOP, CommandId.PAUSE, CommandId.ATTACH_MODEL, CommandId.VERIFY_FILE,
        CommandId.COMPACT_FILE,
        CommandId.UNDO, CommandId.REDO, *ON_NODES, *ON_A_PLACE, *ON_EDITS, CommandId.SWEEP_EDIT,
        *ON_A_CIRCUIT,
        *ON_HYPOTHESES,
        *AFTER_SUITES, *OF_FEATURES, *ON_IMAGES,
        *ON_FEATURES,
    }  # fmt: skip
    assert reason(CommandId.STOP, desk, busy=True) == ""


def test_every_reason_is_a_sentence():
    for row in COMMANDS:
        text = row.blocked(Situation(Desk()))
        assert not text or text.endswith(".")


def test_offline_review_says_what_needs_the_model(desk):
    desk.workspace.set_model(None)
    assert "Needs a model" in reason(CommandId.RUN, desk)
    assert "words-4l" in reason(CommandId.REPRODUCE, desk)
    assert reason(CommandId.ATTACH_MODEL, desk) == ""
    assert reason(CommandId.SAVE, desk) == ""


def test_another_model_does_not_count(desk, sample_identity):
    desk.workspace.set_model(replace(sample_identity, fingerprint="11" * 32))
    assert reason(CommandId.REPRODUCE, desk)
    assert reason(CommandId.RUN, desk) == ""


def test_a_model_on_its_way_is_named(desk):
    desk.workspace.set_model(None)
    desk.library.update(loading="words-4l")
    assert reason(CommandId.RUN, desk) == "words-4l is still being loaded."


def test_what_is_wrong_with_the_prompt_blocks_the_run(desk):
    desk.draft.update(prompt=" ")
    assert "empty" in reason(CommandId.RUN, desk)
    desk.draft.update(prompt="Mary")
    desk.draft.read(replace(desk.draft.reading, problem="Too long."))
    assert reason(CommandId.RUN, desk) == "Too long."


def test_the_reason_is_the_tool_tip(qtbot, bench):
    action = bench.window.actions_table.actions[CommandId.STOP]
    qtbot.waitUntil(lambda: not action.isEnabled())
    assert action.toolTip() == "Stop what is running (Ctrl+.)\nNothing is running."
    run = bench.window.actions_table.actions[CommandId.RUN]
    assert run.isEnabled()
    assert run.toolTip() == "Run the prompt and find its circuit (Ctrl+Return)"


@pytest.fixture
def asked(bench, monkeypatch):
    """What the user asks for; the window also reads the prompt by itself, when it comes to it."""
    requests = []

    def ask(request):
        if not request.quiet:
            requests.append(request)

    monkeypatch.setattr(bench.runner, "ask", ask)
    return requests


def press(qtbot, bench, key, modifier=Qt.KeyboardModifier.ControlModifier):
    to_front(bench.window)
    bench.window.setFocus()
    qtbot.waitUntil(bench.window.isActiveWindow)
    qtbot.keyClick(bench.window, key, modifier)


def test_the_keyboard_runs_the_prompt(qtbot, bench, asked):
    press(qtbot, bench, Qt.Key.Key_Return)
    assert [type(request) for request in asked] == [Examine]
    assert asked[0].question == bench.desk.draft.text.question()


def test_the_keyboard_reaches_the_prompt_and_clears_the_selection(qtbot, bench):
    press(qtbot, bench, Qt.Key.Key_L)
    field = bench.furnishing.panels["ask"].prompt.prompt
    assert field.hasFocus()
    assert field.textCursor().selectedText() == field.toPlainText()
    press(qtbot, bench, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier)
    assert bench.desk.selection.current.node is None


def test_swapping_from_the_menu(bench):
    before = bench.desk.draft.text
    bench.window.actions_table.actions[CommandId.SWAP_PROMPTS].trigger()
    after = bench.desk.draft.text
    assert (after.prompt, after.answer) == (before.corrupt, before.wrong)


def test_the_shown_nodes_are_run_alone(bench, asked):
    bench.window.actions_table.actions[CommandId.REPRODUCE].trigger()
    circuit = bench.desk.workspace.session.circuit
    (request,) = asked
    assert isinstance(request, ReproducedShare)
    assert request.nodes == prune(circuit, nodes=40, edge_share=0.8).node_id
    assert set(request.nodes) < set(circuit.node_id)


@pytest.mark.parametrize("wanted", [CommandId.ABOUT, CommandId.MESSAGES, CommandId.SHOW_CHECKS])
def test_text_windows_open_and_close(qtbot, bench, wanted):
    bench.window.actions_table.trigger(wanted)
    (dialog,) = (w for w in bench.window.findChildren(QDialog) if w.isVisible())
    assert not dialog.isModal()
    dialog.close()
