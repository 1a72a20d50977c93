"""Reads what sessions hold of discovered circuits; what is damaged is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from microtome.errors import InputError, MicrotomeError
from microtome.records.analysis import Analysis
from microtome.records.edges import Edges
from microtome.records.faithfulness import Faithfulness, faithfulness_of
from microtome.records.judgement import Judgement, Stability, judgement_of, stability_of
from microtome.records.positions import BY_POSITION

_TEXTS = ("method", "title", "scale", "sign", "metric", "ablation")
_WRONG = (KeyError, TypeError, ValueError, IndexError, AttributeError, MicrotomeError)
_T = TypeVar("_T")


def expect_circuit(analysis: Analysis) -> None:
    """Raise InputError for a discovered circuit that no panel could show."""
    _read(analysis, _check_circuit)


def read_curve(analysis: Analysis) -> Faithfulness:
    """The curve of a circuit. Raises InputError for what is none."""
    return _read(analysis, _curve)


def read_judgement(analysis: Analysis) -> Judgement:
    """A judgement. Raises InputError for what is none."""
    return _read(analysis, _judgement)


def read_stability(analysis: Analysis) -> Stability:
    """What other data would have given. Raises InputError for what is none."""
    return _read(analysis, stability_of)


def _read(analysis: Analysis, read: Callable[[Analysis], _T]) -> _T:
    try:
        return read(analysis)
    except _WRONG as error:
        raise InputError(
            f"The analysis {analysis.id} cannot be read: {error}.",
            "It is damaged or of another version: make it again.",
        ) from error


def _check_circuit(analysis: Analysis) -> None:
    told = analysis.params
    lacking = [name for name in _TEXTS if not isinstance(told[name], str)]
    edges = Edges(int(told["n_layers"]), int(told["n_heads"]), bool(told.get("parallel")))
    shape = analysis.arrays["scores"].values.shape  # a large one may still lie in a file
    axes = 3 if told.get(BY_POSITION) else 2
    fits = len(shape) == axes and shape[-2:] == (edges.n_writers, edges.n_readers)
    if told.get(BY_POSITION):
        _check_positions(told, shape[0])
    if lacking or not fits or not len(told["prompts"]) or not len(told["corrupt"]):
        raise ValueError(lacking or f"scores of {shape}")
    if told.get("tau") is not None:
        float(told["tau"])


def _check_positions(told: Mapping[str, Any], count: int) -> None:
    tokens, read = told["tokens"], told["read"]
    if len(tokens) != count or not all(isinstance(token, str) for token in tokens):
        raise ValueError(f"{len(tokens)} tokens at {count} positions")
    if not read or not all(isinstance(at, int) and 0 <= at < count for at in read):
        raise ValueError(f"logits at {read} of {count} positions")


def _curve(analysis: Analysis) -> Faithfulness:
    curve = faithfulness_of(analysis)
    curve.params.get("partial")
    points = {len(each) for each in (curve.sizes, curve.faithfulness, curve.by_magnitude)}
    if len(points) != 1 or (curve.band is not None and curve.band.shape != (2, *points)):
        raise ValueError("its values are not as many as its sizes")
    return curve


def _judgement(analysis: Analysis) -> Judgement:
    judged = judgement_of(analysis)
    shape = judged.removed.shape
    if shape != judged.effects.shape or shape != (len(judged.gaps), len(judged.nodes)):
        raise ValueError("its draws are not of its nodes")
    return judged
