"""ACDC: edges are taken away from the output down, and stay away where it costs little.

Conmy et al., "Towards Automated Circuit Discovery for Mechanistic Interpretability" (2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from microtome.circuits.discovery.batches import Batch, batches
from microtome.circuits.discovery.measuring import measure
from microtome.circuits.discovery.partial import Partials
from microtome.circuits.discovery.task import Task
from microtome.jobs import Job
from microtome.metrics import LinearMetric, LogProbability, Metric, Probability
from microtome.records.edges import Edges

# Edges that are tried together before the first answer is known.
_AT_FIRST, _AT_ONCE = 2, 16
_TITLE = "Taking edges away"
LIKELY = 0.4  # of the edges that may be tried: as many are, as far as can be told before
_READ = 0.4  # layers that reading a metric takes


@dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    """What a search left: which edges, and how much worse the metric got when each was tried.

    Edges into components that reach nothing were not tried: their rise is 0.
    """

    kept: Bool[np.ndarray, "writer reader"]
    rise: Float[np.ndarray, "writer reader"]
    tried: int
    value: float  # of the metric at the end; less it, where more of it is better


def acdc(task: Task, tau: float, job: Job, *, partials: Partials | None = None) -> Pruned:
    """The edges that are left when all whose removal costs less than τ of the metric are gone.

    What an edge costs is by how much the metric rises, as the KL divergence from the clean run
    does; of metrics that name an answer (logits, probabilities) by how much it falls. Readers come
    from the logits down, in a layer the MLP, then values, keys and queries of the last head first;
    of each, the latest writer first. The result depends on τ and on this order.

    A run of edges is tried at once, each with all before it in the run taken away; as long as each
    rises by less than τ that is what the search one by one does, and behind the first that does not
    the run starts anew. So the answers are those of the search edge by edge.
    """
    with torch.no_grad():
        return _Search(task, tau, job, partials).run()


@dataclass(eq=False)
class _Search:
    task: Task
    tau: float
    job: Job
    partials: Partials | None = None
    edges: Edges = field(init=False)
    removed: np.ndarray = field(init=False)
    rise: np.ndarray = field(init=False)
    kept: dict[int, Batch] = field(init=False, default_factory=dict)
    value: float = field(init=False)
    tried: int = field(init=False, default=0)
    spent: float = field(init=False, default=0.0)  # layers, by all changes that were tried

    def run(self) -> Pruned:
        self.edges = self.task.edges
        self.removed = np.zeros_like(self.edges.exists)
        self.rise = np.where(self.edges.exists, 0.0, np.nan)
        self.value = float(self._values([self.removed], self.edges.n_layers)[0])
        self.spent = 2.0 * self.edges.n_layers  # the clean and the other runs
        done, total = 0, self.edges.count
        known = np.zeros_like(self.edges.exists)
        for reader in self._order():
            known[:, reader] = True
            self._reader(reader, known)
            done += int(self.edges.exists[:, reader].sum())
            if self.partials is not None and done < total:
                self.partials.tell(partial(self._so_far, known), edges_done=done, edges=total)
        self.job.progress(_TITLE, self.spent, self.spent)
        kept = self.edges.exists & ~self.removed
        return Pruned(kept, self.rise, self.tried, self.value)

    def _so_far(self, known: Bool[np.ndarray, "writer reader"]) -> np.ndarray:
        """Costs of what stayed, 0 for what went, not a number for what was not tried."""
        return np.where(known, np.where(self.removed, 0.0, self.rise), np.nan)

    def _order(self) -> list[int]:
        edges, order = self.edges, [self.edges.n_readers - 1]
        for layer in reversed(range(edges.n_layers)):
            heads = edges.head_readers(layer)
            by_side: Int[np.ndarray, "side head"] = np.arange(heads.start, heads.stop).reshape(
                3, -1
            )
            order.append(edges.mlp_reader(layer))
            order += by_side.T[::-1, ::-1].ravel().tolist()
        return order

    @cached_property
    def _layers(self) -> Float[np.ndarray, " reader"]:
        """What trying an edge into each reader takes: the layers from there on, and the answer."""
        edges = self.edges
        above = [edges.n_layers - edges.layer_of(reader) for reader in range(edges.n_readers)]
        return np.array(above) + _READ

    def _tell(self, known: Bool[np.ndarray, "writer reader"], reader: int, left: int) -> None:
        """How far it is: what was done, of that and what is likely to come.

        What nothing reads any more will not be tried, so that the total falls as edges go.
        """
        alive = (self.edges.exists & ~self.removed).any(1)
        may = ~known[0] & np.append(alive[self.edges.node_of[:-1]], True)
        rest = float((self.edges.exists[:, may].sum(0) * self._layers[may]).sum())
        rest += left * float(self._layers[reader])
        self.job.progress(_TITLE, self.spent, self.spent + LIKELY * rest)

    def _reader(self, reader: int, known: Bool[np.ndarray, "writer reader"]) -> None:
        writers = np.flatnonzero(self.edges.exists[:, reader])[::-1]
        node = int(self.edges.node_of[reader])
        if node >= 0 and not (self.edges.exists & ~self.removed)[node].any():
            self.removed[writers, reader] = True  # nothing that it writes is read
            return
        layer, ahead = self.edges.layer_of(reader), _AT_FIRST
        while len(writers):
            self._tell(known, reader, len(writers))
            part = writers[:ahead]
            values = self._values(self._steps(part, reader), layer)
            self.spent += len(part) * float(self._layers[reader])
            rises = np.diff(values, prepend=self.value)
            stays = np.flatnonzero(rises >= self.tau)
            count = len(part) if not len(stays) else int(stays[0])
            self.removed[part[:count], reader] = True
            self.rise[part[:count], reader] = rises[:count]
            self.value = float(values[count - 1]) if count else self.value
            self.tried += count
            if len(stays):
                self.rise[part[count], reader] = rises[count]
                self.tried += 1
                count += 1
            # Where edges stay, what is tried behind them is for nothing.
            ahead = min(2 * ahead, _AT_ONCE) if not len(stays) else _AT_FIRST
            writers = writers[count:]

    def _steps(self, writers: np.ndarray, reader: int) -> list[np.ndarray]:
        steps, mask = [], self.removed
        for writer in writers:
            mask = mask.copy()
            mask[writer, reader] = True
            steps.append(mask)
        return steps

    def _values(self, masks: Sequence[np.ndarray], layer: int) -> Float[np.ndarray, " circuit"]:
        signs = np.array([_sign(example.metric) for example in self.task.examples])
        found = np.zeros(len(masks))
        for batch in batches(self.task, self.job, self.kept):
            values = measure(batch, masks, self.job, start=layer)
            found += (signs[batch.numbers] * values).sum(1)
        mean: Float[np.ndarray, " circuit"] = found / len(signs)
        return mean


def _sign(metric: Metric) -> float:
    """1 for what is small where the model is right, -1 for what is large there."""
    return -1.0 if isinstance(metric, LinearMetric | LogProbability | Probability) else 1.0
