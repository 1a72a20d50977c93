"""Layer × position maps of a run: which quantity, its values, and how to colour it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome_desktop.presenters.coverage import why_not
from microtome_desktop.presenters.grid import Grid, Missing
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.presenters.unit_heatmap import has_units, unit_grid
from microtome_desktop.state.arrays import Arrays

__all__ = ["NEEDS", "SITES_OF", "Grid", "Missing", "Quantity", "heatmap", "quantities"]

_NO_LENS = "The logit lens was not computed for this run."
_NO_DIRECT = "Direct logit attribution was not computed for this run."


class Quantity(StrEnum):
    """What a layer × position map can show."""

    PROBABILITY = "Logit lens: probability of the answer"
    RANK = "Logit lens: rank of the answer"
    ATTENTION = "Attention: direct contribution"
    MLP = "MLP: direct contribution"
    NORM = "Residual stream: norm"
    ENCODER_NORM = "Encoder's residual stream: norm"
    UNITS = "Influence on the answer: layer × channel"


def quantities(session: Session | None) -> tuple[Quantity, ...]:
    """What can be asked of a run; of an encoder only where there is one.

    Where the circuit is one of units, those come first, and what the model lacks is left out.
    """
    both = session is not None and session.clean is not None and session.clean.source is not None
    wanted: list[Quantity] = [each for each in Quantity if each is not Quantity.UNITS]
    if has_units(session):
        there = [each for each in wanted if not why_not(session, NEEDS.get(each, ""))]
        wanted = [Quantity.UNITS, *there]
    return tuple(each for each in wanted if both or each is not Quantity.ENCODER_NORM)


def heatmap(session: Session, arrays: Arrays, quantity: Quantity) -> Grid | Missing:
    """The map of one quantity on the clean run, or the reason why there is none."""
    trace = session.clean
    if trace is None:
        return Missing("Nothing was run yet.")
    columns = tuple(shown_token(token) for token in trace.tokens)
    return _BUILDERS[quantity](session, arrays, columns)


def _stage_rows(count: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    layers = tuple(range(-1, count - 1))
    return tuple("embed" if layer < 0 else f"L{layer}" for layer in layers), layers


def _lens(session: Session, name: str) -> tuple[Analysis, NDArray[np.float64]] | None:
    lens = session.analyses.get("logit-lens")
    return None if lens is None else (lens, np.asarray(lens.array(name), dtype=np.float64))


def _probability(session: Session, _arrays: Arrays, columns: tuple[str, ...]) -> Grid | Missing:
    found = _lens(session, "probability")
    if found is None:
        return Missing(why_not(session, "lens") or _NO_LENS)
    lens, values = found
    rows, layers = _stage_rows(len(values))
    tops = np.asarray(lens.array("top_token"))
    answer = shown_token(str(lens.params.get("answer_text", "")))
    title = f"Probability of {answer} if the model stopped here"
    return Grid(values, rows, columns, layers, 0.0, 1.0, False, "", title, texts=tops)


def _rank(session: Session, _arrays: Arrays, columns: tuple[str, ...]) -> Grid | Missing:
    found = _lens(session, "rank")
    if found is None:
        return Missing(why_not(session, "lens") or _NO_LENS)
    lens, values = found
    rows, layers = _stage_rows(len(values))
    answer = shown_token(str(lens.params.get("answer_text", "")))
    title = f"Rank of {answer} if the model stopped here (0 = on top)"
    high = max(1.0, float(values.max()))
    tops = np.asarray(lens.array("top_token"))
    return Grid(values, rows, columns, layers, 0.0, high, False, "", title, True, tops)


def _contribution(
    name: str, label: str
) -> Callable[[Session, Arrays, tuple[str, ...]], Grid | Missing]:
    def build(session: Session, _arrays: Arrays, columns: tuple[str, ...]) -> Grid | Missing:
        direct = session.analyses.get("direct-attribution")
        if direct is None:
            return Missing(why_not(session, "direct") or _NO_DIRECT)
        values = np.asarray(direct.array(name), dtype=np.float64)
        rows = tuple(f"L{layer}" for layer in range(len(values)))
        bound = max(float(np.abs(values).max()), 1e-9)
        title = f"{label} towards {direct.params.get('metric', 'the metric')}"
        layers = tuple(range(len(values)))
        return Grid(values, rows, columns, layers, -bound, bound, True, "logits", title)

    return build


def _units(session: Session, _arrays: Arrays, _columns: tuple[str, ...]) -> Grid | Missing:
    return unit_grid(session)


def _norm(session: Session, arrays: Arrays, columns: tuple[str, ...]) -> Grid | Missing:
    return _norms(session, arrays, columns, "resid_post")


def _encoder_norm(session: Session, arrays: Arrays, _columns: tuple[str, ...]) -> Grid | Missing:
    source = session.traces[0].source
    if source is None:
        return Missing("This model has no encoder.")
    columns = tuple(shown_token(token) for token in source.tokens)
    found = _norms(session, arrays, columns, "enc_resid_post")
    if isinstance(found, Missing):
        return found
    return replace(found, title="Length of the encoder's residual stream after each layer")


def _norms(session: Session, arrays: Arrays, columns: tuple[str, ...], site: str) -> Grid | Missing:
    held = session.traces[0].activations.get(site)
    if held is None:
        return Missing("The residual stream was not kept in this session.")
    found = [arrays.get(0, site, layer) for layer in held.layers]
    if any(values is None for values in found):
        return Missing("Reading the residual stream from the file …")
    norms = np.array([np.linalg.norm(values, axis=-1) for values in found if values is not None])
    rows = tuple(f"L{layer}" for layer in held.layers)
    title = "Length of the residual stream after each layer"
    high = max(float(norms.max()), 1e-9)
    return Grid(norms, rows, columns, held.layers, 0.0, high, False, "", title)


# What of a model each quantity needs.
NEEDS = {
    Quantity.PROBABILITY: "lens",
    Quantity.RANK: "lens",
    Quantity.ATTENTION: "direct",
    Quantity.MLP: "direct",
    Quantity.NORM: "stream",
    Quantity.UNITS: "circuit",
}

# The site that a cell stands for: what is edited where one right clicks it.
SITES_OF = {
    Quantity.PROBABILITY: "resid_post",
    Quantity.RANK: "resid_post",
    Quantity.ATTENTION: "attn_out",
    Quantity.MLP: "mlp_out",
    Quantity.NORM: "resid_post",
}

_BUILDERS: dict[Quantity, Callable[[Session, Arrays, tuple[str, ...]], Grid | Missing]] = {
    Quantity.PROBABILITY: _probability,
    Quantity.RANK: _rank,
    Quantity.ATTENTION: _contribution("attention", "Attention"),
    Quantity.MLP: _contribution("mlp", "MLPs"),
    Quantity.NORM: _norm,
    Quantity.ENCODER_NORM: _encoder_norm,
    Quantity.UNITS: _units,
}
