"""Head detectors: how much of each head's attention goes where a known kind of head looks.

A detector is a rule that says which keys such a head would attend to; its score is the
attention that falls on those keys, averaged over the queries that have any. Heads are known by
their behaviour on random tokens said twice, where position and repetition are all there is
(Olsson et al., "In-context learning and induction heads", 2022; Wang et al., "Interpretability
in the wild", 2022, for duplicate token heads).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.activations.capture import trace
from microtome.errors import InputError
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompts import Prompt
from microtome.records.analysis import Analysis, Labelled

Keys = Bool[np.ndarray, "query key"]
Ids = Int[np.ndarray, " position"]


def previous_token_keys(ids: Ids) -> Keys:
    """The token just before each query."""
    return np.eye(len(ids), k=-1, dtype=bool)


def duplicate_token_keys(ids: Ids) -> Keys:
    """Earlier occurrences of each query's own token."""
    return np.tril(ids[:, None] == ids[None, :], k=-1)


def induction_keys(ids: Ids) -> Keys:
    """What followed earlier occurrences of each query's token, before the query itself."""
    follows = np.zeros((len(ids), len(ids)), dtype=bool)
    follows[:, 1:] = duplicate_token_keys(ids)[:, :-1]
    return np.tril(follows, k=-1)


def next_token_keys(ids: Ids) -> Keys:
    """The token just behind each query."""
    return np.eye(len(ids), k=1, dtype=bool)


def same_token_keys(ids: Ids) -> Keys:
    """Other occurrences of each query's own token, before it and behind it."""
    return np.asarray((ids[:, None] == ids[None, :]) & ~np.eye(len(ids), dtype=bool))


def behind_same_token_keys(ids: Ids) -> Keys:
    """What stands behind other occurrences of each query's token, but for the query itself."""
    follows = np.zeros((len(ids), len(ids)), dtype=bool)
    follows[:, 1:] = same_token_keys(ids)[:, :-1]
    return follows & ~np.eye(len(ids), dtype=bool)


@dataclass(frozen=True, slots=True)
class Detector:
    """A kind of head, by the keys that it attends to."""

    name: str
    keys: Callable[[Ids], Keys]


DETECTORS = (
    Detector("previous token", previous_token_keys),
    Detector("duplicate token", duplicate_token_keys),
    Detector("induction", induction_keys),
)

# Of models whose queries see what stands behind them.
BOTH_WAYS = (
    DETECTORS[0],
    Detector("next token", next_token_keys),
    Detector("same token", same_token_keys),
    Detector("behind the same token", behind_same_token_keys),
)
_BY_NAME = {detector.name: detector for detector in (*DETECTORS, *BOTH_WAYS)}


def named_detectors(names: Sequence[str]) -> tuple[Detector, ...]:
    """The detectors of some names, as ``params["detectors"]`` of head scores lists them."""
    return tuple(_BY_NAME[name] for name in names)


def detect(
    patterns: Float[np.ndarray, "layer head query key"],
    ids: Ids,
    detectors: Sequence[Detector] = DETECTORS,
) -> Float[np.ndarray, "detector layer head"]:
    """The score of every detector on every head, 0 to 1, in the order of ``detectors``.

    A detector that no query of this prompt gives anything to look at scores 0; see ``applies``.
    """
    keys = np.stack([detector.keys(ids) for detector in detectors])
    queries = np.maximum(1, keys.any(axis=2).sum(axis=1))  # [detector]
    attention = np.einsum("lhqk,dqk->dlh", patterns, keys.astype(patterns.dtype), optimize=True)
    return np.asarray(attention / queries[:, None, None], dtype=np.float32)


def applies(ids: Ids, detectors: Sequence[Detector] = DETECTORS) -> Bool[np.ndarray, " detector"]:
    """Which detectors have anything to look at in a prompt: repetition needs repeated tokens."""
    return np.array([bool(detector.keys(ids).any()) for detector in detectors])


@small_on_one_thread
def head_scores(
    model: Model,
    *,
    seed: int = 0,
    length: int = 24,
    batch: int = 4,
    prompts: Sequence[Prompt] = (),
    job: Job | None = None,
) -> Analysis:
    """Detector scores of all heads, measured on ``batch`` sequences of random tokens said twice.

    ``length`` is that of the part which is repeated; a short context shortens it. Where queries
    see both ways the detectors are ``BOTH_WAYS``, else ``DETECTORS``. A model that
    never saw random tokens is measured on ``prompts`` of its own kind instead, which must repeat
    tokens. ``params["measured_on"]`` says which it was. Of a model with an encoder the heads are
    those of the decoder's self-attention, and the encoder reads the same tokens.
    Raises InputError when the model's context holds no repetition or ``batch`` is not positive.
    """
    job = job_or_default(job)
    expect_model(model)
    detectors = BOTH_WAYS if model.in_place else DETECTORS
    half = _fitting(length, model.identity.context)
    repeated = repeated_tokens(model.identity.reads, half, batch, seed)
    sequences: Sequence[Prompt] = prompts or [
        model.lexicon.repeating(ids.tolist()) for ids in repeated
    ]
    found = []
    for done, sequence in enumerate(sequences):
        job.progress("Detecting head types", done, len(sequences))
        run = trace(model, sequence, sites=("pattern",), job=job)
        found.append(detect(run.activation("pattern"), run.token_ids, detectors))
    axes, scores = ("detector", "layer", "head"), np.mean(found, axis=0)
    arrays = {"score": Labelled(axes, scores, long_name="share of attention")}
    params = {
        "detectors": [detector.name for detector in detectors],
        "measured_on": "prompts" if prompts else "random tokens said twice",
        "seed": seed,
        "length": None if prompts else half,
        "batch": len(sequences),
    }
    return Analysis("head-scores", "head-scores", "Head types", arrays, params)


def repeated_tokens(
    vocabulary: int, length: int, batch: int, seed: int
) -> Int[np.ndarray, "batch position"]:
    """Random token ids, each row its first half twice; no token twice in a half if possible.

    Raises InputError when a length or the batch is not positive.
    """
    if length < 1 or batch < 1:
        raise InputError(
            f"{batch} sequences of {length} repeated tokens were asked for.",
            "Both must be at least 1.",
        )
    random = np.random.default_rng(seed)
    alike = length > vocabulary
    halves = [random.choice(vocabulary, length, replace=alike) for _ in range(batch)]
    return np.tile(np.array(halves, dtype=np.int32), 2)


def _fitting(length: int, context: int | None) -> int:
    return length if context is None else min(length, context // 2)
