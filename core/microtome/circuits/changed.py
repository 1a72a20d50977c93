"""How edits change the edges of a circuit: what its sources write, through frozen coefficients.

A circuit explains one run (or the difference of two) by linear maps, and a run with edits has a
circuit of its own only where it is asked for anew. What can be said of the edges that are on
screen is how much each source writes along them: an edge's weight is linear in its source's
output, so its change is the weight that the change of the output has. Norms, patterns and
activation functions stay as the circuit froze them. See docs/component-graph.md.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.asking import Subject, ask
from microtome.circuits.backward import Gradient
from microtome.circuits.carried import Carried
from microtome.circuits.coefficients import Coefficients, Rule
from microtome.circuits.component import linearised
from microtome.circuits.inputs import HeadInputs, HeadTargets
from microtome.circuits.sources import Layout
from microtome.jobs import Job, job_or_default
from microtome.metrics import LinearMetric
from microtome.models.model import Model
from microtome.records.analysis import Analysis, Labelled
from microtome.records.circuit import HEAD, MLP, POSITION, TOKEN, Circuit, EdgeKind
from microtome.records.trace import Trace
from microtome.sites import Site

EDGE_CHANGES = "edited-edges"  # the id and the kind of the analysis


@torch.no_grad()
def edge_changes(
    model: Model,
    subject: Subject,
    circuit: Circuit,
    metric: LinearMetric,
    clean: Trace,
    edited: Trace,
    *,
    job: Job | None = None,
) -> Analysis:
    """The change of each edge's weight, ``change`` [edge], in the circuit's own order.

    ``clean`` and ``edited`` are runs of the circuit's (clean) prompt without and with edits; both
    must hold ``embed``, ``z`` and ``mlp_out``.
    Raises SiteMissing when one of them does not, and what ``component_graph`` raises.
    """
    job = job_or_default(job)
    held = circuit.metadata
    asked = ask(model, subject, metric, job=job)
    rule, values_only = Rule(held["rule"]), bool(held.get("values_only"))
    gradient, _ = linearised(asked, rule, values_only=values_only, job=job)
    written = [_written(gradient.coefficients, trace) for trace in (clean, edited)]
    change = edge_weights(gradient, written[1] - written[0], circuit, job)
    arrays = {"change": Labelled(("edge",), change, long_name="change of the weight")}
    params = {"metric": asked.metric_name, "edits": list(edited.edits), "coefficients": "frozen"}
    return Analysis(EDGE_CHANGES, EDGE_CHANGES, "Change of each edge by the edits", arrays, params)


def _written(frozen: Coefficients, trace: Trace) -> Float[Tensor, "component position d_model"]:
    """What each component writes in a run, constants that every run writes left out."""
    layout, like = Layout.of(frozen.anatomy), frozen.anatomy.embedding
    dtype = frozen.attention[0].weights.w_o.dtype

    def values(site: Site | str) -> Tensor:
        return torch.from_numpy(np.array(trace.activation(site))).to(like.device, dtype)

    embedded = values("embed")
    outputs = embedded.new_zeros(layout.n_components, *embedded.shape)
    outputs[0] = embedded
    if layout.n_embeddings > 1:
        outputs[1] = values("pos_embed")
    for layer, attention in enumerate(frozen.attention):
        z = values(Site("z", layer)).transpose(0, 1)  # head position d_head
        outputs[layout.heads(layer)] = attention.out_norm.apply(z @ attention.weights.w_o.mT)
        outputs[layout.mlp(layer)] = values(Site("mlp_out", layer))
    return outputs


def edge_weights(
    gradient: Gradient,
    outputs: Float[Tensor, "component position d_model"],
    circuit: Circuit,
    job: Job | None = None,
) -> Float[np.ndarray, " edge"]:
    """The weight of each edge of a circuit if its sources wrote ``outputs``."""
    layout = Layout.of(gradient.coefficients.anatomy)
    carried, edges = Carried(gradient.coefficients, outputs), _Edges(circuit, layout)
    found = np.zeros(circuit.n_edges)
    rows = np.flatnonzero(circuit.edge_kind == EdgeKind.OUT)
    at = edges.source_position[rows]
    found[rows] = _along(carried.end(), edges.component[rows], at, gradient.final)
    for layer in reversed(range(layout.n_layers)):
        job_or_default(job).check()
        here = edges.target_layer == layer
        rows = np.flatnonzero(here & (circuit.edge_kind == EdgeKind.MLP))
        at, read = edges.source_position[rows], gradient.layers[layer].mlp_read
        found[rows] = _along(carried.middle(layer), edges.component[rows], at, read)
        rows = np.flatnonzero(here & np.isin(circuit.edge_kind, _INTO_HEADS))
        if len(rows):
            inputs = HeadInputs.of(gradient, layer, carried.before(layer))
            found[rows] = _into_heads(inputs, edges, rows)
    return found.astype(circuit.edge_weight.dtype)


_INTO_HEADS = (EdgeKind.VALUE, EdgeKind.KEY, EdgeKind.QUERY)


class _Edges:
    """The ends of a circuit's edges as numbers of its model."""

    def __init__(self, circuit: Circuit, layout: Layout) -> None:
        rows = [_component(circuit, layout, node) for node in range(circuit.n_nodes)]
        source, target = circuit.edge_source, circuit.edge_target
        self.component = np.array(rows, dtype=np.int64)[source]
        self.source_position = circuit.node_position[source]
        self.target_layer = circuit.node_layer[target]
        self.target_head = circuit.node_head[target]
        self.target_position = circuit.node_position[target]
        self.kind = circuit.edge_kind


def _component(circuit: Circuit, layout: Layout, node: int) -> int:
    kind, layer = circuit.node_kind[node], int(circuit.node_layer[node])
    if kind in (TOKEN, POSITION):
        return (TOKEN, POSITION).index(kind)
    if kind == HEAD:
        return layout.first(layer) + int(circuit.node_head[node])
    return layout.mlp(layer) if kind == MLP else -1


def _along(
    outputs: Tensor, component: np.ndarray, position: np.ndarray, read: Tensor
) -> np.ndarray:
    """Each source's output along what is read at its own position."""
    rows, at = torch.as_tensor(component), torch.as_tensor(position.astype(np.int64))
    return np.asarray((outputs[rows, at] * read[at]).sum(-1).cpu().numpy())


def _into_heads(inputs: HeadInputs, edges: _Edges, rows: np.ndarray) -> np.ndarray:
    ends = np.stack([edges.target_head[rows], edges.target_position[rows]], axis=1)
    unique, which = np.unique(ends.astype(np.int64), axis=0, return_inverse=True)
    targets = HeadTargets(torch.as_tensor(unique[:, 0]), torch.as_tensor(unique[:, 1]))
    places = {EdgeKind.VALUE: inputs.value, EdgeKind.KEY: inputs.key, EdgeKind.QUERY: inputs.query}
    n_positions, found = inputs.outputs.shape[1], np.zeros(len(rows))
    for kind, weights_of in places.items():
        some = np.flatnonzero(edges.kind[rows] == kind)
        if not len(some):
            continue
        column = edges.component[rows[some]]
        if kind is not EdgeKind.QUERY:
            column = column * n_positions + edges.source_position[rows[some]]
        weights = weights_of(targets).cpu().numpy()
        found[some] = weights[which.reshape(-1)[some], column]
    return found
