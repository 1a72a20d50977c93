"""The words that features of transcoders raise and lower, straight from what they write."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from microtome.features.effects import on_words
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.records.analysis import Analysis, Labelled
from microtome.records.circuit import FEATURE, Circuit
from microtome.records.feature_edit import FEATURE_WORDS

_COUNT = 5


def feature_words(
    model: Model,
    transcoders: Transcoders,
    features: Sequence[tuple[int, int]],
    *,
    count: int = _COUNT,
    job: Job | None = None,
) -> Analysis | None:
    """The words that features (layer, number) raise and lower most, over the mean of all words.

    What a feature writes reaches the logits directly; a cross-layer feature's decoders are added
    up. ``raised`` and ``lowered`` are [feature, word] texts, with ``raised_by`` and
    ``lowered_by``. None where a model has no such words.
    """
    job = job_or_default(job)
    if not features:
        return None
    rows = [transcoders.decoder(layer)[number].sum(dim=0) for layer, number in features]
    found = on_words(model, "mlp_out.0", torch.stack(rows).float(), count, job)
    if found is None:
        return None
    layers, numbers = zip(*features, strict=True)

    def texts(ids: np.ndarray) -> np.ndarray:
        return np.array([[model.token_text(int(one)) for one in row] for row in ids], np.str_)

    arrays = {
        "layer": Labelled(("feature",), np.array(layers, np.int32)),
        "number": Labelled(("feature",), np.array(numbers, np.int32)),
        "raised": Labelled(("feature", "word"), texts(found.largest)),
        "raised_by": Labelled(("feature", "word"), found.largest_by),
        "lowered": Labelled(("feature", "word"), texts(found.smallest)),
        "lowered_by": Labelled(("feature", "word"), found.smallest_by),
    }
    prints = [one.identity.fingerprint for one in transcoders.layers]
    params = {"method": "direct effect", "transcoders": transcoders.name,
              "transcoders_fingerprints": prints}  # fmt: skip
    return Analysis(FEATURE_WORDS, FEATURE_WORDS, "Words of features", arrays, params)


def features_in(circuit: Circuit, most: int) -> tuple[tuple[int, int], ...]:
    """Features of a graph, each once, those with most influence first."""
    rows = [row for row, kind in enumerate(circuit.node_kind) if kind == FEATURE]
    rows.sort(key=lambda row: -float(circuit.node_influence[row]))
    places = ((int(circuit.node_layer[row]), int(circuit.node_feature[row])) for row in rows)
    return tuple(dict.fromkeys(places))[:most]
