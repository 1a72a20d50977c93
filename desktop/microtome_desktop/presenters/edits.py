"""The edits of a model in words, and what they do to a prompt as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from microtome.records.edit_texts import describe
from microtome.records.edits import STEERS, EditSpec
from microtome.records.session import Session
from microtome.records.trace import Trace
from microtome_desktop.presenters.places import place_of
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.made_by import needs_model

EFFECT = "edited-metric"  # the analysis that holds the metric before and after
COUNT = 8
NO_EDIT = "No edit acts: switch one on, or add one."
NOT_RUN = "These edits were not run yet."


@dataclass(frozen=True, slots=True)
class Words:
    """How tokens read, as far as it is known here; others are told by number."""

    texts: Mapping[int, str]

    def token_text(self, token: int) -> str:
        """How a token reads."""
        return self.texts.get(token, f"token {token}")


def known_words(session: Session | None) -> Words:
    """Tokens that a session spells out: those of its runs, their predictions and its metric."""
    found: dict[int, str] = {}
    if session is not None:
        for run in session.traces:
            found |= zip(run.token_ids.tolist(), run.tokens, strict=True)
            for ids, texts in zip(run.top_ids.tolist(), run.top_tokens, strict=True):
                found |= zip(ids, texts, strict=True)
        for name in ("answer", "wrong"):
            if f"{name}_id" in session.metric and name in session.metric:
                found[int(session.metric[f"{name}_id"])] = str(session.metric[name])
    return Words(found)


def edit_text(spec: EditSpec, words: Words | None = None) -> str:
    """What an edit does, in a line."""
    return describe(spec, words)


@dataclass(frozen=True, slots=True)
class EditLine:
    """An edit as the list shows it. ``norm`` is the mean length of what stands at its site."""

    spec: EditSpec
    text: str
    problem: str = ""
    norm: float | None = None

    @property
    def has_strength(self) -> bool:
        """Whether there is something to slide."""
        return self.spec.action in STEERS

    @property
    def share(self) -> str:
        """How much it steers, as a share of what stands there, where that is known."""
        if self.spec.action == "project out":
            return f"{100 * self.spec.strength:.0f} % of it"
        unit = self.spec.direction is not None and self.spec.direction.unit
        if not self.norm or not unit:
            return ""
        return f"{100 * abs(self.spec.strength) / self.norm:.0f} % of norm"


def edit_lines(
    session: Session | None,
    words: Words,
    problems: Mapping[EditSpec, str],
    norms: Mapping[str, float],
) -> tuple[EditLine, ...]:
    """The edits of a session, in their order."""
    edits = () if session is None else session.marks.edits
    return tuple(
        EditLine(e, edit_text(e, words), problems.get(e, ""), norms.get(e.site)) for e in edits
    )


@dataclass(frozen=True, slots=True)
class Effect:
    """One token: its probability without and with the edits.

    None where the file does not hold it: it was not among the most probable there.
    """

    token: str
    before: float | None
    after: float | None
    is_answer: bool
    is_wrong: bool

    @property
    def change(self) -> float | None:
        """By how much the edits change the probability."""
        return None if self.before is None or self.after is None else self.after - self.before


def effects(
    session: Session | None, position: int | None, count: int = COUNT
) -> tuple[Effect, ...]:
    """The most probable tokens with the edits, and those that were without, best first."""
    if session is None or session.clean is None or session.edited is None:
        return ()
    clean, edited, place = session.clean, session.edited, place_of(session, position)
    wanted = _wanted(clean, edited, place, count)
    texts = _texts(clean, edited, place)
    before, after = _probabilities(clean, place, wanted), _probabilities(edited, place, wanted)
    answer, wrong = session.metric.get("answer_id"), session.metric.get("wrong_id")
    return tuple(
        Effect(shown_token(texts[token]), before[token], after[token], token == answer,
               token == wrong)
        for token in wanted
    )  # fmt: skip


def effect_ids(session: Session, position: int | None) -> tuple[int, ...]:
    """The tokens of all rows, in their order; none where no edit acts."""
    if session.clean is None or session.edited is None:
        return ()
    count = session.edited.top_ids.shape[1]
    return tuple(_wanted(session.clean, session.edited, place_of(session, position), count))


def _wanted(clean: Trace, edited: Trace, place: int, count: int) -> list[int]:
    """As many of both as there is room for, the most probable of either first."""
    peak: dict[int, float] = {}
    for run in (clean, edited):
        pairs = zip(run.top_ids[place], run.top_probabilities[place], strict=True)
        for token, probability in pairs:
            peak[int(token)] = max(peak.get(int(token), 0.0), float(probability))
    kept = sorted(peak, key=lambda token: -peak[token])[:count]
    after = _probabilities(edited, place, kept)
    return sorted(kept, key=lambda token: -(after[token] or 0.0))


def _texts(clean: Trace, edited: Trace, place: int) -> dict[int, str]:
    found: dict[int, str] = {}
    for run in (clean, edited):
        found |= zip(map(int, run.top_ids[place]), run.top_tokens[place], strict=True)
    return found


def _probabilities(run: Trace, place: int, tokens: Sequence[int]) -> dict[int, float | None]:
    if isinstance(run.logits, np.ndarray):  # in memory: a file is never read on this thread
        row = run.logits[place].astype(np.float64)
        total = np.log(np.exp(row - row.max()).sum()) + row.max()
        return {token: float(np.exp(row[token] - total)) for token in tokens}
    pairs = zip(run.top_ids[place], run.top_probabilities[place], strict=True)
    held = {int(token): float(probability) for token, probability in pairs}
    return {token: held.get(token) for token in tokens}


@dataclass(frozen=True, slots=True)
class MetricChange:
    """The metric without and with the edits."""

    name: str
    before: float
    after: float


def metric_change(session: Session | None) -> MetricChange | None:
    """What the edits do to the metric; None where no edit acts."""
    held = None if session is None or session.edited is None else session.analyses.get(EFFECT)
    if held is None:
        return None
    before, after = (float(value) for value in held.array("value"))
    return MetricChange(str(held.params["metric"]), before, after)


def said_of(session: Session | None, *, offline: bool) -> str:
    """Why there is no effect to show, empty when there is one."""
    if session is None or session.clean is None:
        return "Run a prompt to try edits on it."
    if session.edited is not None:
        return ""
    if not any(spec.on for spec in session.marks.edits):
        return NO_EDIT
    return f"{NOT_RUN} {needs_model(session)}" if offline else "Running the edits …"
