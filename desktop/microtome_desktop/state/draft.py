"""The question as it is being typed, and how the model reads it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from psygnal import Signal

from microtome.errors import PromptError
from microtome.prompts import ImageInput, Prompt, Question, shown_ids, typed_ids
from microtome.records.session import Session

_TYPED = ("prompt", "corrupt", "answer", "wrong", "image", "corrupt_image")
_IMAGES = {"prompt": "image", "corrupt": "corrupt_image"}


@dataclass(frozen=True, slots=True)
class DraftText:
    """The fields of the prompt panel, as typed; for a model that ``sees`` the images chosen."""

    prompt: str = ""
    corrupt: str = ""
    answer: str = ""
    wrong: str = ""
    values_only: bool = False
    as_ids: bool = False  # the model has no tokenizer: prompts and answers are token ids
    image: ImageInput | None = None
    corrupt_image: ImageInput | None = None
    sees: bool = False  # the model reads images, so that these are asked and no texts

    @property
    def asked(self) -> bool:
        """Whether there is something to ask."""
        return self.image is not None if self.sees else bool(self.prompt.strip())

    def question(self) -> Question:
        """What a run would ask.

        Raises PromptError for an empty prompt, and where no image was chosen.
        """
        clean, corrupt = self._sides()
        return Question(
            clean,
            corrupt,
            self._word(self.answer),
            self._word(self.wrong),
            values_only=self.values_only,
        )

    @property
    def typed(self) -> dict[str, Any]:
        """What is asked, by the names of its fields."""
        return {name: getattr(self, name) for name in _TYPED}

    def _sides(self) -> tuple[Prompt, Prompt | None]:
        if not self.sees:
            corrupt = self._prompt(self.corrupt) if self.corrupt.strip() else None
            return self._prompt(self.prompt), corrupt
        if self.image is None:
            raise PromptError("No image is chosen.", "Choose one of a set, open or drop a file.")
        return self.image, self.corrupt_image

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
    seen: ImageInput | None = None  # the images as a model that sees is given them
    corrupt_seen: ImageInput | None = None

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
        self._model_sees = False

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

    def use_model(self, *, as_ids: bool, sees: bool) -> None:
        """Ask another model: by token ids where it has no tokenizer, by images where it sees."""
        self._model_sees = sees
        self.update(as_ids=as_ids, sees=sees)

    def fill(self, question: Question) -> None:
        """Show a question: by images where it asks about one, or the loaded model sees."""
        sees = isinstance(question.prompt, ImageInput) or self._model_sees
        self.update(**as_typed(question), values_only=question.values_only, sees=sees)

    def follow(self, session: Session) -> None:
        """Show what a session asked; of a graph from a file its prompt, empty without one."""
        if (question := question_of(session)) is not None:
            self.fill(question)
            return
        told = "" if self._text.as_ids else told_prompt(session)
        empty = {"corrupt": "", "answer": "", "wrong": "", "image": None, "corrupt_image": None}
        self.update(prompt=told, **empty)

    def swap(self) -> None:
        """Exchange clean and corrupt prompt, and answer and wrong answer."""
        old = self._text
        self.update(
            prompt=old.corrupt, corrupt=old.prompt, answer=old.wrong, wrong=old.answer,
            image=old.corrupt_image, corrupt_image=old.image,
        )  # fmt: skip

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
    prompts = [run.image or run.prompt or run.as_prompt for run in session.traces]
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
    seen, corrupt_seen = (*(trace.image for trace in session.traces[:2]), None, None)[:2]
    return Reading(clean, corrupt, seen=seen, corrupt_seen=corrupt_seen)


def answer_of_run(session: Session | None, text: DraftText) -> str:
    """The answer that a run was measured by without being asked for; empty where one was typed."""
    question = None if session is None else question_of(session)
    if session is None or text.answer or question is None or as_typed(question) != text.typed:
        return ""
    return str(session.metric.get("answer", ""))


def as_typed(question: Question) -> dict[str, Any]:
    """The prompts and answers of a question as one would type them, and its images."""
    texts = ("prompt", "corrupt", "answer", "wrong")
    found: dict[str, Any] = {name: _as_typed(getattr(question, name)) for name in texts}
    for name, field in _IMAGES.items():
        value = getattr(question, name)
        found[field] = value if isinstance(value, ImageInput) else None
    return found


def _as_typed(value: Prompt | int | None) -> str:
    if value is None or isinstance(value, ImageInput):
        return ""
    return shown_ids(value) if isinstance(value, tuple) else str(value)
