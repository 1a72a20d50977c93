"""What can be loaded, and what is known of the loaded model and of this machine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from microtome.records.checks import CheckReport
from microtome.records.coverage import Coverage
from microtome.records.memory import MemoryNeed
from microtome.records.modules import ModuleRow

if TYPE_CHECKING:
    from microtome.prompt_sets import PromptSet
    from microtome.records.image_set import ImageSet


@dataclass(frozen=True, slots=True)
class EmbeddedEntry:
    """An embedded model and the training steps it was kept at."""

    name: str
    checkpoints: tuple[int, ...] = ()
    sees: bool = False  # it reads images


@dataclass(frozen=True, slots=True)
class Seen:
    """How a model sees: what it is given, its classes, and the embedded sets of images.

    ``shape`` is (channels, rows, columns); ``lines`` say in words what becomes of an image first.
    """

    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    lines: tuple[str, ...]
    sets: tuple[ImageSet, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What panels need of a loaded model besides its identity."""

    words: tuple[str, ...] = ()  # the vocabulary, for completion
    has_tokenizer: bool = True
    prompt_sets: tuple[PromptSet, ...] = ()
    seen: Seen | None = None  # of a model that sees


@dataclass(frozen=True, slots=True)
class Machine:
    """What the model thread runs on."""

    devices: tuple[str, ...] = ("cpu",)
    threads: int = 1


@dataclass(frozen=True, slots=True)
class OpenedSet:
    """Transcoders that were opened: where from, what they are called, and whose they are."""

    path: str
    name: str
    model: str  # fingerprint of the model that they fit
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Everything that the library knows."""

    embedded: tuple[EmbeddedEntry, ...] = ()
    facts: ModelFacts = field(default_factory=ModelFacts)
    machine: Machine = field(default_factory=Machine)
    checks: CheckReport | None = None  # of the loaded model
    coverage: Coverage | None = None  # what of it can be seen
    memory: MemoryNeed | None = None  # what was estimated before it was loaded
    loading: str = ""  # the model that is being loaded
    modules: tuple[ModuleRow, ...] = ()  # of the loaded model, once somebody has looked
    transcoders: tuple[OpenedSet, ...] = ()  # opened from files, the newest first


class Library:
    """Holds the shelf and tells who listens when it changes."""

    changed = Signal(object, frozenset)  # Shelf, names of the fields that differ

    def __init__(self) -> None:
        self._shelf = Shelf()

    @property
    def shelf(self) -> Shelf:
        """What is known now."""
        return self._shelf

    def update(self, **changes: Any) -> None:
        """Change the named fields; nothing is emitted when nothing differs."""
        old, new = self._shelf, replace(self._shelf, **changes)
        differing = frozenset(n for n in changes if getattr(old, n) != getattr(new, n))
        if differing:
            self._shelf = new
            self.changed.emit(new, differing)
