"""Which features get a row, and in which order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import torch
from jaxtyping import Float

from microtome.circuits.attribution.replaced import Replaced
from microtome.circuits.attribution.rising import Risen, risen
from microtome.circuits.attribution.rows import Rows
from microtome.circuits.attribution.targets import Features, Logits, chunk_costs, logit_targets
from microtome.circuits.attribution.walk import Targets, walk
from microtome.errors import MemoryExceeded, megabytes
from microtome.jobs import Job

_TITLE = "Tracing features back"
_ROUNDS = 12  # in which features are chosen anew where not all get a row
_LEAST = 64  # features of a round


def explored(
    held: Replaced,
    logits: Logits,
    most: int,
    budget: int,
    job: Job,
    found: Callable[[Rows], None],
) -> Rows:
    """Rows of the logits and of at most so many features, those with most influence first.

    Influence is that which the rows found so far pass on, looked at anew ``_ROUNDS`` times.
    ``found`` is called with all rows after each round but the last.
    """
    features = Features.of(held)
    rows = Rows.of(held, features)
    asked = int((~features.given).sum())
    count = min(most, asked)
    room = walking_room(held, count, len(logits.ids), budget)
    everything = count == asked
    below = risen(held, target_vectors(held, features, count, len(logits.ids)), job)
    if everything and fits_one_walk(held, features, room):
        _together(rows, held, logits, job, below)
        return rows
    rows.add_logits(walk(held, logit_targets(held, logits), job, below))
    done, step = 0, count if everything else max(_LEAST, -(-count // _ROUNDS))
    while done < count:
        ranked = _ranked(rows, logits)[: min(step, count - done)]
        for chunk in features.chunks(held, ranked, room):
            job.progress(_TITLE, done, count)
            rows.add(chunk, walk(held, features.targets(held, chunk), job, below))
            done += len(chunk)
        if done < count:
            found(rows)
    job.progress(_TITLE, count, count)
    return rows


def _ranked(rows: Rows, logits: Logits) -> torch.Tensor:
    """Features without a row, the most influential first."""
    influence = rows.influence(logits.probability)[rows.column]
    out = rows.walked | rows.features.given
    influence[out] = -1
    order = influence.argsort(descending=True, stable=True)
    return order[: len(order) - int(out.sum())]


def fits_one_walk(held: Replaced, features: Features, room: int) -> bool:
    """Whether a single walk has room for all features and the logits."""
    everything = torch.arange(held.n_features)
    return held.n_features == 0 or len(list(features.chunks(held, everything, room))) == 1


def target_vectors(
    held: Replaced, features: Features, count: int, words: int
) -> Float[torch.Tensor, " layer"]:
    """Vectors of the targets of each layer, logits last, where so many features get a row."""
    each = (features.position + 1).double() * count / max(1, held.n_features)
    found = torch.zeros(held.n_layers + 1, dtype=torch.float64)
    found.index_add_(0, features.layer, each)
    found[-1] = words * held.n_positions
    return found


def _together(rows: Rows, held: Replaced, logits: Logits, job: Job, below: Risen | None) -> None:
    """Everything in one walk."""
    job.progress(_TITLE, 0, 1)
    order = (~rows.features.given).nonzero()[:, 0]
    words, others = logit_targets(held, logits), rows.features.targets(held, order)
    ends = held.run.embedding.shape[-1] == others.direction.shape[-1]
    assert ends  # noqa: S101  a transcoder reads the stream, or a norm of it
    both = Targets(
        torch.cat([words.layer, others.layer]),
        torch.cat([words.position, others.position]),
        torch.cat([words.direction, others.direction]),
    )
    found = walk(held, both, job, below)
    rows.add_logits(found[: len(words)])
    rows.add(order, found[len(words) :])
    job.progress(_TITLE, 1, 1)


def row_bytes(held: Replaced, features: int, words: int) -> int:
    """Bytes of the rows of so many features, at most, and of the logits."""
    sizes = torch.tensor([len(one) for one in held.features])
    lengths = torch.tensor([held.first(layer) for layer in range(held.n_layers)])
    # The longest rows are those of the highest layers.
    longest = lengths.repeat_interleave(sizes).flip(0)[:features]
    return 4 * (int(longest.sum()) + words * held.n_columns)


def walking_room(held: Replaced, features: int, words: int, budget: int) -> int:
    """Bytes that are left for one walk beside all rows.

    Raises MemoryExceeded, which says how many features would fit.
    """
    last = torch.tensor([held.n_positions - 1])
    least = int(chunk_costs(held, last)[0]) * max(1, words)
    kept = row_bytes(held, features, words)
    if kept + least > budget:
        none = row_bytes(held, 0, words) + least
        fitting = _most_features(held, features, words, budget - least)
        way_out = (
            f"Give a larger budget, or max_feature_nodes={fitting}, which fits."
            if none <= budget
            else f"Give a budget of {none:,} bytes or more, fewer logits, or a shorter prompt."
        )
        raise MemoryExceeded(
            f"Direct effects of {features:,} features on {held.n_columns:,} nodes take "
            f"{megabytes(kept + least)}, but the budget is {megabytes(budget)}.",
            way_out,
        )
    return budget - kept


def _most_features(held: Replaced, features: int, words: int, room: int) -> int:
    """How many features' rows fit, below so many, beside those of the logits."""
    return max(0, bisect_right(range(features), room, key=lambda n: row_bytes(held, n, words)) - 1)
