"""Lessons: which one is being taken, and at which step it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from psygnal import Signal

from microtome.prompts import Question


class Act(Enum):
    """What a step asks for."""

    NODE = "click a node of the circuit"  # name: the node's id
    TOKEN = "click a token of the strip"  # value: the position
    NEURON = "click a row of the neuron map"  # value: the neuron
    PRESS = "press a button"  # name: the button; brings: part of the session that it adds, if any
    CHOOSE = "choose from a list"  # name: the list; brings: the text
    CELL = "click a cell of the sweep"  # name: layer.head
    TAB = "open a tab"  # name: the panel, or panel/text of a tab within it
    STEP = "move the training slider"  # brings: the model's name
    READ = "read"


@dataclass(frozen=True, slots=True)
class Step:
    """A short text, and the next click.

    ``question`` is put to the model before it; ``front`` is a panel that is brought to the front,
    and ``view`` how that is set then.
    """

    text: str
    act: Act = Act.READ
    name: str = ""
    value: int = -1
    brings: str = ""
    question: Question | None = None
    front: str = ""
    view: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Lesson:
    """Five minutes on one model; ``image`` is a set whose first image is shown to it."""

    id: str
    title: str
    summary: str
    model: str
    steps: tuple[Step, ...]
    image: str = ""


class Course:
    """The lesson that is being taken, if any."""

    changed = Signal(object, int)  # Lesson | None, step

    def __init__(self) -> None:
        self.lesson: Lesson | None = None
        self.place = 0

    @property
    def step(self) -> Step | None:
        """What is to be done now."""
        return None if self.lesson is None else self.lesson.steps[self.place]

    def start(self, lesson: Lesson) -> None:
        """Take a lesson from its beginning."""
        self.lesson, self.place = lesson, 0
        self.changed.emit(lesson, 0)

    def go(self, place: int) -> None:
        """Go to another step; one beyond the last ends the lesson."""
        if self.lesson is None:
            return
        if place >= len(self.lesson.steps):
            self.leave()
            return
        self.place = max(0, place)
        self.changed.emit(self.lesson, self.place)

    def leave(self) -> None:
        """Back to the list of lessons."""
        self.lesson, self.place = None, 0
        self.changed.emit(None, 0)
