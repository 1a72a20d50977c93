"""Every command of the menu Edits, by the rules of test_every_command.py."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication, QInputDialog

import microtome as mt
from microtome.records.edits import EditSpec
from microtome.records.price import price_of
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.table import COMMANDS
from microtome_desktop.state.edit_places import clean_prompt, corrupt_prompt

_ID = CommandId
CUT = EditSpec("z.0.0", "zero")


def head(hand):
    """A head of the circuit, selected; its site, its position."""
    (node,) = hand.select()
    circuit = hand.session.circuit
    row = circuit.row(node)
    site = f"z.{circuit.node_layer[row]}.{circuit.node_head[row]}"
    return site, (int(circuit.node_position[row]),)


def acts(wanted, check):
    """The command adds one edit to the selected head; ``check`` looks at it."""

    def promise(hand):
        site, positions = head(hand)
        hand.do(wanted)
        (spec,) = hand.marks.edits
        assert (spec.site, spec.positions, spec.on) == (site, positions, True)
        check(hand, spec)
        assert hand.session.edited.edits
        assert hand.desk.notices.history == []
        hand.do(_ID.UNDO)
        assert hand.marks.edits == ()
        assert hand.session.edited is None

    return promise


def is_zero(hand, spec):
    assert spec.action == "zero"


def is_mean(hand, spec):
    assert spec.action == "mean"
    sets = hand.desk.library.shelf.facts.prompt_sets
    assert set(spec.prompts) <= {pair.clean for held in sets for pair in held.pairs}
    assert len(spec.prompts) > len(sets)


def is_patch(hand, spec):
    assert (spec.action, spec.prompts) == ("patch", (corrupt_prompt(hand.session),))


def is_difference(hand, spec):
    direction = spec.direction
    assert (spec.action, direction.kind, direction.unit) == ("add", "difference", True)
    assert (*direction.prompts, *direction.others) == (
        clean_prompt(hand.session), corrupt_prompt(hand.session),
    )  # fmt: skip
    assert spec.strength > 0


def answer(hand):
    """A head takes no direction of the residual stream; the stream at a token does."""
    head(hand)
    action = hand.window.actions_table.actions[_ID.STEER_ANSWER]
    assert not action.isEnabled()
    assert "residual stream" in action.toolTip()
    hand.desk.selection.update(node=None, head=None, neuron=None, layer=2, position=4)
    hand.do(_ID.STEER_ANSWER)
    (spec,) = hand.marks.edits
    metric = hand.session.metric
    tokens = (spec.direction.token, spec.direction.other)
    assert (spec.site, spec.positions) == ("resid_post.2", (4,))
    assert tokens == (metric["answer_id"], metric["wrong_id"])


def add(hand):
    hand.do(_ID.ADD_EDIT)
    panel = hand.panels["edits"]
    assert panel.form.isVisible()
    assert QApplication.focusWidget() is panel.form.site


def switch(hand):
    hand.desk.book.add_edit(CUT)
    hand.rest()
    hand.do(_ID.SWITCH_EDITS)
    assert not hand.marks.edits[0].on
    assert hand.session.edited is None
    hand.do(_ID.SWITCH_EDITS)
    assert hand.marks.edits[0].on
    assert hand.session.edited is not None


def write_on(hand):
    hand.desk.book.add_edit(CUT)
    hand.rest()
    hand.do(_ID.GENERATE)
    held = hand.session.analyses["generation"]
    assert held.params["after"]["edits"]
    texts = [hand.panels["edits"].writing.without, hand.panels["edits"].writing.with_edits]
    shown = [text.toPlainText() for text in texts]
    for side, text in zip(("before", "after"), shown, strict=True):
        assert text.startswith(held.params[side]["text"][:10])
        assert np.isfinite(held.array(f"{side}_probabilities")).all()


def price(hand):
    """Every task of the model, as the engine counts it, in the panel, the table and Python."""
    assert not hand.window.actions_table.actions[_ID.PRICE].isEnabled()
    hand.desk.book.add_edit(CUT)
    hand.rest()
    panel = hand.panels["edits"]
    asked = panel.price.limit.value()
    panel.price.limit.setValue(2)
    hand.do(_ID.PRICE)
    held = price_of(hand.session.analyses["edit-price"])
    sets = hand.desk.library.shelf.facts.prompt_sets
    expected = mt.edit_price(mt.load_model("words-4l"), [mt.Ablate("z.0.0")], sets, limit=2)
    np.testing.assert_allclose(held.difference, expected.array("difference"), atol=1e-4)
    assert (held.complete, held.pairs.tolist()) == (True, [2] * len(sets))
    panel.price.limit.setValue(asked)
    table = panel.exported_table()()
    assert [row[1] for row in table.rows] == [one.title for one in sets]
    assert table.rows[0][4:6] == tuple(held.right[0])
    shown = panel.price.table
    lost = (held.right[:, 0] - held.right[:, 1], held.top[:, 0] - held.top[:, 1])
    order = sorted(range(len(sets)), key=lambda n: (lost[0][n], lost[1][n]), reverse=True)
    titles = [shown.item(row, 0).text() for row in range(shown.rowCount())]
    assert titles == [sets[row].title for row in order]
    found = {}
    exec("\n".join(panel.exported_lines()), found)  # noqa: S102 - the lines are what is tested
    np.testing.assert_allclose(found["values"], held.right)
    assert panel.price.said.toolTip() == "Of: zero ablation of z.0.0"
    hand.desk.book.switch_edit(0, on=False)
    hand.rest()
    assert panel.price.said.toolTip().startswith("Of edits as they were before")
    assert "others now" in panel.exported_lines()
    assert not panel.price.button.isEnabled()


def keep(hand):
    hand.desk.book.add_edit(CUT)
    hand.rest()
    hand.patch.setattr(QInputDialog, "getText", lambda *_, **__: ("one head", True))
    hand.do(_ID.SAVE_EDITS)
    assert [(held.name, held.edits) for held in hand.marks.edit_sets] == [("one head", (CUT,))]


def forget(hand):
    hand.desk.book.add_edit(CUT)
    hand.rest()
    hand.do(_ID.CLEAR_EDITS)
    assert hand.marks.edits == ()
    assert hand.panels["edits"].list.rows == []


PROMISES = {
    _ID.ABLATE_ZERO: acts(_ID.ABLATE_ZERO, is_zero),
    _ID.ABLATE_MEAN: acts(_ID.ABLATE_MEAN, is_mean),
    _ID.PATCH_CORRUPT: acts(_ID.PATCH_CORRUPT, is_patch),
    _ID.STEER_DIFFERENCE: acts(_ID.STEER_DIFFERENCE, is_difference),
    _ID.STEER_ANSWER: answer, _ID.ADD_EDIT: add, _ID.SWITCH_EDITS: switch,
    _ID.GENERATE: write_on, _ID.PRICE: price, _ID.SAVE_EDITS: keep, _ID.CLEAR_EDITS: forget,
}  # fmt: skip


@pytest.mark.parametrize("wanted", [row.id for row in COMMANDS if row.menu == "Edits"])
def test_a_command_of_the_edits_does_what_it_promises(hand, wanted):
    PROMISES[wanted](hand)
