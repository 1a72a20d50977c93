"""What directions do: the words that they raise and lower, and which are nearly the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from microtome.features.nearest import nearest
from microtome.jobs import Job
from microtome.models.anatomy import Mlp
from microtome.models.model import Model
from microtome.records.feature_index import NONE
from microtome.sites import Site

# Features whose products with all others, or with the vocabulary, are in memory at once.
_CHUNK_NUMBERS = 1 << 25
# Sites whose values are added to the residual stream as they are, or are the stream.
_IN_STREAM = {
    "embed", "pos_embed", "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Extremes:
    """The largest and smallest products of each direction: numbers and values."""

    largest: NDArray[np.int32]
    largest_by: NDArray[np.float32]
    smallest: NDArray[np.int32]
    smallest_by: NDArray[np.float32]


def in_stream(
    model: Model, site: str, directions: Float[Tensor, "feature d"]
) -> Float[Tensor, "feature d_model"] | None:
    """What directions at a site write to the residual stream; None where they write nothing."""
    place = Site.of(site)
    if place.name in _IN_STREAM:
        return directions
    if not model.whole or place.layer is None:
        return None
    block = model.anatomy.blocks[place.layer]
    if place.name == "mlp_post" and isinstance(block.mlp, Mlp):
        return directions @ block.mlp.w_out.T.float()
    if place.name == "z":
        w_o = block.attention.w_o.float()  # [head, d_model, d_head]
        w_o = w_o if place.head is None else w_o[place.head : place.head + 1]
        return directions @ w_o.permute(0, 2, 1).reshape(-1, w_o.shape[1])
    return None


def on_words(
    model: Model, site: str, directions: Float[Tensor, "feature d"], count: int, job: Job
) -> Extremes | None:
    """The words that directions raise and lower most, directly, over the mean of all words.

    The final norm's weights count, its scale is taken as 1, and nothing that lies between is
    looked at. None where no such words are known.
    """
    written = in_stream(model, site, directions)
    if written is None or not model.whole or model.anatomy.transform is not None:
        return None
    anatomy = model.anatomy
    if anatomy.final_norm is not None:
        if anatomy.final_norm.centred:
            written = written - written.mean(dim=1, keepdim=True)
        if anatomy.final_norm.weight is not None:
            written = written * anatomy.final_norm.weight.float()
    readers = anatomy.unembedding.float()
    readers = readers - readers.mean(dim=0)
    return _extremes(written, readers, min(count, len(readers)), job, "Words of features")


def alike(
    directions: Float[Tensor, "feature d"], count: int, job: Job
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """For each direction those of the largest cosine with it, and the cosines."""
    norms = directions.norm(dim=1, keepdim=True)
    unit = directions / torch.where(norms > 0, norms, 1.0)
    kept = min(count, len(unit) - 1)
    numbers = np.full((len(unit), count), NONE, np.int32)
    cosines = np.zeros((len(unit), count), np.float32)
    if kept > 0:
        others, products = nearest(unit, kept, job, "Features alike")
        numbers[:, :kept], cosines[:, :kept] = others.cpu().numpy(), products.cpu().numpy()
    return numbers, cosines


def _extremes(
    rows: Float[Tensor, "row d"], others: Float[Tensor, "other d"], count: int, job: Job, title: str
) -> Extremes:
    size = max(1, _CHUNK_NUMBERS // len(others))
    parts: list[list[Tensor]] = [[], [], [], []]
    with torch.inference_mode():
        for start in range(0, len(rows), size):
            products = rows[start : start + size] @ others.T
            high, low = products.topk(count), products.topk(count, largest=False)
            for part, values in zip(
                parts, (high.indices, high.values, low.indices, low.values), strict=True
            ):
                part.append(values)
            job.progress(title, min(start + size, len(rows)), len(rows))
    whole = [torch.cat(part).cpu().numpy() for part in parts]
    return Extremes(
        whole[0].astype(np.int32), whole[1].astype(np.float32),
        whole[2].astype(np.int32), whole[3].astype(np.float32),
    )  # fmt: skip
