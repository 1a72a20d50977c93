"""What a layer's neurons are recognised by where they are looked at as a dictionary.

``neurons.2.`` and the fingerprint of the model. Sessions of earlier builds say ``neurons.2`` for
any model; they are read as of their own.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from microtome.records.analysis import Analysis
from microtome.records.marks import Marks, feature_of, feature_target

_PRINT = re.compile(r"neurons\.(\d{1,6})(?:\.\w+)?", re.ASCII)
_EARLIER = re.compile(r"neurons\.\d{1,6}", re.ASCII)


def neurons_fingerprint(layer: int, model: str) -> str:
    """The fingerprint of a layer's neurons; ``model`` is the fingerprint of their model."""
    return f"neurons.{layer}.{model}"


def layer_of_neurons(fingerprint: str) -> int | None:
    """The layer whose neurons are meant, None for a dictionary."""
    found = _PRINT.fullmatch(fingerprint)
    return None if found is None else int(found[1])


def analysis_of_now(analysis: Analysis, model: str) -> Analysis:
    """The same result, with neurons that an earlier build named as those of this model."""
    told = {name: _of_now(value, model) for name, value in analysis.params.items()}
    return analysis if told == analysis.params else replace(analysis, params=told)


def marks_of_now(marks: Marks, model: str) -> Marks:
    """Labels and notes on neurons that an earlier build named as on those of this model."""
    labels = tuple(replace(one, dictionary=_of_now(one.dictionary, model)) for one in marks.labels)
    notes = tuple(replace(one, target=_target_of_now(one.target, model)) for one in marks.notes)
    return replace(marks, labels=labels, notes=notes)


def _target_of_now(target: str, model: str) -> str:
    place = feature_of(target)
    return target if place is None else feature_target(_of_now(place[0], model), place[1])


def _of_now(value: Any, model: str) -> Any:
    earlier = isinstance(value, str) and _EARLIER.fullmatch(value)
    return f"{value}.{model}" if earlier else value
