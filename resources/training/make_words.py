"""Write the model folder of words-4l: train, keep checkpoints, measure, describe."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file
from transformers import GPT2LMHeadModel

from training.card import Findings, card
from training.evaluate import accuracies, held_out_loss
from training.saving import save_model, save_weights
from training.tasks import TASKS
from training.tokenizer import save_tokenizer
from training.train_words import CHECKPOINTS, Recipe, config, train
from training.vocabulary import encoder, vocabulary
from training.words import BOS

log = logging.getLogger(__name__)

NAME: Final = "words-4l"
_COUNT: Final = 1_000
_COUNT_ALONG: Final = 500


def write(models: Path, recipe: Recipe | None = None) -> None:
    """Train words-4l and write its folder; the card says what was measured.

    Raises ValueError, after writing, when a task misses its goal.
    """
    recipe = recipe or Recipe()
    folder = models / NAME
    ids = encoder(vocabulary())
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)

    def keep(step: int, model: GPT2LMHeadModel) -> None:
        if step in CHECKPOINTS:
            save_weights(model, folder / "checkpoints" / str(step), torch.float16)

    model = train(ids, recipe, keep)
    save_model(model, folder)
    save_tokenizer(tuple(ids), folder, recipe.context)
    found = measure(folder, ids, recipe)
    (folder / "README.md").write_text(card(found, recipe), encoding="utf-8")
    missed = [t.name for t in TASKS if t.goal is not None and found.accuracy[t.name] < t.goal]
    if missed:
        raise ValueError(f"{NAME} is below its goal on {', '.join(missed)}; see its card.")


def _loaded(weights: Path, size: int, recipe: Recipe) -> GPT2LMHeadModel:
    """Return the model with weights from a file, in float32."""
    model = GPT2LMHeadModel(config(size, recipe.context))
    tensors = {name: tensor.float() for name, tensor in load_file(weights).items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise ValueError(f"{weights.name} does not fit: {missing}, {unexpected}.")
    model.train(mode=False)
    return model


@torch.no_grad()
def _she_and_he(model: GPT2LMHeadModel, who: str, ids: Mapping[str, int]) -> tuple[float, float]:
    words = (BOS, *f"The {who} said that".split())
    logits = model(torch.tensor([[ids[word] for word in words]])).logits[0, -1]
    chances = logits.softmax(-1)
    return float(chances[ids["she"]]), float(chances[ids["he"]])


def measure(folder: Path, ids: Mapping[str, int], recipe: Recipe) -> Findings:
    """Return what the card reports, measured on the files as they were written."""
    model = _loaded(folder / "model.safetensors", len(ids), recipe)
    accuracy = accuracies(model, ids, _COUNT)
    log.info("finished model: %s", accuracy)
    along = {}
    for step in CHECKPOINTS:
        weights = folder / "checkpoints" / str(step) / "model.safetensors"
        along[str(step)] = accuracies(_loaded(weights, len(ids), recipe), ids, _COUNT_ALONG)
    along[f"{recipe.steps} (end)"] = accuracies(model, ids, _COUNT_ALONG)
    return Findings(
        accuracy=accuracy,
        count=_COUNT,
        loss=held_out_loss(model, ids),
        nurse=_she_and_he(model, "nurse", ids),
        doctor=_she_and_he(model, "doctor", ids),
        checkpoints=along,
        parameters=model.num_parameters(),
        width=model.config.n_embd,
        vocabulary=len(ids),
    )
