"""The frozen coefficients of one run, or those exactly between two runs.

One code path serves every rule; they differ in the numbers that are put into it here.
Formulas and sources: docs/component-graph.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.analysis.norms import NormMap, norm_map
from microtome.analysis.transforms import TransformMap, transform_map
from microtome.errors import PromptError
from microtome.models.activation_functions import activation_function
from microtome.models.anatomy import Anatomy, Attention, Block, Experts, Mlp
from microtome.models.arithmetic import MASKED, AttentionRun, BlockRun, MlpRun, Run
from microtome.models.operations import per_head, soft_cap, transform_run


class Rule(StrEnum):
    """How the model is made linear."""

    SINGLE = "single"  # secants and logarithmic means of one run
    ADDITIVE = "additive"  # the same, halves shared out so that every cut sums to the metric
    TWO_POINT = "two-point"  # exactly between a clean and a corrupt run
    EAP_CLEAN = "eap-clean"  # gradient at the clean run times the difference of the runs
    EAP_CORRUPT = "eap-corrupt"  # gradient at the corrupt run times the difference

    @property
    def needs_pair(self) -> bool:
        """Whether the rule compares two runs."""
        return self not in (Rule.SINGLE, Rule.ADDITIVE)


@dataclass(frozen=True, slots=True, eq=False)
class AttentionCoefficients:
    """One attention layer as linear maps. ``pattern`` weighs value edges, ``log_mean`` scores."""

    weights: Attention
    norm: NormMap
    q_norm: NormMap
    k_norm: NormMap
    out_norm: NormMap
    sum_norm: NormMap  # of the stream behind this branch
    angles: tuple[Tensor, Tensor] | None
    pattern: Float[Tensor, "*run head query key"]
    log_mean: Float[Tensor, "*run head query key"]
    cap_slope: Float[Tensor, "*run head query key"] | None
    q: Float[Tensor, "*run head position d_head"]
    k: Float[Tensor, "*run head position d_head"]
    v: Float[Tensor, "*run head position d_head"]
    value_share: float  # of v that counts in what a score is worth
    score_scale: float  # of q·k; half of it where query and key share a product

    @property
    def keys_differ_by_position(self) -> bool:
        """Whether what a query asks for depends on where the key is."""
        return self.angles is not None or self.k_norm.inverse is not None


@dataclass(frozen=True, slots=True, eq=False)
class MlpCoefficients:
    """One MLP as a linear map: slopes of its neurons, and of their gate."""

    weights: Mlp | Experts
    norm: NormMap
    out_norm: NormMap
    sum_norm: NormMap
    slope: Float[Tensor, "*run position d_mlp"]
    gate_slope: Float[Tensor, "*run position d_mlp"] | None


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """The whole model as linear maps."""

    anatomy: Anatomy
    rule: Rule
    attention: tuple[AttentionCoefficients, ...]
    mlp: tuple[MlpCoefficients, ...]
    stream_norm: NormMap  # of the sum of the embeddings
    final: NormMap
    transform: TransformMap  # at the metric's position
    logit_slope: Float[Tensor, "*run vocabulary"] | None  # of the logits' soft cap


def coefficients(clean: Run, corrupt: Run | None, rule: Rule, position: int) -> Coefficients:
    """The coefficients of a rule; ``position`` is where the metric reads the logits.

    Raises PromptError for a pair in a model with a mixture of experts.
    """
    a = corrupt if rule is Rule.EAP_CORRUPT and corrupt is not None else clean
    b = corrupt if rule is Rule.TWO_POINT else a if rule.needs_pair else None
    anatomy = clean.anatomy
    if b is not None and anatomy.routed:
        raise PromptError(
            "There is no exact circuit of a pair through a mixture of experts: the router may "
            "choose other experts in each prompt, which is no linear map.",
            "Ask about one prompt; its choices are held as they were.",
        )
    layers = range(len(anatomy.blocks))
    pairs = [(anatomy.blocks[i], a.blocks[i], b.blocks[i] if b else None) for i in layers]
    attention = tuple(_attention(*pair, rule) for pair in pairs)
    mlp = tuple(_mlp(*pair) for pair in pairs)
    return Coefficients(
        anatomy,
        rule,
        attention,
        mlp,
        norm_map(anatomy.stream_norm, a.stream_norm, b.stream_norm if b else None),
        norm_map(anatomy.final_norm, a.final_norm, b.final_norm if b else None),
        _transform(a, b, position),
        _logit_slope(a, b, position),
    )


def _transform(a: Run, b: Run | None, position: int) -> TransformMap:
    transform = a.anatomy.transform
    ran = [None if r is None else transform_run(transform, r.normed(position)) for r in (a, b)]
    return transform_map(transform, *ran)


def _logit_slope(a: Run, b: Run | None, position: int) -> Tensor | None:
    cap = a.anatomy.soft_cap
    if cap is None:
        return None
    return cap_slope(a.raw_logits(position), b.raw_logits(position) if b else None, cap)


def _mlp(block: Block, ran: BlockRun, other: BlockRun | None) -> MlpCoefficients:
    a, b = ran.mlp, other.mlp if other else None
    norm = norm_map(block.norm2, a.norm, b.norm if b else None)
    out_norm = norm_map(block.mlp_norm, a.out_norm, b.out_norm if b else None)
    sum_norm = norm_map(block.sum_norm2, ran.sum_norm2, other.sum_norm2 if other else None)
    slope, gate_slope = _slopes(block.mlp, a, b)
    return MlpCoefficients(block.mlp, norm, out_norm, sum_norm, slope, gate_slope)


def _slopes(mlp: Mlp | Experts, a: MlpRun, b: MlpRun | None) -> tuple[Tensor, Tensor | None]:
    """Slopes of the neurons and of their gate; a single run shares a product half and half."""
    act = activation_function(mlp.activation)
    if a.gate is None and b is a:
        return act.derivative(a.pre), None
    if a.gate is None:
        return (act.secant(a.pre) if b is None else act.slope(a.pre, b.pre)), None
    if b is None or b.gate is None:
        secant = act.secant(a.gate) / 2
        secant = secant if a.routing is None else secant * a.routing
        return a.gate * secant, secant * a.pre
    both = (act.value(a.gate) + act.value(b.gate)) / 2
    return both, (a.pre + b.pre) / 2 * act.slope(a.gate, b.gate)


def _attention(
    block: Block, ran: BlockRun, other: BlockRun | None, rule: Rule
) -> AttentionCoefficients:
    weights = block.attention
    a, b = ran.attention, other.attention if other else None
    if b is None:
        even, log_even = even_pattern(a)
        q, k, v = a.q, a.k, a.v
        pattern = (a.pattern + even) / 2 if rule is Rule.ADDITIVE else a.pattern
        log_mean = logarithmic_mean(a.log_pattern, log_even)
    elif b is a:  # the gradient at one run
        q, k, v, pattern, log_mean = a.q, a.k, a.v, a.pattern, a.pattern
    else:
        q, k, v = (a.q + b.q) / 2, (a.k + b.k) / 2, (a.v + b.v) / 2
        pattern = (a.pattern + b.pattern) / 2
        log_mean = logarithmic_mean(a.log_pattern, b.log_pattern)
    slope = None
    if weights.soft_cap is not None:
        slope = cap_slope(a.scores, b.scores if b else None, weights.soft_cap)
    return AttentionCoefficients(
        weights=weights,
        norm=norm_map(block.norm1, a.norm, b.norm if b else None),
        q_norm=norm_map(weights.q_norm, a.q_norm, b.q_norm if b else None),
        k_norm=norm_map(weights.k_norm, a.k_norm, b.k_norm if b else None),
        out_norm=norm_map(block.attention_norm, a.out_norm, b.out_norm if b else None),
        sum_norm=norm_map(block.sum_norm1, ran.sum_norm1, other.sum_norm1 if other else None),
        angles=weights.rotary.angles(q.shape[-2]) if weights.rotary else None,
        pattern=pattern,
        log_mean=log_mean,
        cap_slope=slope,
        q=q,
        k=per_head(k, weights),
        v=per_head(v, weights),
        value_share=0.5 if rule is Rule.ADDITIVE else 1.0,
        score_scale=weights.scale * (0.5 if b is None else 1.0),
    )


def even_pattern(attention: AttentionRun) -> tuple[Tensor, Tensor]:
    """The pattern that looks at all visible keys alike, and its logarithm: [query, key]."""
    count = attention.visible.sum(-1, keepdim=True).to(attention.pattern.dtype)
    hidden = ~attention.visible
    even = (1 / count).expand(hidden.shape).masked_fill(hidden, 0.0)
    return even, (-count.log()).expand(hidden.shape).masked_fill(hidden, MASKED)


def logarithmic_mean(log_a: Tensor, log_b: Tensor) -> Tensor:
    """``(A - B) / (ln A - ln B)`` from the logarithms; exact down to underflow, A where A = B."""
    x = -(log_a - log_b).abs()
    ratio = torch.where(x == 0, 1.0, torch.expm1(x) / torch.where(x == 0, 1.0, x))
    return torch.maximum(log_a, log_b).exp() * ratio


# Below this share of the cap the quotient would lose digits.
_NEAR = 1e-4


def cap_slope(a: Tensor, b: Tensor | None, cap: float) -> Tensor:
    """The slope of a soft cap: the secant at ``a``, or between ``a`` and ``b``."""
    if b is None:
        z = a / cap
        near = z.abs() < _NEAR
        return torch.where(near, 1 - z * z / 3, torch.tanh(z) / torch.where(near, 1.0, z))
    difference = a - b
    near = difference.abs() < _NEAR * cap
    quotient = (soft_cap(a, cap) - soft_cap(b, cap)) / torch.where(near, 1.0, difference)
    return torch.where(near, 1 - torch.tanh((a + b) / (2 * cap)).square(), quotient)
