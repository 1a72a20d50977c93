"""Direct logit attribution: what every part adds to a metric by writing to the residual stream.

With the final norm's scale held as it was, logits are linear in the residual stream, and the
residual stream is a sum: of embeddings, head outputs, MLP outputs and constants. Each part's
dot product with the metric's direction is its contribution, and all of them sum to the metric.
A soft cap of the logits enters by its secant slope, which keeps the sum exact, and so does the
non-linearity of a masked language model's head. A norm on the output of a branch is held like
the final one. Where norms act on the residual stream itself (BERT), every part is carried
through the later ones.

Source: Elhage et al., "A Mathematical Framework for Transformer Circuits" (2021), "direct path";
the secant slope is Microtome's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.analysis.norms import IDENTITY, NormMap, frozen_norm
from microtome.analysis.readout import Readout, as_numpy, live_model
from microtome.analysis.streams import Directions, directions_below
from microtome.analysis.transforms import transform_map
from microtome.errors import MetricError, expect
from microtome.metrics import LinearMetric
from microtome.models.anatomy import Anatomy, Block
from microtome.models.given import expect_known
from microtome.models.operations import transform_run, transformed
from microtome.records.analysis import Analysis, Labelled
from microtome.records.trace import Trace
from microtome.sites import Site

# Up to this many weighted words are gathered from the unembedding, more are read in chunks.
_FEW = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Neurons:
    """The neurons that contribute most, largest magnitude first."""

    layer: Int[np.ndarray, " neuron"]
    index: Int[np.ndarray, " neuron"]
    value: Float[np.ndarray, " neuron"]


@dataclass(frozen=True, slots=True, eq=False)
class DirectAttribution:
    """Contributions to a metric, in logits, at the position that the metric reads.

    ``total`` is the sum over the layers' attention and MLPs, the embeddings and the constants;
    heads sum to ``attention_layers``, which leaves out the output bias. ``bias`` collects all
    constants: output biases of attention, of norms and of the unembedding. The maps
    ``attention`` and ``mlp`` read every position along the same metric, each with the norm scale
    of its own position.
    """

    metric: str
    metric_value: float
    position: int
    attention_layers: Float[np.ndarray, " layer"]
    mlp_layers: Float[np.ndarray, " layer"]
    heads: Float[np.ndarray, "layer head"]
    embedding: float
    position_embedding: float
    bias: float
    neurons: Neurons
    attention: Float[np.ndarray, "layer position"]
    mlp: Float[np.ndarray, "layer position"]

    @property
    def total(self) -> float:
        """The sum of all contributions: the metric, up to rounding."""
        layers = float(self.attention_layers.sum() + self.mlp_layers.sum())
        return layers + self.embedding + self.position_embedding + self.bias


@torch.inference_mode()
def direct_logit_attribution(
    trace: Trace, metric: LinearMetric, *, top_neurons: int = 50
) -> DirectAttribution:
    """What each layer, head and neuron adds to a metric directly.

    The trace must hold ``embed``, ``pos_embed`` where the model has positions, ``z``,
    ``attn_out``, ``mlp_out`` and ``resid_post``; without ``mlp_post`` no neurons are given.
    Raises SiteMissing when one is missing or the trace came from a file, MetricError for
    a position outside the prompt.
    """
    model = live_model(trace, "Direct logit attribution")
    expect_known(model, "Direct logit attribution")
    example = "Write for example LogitDifference('Mary', 'John')."
    expect(metric, LinearMetric, "metric", "a metric", example)
    resolved = metric.resolve(model)
    parts = attribute(trace, model.anatomy, resolved, top_neurons=top_neurons)
    value = parts.metric_value
    if trace.logits is not None:
        value = float(resolved(np.asarray(trace.logits[parts.position], dtype=np.float64)))
    return replace(parts, metric=resolved.name(model), metric_value=value)


def attribute(
    trace: Trace, anatomy: Anatomy, metric: LinearMetric, *, top_neurons: int = 0
) -> DirectAttribution:
    """The attribution with given weights; ``metric_value`` is that of the last residual stream.

    Raises MetricError for a position outside the prompt.
    """
    length = len(trace.token_ids)
    if not -length <= metric.position < length:
        raise MetricError(f"Position {metric.position} is outside the {length} tokens.")
    position = metric.position % length
    along = _directions(trace, Readout(anatomy), metric, position)
    parts = [_layer(trace, along, layer) for layer in range(len(anatomy.blocks))]
    placed = anatomy.positions is not None
    return DirectAttribution(
        metric="",
        metric_value=along.value,
        position=position,
        attention_layers=np.array([part.attention[position] for part in parts]),
        mlp_layers=np.array([part.mlp[position] for part in parts]),
        heads=np.stack([part.heads for part in parts]),
        embedding=along.contribution(trace, "embed"),
        position_embedding=along.contribution(trace, "pos_embed") if placed else 0.0,
        bias=along.bias + along.below.bias + sum(part.bias for part in parts),
        neurons=_strongest([part.neurons for part in parts], top_neurons),
        attention=np.stack([part.attention for part in parts]),
        mlp=np.stack([part.mlp for part in parts]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Along:
    """The metric's direction in the residual stream, and the constants beyond it."""

    readout: Readout
    below: Directions
    position: int
    bias: float
    value: float

    def contribution(self, trace: Trace, site: str) -> float:
        vector = self.readout.tensor(trace.activation(site)[self.position])
        return float(vector @ self.below.embedding[self.position])


def _directions(trace: Trace, readout: Readout, metric: LinearMetric, position: int) -> _Along:
    anatomy = readout.anatomy
    residual = readout.tensor(trace.activation(Site("resid_post", len(anatomy.blocks) - 1)))
    norm = frozen_norm(anatomy.final_norm, residual)
    # Where the logits are linear every position is read along one direction, so one row is enough.
    bent = anatomy.soft_cap or readout.transform is not None
    rows, at = (residual, position) if bent else (residual[position][None], 0)
    normed = readout.normed(rows)
    transform = transform_map(readout.transform, transform_run(readout.transform, normed))
    seen = transformed(readout.transform, normed)
    weights = metric.coefficients(anatomy.unembedding.shape[0])
    reads = torch.zeros_like(seen)  # the metric's direction at the unembedding's input
    bias = value = 0.0
    for words in _weighted_words(readout, weights, len(rows)):
        coefficients = readout.tensor(weights[words])
        raw = readout.raw_logits(seen, words)  # [row, word]
        slopes = coefficients * readout.cap_slope(raw)
        reads += slopes @ readout.weights(words)
        value += float((coefficients * readout.capped(raw[at])).sum())
        added = readout.bias(words)
        bias += 0.0 if added is None else float(slopes[at] @ added)
    norm_bias, behind = readout.norm_bias(anatomy.final_norm), transform.transpose(reads)
    bias += float(transform.bias(reads)[at])
    bias += 0.0 if norm_bias is None else float(norm_bias @ behind[at])
    last = norm.transpose(behind.expand_as(residual))
    return _Along(readout, directions_below(trace, readout, last, position), position, bias, value)


def _weighted_words(
    readout: Readout, weights: Float[np.ndarray, " vocabulary"], rows: int
) -> list[Tensor] | list[slice]:
    """The words a metric weighs: a few ids, or all of them in chunks."""
    chosen = np.flatnonzero(weights)
    if len(chosen) <= _FEW:
        return [torch.from_numpy(chosen)]
    return list(readout.words(rows))


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """Contributions of one layer: maps over positions, heads and neurons at the metric's."""

    attention: Float[np.ndarray, " position"]
    mlp: Float[np.ndarray, " position"]
    heads: Float[np.ndarray, " head"]
    bias: float
    neurons: Float[np.ndarray, " neuron"]


def _layer(trace: Trace, along: _Along, layer: int) -> _Layer:
    readout, at = along.readout, along.position
    block = readout.anatomy.blocks[layer]
    z = readout.tensor(trace.activation(Site("z", layer)))  # position head d_head
    norm, constant = _attention_constant(readout, block, z)
    attention = readout.tensor(trace.activation(Site("attn_out", layer))) - constant
    mlp = readout.tensor(trace.activation(Site("mlp_out", layer)))
    directions = along.below.attention[layer]
    reads = norm.at(at).transpose(directions[at])
    w_o = readout.tensor(block.attention.w_o)  # head d_model d_head
    heads = torch.einsum("hk,hdk,d->h", z[at], w_o, reads)
    return _Layer(
        attention=as_numpy((attention * directions).sum(-1)),
        mlp=as_numpy((mlp * along.below.mlp[layer]).sum(-1)),
        heads=as_numpy(heads),
        bias=float(constant.expand_as(attention)[at] @ directions[at]),
        neurons=_neurons(trace, along, block, layer),
    )


def _attention_constant(
    readout: Readout, block: Block, z: Float[Tensor, "position head d_head"]
) -> tuple[NormMap, Tensor]:
    """The norm on the branch, frozen, and what the branch adds whatever its heads do."""
    attention = block.attention
    zero = readout.tensor(torch.zeros_like(attention.w_o[0, :, 0]))
    b_o = zero if attention.b_o is None else readout.tensor(attention.b_o)
    if block.attention_norm is None:
        return IDENTITY, b_o
    summed = torch.einsum("phk,hdk->pd", z, readout.tensor(attention.w_o)) + b_o
    norm = frozen_norm(block.attention_norm, summed)
    constant = norm.apply(b_o.expand_as(summed))
    bias = readout.norm_bias(block.attention_norm)
    return norm, constant if bias is None else constant + bias


def _neurons(trace: Trace, along: _Along, block: Block, layer: int) -> Float[np.ndarray, " neuron"]:
    if "mlp_post" not in trace.activations:
        return np.zeros(0, np.float32)
    readout, mlp = along.readout, block.mlp
    post = readout.tensor(trace.activation(Site("mlp_post", layer))[along.position])
    w_out, reads = readout.tensor(mlp.w_out), along.below.mlp[layer][along.position]
    if block.mlp_norm is not None:
        written = w_out @ post
        written = written if mlp.b_out is None else written + readout.tensor(mlp.b_out)
        reads = frozen_norm(block.mlp_norm, written).transpose(reads)
    return as_numpy(post * (reads @ w_out))


def _strongest(layers: list[Float[np.ndarray, " neuron"]], count: int) -> Neurons:
    values = np.concatenate(layers)
    width = max(1, len(layers[0]))
    chosen = np.argsort(-np.abs(values), kind="stable")[:count]
    return Neurons(
        (chosen // width).astype(np.int32), (chosen % width).astype(np.int32), values[chosen]
    )


def direct_analysis(parts: DirectAttribution) -> Analysis:
    """The attribution as a record."""

    def alone(value: float) -> Labelled:
        return Labelled(("metric",), np.array([value], np.float32), "logit")

    maps = ("layer", "position")
    arrays = {
        "attention": Labelled(maps, parts.attention, "logit"),
        "mlp": Labelled(maps, parts.mlp, "logit"),
        "heads": Labelled(("layer", "head"), parts.heads, "logit"),
        "attention_layers": Labelled(("layer",), parts.attention_layers, "logit"),
        "mlp_layers": Labelled(("layer",), parts.mlp_layers, "logit"),
        "embedding": alone(parts.embedding),
        "position_embedding": alone(parts.position_embedding),
        "bias": alone(parts.bias),
        "neuron_layer": Labelled(("neuron",), parts.neurons.layer),
        "neuron_index": Labelled(("neuron",), parts.neurons.index),
        "neuron_value": Labelled(("neuron",), parts.neurons.value, "logit"),
    }
    params = {
        "metric": parts.metric,
        "metric_value": parts.metric_value,
        "position": parts.position,
    }
    title = "Direct logit attribution"
    return Analysis("direct-attribution", "direct-attribution", title, arrays, params)
