"""Class evidence: what each unit adds to the logit of a class, where the readout is linear in it.

For a net whose logits are linear in a pooled layer, a unit adds its value times its weight, and
all of them and the bias sum to the logit. Whether the readout is linear is measured, not assumed.
A transformer of a known family is read by direct logit attribution: with the scale of its last
norm as it was, heads, MLPs and embeddings sum to the logit. Where the logits are read at several
positions (DINOv2's classifier, DeiT's two heads), what a part writes at each is summed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.activations.capture import trace
from microtome.analysis.direct import direct_logit_attribution
from microtome.errors import ModelError
from microtome.metrics import LinearMetric, LogitDifference, Vocabulary
from microtome.models.model import Model
from microtome.models.vision.sight import Sight
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis, Labelled
from microtome.records.seen import UNIT_EVIDENCE, evidence_id
from microtome.sites import Site
from microtome.vision.activity import pooled_layers, sight_of
from microtome.vision.pieces import Pieces
from microtome.vision.scores import Score, score_of, seen

_EXACT = 1e-3  # of the logit's size: rounding of float32


def unit_evidence(
    model: Model,
    image: ImageInput,
    answer: str | int | None = None,
    wrong: str | int | None = None,
) -> Analysis:
    """What each unit adds to the logit of ``answer`` (less that of ``wrong``), in logits.

    ``unit`` names them, ``value`` is their activity, ``weight`` what a step of it is worth,
    ``contribution`` their product; with the ``bias`` they sum to ``score``. Of a transformer the
    units are heads, and what MLPs and embeddings add is among them without an activity (NaN).
    Raises ModelError for a model whose logits no layer of units makes by a sum, AnswerError for a
    class that it does not have.
    """
    sight = sight_of(model)
    score = score_of(model, image, answer, wrong)
    parts = _pooled(sight, image, score)
    if parts is None and model.known:
        parts = (_of_heads if model.whole else _of_positions)(model, image, score)
    if parts is None:
        raise ModelError(
            f"The logits of {model.identity.name} are no sum over a layer of units.",
            "Attribution maps tell what they rest on.",
        )
    told = {**seen(sight, image), **score.params(sight), "method": parts.method,
            "bias": parts.bias, "score": parts.score}  # fmt: skip
    arrays = {
        "unit": Labelled(("unit",), np.array(parts.units)),
        "value": Labelled(("unit",), parts.value, long_name="activity"),
        "weight": Labelled(("unit",), parts.weight, "logit", "worth of a step of activity"),
        "contribution": Labelled(("unit",), parts.contribution, "logit", "added to the score"),
    }
    named = evidence_id(told["digest"], score.answer, score.wrong)
    title = f"Evidence for {score.name(sight)} on {image.name}"
    return Analysis(named, UNIT_EVIDENCE, title, arrays, told)


@dataclass(frozen=True, slots=True)
class _Logit(LinearMetric):
    """The logit of one class."""

    def coefficients(self, size: int) -> Float[np.ndarray, " vocabulary"]:
        weights = np.zeros(size)
        weights[int(self.answer)] = 1.0
        return weights

    def name(self, vocabulary: Vocabulary) -> str:
        return f"logit({vocabulary.token_text(int(self.answer)).strip()})"


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    method: str
    units: list[str]
    value: Float[np.ndarray, " unit"]
    weight: Float[np.ndarray, " unit"]
    contribution: Float[np.ndarray, " unit"]
    bias: float
    score: float


def readout_weights(sight: Sight, name: str, score: Score) -> Float[np.ndarray, " unit"] | None:
    """What a step of each unit of a pooled layer is worth; None where the logits bend.

    Measured on a black image: the slope at the layer's values, and whether the logits are those
    of a straight line both at 0 and at twice the values.
    """
    black = torch.zeros(1, *sight.shape, device=_device(sight), dtype=_dtype(sight))
    slope, value, at_values = _slope(sight, name, score, black)
    for share in (0.0, 2.0):
        straight = at_values + (share - 1) * float(slope @ value)
        with sight.changing({name: _Times(share)}), torch.inference_mode():
            measured = float(score.of(sight.logits(black))[0])
        if abs(measured - straight) > _EXACT * (1 + abs(straight) + float((slope * value).norm())):
            return None
    return np.asarray(slope.cpu().numpy())


@dataclass(frozen=True, slots=True)
class _Times:
    share: float

    def __call__(self, values: Tensor) -> Tensor:
        return values * self.share


def _pooled(sight: Sight, image: ImageInput, score: Score) -> _Parts | None:
    """The evidence of the last pooled layer, None where the readout is not linear."""
    names = pooled_layers(sight)
    if not names:
        return None
    name = names[-1]
    weight = readout_weights(sight, name, score)
    if weight is None:
        return None
    with sight.reading([name]) as found, torch.inference_mode():
        total = float(score.of(sight.logits(sight.pixels([image])))[0])
    value = sight.layers[name].mean(found[name])[0].float().cpu().numpy()
    with sight.changing({name: torch.zeros_like}), torch.inference_mode():
        bias = float(score.of(sight.logits(sight.pixels([image])))[0])
    contribution, units = value * weight, [f"{name}/{at}" for at in range(len(value))]
    # Straight on a black image may still bend on this one.
    lacking = abs(float(contribution.sum()) + bias - total)
    if lacking > _EXACT * (1 + abs(total) + float(np.linalg.norm(contribution))):
        return None
    return _Parts(f"linear readout of {name}", units, value, weight, contribution, bias, total)


def _slope(
    sight: Sight, name: str, score: Score, pixels: Tensor
) -> tuple[Float[Tensor, " unit"], Float[Tensor, " unit"], float]:
    """The gradient of the score by the values of a layer, those values, and the score."""
    kept: list[Tensor] = []

    def watched(values: Tensor) -> Tensor:
        kept.append(values.detach().clone().requires_grad_())
        return kept[-1]

    with sight.changing({name: watched}), torch.enable_grad():
        total = score.of(sight.logits(pixels)).sum()
        (slope,) = torch.autograd.grad(total, kept)
    units = kept[0].shape[1]
    flat = (slope.reshape(units).float(), kept[0].detach().reshape(units).float())
    return *flat, float(total.detach())


def _of_heads(model: Model, image: ImageInput, score: Score) -> _Parts:
    """Heads, MLPs and embeddings of a transformer, by direct logit attribution."""
    metric = (
        _Logit(score.answer) if score.wrong is None else LogitDifference(score.answer, score.wrong)
    )
    found = direct_logit_attribution(trace(model, image), metric)
    heads = [
        (f"z.{layer}/{head}", float(value))
        for layer, row in enumerate(found.heads)
        for head, value in enumerate(row)
    ]
    # What the output matrices' biases add belongs to no head.
    constants = float(found.attention_layers.sum() - found.heads.sum()) + found.bias
    mlps = [(f"mlp_out.{layer}", float(value)) for layer, value in enumerate(found.mlp_layers)]
    placed = [("embedding", found.embedding), ("position", found.position_embedding)]
    names, contribution = zip(*heads, *mlps, *placed, strict=True)
    nothing = np.full(len(names), np.nan)
    return _Parts(
        "direct logit attribution", list(names), nothing, nothing,
        np.array(contribution), constants, found.metric_value,
    )  # fmt: skip


def _of_positions(model: Model, image: ImageInput, score: Score) -> _Parts:
    """Heads, MLPs and embeddings, by what the logits read of the last layer at every position.

    That is the gradient of the readout at the end of the residual stream, its norm frozen.
    """
    sight, anatomy = sight_of(model), model.anatomy
    pixels, last = sight.pixels([image]), f"resid_post.{len(anatomy.blocks) - 1}"
    pieces = Pieces.of(sight, pixels, score.weights(sight).to(pixels), (last,))
    reads = pieces.worth[last][0].T.float().cpu()  # position d_model
    ran = trace(model, image)

    def written(site: str, at: int) -> Float[Tensor, " *part"]:
        return torch.as_tensor(np.asarray(ran.activation(Site(site, at)), np.float32))

    found: dict[str, float] = {}
    constants = pieces.constant
    for at, block in enumerate(anatomy.blocks):
        w_o = block.attention.w_o.float().cpu()  # head d_model d_head
        heads = torch.einsum("phk,hdk,pd->h", written("z", at), w_o, reads)
        found |= {f"z.{at}/{head}": float(value) for head, value in enumerate(heads)}
        constants += float((written("attn_out", at) * reads).sum() - heads.sum())
        found[f"mlp_out.{at}"] = float((written("mlp_out", at) * reads).sum())
    found["embedding"] = float((written("resid_pre", 0) * reads).sum())
    nothing = np.full(len(found), np.nan)
    return _Parts(
        "direct logit attribution over all positions", list(found), nothing, nothing,
        np.array(list(found.values())), constants, float(pieces.metric.detach()),
    )  # fmt: skip


def _device(sight: Sight) -> torch.device:
    return next(sight.module.parameters()).device


def _dtype(sight: Sight) -> torch.dtype:
    return next(sight.module.parameters()).dtype
