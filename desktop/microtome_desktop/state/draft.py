"""The question as it is being typed, and how the model reads it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from psygnal import Signal

from microtome.prompts import Prompt, Question, shown_ids, typed_ids
from microtome.records.session import Session

_TYPED = ("prompt", "corrupt", "answer", "wrong")


@dataclass(frozen=True, slots=True)
class DraftText:
    """The fields of the prompt panel, as typed."""

    prompt: str = ""
    corrupt: str = ""
    answer: str = ""
    wrong: str = ""
    values_only: bool = False
    as_ids: bool = False  # the model has no tokenizer: prompts and answers are token ids

    def question(self) -> Question:
        """What a run would ask.

        Raises PromptError for an empty prompt.
        """
        corrupt = self._prompt(self.corrupt) if self.corrupt.strip() else None
        return Question(
            self._prompt(self.prompt),
            corrupt,
            self._word(self.answer),
            self._word(self.wrong),
            values_only=self.values_only,
        )

    @property
    def typed(self) -> dict[str, str]:
        """The text fields by name."""
        return {name: getattr(self, name) for name in _TYPED}

    def _prompt(self, text: str) -> Prompt:
        ids = typed_ids(text) if self.as_ids else None
        return text if ids is None else ids

    def _word(self, text: str) -> str | int | None:
        word = text.strip()
        if not word:
            return None
        return int(word) if self.as_ids and word.isdecimal() else word


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes of memory: what a run keeps, the most it takes on the way, and what is free.

    ``free`` is None where the system does not tell. ``left_out`` are sites that the budget for
    activations does not let the run keep.
    """

    kept: int
    peak: int
    free: int | None
    left_out: tuple[str, ...] = ()

    @property
    def too_much(self) -> bool:
        """Whether the run would take more than there is."""
        return self.free is not None and self.peak > self.free


@dataclass(frozen=True, slots=True)
class Reading:
    """How the model splits the prompts: tokens, which it does not know, and what is wrong."""

    clean: tuple[str, ...] = ()
    corrupt: tuple[str, ...] = ()
    unknown_clean: tuple[int, ...] = ()
    unknown_corrupt: tuple[int, ...] = ()
    problem: str = ""  # of the prompts
    answer_problem: str = ""
    wrong_problem: str = ""
    needs: Needs | None = None  # of a run of what is typed

    @property
    def differing(self) -> tuple[int, ...]:
        """Positions at which the two prompts differ."""
        if not self.corrupt:
            return ()
        longest = max(len(self.clean), len(self.corrupt))
        return tuple(i for i in range(longest) if self.clean[i : i + 1] != self.corrupt[i : i + 1])


class Draft:
    """Holds what is typed and how the model reads it."""

    changed = Signal(DraftText)
    reading_changed = Signal(Reading)

    def __init__(self) -> None:
        self._text = DraftText()
        self._reading = Reading()
        self._read = self._text  # what the reading is of

    @property
    def text(self) -> DraftText:
        """What is typed now."""
        return self._text

    @property
    def reading(self) -> Reading:
        """How the model read what was typed last."""
        return self._reading

    @property
    def up_to_date(self) -> bool:
        """Whether the reading is of what is typed now."""
        return self._read == self._text

    @property
    def problem(self) -> str:
        """What stands against a run: a wrong answer only while it is what is typed."""
        reading = self._reading
        answers = (reading.answer_problem, reading.wrong_problem) if self.up_to_date else ()
        return next(filter(None, (reading.problem, *answers)), "")

    def update(self, **changes: Any) -> None:
        """Change some fields; nothing is emitted when nothing differs."""
        new = replace(self._text, **changes)
        if new != self._text:
            self._text = new
            self.changed.emit(new)

    def fill(self, question: Question) -> None:
        """Show the question of a session."""
        self.update(**as_typed(question), values_only=question.values_only)

    def follow(self, session: Session) -> None:
        """Show what a session asked; of a graph from a file its prompt, empty without one."""
        if (question := question_of(session)) is not None:
            self.fill(question)
            return
        told = "" if self._text.as_ids else told_prompt(session)
        self.update(prompt=told, corrupt="", answer="", wrong="")

    def swap(self) -> None:
        """Exchange clean and corrupt prompt, and answer and wrong answer."""
        old = self._text
        self.update(prompt=old.corrupt, corrupt=old.prompt, answer=old.wrong, wrong=old.answer)

    def read(self, reading: Reading, of: DraftText | None = None) -> None:
        """The model has read what was typed: what is typed now when ``of`` is not given."""
        text = self._text if of is None else of
        if (reading, text) != (self._reading, self._read):
            self._reading, self._read = reading, text
            self.reading_changed.emit(reading)


def question_of(session: Session) -> Question | None:
    """What a session asked; of one put together in Python, what its runs tell of it."""
    if session.question is not None or session.clean is None:
        return session.question
    prompts = [run.prompt or tuple(run.token_ids.tolist()) for run in session.traces]
    corrupt = prompts[1] if len(prompts) > 1 else None
    answer, wrong = session.metric.get("answer"), session.metric.get("wrong")
    return Question(prompts[0], corrupt, answer, wrong)


def told_prompt(session: Session) -> str:
    """The prompt that a session's circuit was read with from a file; empty without one."""
    prompt = {} if session.circuit is None else session.circuit.metadata.get("prompt")
    return prompt if isinstance(prompt, str) else ""


def reading_of(session: Session, text: DraftText) -> Reading:
    """How the session's model read its prompts; nothing where something else is typed."""
    question = question_of(session)
    if question is None or as_typed(question) != text.typed:
        return Reading()
    sources = [() if trace.source is None else trace.source.tokens for trace in session.traces[:2]]
    runs = zip(sources, session.traces, strict=False)
    tokens = [(*source, *trace.tokens) for source, trace in runs]
    clean, corrupt = (*tokens, (), ())[:2]
    return Reading(clean, corrupt)


def as_typed(question: Question) -> dict[str, str]:
    """The prompts and answers of a question as one would type them."""
    return {name: _as_typed(getattr(question, name)) for name in _TYPED}


def _as_typed(value: Prompt | int | None) -> str:
    if value is None:
        return ""
    return shown_ids(value) if isinstance(value, tuple) else str(value)
