"""What the features of a graph are called: labels, the tokens they are on at, or words they raise.

A name is the label that was typed, imported or accepted; without one the tokens that carry the
feature in a text that was looked through; without that the word that it raises most. It stands
behind the feature's own name, ``L2 F706``, and a panel that has little room shows it alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.records.analysis import Analysis
from microtome.records.circuit import FEATURE, Circuit
from microtome.records.feature_edit import FEATURE_WORDS
from microtome.records.feature_index import FEATURE_INDEX
from microtome.records.feature_labels import FEATURE_LABELS, FeatureLabel, label_texts

_BETWEEN = " \N{MIDDLE DOT} "
RAISES = "\N{RIGHTWARDS ARROW}"  # before a word that a feature raises
_COVERED, _MOST = 0.8, 3  # share of activation that the tokens of a name carry, and how many
_SOME = 2  # of those of a feature that more tokens carry
# What names are made of, by the kind of the analysis.
_READ = {
    FEATURE_INDEX: ("token", "token_share", "count", "vocabulary"),
    FEATURE_LABELS: ("feature", "text", "score"),
    FEATURE_WORDS: ("layer", "number", "raised"),
}
_FROM = "transcoders_fingerprints"  # of a graph's metadata: one a layer


def fingerprint_at(circuit: Circuit, row: int) -> str:
    """The fingerprint of the dictionary that a feature of a graph is of; empty where not known."""
    held, layer = circuit.metadata.get(_FROM), int(circuit.node_layer[row])
    if not isinstance(held, list | tuple) or circuit.node_kind[row] != FEATURE:
        return ""
    return str(held[layer]) if 0 <= layer < len(held) else ""


def feature_names(
    circuit: Circuit, analyses: Iterable[Analysis], typed: Iterable[FeatureLabel]
) -> dict[str, str]:
    """Node -> what it is called, ``L2 F706 · Mary``, of those features of which something is known.

    Reads what an analysis has in a file; give those that are ``in_memory`` where that may not be.
    """
    near = [one for one in analyses if one.kind in _READ]
    words = next((_raised(one) for one in near if one.kind == FEATURE_WORDS), {})
    typed, found = tuple(typed), dict[str, str]()
    rows = [row for row, kind in enumerate(circuit.node_kind) if kind == FEATURE]
    rows.sort(key=lambda row: int(circuit.node_layer[row]))
    for layer, some in groupby(rows, key=lambda row: int(circuit.node_layer[row])):
        here = list(some)
        print_ = fingerprint_at(circuit, here[0])
        labels = label_texts(print_, near, typed) if print_ else {}
        index = next((_columns(one) for one in near if _indexes(one, print_)), None)
        for row in here:
            number = int(circuit.node_feature[row])
            name = labels.get(number) or _carriers(index, number) or words.get((layer, number))
            if name:
                found[circuit.node_id[row]] = f"{circuit.node_label[row]}{_BETWEEN}{name}"
    return found


def with_names(circuit: Circuit, names: Mapping[str, str]) -> Circuit:
    """The circuit with other labels."""
    if not names:
        return circuit
    pairs = zip(circuit.node_id, circuit.node_label, strict=True)
    return replace(circuit, node_label=tuple(names.get(node, label) for node, label in pairs))


def name_alone(label: str) -> str:
    """The name of a feature without its layer and number; a label that has none as it is."""
    return label.partition(_BETWEEN)[2] or label


def _indexes(analysis: Analysis, fingerprint: str) -> bool:
    params = analysis.params
    return analysis.kind == FEATURE_INDEX and params.get("fingerprint") == fingerprint != ""


def in_memory(analysis: Analysis) -> bool:
    """Whether what a name needs of an analysis is no file's."""
    held = [analysis.arrays.get(name) for name in _READ.get(analysis.kind, ())]
    return all(one is not None and isinstance(one.values, np.ndarray) for one in held)


def _columns(index: Analysis) -> Mapping[str, NDArray[Any]]:
    return {name: index.array(name) for name in _READ[FEATURE_INDEX]}


def _carriers(index: Mapping[str, NDArray[Any]] | None, feature: int) -> str:
    """The few tokens that carry four fifths of a feature's activation, else the first two."""
    if index is None or not 0 <= feature < len(index["count"]) or not index["count"][feature]:
        return ""
    vocabulary, tokens = index["vocabulary"], index["token"][feature].tolist()
    held = [str(vocabulary[each]).strip() for each in tokens if 0 <= each < len(vocabulary)]
    if not held:
        return ""
    reached = np.cumsum(index["token_share"][feature][: len(held)])
    many = int(np.searchsorted(reached, _COVERED)) + 1
    few = many <= min(_MOST, len(held))
    told = ", ".join(held[: many if few else _SOME])
    return told if few else f"{told}\N{HORIZONTAL ELLIPSIS}"


def _raised(words: Analysis) -> dict[tuple[int, int], str]:
    """(layer, feature) -> the word that it raises most."""
    columns = (words.array(name).tolist() for name in ("layer", "number", "raised"))
    return {
        (int(layer), int(number)): f"{RAISES}{str(raised[0]).strip()}"
        for layer, number, raised in zip(*columns, strict=True)
        if raised
    }
