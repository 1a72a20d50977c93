"""The model itself, run with some nodes replaced."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from microtome.activations.capture import trace
from microtome.circuits.asking import Subject, prompts_of, settled
from microtome.errors import InputError
from microtome.interventions.edits import Ablate, Patch
from microtome.jobs import Job
from microtome.metrics import LinearMetric
from microtome.models.model import Model
from microtome.prompts import Prompt
from microtome.records.circuit import HEAD, MLP, POSITION, TOKEN, Circuit
from microtome.records.trace import Trace
from microtome.sites import Site

_means: WeakKeyDictionary[Model, dict[tuple[Prompt, ...], dict[str, NDArray[np.float64]]]] = (
    WeakKeyDictionary()
)

_SITES = {TOKEN: "embed", POSITION: "pos_embed", HEAD: "z", MLP: "mlp_out"}


def site_of(circuit: Circuit, node_id: str) -> tuple[Site, int]:
    """Where a node of a component graph writes: its site and position.

    Raises InputError for a node that the circuit does not have, and for the metric.
    """
    if node_id not in circuit.node_id:
        raise InputError(f"The circuit has no node {node_id}.", "Choose one that is drawn.")
    row = circuit.row(node_id)
    kind, layer, head = (circuit.node_kind[row], circuit.node_layer[row], circuit.node_head[row])
    if kind not in _SITES:
        raise InputError(f"{node_id} is what is measured.", "Ablate a node that feeds it.")
    site = Site(
        _SITES[kind],
        int(layer) if kind in (HEAD, MLP) else None,
        int(head) if kind == HEAD else None,
    )
    return site, int(circuit.node_position[row])


class AblatedRuns:
    """A prompt or pair, its metric, and what the metric becomes under edits.

    ``base`` is the metric of the clean run, ``corrupt_base`` that of the corrupt one.
    """

    def __init__(
        self, model: Model, subject: Subject, metric: LinearMetric | None, job: Job
    ) -> None:
        self._model, self._job = model, job
        self._prompts = prompts_of(subject)
        self.clean = self._run(self._prompts[0])
        self.corrupt = None if self._prompts[1] is None else self._run(self._prompts[1])
        at = model.read_at(self.clean.token_ids)
        other = None if self.corrupt is None else _logits(self.corrupt)[at]
        end = _logits(self.clean)[at]
        self.metric = settled(model, subject, metric, end, other, read_at=at)
        self.name = self.metric.name(model)
        self.base = self._value(self.clean)
        self.corrupt_base = None if self.corrupt is None else self._value(self.corrupt)

    @property
    def n_positions(self) -> int:
        """Number of tokens."""
        return len(self.clean.tokens)

    def after(self, edits: Sequence[Ablate | Patch], *, corrupt: bool = False) -> float:
        """The metric of the clean (or the corrupt) prompt with edits."""
        prompt = self._prompts[1] if corrupt else self._prompts[0]
        assert prompt is not None  # noqa: S101
        return self._value(
            trace(self._model, prompt, sites=(), edits=edits, top_k=1, job=self._job)
        )

    def means(self, prompts: Sequence[Prompt]) -> dict[str, NDArray[np.float64]]:
        """The mean of ``z`` and ``mlp_out`` over all positions but the first of some prompts.

        Remembered for each model: the same prompts serve every question put to it.
        """
        held = _means.setdefault(self._model, {})
        if tuple(prompts) not in held:
            held[tuple(prompts)] = self._measured_means(prompts)
        return held[tuple(prompts)]

    def _measured_means(self, prompts: Sequence[Prompt]) -> dict[str, NDArray[np.float64]]:
        sums: dict[str, NDArray[np.float64]] = {}
        count = 0
        for prompt in prompts:
            ran = self._run(prompt)
            count += len(ran.tokens) - 1
            for name in ("z", "mlp_out"):
                part = ran.activation(name)[:, 1:].astype(np.float64).sum(1)
                sums[name] = sums.get(name, 0.0) + part
        return {name: total / max(1, count) for name, total in sums.items()}

    def _run(self, prompt: Prompt) -> Trace:
        sites = [name for name in _SITES.values() if name in self._model.ports]
        return trace(self._model, prompt, sites=sites, top_k=1, job=self._job)

    def _value(self, ran: Trace) -> float:
        return float(self.metric(_logits(ran)[self.metric.position].astype(np.float64)))


def _logits(ran: Trace) -> NDArray[np.floating]:
    assert ran.logits is not None  # noqa: S101
    return np.asarray(ran.logits[...])
