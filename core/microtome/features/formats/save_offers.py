"""In which formats what is open can be saved, and saving it in one of them: a row a format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from microtome.errors import DictionaryError, MicrotomeError
from microtome.features.dictionary import Dictionary
from microtome.features.formats import circuit_tracer, saelens
from microtome.features.formats.saving import (
    expect_dictionary_saved,
    expect_transcoders_saved,
    save_dictionary,
    save_transcoders,
)
from microtome.features.neurons import Coder
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job
from microtome.records.feature_index import FeatureIndex


@dataclass(frozen=True, slots=True)
class Open:
    """A dictionary that is open, and the transcoders of all layers that it was opened with."""

    coder: Coder
    whole: Transcoders | None = None

    @property
    def one(self) -> Dictionary:
        """It alone. Raises DictionaryError for what is a part of more, or in no file at all."""
        if isinstance(self.coder, Dictionary):
            return self.coder
        name = self.coder.identity.name
        if self.whole is None:
            raise DictionaryError(f"The {name} are the model's own.", "Save a dictionary.")
        raise DictionaryError(
            f"The features of {name} write more than one layer.",
            "They are saved with all layers of their transcoders.",
        )

    @property
    def all_layers(self) -> Transcoders:
        """The set of it. Raises DictionaryError for a dictionary that was opened alone."""
        if self.whole is not None:
            return self.whole
        if self.coder.identity.is_transcoder:
            raise DictionaryError(
                "circuit-tracer's format is for transcoders of all layers, and this is one.",
                "Open the set that it belongs to.",
            )
        raise DictionaryError(
            "circuit-tracer's format is for transcoders, and this is no transcoder.",
        )


@dataclass(frozen=True, slots=True)
class SaveOffer:
    """A format by name and title, its files and their size, and why it is out of question.

    ``of_set`` says that all layers of a set are saved, not one dictionary.
    """

    name: str
    title: str
    files: str
    of_set: bool
    nbytes: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    title: str
    files: str
    of_set: bool
    size: Callable[[Open], int]  # bytes; raises DictionaryError for what has no place there
    save: Callable[[Open, Path, Mapping[str, FeatureIndex], Job], None]


def save_offers(held: Open) -> tuple[SaveOffer, ...]:
    """All formats, each with the reason why it has no place for what is open."""
    return tuple(_offer(name, row, held) for name, row in _ROWS.items())


def save_as(
    held: Open, name: str, folder: Path, examples: Mapping[str, FeatureIndex], job: Job
) -> None:
    """Save in the format of a name; of ``examples``, by fingerprint, those that belong there.

    Raises DictionaryError for what the format has no place for, StorageError when the disk refuses
    or the folder holds something else; then nothing is left behind.
    """
    _ROWS[name].save(held, folder, examples, job)


def expect_saved(held: Open, name: str) -> None:
    """Raise DictionaryError for what the format of a name has no place for."""
    _ROWS[name].size(held)


def usual_format(held: Open) -> str:
    """The format to save in when none was named: a set is saved whole."""
    return saelens.NAME if held.whole is None else circuit_tracer.NAME


def _offer(name: str, row: _Row, held: Open) -> SaveOffer:
    offer = SaveOffer(name, row.title, row.files, row.of_set)
    try:
        return replace(offer, nbytes=row.size(held))
    except MicrotomeError as error:
        return replace(offer, problem=str(error))


def _size_of_one(held: Open) -> int:
    expect_dictionary_saved(held.one)
    return _nbytes(held.one)


def _size_of_all(held: Open) -> int:
    expect_transcoders_saved(held.all_layers)
    onward = sum(each.nbytes for each in held.all_layers.onward or ())
    return onward + sum(_nbytes(one) for one in held.all_layers.layers)


def _nbytes(one: Dictionary) -> int:
    return sum(each.nbytes for each in one.weights.tensors().values())


def _save_one(held: Open, folder: Path, examples: Mapping[str, FeatureIndex], job: Job) -> None:
    own = examples.get(held.one.identity.fingerprint)
    save_dictionary(held.one, folder, saelens.NAME, examples=own, job=job)


def _save_all(held: Open, folder: Path, examples: Mapping[str, FeatureIndex], job: Job) -> None:
    layers = enumerate(held.all_layers.layers)
    by_layer = {
        layer: examples[one.identity.fingerprint]
        for layer, one in layers
        if one.identity.fingerprint in examples
    }
    save_transcoders(held.all_layers, folder, examples=by_layer, job=job)


_ROWS: Mapping[str, _Row] = MappingProxyType({
    saelens.NAME: _Row(
        saelens.TITLE, f"{saelens.CFG} and {saelens.WEIGHTS}", False, _size_of_one, _save_one
    ),
    circuit_tracer.NAME: _Row(
        circuit_tracer.TITLE, f"{circuit_tracer.CONFIG} and files of layers", True, _size_of_all,
        _save_all,
    ),
})  # fmt: skip
