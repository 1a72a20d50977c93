"""What the discovery panel says of a circuit that was judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan

import numpy as np

from microtome.circuits.discovery.comparing import edge_auc, node_auc
from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.discovery import discovery_of
from microtome.records.edges import Edges
from microtome.records.judgement import (
    JUDGEMENT,
    STABILITY,
    Judgement,
    Stability,
)
from microtome_desktop.presenters.preparing import Preparing, at_once
from microtome_desktop.state.discovery_reading import read_judgement, read_stability

_ENOUGH_GAP, _NOTHING = 0.1, 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """Lines of the page: a sentence each, the nodes with their worth, the draws."""

    complete: str
    minimal: str
    stable: str
    nodes: tuple[tuple[str, float], ...] = ()
    draws: tuple[tuple[str, float, float, float], ...] = ()  # taken out, circuit, model, gap


def verdict_of(held: Mapping[str, Analysis]) -> Verdict | None:
    """What the analyses of one circuit at one size say; None where there are none."""
    if JUDGEMENT not in held:
        return None
    judged = read_judgement(held[JUDGEMENT])
    stable = None if STABILITY not in held else read_stability(held[STABILITY])
    worth = judged.minimality
    order = np.argsort(-worth, kind="stable")
    return Verdict(
        complete=_complete(judged),
        minimal=_minimal(worth),
        stable=_stable(stable),
        nodes=tuple((shown_name(judged.nodes[row]), float(worth[row])) for row in order),
        draws=tuple(
            (_taken(judged, row), float(judged.circuit[row]), float(judged.model[row]),
             float(judged.gaps[row]))
            for row in range(len(judged.gaps))
        ),
    )  # fmt: skip


def shown_name(node: str) -> str:
    """``a2.h1`` as the window calls it: ``L2H1``; ``m3`` is ``M3``."""
    if node.startswith("a"):
        layer, _, head = node[1:].partition(".h")
        return f"L{layer}H{head}"
    return f"M{node[1:]}" if node.startswith("m") else node


def _complete(judged: Judgement) -> str:
    mean, worst = judged.incompleteness, float(judged.gaps.max())
    word = "Complete" if worst < _ENOUGH_GAP else "Not complete"
    return (
        f"{word}: without {len(judged.gaps)} sets of its nodes, circuit and model differ by "
        f"{mean:.3f} on average, {worst:.3f} at most."
    )


def _minimal(worth: np.ndarray) -> str:
    idle = int((worth < _NOTHING).sum())
    if not idle:
        return f"Minimal: each of its {len(worth)} nodes is worth {worth.min():.3f} or more."
    nodes = "node is" if idle == 1 else "nodes are"
    return f"Not minimal: {idle} of its {len(worth)} {nodes} worth less than {_NOTHING}."


def _stable(stable: Stability | None) -> str:
    if stable is None:
        return "Stability needs a prompt set: one example cannot be halved."
    ranks, both = stable.correlation, 100 * stable.overlap.mean()
    return (
        f"On halves of the data, {len(ranks)} times: ranks correlate by {ranks.mean():.2f} "
        f"({ranks.min():.2f} to {ranks.max():.2f}), {both:.0f} % of the edges are in both."
    ).replace("-", "\N{MINUS SIGN}")


def _taken(judged: Judgement, draw: int) -> str:
    names = [n for n, out in zip(judged.nodes, judged.removed[draw], strict=True) if out]
    return ", ".join(shown_name(name) for name in names) or "nothing"


@dataclass(frozen=True, slots=True)
class KnownRow:
    """How well a rival finds the circuit that is known; no numbers while a worker computes them."""

    title: str
    edge_auc: float = nan
    node_auc: float = nan


@dataclass(frozen=True, slots=True)
class Areas:
    """Both areas of a rival against the circuit that is known; none of another model's."""

    edge_auc: float = nan
    node_auc: float = nan
    known: bool = True

    @property
    def nbytes(self) -> int:
        """Next to nothing."""
        return 64


KNOWN_AREAS = "known areas"  # the first of the keys that they are asked under


class KnownAreas:
    """The areas of rivals, computed once for each, where ``prepare`` sees fit."""

    def __init__(self, prepare: Preparing = at_once) -> None:
        self._prepare = prepare
        self._held: dict[str, tuple[Analysis, tuple[str, ...], Areas]] = {}

    def rows(
        self, rivals: Sequence[tuple[str, Analysis]], known: tuple[str, ...]
    ) -> tuple[KnownRow, ...]:
        """A row each; none where the edges are not those of its model."""
        found = ((title, self._areas(analysis, known)) for title, analysis in rivals)
        return tuple(
            KnownRow(title) if areas is None else KnownRow(title, areas.edge_auc, areas.node_auc)
            for title, areas in found
            if areas is None or areas.known
        )

    def _areas(self, analysis: Analysis, known: tuple[str, ...]) -> Areas | None:
        held = self._held.get(analysis.id)
        if held is not None and held[0] is analysis and held[1] == known:
            return held[2]
        made: Areas | None = self._prepare(
            (KNOWN_AREAS, analysis, known), partial(_areas_of, analysis, known)
        )
        if made is not None:
            self._held[analysis.id] = analysis, known, made
        return made


def _areas_of(analysis: Analysis, known: tuple[str, ...]) -> Areas:
    circuit = discovery_of(analysis)
    try:
        return Areas(edge_auc(circuit, list(known)), node_auc(circuit, list(known)))
    except InputError:  # of another model
        return Areas(known=False)


def typed_edges(text: str, edges: Edges) -> tuple[str, ...]:
    """The edges of a text, one a line or between commas. Raises InputError for what is none."""
    names = [part.strip().strip("\"'") for part in text.replace(",", "\n").splitlines()]
    found = tuple(dict.fromkeys(name for name in names if name and not name.startswith("#")))
    for name in found:
        try:
            edges.index(name)
        except KeyError:
            raise InputError(
                f"The model has no edge {name}.", "Write for example input->a0.h1<q>."
            ) from None
    if not found or len(found) == edges.count:
        raise InputError("Give some of the model's edges, one a line.")
    return found
