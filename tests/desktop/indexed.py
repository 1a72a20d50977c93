"""An index of features made by hand: a few of known figures, or very many at random."""

from __future__ import annotations

import numpy as np

from microtome.records.feature_index import BIN_EDGES, FeatureIndex, index_analysis

WORDS = ("<bos>", "Mary", "John", "the", "store", "<b>", "gave")
FINGERPRINT = "ab" * 32


def index(features=6, *, model="", rows=4, context=10, near=2, examples=3, seed=0):
    """Feature i is on i times; feature 0 is silent; feature 1 is on at Mary alone."""
    random = np.random.default_rng(seed)
    count = np.arange(features) if features < 100 else random.integers(0, 900, features)
    on = count > 0
    value = random.random((features, examples), np.float32) + 1
    place = random.integers(near, context - near, (features, examples))
    window = np.repeat(value[:, :, None], 2 * near + 1, axis=2) / 2
    window[:, :, near] = value
    token = random.integers(1, len(WORDS), (features, 10)).astype(np.int32)
    token[1, 0], token[2, 0] = 1, WORDS.index("<b>")
    share = np.full((features, 10), 0.05, np.float32)
    share[1] = np.eye(10, dtype=np.float32)[0]
    other = np.tile(np.array([[2, 3]]), (features, 1)).astype(np.int32)
    arrays = {
        "count": count, "total": count * 2.0, "peak": np.where(on, value.max(1), 0),
        "histogram": np.eye(len(BIN_EDGES) + 1, dtype=np.int64)[np.full(features, 41)]
        * count[:, None],
        "top_place": place, "top_value": value, "top_window": window,
        "some_place": place, "some_value": value, "some_window": window,
        "token": token, "token_share": share,
        "token_spread": np.where(np.arange(features) == 1, 1.0, 20.0),
        "raised": token[:, ::-1].copy(), "raised_by": share, "lowered": token, "lowered_by": -share,
        "alike": other, "alike_cosine": np.full((features, 2), 0.5, np.float32),
        "together": other, "together_share": np.full((features, 2), 0.25, np.float32),
        "tokens": random.integers(0, len(WORDS), (rows, context)).astype(np.int32),
        "vocabulary": np.array(WORDS),
    }  # fmt: skip
    params = {
        "dictionary": "by-hand", "architecture": "topk sae", "fingerprint": FINGERPRINT,
        "reads": "resid_post.1", "writes": "resid_post.1", "model": "words-4l",
        "model_fingerprint": model, "corpus": "some.txt", "positions": 1_000, "seed": 0,
    }  # fmt: skip
    return index_analysis(FeatureIndex(arrays, params))
