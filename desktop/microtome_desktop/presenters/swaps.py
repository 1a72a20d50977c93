"""Swaps that flip an answer, and the nodes that carry the change, as lines and tables."""

from __future__ import annotations

import math
import re

from microtome.prompts import Question
from microtome.records.adversarial import Adversarial
from microtome.records.circuit import Circuit
from microtome_desktop.presenters.circuit import selection_of
from microtome_desktop.state.exports import Table

NO_SWAPS = "No swaps were searched for yet."
NO_NODES = "No nodes are known yet that carry a swap: search for swaps."

_ARROW, _MINUS = "\N{RIGHTWARDS ARROW}", "\N{MINUS SIGN}"
_NODE = re.compile(r"(?:L(?P<layer>\d+)H(?P<head>\d+)|M(?P<mlp>\d+)|\w+)@(?P<at>\d+)")


def swaps_text(found: Adversarial | None) -> str:
    """How the search went."""
    if found is None:
        return NO_SWAPS
    told, flips = found.params, int(found.flipped.sum())
    many = f"{flips} flip{'s' * (flips == 1)}" if flips else "None flips"
    rounds = f"{told['rounds']} round{'s' * (told['rounds'] != 1)}"
    said = f"{many} the answer {told['answer']} · {told['tried']:,} prompts tried in {rounds}"
    return f"{said} · as in the task {told['task']}" if told.get("task") else said


def swap_cells(found: Adversarial) -> list[tuple[str, str, str, str, str]]:
    """For each prompt: the swaps, the answer, the margin and its change, and how near they are."""
    return [
        (
            row["swaps"],
            _sides(row["said_before"], row["said"]),
            _sides(signed(row["margin_before"]), signed(row["margin"])),
            signed(row["change"]),
            "" if math.isnan(row["nearness"]) else f"{row['nearness']:.2f}".replace("-", _MINUS),
        )
        for row in found.rows()
    ]


def signed(value: float) -> str:
    """A number of logits with its sign."""
    return f"{value:+.2f}".replace("-", _MINUS)


def _sides(before: str, after: str) -> str:
    return after if before in ("", after) else f"{before} {_ARROW} {after}"


def node_cells(found: Adversarial) -> list[tuple[str, str, str, str]]:
    """For each node: its name, its token, its score and its share of the change."""
    cells = []
    for row in found.node_rows():
        at = position_of(row["node"])
        token = found.tokens[at].strip() if at is not None and at < len(found.tokens) else ""
        share = f"{100 * row['share']:.0f} %".replace("-", _MINUS)
        cells.append((row["node"], token, signed(row["score"]), share))
    return cells


def position_of(node: str) -> int | None:
    """Where a node stands."""
    found = _NODE.fullmatch(node)
    return None if found is None else int(found["at"])


def node_selection(circuit: Circuit | None, node: str) -> dict[str, str | int | None]:
    """The fields of the selection that a click on a node sets, also where no graph has it."""
    if circuit is not None and node in circuit.node_id:
        return selection_of(circuit, circuit.row(node))
    found = _NODE.fullmatch(node)
    if found is None:
        return {}
    layer = found["layer"] or found["mlp"]
    return {
        "node": None,
        "position": int(found["at"]),
        "layer": None if layer is None else int(layer),
        "head": None if found["head"] is None else int(found["head"]),
    }


def swaps_table(found: Adversarial) -> Table:
    """The prompts with their numbers."""
    rows = found.rows()
    headers = (
        "prompt", "swaps", "flipped", "said_before", "said", "margin_before", "margin", "change",
        "probability_before", "probability", "nearness",
    )  # fmt: skip
    return Table(headers, [tuple(row[name] for name in headers) for row in rows])


def nodes_table(found: Adversarial) -> Table:
    """The nodes that carry the change to the first of the prompts."""
    headers = ("node", "score", "share")
    return Table(headers, [tuple(row[name] for name in headers) for row in found.node_rows()])


def swap_question(found: Adversarial, row: int, asked: Question) -> Question:
    """The prompt and, as its corrupt prompt, one of the swapped ones."""
    said = found.said[row].strip()
    wrong = asked.wrong
    if wrong is None and bool(found.flipped[row]) and said != str(asked.answer).strip():
        wrong = said
    return Question(asked.prompt, found.prompt(row), asked.answer, wrong)
