"""Examples of features beside the dictionary that they belong to, in the same folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from microtome.errors import DictionaryMismatch, expect
from microtome.features.dictionary import Dictionary
from microtome.features.formats.example_files import write_examples
from microtome.jobs import Job
from microtome.records.feature_card import examples_of
from microtome.records.feature_index import FeatureIndex

NO_EXAMPLES: Mapping[int, FeatureIndex] = MappingProxyType({})


def expect_examples(examples: Mapping[int, FeatureIndex], layers: Sequence[Dictionary]) -> None:
    """Refuse examples of another dictionary. Raises DictionaryMismatch."""
    expect(examples, Mapping, "examples", "indexes by layer", "Write {2: index}.")
    for layer, index in examples.items():
        expect(index, FeatureIndex, "examples", "a FeatureIndex", "feature_index makes one.")
        known = 0 <= layer < len(layers)
        held = index.params.get("fingerprint")
        if not known or held != layers[layer].identity.fingerprint:
            raise DictionaryMismatch(
                f"The examples of layer {layer} are of {index.params.get('dictionary')}, "
                "which is not what is saved there.",
                "Index a text with the dictionary that you save.",
            )


def write_shown(folder: Path, examples: Mapping[int, FeatureIndex], job: Job) -> None:
    """Write the examples of some layers into a folder, if there are any."""
    if examples:
        widest = max(index.n_features for index in examples.values())
        layers = {layer: examples_of(index) for layer, index in examples.items()}
        write_examples(folder, layers, widest, job=job)
