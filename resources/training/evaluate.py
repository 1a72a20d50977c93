"""How often a model answers held-out documents correctly."""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional
from transformers import GPT2LMHeadModel

from training.batches import Batch, Stream
from training.documents import Document, Grammar, Judge, Split, seeded
from training.tasks import TASKS
from training.words import BOS

_CHUNK: Final = 250


def is_right(document: Document, judge: Judge, logits: Tensor, ids: Mapping[str, int]) -> bool:
    """Judge the logits [vocabulary] at the word before the asked one."""
    right = [ids[word] for word in document.right]
    wrong = [ids[word] for word in document.wrong]
    if judge is Judge.TOP:
        return int(logits.argmax()) in right
    if judge is Judge.AMONG:
        return bool(logits[right].max() > logits[wrong].max())
    return bool(logits[right].logsumexp(0) > logits[wrong].logsumexp(0))


def _last_logits(
    model: GPT2LMHeadModel, documents: Sequence[Document], ids: Mapping[str, int]
) -> Tensor:
    """Return logits [document, vocabulary] before each asked word."""
    rows = [[ids[BOS], *(ids[word] for word in d.words[: d.asked])] for d in documents]
    longest = max(map(len, rows))
    # The model is causal, so what stands to the right of a short row does not matter.
    padded = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    last = torch.tensor([len(row) - 1 for row in rows])
    logits: Tensor = model(padded).logits
    return logits[torch.arange(len(rows)), last]


@torch.no_grad()
def accuracy(
    model: GPT2LMHeadModel, task: Grammar, ids: Mapping[str, int], count: int, seed: str = "test"
) -> float:
    """Return the share of held-out documents that the model answers correctly."""
    rng = seeded(seed, task.name)
    documents = [task.document(rng, Split.HELD_OUT) for _ in range(count)]
    right = 0
    for start in range(0, count, _CHUNK):
        chunk = documents[start : start + _CHUNK]
        logits = _last_logits(model, chunk, ids)
        right += sum(
            is_right(document, task.judge, row, ids)
            for document, row in zip(chunk, logits, strict=True)
        )
    return right / count


def accuracies(model: GPT2LMHeadModel, ids: Mapping[str, int], count: int) -> dict[str, float]:
    """Return the accuracy of every task by its name."""
    return {task.name: accuracy(model, task, ids, count) for task in TASKS}


def weighted_loss(model: GPT2LMHeadModel, batch: Batch) -> Tensor:
    """Return the mean cross-entropy (nats), weighted by the batch."""
    logits = model(batch.ids).logits[:, :-1].flatten(0, 1)
    losses = functional.cross_entropy(logits, batch.ids[:, 1:].flatten(), reduction="none")
    weights = batch.weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum()


@torch.no_grad()
def held_out_loss(model: GPT2LMHeadModel, ids: Mapping[str, int]) -> float:
    """Return the plain cross-entropy (nats a word) on packed held-out documents."""
    batch = Stream(ids, Split.HELD_OUT, "loss").batch(100, model.config.n_positions)
    known = (batch.weights > 0).float()
    return float(weighted_loss(model, Batch(batch.ids, known)))
