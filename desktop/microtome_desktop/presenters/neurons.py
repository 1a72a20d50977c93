"""Neurons of one MLP, and the distribution of the values at a site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from microtome.errors import SiteMissing
from microtome.records.session import Session
from microtome.sites import kind_of
from microtome_desktop.presenters.coverage import why_not
from microtome_desktop.presenters.heatmaps import Grid, Missing
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.arrays import Arrays

SHOWN_NEURONS = 24
BINS = 80


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """How often values occur: ``counts`` [bin] between ``edges`` [bin + 1]."""

    counts: Float[np.ndarray, " bin"]
    edges: Float[np.ndarray, " edge"]
    title: str
    summary: str

    def describe(self, value: float) -> str:
        """What stands under the cursor, as plain text."""
        index = int(np.searchsorted(self.edges, value)) - 1
        if not 0 <= index < len(self.counts):
            return self.summary
        low, high = self.edges[index], self.edges[index + 1]
        return f"{int(self.counts[index])} values between {low:.4g} and {high:.4g}"


def layers_of(session: Session | None, site: str) -> tuple[int, ...]:
    """The layers of a site that the session holds."""
    held = None if session is None or session.clean is None else session.clean.activations.get(site)
    return () if held is None else held.layers


def strongest_neurons(
    session: Session, arrays: Arrays, layer: int, position: int | None
) -> Grid | Missing:
    """The neurons of one MLP that fire most: at ``position``, or anywhere when it is None.

    Rows are neurons, the strongest on top; columns are tokens.
    """
    values = _values(session, arrays, "mlp_post", layer)
    if isinstance(values, Missing):
        return values
    inside = position is not None and position < len(values)
    strength = np.abs(values[position]) if inside else np.abs(values).max(axis=0)
    top = np.argsort(-strength, kind="stable")[:SHOWN_NEURONS]
    shown = values[:, top].T.astype(np.float64)
    bound = max(float(np.abs(shown).max()), 1e-9)
    rows = tuple(f"N{neuron}" for neuron in top)
    columns = tuple(shown_token(token) for token in session.traces[0].tokens)
    where = f"at {position} {columns[position]}" if inside and position is not None else "anywhere"
    title = f"MLP {layer}: the {len(top)} neurons that fire most {where}"
    numbers = tuple(int(neuron) for neuron in top)
    return Grid(shown, rows, columns, numbers, -bound, bound, True, "", title)


def histogram(
    session: Session, arrays: Arrays, site: str, layer: int | None
) -> Histogram | Missing:
    """The distribution of all values of one site and layer."""
    values = _values(session, arrays, site, layer)
    if isinstance(values, Missing):
        return values
    flat = np.asarray(values, dtype=np.float64).ravel()
    if "query" in kind_of(site).axes:
        flat = flat[flat > 0]  # what a causal mask hides is no value
    finite = flat[np.isfinite(flat)]
    if not len(finite):
        return Missing("The site holds no finite value.")
    counts, edges = np.histogram(finite, bins=BINS)
    where = kind_of(site).title if layer is None else f"{kind_of(site).title}, layer {layer}"
    spread = f"mean {finite.mean():.4g} · sd {finite.std():.4g}"
    ends = f"min {finite.min():.4g} · max {finite.max():.4g}"
    summary = f"{len(finite):,} values · {spread} · {ends}".replace(",", "\N{THIN SPACE}")
    return Histogram(counts.astype(np.float64), edges, where, summary)


def _values(session: Session, arrays: Arrays, site: str, layer: int | None) -> np.ndarray | Missing:
    if session.clean is None:
        return Missing("Nothing was run yet.")
    try:
        values = arrays.get(0, site, layer)
    except SiteMissing:
        unkept = f"The session does not hold this layer's {kind_of(site).title}."
        return Missing(why_not(session, site) or unkept)
    return Missing("Reading from the file …") if values is None else values
