"""Everything that the command palette finds, and the order in which it offers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rapidfuzz import fuzz, process
from rapidfuzz.distance import LCSseq

from microtome_desktop.presenters.circuit import selection_of
from microtome_desktop.presenters.circuit_text import node_title, percent
from microtome_desktop.presenters.lessons import LESSONS
from microtome_desktop.presenters.setting_rows import SETTINGS, value_text
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.desk import Desk

_SHOWN = 60
_GOOD = 55.0  # of 100; what matches less is noise


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Do what a row of the command table does."""

    name: str


@dataclass(frozen=True, slots=True)
class ShowPanel:
    """Bring a panel to the front."""

    name: str


@dataclass(frozen=True, slots=True)
class OpenLesson:
    """Begin a lesson."""

    name: str


@dataclass(frozen=True, slots=True)
class ShowSetting:
    """Open the settings at one of them."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """Change these fields of the selection."""

    changes: tuple[tuple[str, Any], ...]


Act = RunCommand | ShowPanel | OpenLesson | ShowSetting | Select


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the palette: what it says, and what choosing it does."""

    title: str
    group: str
    act: Act
    detail: str = ""
    keys: str = ""
    blocked: str = ""  # why it cannot be chosen now

    @property
    def key(self) -> str:
        """By what a recent choice is remembered."""
        return f"{self.group}/{self.title}"


def places(desk: Desk) -> tuple[Entry, ...]:
    """All lines that need no command table: settings, lessons, tokens, heads and nodes."""
    return (*_settings(desk), *_lessons(), *_tokens(desk), *_heads(desk), *_nodes(desk))


def _settings(desk: Desk) -> list[Entry]:
    return [
        Entry(row.title, "Setting", ShowSetting(row.name), value_text(desk.settings, row.name))
        for row in SETTINGS
    ]


def _lessons() -> list[Entry]:
    return [Entry(each.title, "Lesson", OpenLesson(each.id), each.summary) for each in LESSONS]


def _tokens(desk: Desk) -> list[Entry]:
    session = desk.workspace.session
    tokens = () if session is None or session.clean is None else session.clean.tokens
    return [
        Entry(shown_token(text), "Token", Select((("position", at),)), f"position {at}")
        for at, text in enumerate(tokens)
    ]


def _heads(desk: Desk) -> list[Entry]:
    session = desk.workspace.session
    if session is None:
        return []
    layers, heads = range(session.model.n_layers), range(session.model.n_heads)
    return [
        Entry(f"L{layer}H{head}", "Head", Select((("layer", layer), ("head", head))),
              f"head {head} of layer {layer}")
        for layer in layers for head in heads
    ]  # fmt: skip


def _nodes(desk: Desk) -> list[Entry]:
    session = desk.workspace.session
    circuit = None if session is None else session.circuit
    if circuit is None:
        return []
    return [
        Entry(node_title(circuit, row), "Node",
              Select((*selection_of(circuit, row).items(), ("edge", None))),
              f"{percent(float(circuit.node_influence[row]))} of the influence")
        for row in (-circuit.node_influence).argsort(kind="stable").tolist()
    ]  # fmt: skip


def found(lines: Sequence[Entry], words: str, recent: Sequence[str] = ()) -> tuple[Entry, ...]:
    """The lines that fit the words, best first; the recent ones first where nothing is typed."""
    query = words.casefold().strip()
    if not query:
        known = {line.key: line for line in lines}
        first = [known[key] for key in recent if key in known]
        rest = [line for line in lines if isinstance(line.act, RunCommand) and line not in first]
        return (*first, *rest)[:_SHOWN]
    texts = [f"{line.title} {line.group}".casefold() for line in lines]
    hits = process.extract(query, texts, scorer=fuzz.WRatio, limit=None, score_cutoff=_GOOD)
    # A title that begins with the words comes before one that only resembles them.
    ranked = sorted(hits, key=lambda hit: (-_rank(query, lines[hit[2]], hit[1]), hit[2]))
    return tuple(lines[place] for _, _, place in ranked[:_SHOWN])


def _rank(query: str, line: Entry, score: float) -> float:
    title = line.title.casefold()
    exact = 60.0 if title == query else 30.0 if title.startswith(query) else 0.0
    return score + exact + (15.0 if query in title else 0.0)


def marked(title: str, words: str) -> tuple[tuple[str, bool], ...]:
    """The title in pieces, each with whether its letters were typed.

    Words that occur as they are count whole; of others the longest common subsequence does.
    """
    low, query = title.lower(), words.lower().strip()
    if not query or len(low) != len(title):  # a letter whose lower case is longer
        return ((title, False),)
    typed: set[int] = set()
    for word in [query] if query in low else query.split():
        start = low.find(word)
        if start >= 0:
            typed.update(range(start, start + len(word)))
        else:
            equal = (block for block in LCSseq.opcodes(word, low) if block.tag == "equal")
            typed.update(at for block in equal for at in range(block.dest_start, block.dest_end))
    runs = groupby(range(len(title)), key=lambda at: at in typed)
    return tuple(("".join(title[at] for at in run), hit) for hit, run in runs)
