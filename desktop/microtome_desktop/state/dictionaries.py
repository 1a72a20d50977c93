"""Which sparse dictionaries are open, which one is looked at, and what was asked of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psygnal import Signal

from microtome.records.dictionary import DictionaryIdentity
from microtome.records.dictionary_file import DictionaryFile
from microtome.records.neuron_prints import layer_of_neurons
from microtome_desktop.state.workspace import Workspace

if TYPE_CHECKING:
    from microtome.models.download import Download


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What a file of a dictionary is, and why it cannot be used on the loaded model.

    ``absent`` says that only the network could bring it, and ``plans`` what that would fetch, once
    the hub was asked.
    """

    name: str
    told: DictionaryFile | None = None
    problem: str = ""
    absent: bool = False
    plans: tuple[Download, ...] = ()


class Dictionaries:
    """Those that the model thread holds, by their identity; ``current`` is a fingerprint.

    A layer's neurons are a dictionary too: ``neurons_fingerprint`` is what it is held by.
    """

    changed = Signal()  # what is open, or which one is looked at
    looked = Signal(object)  # LookedAt

    def __init__(self, workspace: Workspace) -> None:
        self._held: tuple[DictionaryIdentity, ...] = ()
        self._current = ""
        self._sets: dict[str, tuple[str, ...]] = {}  # fingerprint -> those opened with it
        workspace.model_changed.connect(self._on_model)

    @property
    def held(self) -> tuple[DictionaryIdentity, ...]:
        """What was opened for the loaded model."""
        return self._held

    @property
    def current(self) -> str:
        """The fingerprint of the one that is looked at, empty for none."""
        return self._current

    def add(self, *opened: DictionaryIdentity) -> None:
        """These are in the model thread now; the first of them is looked at."""
        self._current = opened[0].fingerprint
        self.keep(*opened)

    def keep(self, *opened: DictionaryIdentity) -> None:
        """These are in the model thread now; what is looked at stays."""
        self._group(opened)
        names = {one.fingerprint for one in opened}
        self._held = (*(one for one in self._held if one.fingerprint not in names), *opened)
        self.changed.emit()

    def set_with(self, fingerprint: str) -> tuple[str, ...]:
        """The dictionaries of a set that this one was opened with, layer by layer; else itself."""
        return self._sets.get(fingerprint, (fingerprint,))

    def _group(self, opened: tuple[DictionaryIdentity, ...]) -> None:
        prints = tuple(one.fingerprint for one in opened)
        self._sets |= dict.fromkeys(prints, prints)

    def choose(self, fingerprint: str) -> None:
        """Look at another one."""
        if fingerprint != self._current:
            self._current = fingerprint
            self.changed.emit()

    def show(self, answer: LookedAt) -> None:
        """What a file is has become known."""
        self.looked.emit(answer)

    def holds(self, fingerprint: str) -> bool:
        """Whether the model thread can compute with it, once the model is there."""
        return layer_of_neurons(fingerprint) is not None or any(
            one.fingerprint == fingerprint for one in self._held
        )

    def _on_model(self, model: object) -> None:
        # What was opened went with the model that it was opened for.
        if self._held:
            self._held, self._sets = (), {}
            self.changed.emit()
