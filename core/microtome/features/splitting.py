"""How the features of a small dictionary split into those of a large one.

A large dictionary often has several narrower features where a small one has one (Bricken et al.,
"Towards Monosemanticity", 2023). Two things tell which: that both write in the same direction, and
that the large feature is on where the small one is.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from microtome.activations.shards import Harvest
from microtome.corpora.reading import Source
from microtome.errors import DictionaryMismatch, InputError, expect
from microtome.features.dictionary import Dictionary
from microtome.features.fitting import expect_fit
from microtome.features.indexing import text_rows
from microtome.features.sites_read import read_sites
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.records.feature_index import NONE
from microtome.records.feature_splits import FeatureSplits
from microtome.sites import Site

# Numbers of codes, or of pairs of features, that are in memory at once.
_NUMBERS = 1 << 23


def feature_splits(
    model: Model,
    small: Dictionary,
    large: Dictionary,
    source: Source | Harvest,
    *,
    count: int = 10,
    context: int | None = None,
    limit: int = 100_000,
    job: Job | None = None,
) -> FeatureSplits:
    """For each feature of a small dictionary the ``count`` features of a large one that cover it.

    Both write the same site. Raises DictionaryMismatch where they do not or do not belong to the
    model, InputError, CorpusError.
    """
    job = job_or_default(job)
    expect_model(model)
    for name, one in (("small", small), ("large", large)):
        expect(one, Dictionary, name, "a Dictionary", "Load or train one.")
        expect_fit(one.identity, model)
    if small.identity.writes != large.identity.writes:
        raise DictionaryMismatch(
            f"{small.identity.name} writes {small.identity.writes}, {large.identity.name} "
            f"{large.identity.writes}.",
            "Compare dictionaries of one site.",
        )
    if count < 1:
        raise InputError(f"{count} features were asked for.", "Ask for one or more.")
    with TemporaryDirectory() as folder:
        tokens, named = text_rows(model, source, Path(folder), context, limit, job)
    activity, on, positions = _codes(model, small, large, tokens, job)
    params = {
        "small": small.identity.name, "small_fingerprint": small.identity.fingerprint,
        "large": large.identity.name, "large_fingerprint": large.identity.fingerprint,
        "site": small.identity.writes, "corpus": named, "positions": positions,
    }  # fmt: skip
    return _found(_unit(small), _unit(large), activity, on, min(count, large.d_sae), params, job)


def _codes(
    model: Model, small: Dictionary, large: Dictionary, tokens: np.ndarray, job: Job
) -> tuple[sparse.csr_matrix, sparse.csr_matrix, int]:
    """What the small dictionary's codes are, and where the large one's are on."""
    sites = [Site.of(one.identity.reads) for one in (small, large)]
    size = max(1, _NUMBERS // ((small.d_sae + large.d_sae) * tokens.shape[1]))
    parts: tuple[list[sparse.csr_matrix], list[sparse.csr_matrix]] = [], []
    for start in range(0, len(tokens), size):
        ids = tokens[start : start + size]
        held = read_sites(model, ids, sites, job)
        counted = torch.from_numpy(~np.isin(ids, model.lexicon.special_tokens))
        with torch.inference_mode():
            for one, site, part in zip((small, large), sites, parts, strict=True):
                codes = one.encode(held[site][counted]).cpu().numpy()
                part.append(sparse.csr_matrix(codes))
        job.progress("Features of both", min(start + size, len(tokens)), len(tokens))
    activity, on = (sparse.vstack(part, format="csr") for part in parts)
    on.data[:] = 1
    return activity, on, activity.shape[0]


def _unit(one: Dictionary) -> Float[Tensor, "feature d"]:
    directions = one.directions.detach().float()
    norms = directions.norm(dim=1, keepdim=True)
    return directions / torch.where(norms > 0, norms, 1.0)


def _found(
    small: Float[Tensor, "small d"],
    large: Float[Tensor, "large d"],
    activity: sparse.csr_matrix,
    on: sparse.csr_matrix,
    count: int,
    params: dict[str, object],
    job: Job,
) -> FeatureSplits:
    """Both kinds of likeness of all pairs, some small features at a time."""
    shape = (len(small), count)
    alike, covering = np.full(shape, NONE, np.int32), np.full(shape, NONE, np.int32)
    cosine, share, covering_cosine = np.zeros((3, *shape), np.float32)
    total = np.asarray(activity.sum(axis=0)).reshape(-1)
    by_feature, size = activity.T.tocsr(), max(1, _NUMBERS // len(large))
    for start in range(0, len(small), size):
        rows = slice(start, min(start + size, len(small)))
        cosines = small[rows] @ large.T
        best = cosines.topk(count, dim=1)
        alike[rows], cosine[rows] = best.indices.numpy(), best.values.numpy()
        shares = (by_feature[rows] @ on).toarray() / np.maximum(total[rows], 1e-30)[:, None]
        most = torch.from_numpy(shares).topk(count, dim=1)
        share[rows] = most.values.numpy()
        covering[rows] = np.where(share[rows] > 0, most.indices.numpy(), NONE)
        covering_cosine[rows] = cosines.gather(1, most.indices).numpy()
        job.progress("Feature splitting", rows.stop, len(small))
    covering_cosine[covering == NONE] = 0
    return FeatureSplits(alike, cosine, covering, share, covering_cosine, params)
