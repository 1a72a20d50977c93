"""The sums that must come out: on every family, in float32 and in float64.

Tolerance: 1e-5 in float32 and 1e-10 in float64, times max(1, |m|, largest |node score|).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import pytest
import torch
from random_anatomy import asked_of, random_anatomy

from microtome.circuits.asking import Asked
from microtome.circuits.biases import BiasParts, bias_parts, carried_biases, node_bias
from microtome.circuits.coefficients import Rule, coefficients
from microtome.circuits.component import linearised
from microtome.circuits.sources import Layout, node_scores
from microtome.circuits.sweep import OUT_ROW, sweep
from microtome.models.arithmetic import anatomy_in
from microtome.records.circuit import EdgeKind

IDS = [3, 17, 4, 4, 30, 22, 9, 31, 8, 3, 17, 5, 2]
CORRUPT = [3, 17, 4, 4, 30, 22, 9, 31, 12, 3, 17, 5, 2]
TYPES = {"float32": (torch.float32, 1e-5), "float64": (torch.float64, 1e-10)}
INPUTS = (EdgeKind.VALUE, EdgeKind.KEY, EdgeKind.QUERY)


@dataclass
class Sums:
    """A question explained by a rule, with its edges summed over sources and over targets."""

    asked: Asked
    rule: Rule
    values_only: bool = False

    @cached_property
    def parts(self):
        return linearised(self.asked, self.rule, values_only=self.values_only)

    @cached_property
    def scores(self):
        gradient, outputs = self.parts
        return node_scores(outputs, gradient).double()

    @cached_property
    def edges(self):
        gradient, outputs = self.parts
        return sweep(gradient, outputs, tau=0.0, keep=10**6)

    @property
    def layout(self) -> Layout:
        return Layout.of(self.asked.anatomy)

    @cached_property
    def tolerance_scale(self) -> float:
        values = [self.asked.value, self.asked.corrupt_value or 0.0]
        return max(1.0, *map(abs, values), float(self.scores.abs().max()))

    def into(self, *kinds: EdgeKind):
        """In-edges of some kinds summed for each node."""
        edges = self.edges
        there = edges.target != OUT_ROW
        there &= torch.isin(edges.kind, torch.tensor([int(kind) for kind in kinds]))
        return self._summed(edges.target[there], edges.weight[there])

    def out_of(self):
        """All out-edges summed for each node."""
        return self._summed(self.edges.source, self.edges.weight)

    def _summed(self, nodes, weights):
        flat = torch.zeros(self.scores.numel(), dtype=torch.float64)
        return flat.index_add(0, nodes, weights.double()).view_as(self.scores)

    def heads(self, x):
        """[layer, head, position] of [component, position]."""
        return torch.stack([x[self.layout.heads(at)] for at in range(self.layout.n_layers)])

    def mlps(self, x):
        return torch.stack([x[self.layout.mlp(at)] for at in range(self.layout.n_layers)])

    def score_beyond_even(self):
        """What each head adds by looking selectively: [layer, head, position]."""
        found = []
        for layer, kept in enumerate(self.asked.clean.blocks):
            a, seen = kept.attention, kept.attention.visible.double()
            even = seen / seen.sum(-1, keepdim=True)
            gamma = self.parts[0].layers[layer].gamma.double()
            v = a.v.double().repeat_interleave(len(gamma) // len(a.v), 0)
            found.append((((a.pattern.double() - even) @ v) * gamma).sum(-1))
        return torch.stack(found)


def residuals(sums: Sums, bias: BiasParts) -> dict[str, float]:
    """How far each sum of a single run is from what it must be."""
    scores, m = sums.scores, sums.asked.value
    direct = sums.edges.direct.double().sum()
    half = sums.score_beyond_even() / 2
    everything = node_bias(bias, sums.asked.anatomy).double()
    found = {
        "direct": direct + bias.output - m,
        "value": sums.heads(sums.into(EdgeKind.VALUE) + everything - scores),
        "key": sums.heads(sums.into(EdgeKind.KEY)) + bias.key - half,
        "query": sums.heads(sums.into(EdgeKind.QUERY)) + bias.query - half,
        "mlp": sums.mlps(sums.into(EdgeKind.MLP) + everything - scores),
        "out-edges": sums.out_of() - scores,
    }
    return {name: float(value.abs().max()) / sums.tolerance_scale for name, value in found.items()}


def constants(sums: Sums) -> float:
    """All constants of a cut, each taken once: biases where they enter, with nothing carried."""
    gradient, _ = sums.parts
    frozen, asked = gradient.coefficients, sums.asked
    total = 0.0
    with pytest.MonkeyPatch.context() as patch:
        nothing = [[torch.zeros_like(x) for x in found] for found in carried_biases(frozen)]
        patch.setattr("microtome.circuits.biases.carried_biases", lambda _: nothing)
        bias = bias_parts(gradient, asked.weights)
    for part in (bias.output, bias.value, bias.mlp, bias.key, bias.query):
        total += 0.0 if part is None else float(part.double().sum())
    for layer, block in enumerate(asked.anatomy.blocks):
        worth, w = gradient.layers[layer].heads, block.attention
        if w.b_o is not None:
            written = frozen.attention[layer].out_norm.apply(w.b_o.expand_as(worth))
            total += float((written * worth).double().sum())
        below = gradient.layers[layer]
        total += norm_constant(block.attention_norm, worth)
        total += norm_constant(block.sum_norm1, below.mlp + below.mlp_read)
        total += norm_constant(block.sum_norm2, below.behind)
    total += norm_constant(asked.anatomy.stream_norm, gradient.stream)
    if asked.anatomy.token_type is not None:
        total += float((gradient.embedding @ asked.anatomy.token_type).double().sum())
    return total


def norm_constant(norm, worth) -> float:
    """What the bias of a norm adds, once."""
    return 0.0 if norm is None or norm.bias is None else float((worth @ norm.bias).double().sum())


def embeddings(sums: Sums) -> float:
    return float(sums.scores[: sums.layout.n_embeddings].sum())


def check_single(anatomy, tolerance: float) -> None:
    sums = Sums(asked_of(anatomy, IDS), Rule.SINGLE)
    found = residuals(sums, bias_parts(sums.parts[0], sums.asked.weights))
    assert max(found.values()) < tolerance, found


def check_cuts(anatomy, tolerance: float) -> None:
    asked = asked_of(anatomy, IDS)
    values = Sums(asked, Rule.SINGLE, values_only=True)
    rest = embeddings(values) + constants(values) - asked.value
    assert abs(rest) < tolerance * values.tolerance_scale
    assert float((values.out_of() - values.scores).abs().max()) < tolerance * values.tolerance_scale
    shared = Sums(asked, Rule.ADDITIVE)
    rest = embeddings(shared) + constants(shared) - asked.value
    assert abs(rest) < tolerance * shared.tolerance_scale
    bias = bias_parts(shared.parts[0], asked.weights)
    heads = shared.heads(shared.into(*INPUTS) - shared.scores)
    rest = heads + bias.value + bias.key + bias.query
    assert float(rest.abs().max()) < tolerance * shared.tolerance_scale


def check_pair(anatomy, tolerance: float, corrupt: list[int] = CORRUPT) -> None:
    asked = asked_of(anatomy, IDS, corrupt)
    sums = Sums(asked, Rule.TWO_POINT)
    difference = asked.value - asked.corrupt_value
    scale = tolerance * sums.tolerance_scale
    assert abs(embeddings(sums) - difference) < scale
    assert abs(float(sums.edges.direct.double().sum()) - difference) < scale
    inside = sums.into(*INPUTS, EdgeKind.MLP) - sums.scores
    assert float(inside[sums.layout.n_embeddings :].abs().max()) < scale
    assert float((sums.out_of() - sums.scores).abs().max()) < scale


@pytest.fixture(params=TYPES)
def dtype(request):
    return request.param


@pytest.mark.parametrize("check", [check_single, check_cuts])
def test_every_family(tiny_model, family, dtype, check):
    kind, tolerance = TYPES[dtype]
    check(anatomy_in(tiny_model(family).anatomy, kind), tolerance)


def test_every_family_between_two_runs(tiny_model, paired, dtype):
    kind, tolerance = TYPES[dtype]
    check_pair(anatomy_in(tiny_model(paired).anatomy, kind), tolerance)


@pytest.mark.parametrize("check", [check_single, check_cuts, check_pair])
@pytest.mark.parametrize("sharp", [1.0, 6.0])
@pytest.mark.parametrize("order", [{}, {"parallel": True}, {"post": True}], ids=str)
def test_parts_that_no_family_combines(order, sharp, dtype, check):
    kind, tolerance = TYPES[dtype]
    check(anatomy_in(random_anatomy(sharp=sharp, **order), kind), tolerance)


@pytest.mark.parametrize("step", [1e-2, 1e-5, 1e-8])
def test_runs_that_hardly_differ(dtype, step):
    kind, tolerance = TYPES[dtype]
    anatomy = random_anatomy()
    near = anatomy.embedding[12] * (1 + step)
    table = torch.cat([anatomy.embedding[:8], near[None], anatomy.embedding[9:]])
    table[12] = anatomy.embedding[12]
    check_pair(anatomy_in(replace(anatomy, embedding=table), kind), tolerance)


def test_a_prompt_of_one_token_and_a_pair_of_equal_prompts(dtype):
    kind, tolerance = TYPES[dtype]
    anatomy = anatomy_in(random_anatomy(), kind)
    check_pair(anatomy, tolerance, corrupt=IDS)
    sums = Sums(asked_of(anatomy, [7]), Rule.SINGLE)
    found = residuals(sums, bias_parts(sums.parts[0], sums.asked.weights))
    assert max(found.values()) < tolerance


# ------------------------------------------------------------------- each bias counts


def _without(bias: str, anatomy):
    """The anatomy with one bias of the middle layer, or of the end, forgotten."""
    owner, _, name = bias.rpartition(".")
    if owner == "anatomy":
        return replace(anatomy, **{name: None})
    if owner in ("final_norm", "stream_norm", "transform"):
        return replace(anatomy, **{owner: replace(getattr(anatomy, owner), **{name: None})})
    block = anatomy.blocks[1]
    if owner in ("q_norm", "k_norm"):
        norm = replace(getattr(block.attention, owner), **{name: None})
        block = replace(block, attention=replace(block.attention, **{owner: norm}))
    else:
        block = replace(block, **{owner: replace(getattr(block, owner), **{name: None})})
    return replace(anatomy, blocks=(anatomy.blocks[0], block, anatomy.blocks[2]))


BIASES = (
    "attention.b_q", "attention.b_k", "attention.b_v", "attention.b_o", "q_norm.bias",
    "k_norm.bias", "mlp.b_in", "mlp.b_gate", "mlp.b_out", "norm1.bias", "norm2.bias",
    "attention_norm.bias", "mlp_norm.bias", "final_norm.bias", "anatomy.unembedding_bias",
    "sum_norm1.bias", "sum_norm2.bias", "stream_norm.bias", "anatomy.token_type", "transform.bias",
)  # fmt: skip


@pytest.mark.parametrize("bias", BIASES)
def test_the_sums_miss_any_bias_that_is_dropped(bias):
    sums = Sums(asked_of(random_anatomy(post=True), IDS), Rule.SINGLE)
    gradient, _ = sums.parts
    asked = sums.asked
    whole = residuals(sums, bias_parts(gradient, asked.weights))
    assert max(whole.values()) < 1e-10
    anatomy = _without(bias, asked.anatomy)
    frozen = gradient.coefficients
    forgetful = replace(
        frozen,
        anatomy=anatomy,
        transform=replace(frozen.transform, transform=anatomy.transform),
        attention=tuple(
            replace(one, weights=block.attention)
            for one, block in zip(frozen.attention, anatomy.blocks, strict=True)
        ),
        mlp=tuple(
            replace(one, weights=block.mlp)
            for one, block in zip(frozen.mlp, anatomy.blocks, strict=True)
        ),
    )
    dropped = bias_parts(replace(gradient, coefficients=forgetful), asked.weights)
    assert max(residuals(sums, dropped).values()) > 1e-4


# ------------------------------------------------------------------- equal runs


@pytest.fixture
def _all_float64(monkeypatch):
    # transformers computes norms and softmax in float32 whatever the model's type is.
    monkeypatch.setattr(torch, "float32", torch.float64)
    monkeypatch.setattr(torch, "float", torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


@pytest.mark.usefixtures("_all_float64")
def test_equal_runs_give_the_plain_gradient(paired):
    import tiny_models

    from microtome.analysis.norms import norm_map
    from microtome.circuits.backward import backward
    from microtome.models.families import family_of
    from microtome.models.operations import norm_run
    from microtome.models.resolve import resolve

    module = tiny_models.build(paired).double()
    anatomy = resolve(module, family_of(module.config.model_type), module.config)
    asked = asked_of(anatomy_in(anatomy, torch.float64), IDS, IDS)
    with torch.no_grad():
        frozen = coefficients(asked.clean, asked.corrupt, Rule.TWO_POINT, asked.position)
        gradient = backward(frozen, asked.weights, asked.position)
    ids = torch.tensor(IDS)[None]
    inputs = module.get_input_embeddings()(ids).detach().requires_grad_()
    logits = module(inputs_embeds=inputs, use_cache=False).logits[0, -1]
    (logits @ asked.weights).backward()
    norm, table = asked.anatomy.embedding_norm, asked.anatomy.embedding[ids[0]]
    behind = norm_run(norm, table)  # where a norm follows, the node is what it gave
    worth = norm_map(norm, behind, behind).transpose(gradient.embedding)
    if asked.anatomy.embedding_map is not None:
        worth = worth @ asked.anatomy.embedding_map
    difference = (worth - inputs.grad[0]).abs().max()
    # BLOOM's own GELU has its root of 2/pi in eight digits.
    tolerance = 1e-8 if paired == "bloom" else 1e-10
    assert float(difference) < tolerance * max(1.0, float(inputs.grad.abs().max()))
