"""The scene of a net that sees: which channels carry a class."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from microtome.images.sets import load_image_set
from microtome.prompts import Question
from microtome.records.circuit import CHANNEL
from microtome_desktop.picturing.stage import Stage
from microtome_desktop.presenters.circuit_look import PLACING
from microtome_desktop.views.node_card import NodeCardPanel

_SIZE = (1760, 1080)


def channels(stage: Stage) -> QWidget:
    """A face told from another; the strongest channel of the last block is cut for real."""
    stage.clear()
    stage.window.resize(*_SIZE)
    stage.window.reset_layout()
    PLACING.set(stage.desk.book, PLACING.first)
    stage.load("shapes-resnet")
    stage.run(Question(load_image_set("shapes").image(0), answer="Ada", wrong="Dan"))
    stage.front("circuit")
    stage.front("node_card")
    session = stage.desk.workspace.session
    circuit = None if session is None else session.circuit
    if circuit is None:
        raise LookupError("There is no circuit of channels.")
    last = [
        row for row, kind in enumerate(circuit.node_kind)
        if kind == CHANNEL and circuit.node_id[row].startswith("stage2.block0/")
    ]  # fmt: skip
    row = max(last, key=lambda row: float(circuit.node_influence[row]))
    stage.select(node=circuit.node_id[row])
    card = stage.panel("node_card")
    if isinstance(card, NodeCardPanel):
        card.node_check.button.click()
        stage.rest()
    return stage.window
