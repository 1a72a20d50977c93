"""Why an edge: who reads on what it brings, head by head, exactly.

The circuit of a prompt is linear in what each node writes. What a source brings along one edge is
therefore a vector of its own that the target writes, and the edge's weight is the sum of what all
readers of the target make of that vector: queries, keys and values of heads, MLPs, and the
metric. See docs/component-graph.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.asking import Subject, ask
from microtome.circuits.backward import Gradient
from microtome.circuits.carried import Carried
from microtome.circuits.coefficients import AttentionCoefficients, MlpCoefficients, Rule
from microtome.circuits.component import linearised
from microtome.circuits.edges import EdgeEnds
from microtome.circuits.inputs import HeadInputs, HeadTargets
from microtome.circuits.sources import Layout
from microtome.errors import InputError
from microtome.jobs import Job, job_or_default
from microtome.metrics import LinearMetric
from microtome.models.model import Model
from microtome.models.operations import per_head, project, rotate
from microtome.records.analysis import Analysis, Labelled
from microtome.records.circuit import Circuit, EdgeKind

EDGE_READERS = "edge-readers"  # the kind of the analysis
_METRIC = "the metric"
_KINDS = {EdgeKind.QUERY: "query", EdgeKind.KEY: "key", EdgeKind.VALUE: "value"}


@torch.no_grad()
def edge_readers(
    model: Model,
    subject: Subject,
    circuit: Circuit,
    edge: tuple[str, str, int],
    metric: LinearMetric | None = None,
    *,
    job: Job | None = None,
) -> Analysis:
    """The weight of an edge (source, target, kind) by who reads on what it brings.

    ``weight`` [reader] adds up to the edge's weight; ``reader`` names heads (``L2H1``), MLPs and
    the metric, ``kind`` is query, key, value, MLP or direct. A head's keys and values are read
    from all later queries together.
    Raises InputError for nodes that the circuit does not have and for edges of another circuit
    than that of one prompt or pair; else what ``component_graph`` raises.
    """
    job = job_or_default(job)
    if circuit.metadata.get("method") != "component-graph":
        raise InputError(
            "The edge is of a circuit that was not made of a prompt or a pair by Microtome.",
            "Run a prompt first; paths through discovered circuits are patched.",
        )
    ends = EdgeEnds.of(circuit, *edge)
    held = circuit.metadata
    asked = ask(model, subject, metric, job=job)
    rule, values_only = Rule(held["rule"]), bool(held.get("values_only"))
    gradient, outputs = linearised(asked, rule, values_only=values_only, job=job)
    rows = _rows(gradient, outputs, ends, job)
    order = sorted(rows, key=lambda row: -abs(row[2]))
    names, kinds, weights = zip(*order, strict=True)
    arrays = {
        "reader": Labelled(("reader",), np.array(names, dtype=np.str_)),
        "kind": Labelled(("reader",), np.array(kinds, dtype=np.str_)),
        "weight": Labelled(("reader",), np.array(weights), long_name="part of the edge's weight"),
    }
    source, target, kind = edge
    params = {
        "source": source,
        "target": target,
        "kind": int(kind),
        "total": float(np.sum(weights)),
        "metric": asked.metric_name,
    }
    title = f"Why {source} feeds {target}"
    return Analysis(edge_id(edge), EDGE_READERS, title, arrays, params)


def edge_id(edge: tuple[str, str, int]) -> str:
    """The id of the analysis of an edge."""
    source, target, kind = edge
    return f"why-edge/{source}>{target}/{int(kind)}"


def _rows(
    gradient: Gradient, outputs: Tensor, ends: EdgeEnds, job: Job
) -> list[tuple[str, str, float]]:
    """Reader, kind and weight of all who read what the edge's target makes of its source."""
    layout = Layout.of(gradient.coefficients.anatomy)
    source = ends.source_row(layout)
    brought = ends.read_of(Carried(gradient.coefficients, outputs))
    output = brought[source, ends.source_position]
    if ends.kind is EdgeKind.OUT:
        return [(_METRIC, "direct", float(output @ gradient.final[ends.position]))]
    written = torch.zeros_like(outputs)
    row = layout.first(ends.layer) + ends.head
    row = layout.mlp(ends.layer) if ends.kind is EdgeKind.MLP else row
    written[row, ends.position] = _made_of(gradient, ends, output)
    return list(_read_on(gradient, written, ends, row, job))


def _made_of(
    gradient: Gradient, ends: EdgeEnds, output: Float[Tensor, " d_model"]
) -> Float[Tensor, " d_model"]:
    """What the target writes of what the edge brings, by its frozen coefficients."""
    frozen = gradient.coefficients
    stream = output.new_zeros(frozen.attention[0].q.shape[-2], len(output))
    stream[ends.source_position] = output
    if ends.kind is EdgeKind.MLP:
        return _through_mlp(frozen.mlp[ends.layer], stream)[ends.position]
    attention = frozen.attention[ends.layer]
    z = _through_head(attention, ends, attention.norm.apply(stream))
    wrote = torch.zeros_like(stream)
    wrote[ends.position] = attention.weights.w_o[ends.head] @ z
    applied: Tensor = attention.out_norm.apply(wrote)
    return applied[ends.position]


def _through_mlp(mlp: MlpCoefficients, stream: Tensor) -> Tensor:
    weights, read = mlp.weights, mlp.norm.apply(stream)
    hidden = mlp.slope * (read @ weights.w_in.mT)
    if weights.w_gate is not None and mlp.gate_slope is not None:
        hidden = hidden + mlp.gate_slope * (read @ weights.w_gate.mT)
    applied: Tensor = mlp.out_norm.apply(hidden @ weights.w_out.mT)
    return applied


def _through_head(attention: AttentionCoefficients, ends: EdgeEnds, read: Tensor) -> Tensor:
    """The head's ``z`` at the edge's target, of what is read behind the norm."""
    weights, head, query = attention.weights, ends.head, ends.position
    if ends.kind is EdgeKind.VALUE:
        v = per_head(project(read, weights.w_v, None), weights)[head]
        return attention.pattern[head, query] @ v
    if ends.kind is EdgeKind.KEY:
        part = rotate(attention.k_norm.apply(project(read, weights.w_k, None)), weights.rotary)
        scores = per_head(part, weights)[head] @ attention.q[head, query]
    else:
        part = rotate(attention.q_norm.apply(project(read, weights.w_q, None)), weights.rotary)
        scores = attention.k[head] @ part[head, query]
    mean, v = attention.log_mean[head, query], attention.v[head]
    slope = attention.score_scale * attention.value_share * mean
    if attention.cap_slope is not None:
        slope = slope * attention.cap_slope[head, query]
    return (scores * slope) @ (v - (mean @ v) / mean.sum())


def _read_on(
    gradient: Gradient, written: Tensor, ends: EdgeEnds, row: int, job: Job
) -> Iterator[tuple[str, str, float]]:
    """All readers above, layer by layer, and what each makes of the vector."""
    layout = Layout.of(gradient.coefficients.anatomy)
    carried, at = Carried(gradient.coefficients, written), ends.position
    yield _METRIC, "direct", float((carried.end()[row] * gradient.final).sum())
    for layer in reversed(range(layout.n_layers)):
        job.check()
        middle = carried.middle(layer)
        if len(middle) > row:
            read = middle[row, at] @ gradient.layers[layer].mlp_read[at]
            yield f"M{layer}", "MLP", float(read)
        before = carried.before(layer)
        if len(before) > row:
            inputs = HeadInputs.of(gradient, layer, before[row : row + 1])
            for head in range(layout.n_heads):
                yield from _into_head(inputs, layer, head, at)


def _into_head(
    inputs: HeadInputs, layer: int, head: int, at: int
) -> Iterator[tuple[str, str, float]]:
    count = inputs.outputs.shape[1]
    queries = torch.arange(count)
    targets = HeadTargets(torch.full_like(queries, head), queries)
    name = f"L{layer}H{head}"
    yield name, _KINDS[EdgeKind.VALUE], float(inputs.value(targets)[:, at].sum())
    if inputs.selects:
        yield name, _KINDS[EdgeKind.KEY], float(inputs.key(targets)[:, at].sum())
        own = HeadTargets(torch.tensor([head]), torch.tensor([at]))
        yield name, _KINDS[EdgeKind.QUERY], float(inputs.query(own)[0, 0])
