"""What the pictures show: one row a picture, and how its scene is set.

Rows follow each other as in a sitting: each finds the window as the one before left it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MappingProxyType

from PySide6.QtWidgets import QLineEdit, QSlider, QWidget

import microtome_resources as resources
from microtome.prompts import Question
from microtome.records.circuit import HEAD, MLP
from microtome.records.edits import DirectionSpec, EditSpec
from microtome.records.marks import Note, Supernode
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.file_requests import OpenSession, SaveSession
from microtome_desktop.picturing.channels import channels
from microtome_desktop.picturing.dictionaries import directions, split
from microtome_desktop.picturing.experiments import (
    discovered,
    feature_edits,
    feature_graph,
    featured,
    hypothesis,
    slimmed,
)
from microtome_desktop.picturing.learning import phases, probed, superposed, trained
from microtome_desktop.picturing.lesioned import lesioned
from microtome_desktop.picturing.scene import Scene
from microtome_desktop.picturing.seeing import SEEING
from microtome_desktop.picturing.stage import Stage
from microtome_desktop.picturing.units import carded, seen
from microtome_desktop.picturing.visualising import visualised
from microtome_desktop.presenters.circuit_look import PLACING, WEIGHTS
from microtome_desktop.presenters.lessons import LESSONS
from microtome_desktop.views.node_card import NodeCardPanel
from microtome_desktop.views.save_dialog import SaveDialog
from microtome_desktop.views.settings_window import SettingsWindow

_EXAMPLE = resources.START_EXAMPLE
SINGLE = Question(_EXAMPLE.clean, None, _EXAMPLE.answer, _EXAMPLE.wrong)
PAIR = Question(_EXAMPLE.clean, _EXAMPLE.corrupt, _EXAMPLE.answer, _EXAMPLE.wrong)
NURSE = Question("The nurse said that", "The doctor said that", "she", "he")
_WHOLE, _LAPTOP = (1760, 1080), (1366, 768)


def _window(stage: Stage) -> QWidget:
    stage.clear()
    stage.window.resize(*_WHOLE)
    stage.window.reset_layout()
    stage.load(_EXAMPLE.model)
    stage.run(SINGLE)
    return stage.window


def _followed(stage: Stage) -> QWidget:
    """A pair, its strongest head selected, cut for real and asked why it looks there."""
    stage.run(PAIR)
    _select(stage, HEAD)
    card = stage.panel("node_card")
    if isinstance(card, NodeCardPanel):
        for button in (card.node_check.button, card.why):
            button.click()
            stage.rest()
    return stage.window


def _select(stage: Stage, kind: str) -> None:
    """Select the node of a kind that carries most."""
    session = stage.desk.workspace.session
    circuit = None if session is None else session.circuit
    if circuit is None:
        raise LookupError("There is no circuit to select a node of.")
    rows = [row for row, each in enumerate(circuit.node_kind) if each == kind]
    row = max(rows, key=lambda row: float(circuit.node_influence[row]))
    head = int(circuit.node_head[row])
    stage.select(
        node=circuit.node_id[row], layer=int(circuit.node_layer[row]),
        position=int(circuit.node_position[row]), head=None if head < 0 else head,
    )  # fmt: skip


def _panel(name: str, stage: Stage) -> QWidget:
    stage.front(name)
    return stage.card(name)


def _neurons(stage: Stage) -> QWidget:
    _select(stage, MLP)
    return _panel("neurons", stage)


def _patched(stage: Stage) -> QWidget:
    stage.front("patching")
    stage.do(CommandId.SWEEP)
    stage.rest()
    return stage.card("patching")


def _heads(stage: Stage) -> QWidget:
    stage.front("heads")
    stage.do(CommandId.HEAD_EFFECTS)
    stage.rest()
    return stage.card("heads")


def _notes(stage: Stage) -> QWidget:
    _select(stage, HEAD)
    node = stage.desk.selection.current.node or ""
    notes = (
        Note("", "Mary and John: who gave decides who gets."),
        Note(node, "Finds the giver; ablating it removes the answer."),
    )
    stage.desk.book.mark("Write notes", notes=notes)
    return _panel("notes", stage)


def _edits(stage: Stage) -> QWidget:
    """A head cut and the stream steered against the answer."""
    _select(stage, HEAD)
    session, book = stage.desk.workspace.session, stage.desk.book
    if session is None:
        raise LookupError("There is no run to edit.")
    answer, wrong = (int(session.metric[f"{which}_id"]) for which in ("answer", "wrong"))
    against = DirectionSpec("unembedding", token=wrong, other=answer)
    book.add_edit(EditSpec("z.0.3", "zero"))
    book.add_edit(EditSpec("resid_post.2", "add", strength=20.0, direction=against))
    stage.rest()
    return _panel("edits", stage)


def _price(stage: Stage) -> QWidget:
    """The bias of the lesson on it, projected out of its head."""
    stage.desk.book.clear_edits()
    stage.run(NURSE)
    prompts, others = (NURSE.prompt,), (NURSE.corrupt or "",)
    direction = DirectionSpec("difference", prompts=prompts, others=others)
    stage.desk.book.add_edit(EditSpec("z.1.1", "project out", direction=direction))
    stage.rest()
    stage.do(CommandId.PRICE)
    return _panel("edits", stage)


def _history(stage: Stage) -> QWidget:
    stage.desk.book.clear_edits()
    for question in (NURSE, PAIR):
        stage.run(question)
    return _panel("history", stage)


def _compared(stage: Stage) -> QWidget:
    from microtome_desktop.views.history_panel import HistoryPanel

    panel = stage.panel("history")
    if isinstance(panel, HistoryPanel):
        nurse = panel.list.topLevelItem(1)  # below the one on screen
        if nurse is not None:
            panel.list.setCurrentItem(nurse)
        panel.compare.click()
        stage.rest()
    return stage.dialog()


def _grouped(stage: Stage) -> QWidget:
    stage.clear()
    stage.front("ask")
    session = stage.desk.workspace.session
    circuit = None if session is None else session.circuit
    if circuit is not None:
        order = sorted(range(circuit.n_nodes), key=lambda row: -float(circuit.node_influence[row]))
        kinds = {HEAD: [], MLP: []}  # type: dict[str, list[str]]
        for row in order:
            kinds.get(circuit.node_kind[row], []).append(circuit.node_id[row])
        heads, mlps = kinds[HEAD], kinds[MLP]
        stage.desk.book.mark(
            "Make sense of it", pins=(heads[0],), names=MappingProxyType({heads[0]: "giver"}),
            supernodes=(Supernode("late MLPs", tuple(mlps[:3])),),
        )  # fmt: skip
        stage.select(node=heads[0])
    WEIGHTS.set(stage.desk.book, True)
    stage.rest()
    return stage.card("circuit")


def _compact(stage: Stage) -> QWidget:
    WEIGHTS.set(stage.desk.book, False)
    stage.do(CommandId.COMPACT)
    return stage.card("circuit")


def _training(stage: Stage) -> QWidget:
    PLACING.set(stage.desk.book, PLACING.first)
    stage.select(node=None)
    stage.run(SINGLE)
    slider = stage.part(QSlider, "checkpoint")
    stage.until(lambda: slider.isVisible() and slider.maximum() > 0)
    slider.setValue(slider.maximum() * 2 // 3)
    stage.rest()
    return stage.card("circuit")


def _lesson(stage: Stage) -> QWidget:
    stage.front("lessons")
    stage.desk.course.start(LESSONS[0])
    stage.rest()
    return stage.window


def _palette(stage: Stage) -> QWidget:
    stage.desk.course.leave()
    stage.front("ask")
    stage.do(CommandId.PALETTE)
    stage.part(QLineEdit, "palette_words").setText("l0")
    stage.rest()
    return stage.window


def _settings(page: str, stage: Stage) -> QWidget:
    _escape(stage)
    stage.workbench.handlers.helping.show_settings(page)
    stage.rest()
    return stage.part(SettingsWindow, "settings")


def _escape(stage: Stage) -> None:
    finding = stage.window.findChild(QWidget, "palette")
    if finding is not None:
        finding.hide()
    stage.clear()


def _opened(wanted: CommandId, stage: Stage) -> QWidget:
    stage.clear()
    stage.do(wanted)
    return stage.dialog()


def _made(stage: Stage) -> QWidget:
    stage.clear()
    stage.front("circuit")
    stage.workbench.exports.menus["circuit"].tell_made.trigger()
    stage.rest()
    return stage.dialog()


def _saving(stage: Stage) -> QWidget:
    stage.clear()
    session = stage.desk.workspace.session
    if session is None:
        raise LookupError("There is no session to save.")
    dialog = SaveDialog(stage.desk, stage.workbench.runner, session, stage.window)
    dialog.path.setText(str(Path(tempfile.gettempdir()) / "mary.h5"))
    dialog.show()
    stage.rest()
    return dialog


def _told(stage: Stage) -> QWidget:
    stage.clear()
    stage.desk.draft.update(prompt="The wizard said that", corrupt="", answer="xyzzy", wrong="")
    stage.rest()
    stage.do(CommandId.RUN)
    return stage.window


def _offline(stage: Stage) -> QWidget:
    """Save, load another model, and open the file: its own model is not there."""
    stage.clear()
    stage.load(_EXAMPLE.model)
    stage.front("circuit")
    stage.run(PAIR)
    session = stage.desk.workspace.session
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mary.h5"
        if session is not None:
            stage.workbench.runner.ask(SaveSession(path, session, ()))
            stage.rest()
        stage.load("induction-exact-tiny")
        stage.workbench.runner.ask(OpenSession(path))
        stage.rest()
        _select(stage, HEAD)
    return stage.window


def _laptop(stage: Stage) -> QWidget:
    _window(stage)
    stage.window.resize(*_LAPTOP)
    stage.window.reset_layout()
    stage.rest()
    return stage.window


def _card(name: str, said: str, prepare: Callable[[Stage], QWidget] | None = None) -> Scene:
    return Scene(name, said, prepare or partial(_panel, name), ratio=2, panel=name)


SCENES = (
    Scene("window", "The window as it opens: an embedded model, its example, and the circuit "
          "that answers “Mary”.", _window),
    Scene("followed", "A pair of prompts and its strongest head selected: every panel follows, and "
          "the head was cut for real.", _followed),
    _card("ask", "Prompt: the question, what the model predicts, and the models at hand."),
    _card("token_strip", "Tokens: the prompt as the model reads it, coloured by a quantity."),
    _card("circuit", "Circuit: tokens below, layers upward; what feeds the selected head "
          "stays bright."),
    _card("heatmap", "Layer × position: one number for each layer and token, here how probable "
          "the answer is."),
    _card("patching", "Patching: what each place of the model does to the answer when the clean "
          "run's value is put into the corrupt one.", _patched),
    _card("discovery", "Discovery: rival circuits of a task, the faithfulness of each over its "
          "size, and two of them in one graph.", discovered),
    _card("suite", "Suite: which heads and MLPs two tasks can do without, how much is kept as they "
          "go one after another, and what it saves.", slimmed),
    _card("features", "Features: what a sparse dictionary finds in a layer, all of it in a table, "
          "and where one of them is on.", featured),
    _card("splitting", "Splitting: a small and a large dictionary side by side, and what one "
          "feature splits into.", split),
    _card("probes", "Probes: from which layer on a concept can be read off, beside a control task.",
          probed),
    Scene("trained", "Training: a sparse dictionary of a layer, its figures as it was trained.",
          trained, ratio=2, panel="training"),
    _card("superposition", "Superposition: toy models whose features came to share dimensions, "
          "and a real layer by the same measures.", superposed),
    Scene("phases", "When a feature has a dimension of its own, shares one, or is lost.", phases,
          ratio=2),
    _card("attention", "Attention: every head of a layer, and where the selected one looks."),
    _card("feature_space", "Feature space: activations of a whole prompt set in three dimensions."),
    _card("node_card", "Node: what goes into the selected part and out of it, and what cutting "
          "it really does."),
    _card("histogram", "Histogram: how the values of a site are distributed."),
    _card("heads", "Heads: what detectors call each, what it writes to the answer, and what "
          "patching and ablating it does.", _heads),
    _card("lists", "List: every node and edge, to sort and to filter."),
    _card("neurons", "Neurons: those of an MLP that answer most, token by token.", _neurons),
    _card("notes", "Notes: what you write about the session, its nodes and its tokens.", _notes),
    _card("edits", "Edits: changes of the model that are tried on the prompt, and what it says "
          "without and with them.", _edits),
    Scene("price", "What an edit costs: every task of the model without and with it.", _price,
          ratio=2),
    _card("history", "History: every run of this sitting, to open again or to compare.",
          _history),
    _card("modules", "Modules: every part of the model, with its parameters and what it gives."),
    _card("jobs", "Jobs: what runs, how long it will take, and what has ended."),
    _card("lessons", "Lessons of five minutes each."),
    Scene("comparison", "Two runs side by side: predictions, and the differences of the heat "
          "maps and of the circuits.", _compared),
    Scene("grouped", "A circuit that was worked on: one head pinned and named, three MLPs drawn "
          "as one, weights on the edges.", _grouped, ratio=2),
    Scene("compact", "The same circuit in the compact layout.", _compact, ratio=2),
    Scene("training", "The same question to the model as it was two thirds along its training.",
          _training, ratio=2),
    Scene("lesson", "The first lesson: the next click is marked.", _lesson),
    Scene("palette", "Ctrl+K finds commands, nodes, heads, tokens, settings and lessons by a few "
          "letters.", _palette),
    Scene("settings", "Settings: a change counts at once.", partial(_settings, "theme")),
    Scene("keys", "Every command's keys can be changed.", partial(_settings, "shortcuts")),
    Scene("shortcuts", "Ctrl+/ shows all keys on one sheet.",
          partial(_opened, CommandId.SHORTCUTS)),
    Scene("checks", "The self-checks of a model: does Microtome read it correctly?",
          partial(_opened, CommandId.SHOW_CHECKS)),
    Scene("made", "What made this: the model, method and settings behind the figures of a panel.",
          _made),
    Scene("saving", "Saving: what goes into the file, and its size, before anything is written.",
          _saving),
    Scene("told", "A prompt that cannot be run: what is wrong stands where it was typed.", _told),
    Scene("feature_graph", "A graph of features: which of them carry “Mary”, and what the selected "
          "one comes from and raises.", feature_graph),
    _card("feature_edits", "Feature edits: two features of the graph ablated, and the predictions "
          "without and with that.", feature_edits),
    _card("hypothesis", "Hypothesis: how a model continues a repetition, drawn, tested by causal "
          "scrubbing, and what was read from which other input.", hypothesis),
    Scene("offline", "Review without the model: everything is there, and what needs the model "
          "says so.", _offline),
    Scene("laptop", "The same window on a laptop of 1366 × 768.", _laptop),
    Scene("directions", "Feature space: what the features of a dictionary write, coloured by "
          "clusters of their directions.", directions, ratio=2),
    _card("see", "See: what channels do over an image of a face, and which speak for the answer.",
          seen),
    _card("units", "Units: the channels of a layer, and what one of them answers to.", carded),
    _card("visualise", "Visualise: pictures made so that the model sees Ada in them; another model "
          "sees her too.", visualised),
    _card("lesions", "Lesions: twelve face-selective channels set to zero lose faces and keep "
          "objects; beside them random lesions.", lesioned),
    Scene("channels", "The circuit of an image: the channels that tell one face from another, and "
          "what cutting one of them really does.", channels),
    *SEEING,
)  # fmt: skip
