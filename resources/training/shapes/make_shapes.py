"""Write the models of the shapes and their image sets: train five seeds, measure, describe."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from transformers import ResNetForImageClassification

from training.saving import save_model
from training.shapes.canvas import SIDE
from training.shapes.card import Findings, card
from training.shapes.data import draw
from training.shapes.digits import DIGITS, samples
from training.shapes.measure import measure, missed
from training.shapes.sets import LOCALIZER, MODEL, TEST, images_of, write_sets
from training.shapes.split import Split
from training.shapes.train import DEVIATION, MEAN, Recipe, train, training_images

log = logging.getLogger(__name__)

SEEDS: Final = (0, 1, 2, 3, 4)
CHOSEN: Final = {"shapes-resnet": 4, "shapes-resnet-b": 3}
_SISTER: Final = {
    "shapes-resnet": "",
    "shapes-resnet-b": " It is `shapes-resnet` from another seed,"
    "\nto see whether two models agree; the lesions are to be shown on `shapes-resnet`.",
}
_TEST_PER_CLASS: Final = 100
_TEST_SEED: Final = 0
# What an image processor of transformers does for these models.
_PREPROCESSING: Final = {
    "image_processor_type": "ViTImageProcessor",
    "num_channels": 1,
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [MEAN],
    "image_std": [DEVIATION],
}


def write(out: Path, recipe: Recipe | None = None) -> None:
    """Write the image sets, train a model from each seed and keep the chosen two.

    Raises ValueError, after writing, when `shapes-resnet` misses a goal, and
    ModuleNotFoundError where scikit-learn, which carries the digits, is missing.
    """
    recipe = recipe or Recipe()
    write_sets(out / "images")
    data = training_images(recipe.per_class)
    models = {seed: train(replace(recipe, seed=seed), data) for seed in SEEDS}
    write_models(out / "models", models, recipe)


def write_models(
    folder: Path, models: Mapping[int, ResNetForImageClassification], recipe: Recipe
) -> None:
    """Write the chosen two of the models of all seeds; their cards tell what all can do."""
    found = measured(models)
    for name, seed in CHOSEN.items():
        _write_model(models[seed], folder / name)
        text = card(name, found, replace(recipe, seed=seed), _SISTER[name])
        (folder / name / "README.md").write_text(text, encoding="utf-8")
    seed = CHOSEN[MODEL]
    if short := missed(found.many[seed]) + missed(found.embedded[seed]):
        raise ValueError(f"{MODEL} misses goals, see its card: {', '.join(short)}.")


def measured(models: Mapping[int, ResNetForImageClassification]) -> Findings:
    """Return what the cards report, for every seed."""
    test, shown, localizer = (
        draw(Split.TEST, _TEST_PER_CLASS, _TEST_SEED),
        images_of(TEST),
        images_of(LOCALIZER),
    )
    found = Findings(
        many={seed: measure(model, test, localizer) for seed, model in models.items()},
        embedded={seed: measure(model, shown, localizer) for seed, model in models.items()},
        per_class=_TEST_PER_CLASS,
        samples=len(samples(DIGITS[0], Split.TEST)),
        parameters=next(iter(models.values())).num_parameters(),
    )
    for seed, rows in found.many.items():
        log.info("seed %d: %s; missed: %s", seed, rows, missed(rows) or "nothing")
    return found


def _write_model(model: ResNetForImageClassification, folder: Path) -> None:
    save_model(model, folder)
    text = json.dumps(_PREPROCESSING, indent=2)
    (folder / "preprocessor_config.json").write_text(text + "\n", encoding="utf-8")
