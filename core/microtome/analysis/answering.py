"""Many prompts and the logits behind each, those of one length together, with or without edits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float

from microtome.activations.capture import tapped_logits
from microtome.full_memory import telling_of_memory
from microtome.jobs import Job
from microtome.models.hooks import Tap, tapping
from microtome.models.memory import pass_bytes
from microtome.models.model import Model
from microtome.models.tokens import Tokens
from microtome.sites import Site

ROWS = 32  # prompts of one length that run together

Chains = Mapping[Site, Sequence[Tap]]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One prompt and the tokens that are compared behind it; no ``wrong`` one where it is None.

    ``number`` is its place in the list that it came from.
    """

    tokens: Tokens
    answer: int
    wrong: int | None = None
    number: int = 0


def of_one_length(model: Model, asked: Iterable[Asked], rows: int = ROWS) -> Iterator[list[Asked]]:
    """What can run together: prompts of one length, at most so many."""
    by_length: dict[int, list[Asked]] = {}
    for one in asked:
        by_length.setdefault(len(one.tokens), []).append(one)
    # An encoder's prompts differ in a second length: each runs alone.
    most = 1 if model.has_encoder else rows
    for same in by_length.values():
        yield from (same[at : at + most] for at in range(0, len(same), most))


def logits_behind(
    model: Model, group: Sequence[Asked], chains: Chains, job: Job
) -> Float[np.ndarray, "prompt vocabulary"]:
    """The logits where each answer is read, float64; the prompts have one length.

    Raises EditError (ModelError without edits) for NaN or infinity, and MemoryExceeded.
    """
    places = [model.read_at(asked.tokens.ids) for asked in group]
    if len(group) == 1:
        return _alone(model, group[0], chains, job)[places]
    ids = torch.from_numpy(np.stack([asked.tokens.ids for asked in group]))
    told = telling_of_memory(
        f"Memory ran out while {model.identity.name} ran on {len(group)} prompts",
        "Choose a smaller model, or sets of shorter prompts.",
        partial(pass_bytes, model, *ids.shape),
    )
    with told, tapping(model, chains, job.check):
        whole = model.forward(ids)
    found = whole[torch.arange(len(group)), places].to("cpu", torch.float64)
    bad = torch.nonzero(~torch.isfinite(found.logsumexp(-1))).flatten().tolist()
    if bad:
        _alone(model, group[bad[0]], chains, job)  # says where the numbers go wrong
    logits: Float[np.ndarray, "prompt vocabulary"] = found.numpy()
    return logits


def _alone(
    model: Model, asked: Asked, chains: Chains, job: Job
) -> Float[np.ndarray, "position vocabulary"]:
    logits = tapped_logits(model, asked.tokens, chains, job, edited=bool(chains))
    found: Float[np.ndarray, "position vocabulary"] = logits.double().numpy()
    return found
