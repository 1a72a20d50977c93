"""Everything that the command palette finds: commands, nodes, heads, tokens and lessons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz import fuzz, process

from microtome_desktop.commands.command import CommandId, Situation
from microtome_desktop.commands.table import COMMANDS
from microtome_desktop.presenters.circuit import selection_of
from microtome_desktop.presenters.circuit_text import node_title, percent
from microtome_desktop.presenters.lessons import LESSONS
from microtome_desktop.presenters.tokens import shown_token

_SHOWN = 60
_GOOD = 55.0  # of 100; what matches less is noise


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the palette. ``command``, ``lesson`` or ``selects`` says what it does."""

    title: str
    group: str
    detail: str = ""
    keys: str = ""
    blocked: str = ""
    command: CommandId | None = None
    lesson: str = ""
    selects: tuple[tuple[str, Any], ...] = ()

    @property
    def key(self) -> str:
        """By what a recent choice is remembered."""
        return f"{self.group}/{self.title}"


def entries(now: Situation, keys: Callable[[CommandId], str]) -> tuple[Entry, ...]:
    """All lines, commands first; ``keys`` tells the shortcut of a command."""
    return (*_commands(now, keys), *_lessons(), *_tokens(now), *_heads(now), *_nodes(now))


def _commands(now: Situation, keys: Callable[[CommandId], str]) -> list[Entry]:
    return [
        Entry(row.title.rstrip("…"), row.menu, row.tip, keys(row.id), row.blocked(now), row.id)
        for row in COMMANDS
        if row.id is not CommandId.PALETTE
    ]


def _lessons() -> list[Entry]:
    return [Entry(each.title, "Lesson", each.summary, lesson=each.id) for each in LESSONS]


def _tokens(now: Situation) -> list[Entry]:
    session = now.desk.workspace.session
    tokens = () if session is None or session.clean is None else session.clean.tokens
    return [
        Entry(shown_token(text), "Token", f"position {position}", selects=(("position", position),))
        for position, text in enumerate(tokens)
    ]


def _heads(now: Situation) -> list[Entry]:
    session = now.desk.workspace.session
    if session is None:
        return []
    places = [(la, h) for la in range(session.model.n_layers) for h in range(session.model.n_heads)]
    return [
        Entry(f"L{layer}H{head}", "Head", f"head {head} of layer {layer}",
              selects=(("layer", layer), ("head", head)))
        for layer, head in places
    ]  # fmt: skip


def _nodes(now: Situation) -> list[Entry]:
    session = now.desk.workspace.session
    circuit = None if session is None else session.circuit
    if circuit is None:
        return []
    return [
        Entry(
            node_title(circuit, row), "Node",
            f"{percent(float(circuit.node_influence[row]))} of the influence",
            selects=(*selection_of(circuit, row).items(), ("edge", None)),
        )
        for row in (-circuit.node_influence).argsort(kind="stable").tolist()
    ]  # fmt: skip


def found(lines: Sequence[Entry], words: str, recent: Sequence[str] = ()) -> tuple[Entry, ...]:
    """The lines that fit the words, best first; the recent ones first where nothing is typed."""
    if not words.strip():
        known = {line.key: line for line in lines}
        first = [known[key] for key in recent if key in known]
        rest = [line for line in lines if line.command is not None and line not in first]
        return (*first, *rest)[:_SHOWN]
    texts = [f"{line.title} {line.group}".casefold() for line in lines]
    query = words.casefold().strip()
    hits = process.extract(query, texts, scorer=fuzz.WRatio, limit=None, score_cutoff=_GOOD)
    # A title that begins with the words comes before one that only resembles them.
    ranked = sorted(hits, key=lambda hit: (-_rank(query, lines[hit[2]], hit[1]), hit[2]))
    return tuple(lines[place] for _, _, place in ranked[:_SHOWN])


def _rank(query: str, line: Entry, score: float) -> float:
    title = line.title.casefold()
    exact = 60.0 if title == query else 30.0 if title.startswith(query) else 0.0
    return score + exact + (15.0 if query in title else 0.0)
