"""Train words-4l: a four-layer GPT-2 on eleven small tasks, with checkpoints."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from training.batches import Stream
from training.documents import Split
from training.evaluate import accuracies, weighted_loss

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of one training run."""

    steps: int = 6_000
    warm_up: int = 100
    rows: int = 18
    context: int = 64
    learning_rate: float = 2e-3
    final_share: float = 0.02
    weight_decay: float = 0.05
    clip: float = 1.0
    seed: int = 0


CHECKPOINTS: Final = (0, 1_000, 1_250, 1_500, 2_000, 2_500, 3_000, 4_000)


def config(vocabulary_size: int, context: int) -> GPT2Config:
    """Return the shape of words-4l: 4 layers, 4 heads, width 128, tied embeddings."""
    return GPT2Config(
        vocab_size=vocabulary_size,
        n_positions=context,
        n_embd=128,
        n_layer=4,
        n_head=4,
        n_inner=512,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )


def _optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return AdamW that decays matrices only."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)


def _rate(step: int, recipe: Recipe) -> float:
    """Return the share of the learning rate: a linear warm-up, then one cosine."""
    if step < recipe.warm_up:
        return (step + 1) / recipe.warm_up
    progress = (step - recipe.warm_up) / (recipe.steps - recipe.warm_up)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return recipe.final_share + (1 - recipe.final_share) * cosine


def train(
    ids: Mapping[str, int],
    recipe: Recipe,
    keep: Callable[[int, GPT2LMHeadModel], None],
    report_every: int = 500,
) -> GPT2LMHeadModel:
    """Train from scratch; ``keep`` is called with the step and the model along the way.

    One torch thread, because the order of sums would otherwise depend on the machine.
    """
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    model = GPT2LMHeadModel(config(len(ids), recipe.context))
    stream = Stream(ids, Split.TRAINING, f"training {recipe.seed}")
    optimiser = _optimiser(model, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, recipe))
    started = time.process_time()
    for step in range(recipe.steps + 1):
        keep(step, model)
        if step % report_every == 0:
            _report(step, model, ids, time.process_time() - started)
        if step == recipe.steps:
            break
        loss = weighted_loss(model, stream.batch(recipe.rows, recipe.context))
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimiser.step()
        schedule.step()
    model.train(mode=False)
    return model


def _report(step: int, model: GPT2LMHeadModel, ids: Mapping[str, int], seconds: float) -> None:
    found = accuracies(model, ids, 100)
    line = "  ".join(f"{name} {value:.2f}" for name, value in found.items())
    log.info("step %d, %.0f s: %s", step, seconds, line)
