"""What a model cannot show, as panels and the list of models say it."""

from __future__ import annotations

from dataclasses import dataclass

from microtome.records.coverage import COVERAGE, Coverage, Possible
from microtome.records.session import Session


def why_not(session: Session | None, name: str) -> str:
    """Why the session's model lacks a site or an analysis, as a sentence; empty when it does not.

    A session of a known family says nothing: all its panels work.
    """
    held = None if session is None else session.analyses.get(COVERAGE)
    if held is None:
        return ""
    lacks = held.params.get("lacks")
    reason = lacks.get(name) if isinstance(lacks, dict) else None
    return _sentence(reason) if isinstance(reason, str) and reason else ""


def summary(session: Session | None) -> str:
    """What the session's model can show and why not more; empty where nothing was said."""
    held = None if session is None else session.analyses.get(COVERAGE)
    text = None if held is None else held.params.get("summary")
    return text if isinstance(text, str) else ""


def _sentence(reason: str) -> str:
    return f"Not of this model: {reason}."


def coverage_text(held: Coverage) -> str:
    """For example ``6 of 9 analyses``, or that there are all."""
    there = sum(row.there for row in held.analyses)
    if there == len(held.analyses):
        return "All panels work"
    return f"{there} of {len(held.analyses)} kinds of analysis"


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the window that tells what can be seen: a heading has rows of its own."""

    text: str
    reason: str = ""
    there: bool = True
    rows: tuple[Line, ...] = ()


def coverage_lines(held: Coverage) -> tuple[Line, ...]:
    """All analyses and all sites of a model, those that it lacks with the reason."""
    return (
        Line("Panels", rows=tuple(_line(row, row.title) for row in held.analyses)),
        Line("Sites", rows=tuple(_line(row, f"{row.name}: {row.title}") for row in held.sites)),
        *((Line("Notes", rows=tuple(Line(note) for note in held.notes)),) if held.notes else ()),
    )


def _line(row: Possible, text: str) -> Line:
    return Line(text, row.reason, row.there)
