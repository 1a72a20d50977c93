"""What the patching panel says of a sweep before and after it was made."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from microtome.errors import megabytes
from microtome.prompts import Prompt, Question
from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome.records.sweep import sweep_of
from microtome_desktop.presenters.sweep_map import title_of
from microtome_desktop.state.draft import DraftText, question_of
from microtome_desktop.state.sweeps import Foreseen, wish_of

_SPAN = re.compile(r"\s*(\d+)\s*(?:(?:-|–|\.\.|to)\s*(\d+)\s*)?")


def typed_span(text: str) -> tuple[int, int] | None:
    """A span of tokens as typed, ``2-4`` or ``3``, as its start and one behind its end."""
    found = _SPAN.fullmatch(text)
    if found is None:
        return None
    first = int(found[1])
    last = first if found[2] is None else int(found[2])
    return (first, last + 1) if last >= first else (last, first + 1)


def with_answers(question: Question | None, answer: str, wrong: str) -> Question | None:
    """The question with other answers where some are typed."""
    if question is None:
        return None
    one, other = _word(answer), _word(wrong)
    one = question.answer if one is None else one
    other = question.wrong if other is None else other
    return replace(question, answer=one, wrong=None if other == one else other)


def as_typed_beside(asked: Question | None, shown: Question | None, name: str) -> str:
    """What has to be typed for the answers of a sweep, where they are not those on screen."""
    held = None if asked is None else getattr(asked, name)
    if held is None or held == (None if shown is None else getattr(shown, name)):
        return ""
    return held if isinstance(held, str) else f"#{held}"


def _word(text: str) -> str | int | None:
    word = text.strip()
    if not word:
        return None
    return int(word[1:]) if word.startswith("#") and word[1:].isdecimal() else word


def question_on_screen(session: Session | None, draft: DraftText) -> Question | None:
    """What a sweep of this session is about: its prompt, its corrupt prompt, its answers.

    A corrupt prompt that was typed below the same prompt since the run counts; answers that
    nobody named are those of the metric.
    """
    question = None if session is None else question_of(session)
    if question is None or session is None:
        return None
    answers = {
        name: session.metric.get(f"{name}_id")
        for name in ("answer", "wrong")
        if getattr(question, name) is None
    }
    return Question(
        question.prompt,
        _corrupt(question, draft),
        answers.get("answer", question.answer),
        answers.get("wrong", question.wrong),
    )


def _corrupt(question: Question, draft: DraftText) -> Prompt | None:
    typed = draft.question() if draft.asked else None
    if typed is None or typed.corrupt is None or typed.prompt != question.prompt:
        return question.corrupt
    return typed.corrupt


def foreseen_text(foreseen: Foreseen) -> str:
    """For example ``192 cells, 96 of them change nothing · about 0.4 s · 3 MB``."""
    if foreseen.problem:
        return foreseen.problem
    cells = f"{foreseen.cells:,} cells"
    if foreseen.skipped:
        cells += f", {foreseen.skipped:,} of them change nothing"
    return f"{cells} · about {seconds_text(foreseen.seconds)} · {megabytes(foreseen.bytes)}"


def seconds_text(seconds: float) -> str:
    """A time to go by: ``0.3 s``, ``12 s``, ``4 min``."""
    if seconds < 0.1:
        return "0.1 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def entry_title(analysis: Analysis) -> str:
    """How a sweep is called in the list of the session's sweeps."""
    sweep, wish = sweep_of(analysis), wish_of(analysis)
    about = (
        "" if wish is None or not wish.data else f" · {wish.count} pairs of {Path(wish.data).stem}"
    )
    part = "" if sweep.complete else " · not finished"
    return f"{title_of(sweep)}{about}{part}"
