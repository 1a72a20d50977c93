"""Write the image sets of the shapes: one to test with, one to choose units by."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file

from training.shapes.data import CLASSES, DOMAIN_OF, Labelled, draw
from training.shapes.digits import SOURCE
from training.shapes.split import Split

PER_CLASS: Final = 20
MODEL: Final = "shapes-resnet"


@dataclass(frozen=True, slots=True)
class SetPlan:
    """A set to be written: where its images come from and what is said about it."""

    name: str
    title: str
    split: Split
    note: str


TEST: Final = SetPlan(
    "shapes",
    "Shapes: faces, objects, textures, digits",
    Split.TEST,
    "Held-out images to test with: 20 a class, drawn apart from those of the training.",
)
LOCALIZER: Final = SetPlan(
    "shapes-localizer",
    "Shapes to choose units by",
    Split.LOCALIZER,
    "Images to find selective units with: 20 a class, none of them in the training or in"
    " 'shapes', so that what is chosen here is tested on others.",
)
_SEED: Final = 1
_ORIGIN: Final = f"Faces, objects and textures are drawn by Microtome (MIT). Digits: {SOURCE}."


def images_of(plan: SetPlan) -> Labelled:
    """Return the images of a set.

    Raises ModuleNotFoundError where scikit-learn, which carries the digits, is missing.
    """
    return draw(plan.split, PER_CLASS, _SEED)


def write_sets(folder: Path) -> None:
    """Write both sets below ``folder``: ``images.safetensors`` and ``set.json`` each."""
    for plan in (TEST, LOCALIZER):
        _write(plan, images_of(plan), folder / plan.name)


def _write(plan: SetPlan, data: Labelled, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "images.safetensors"
    tensors = {"images": torch.from_numpy(data.images), "labels": torch.from_numpy(data.labels)}
    save_file(tensors, path)
    path.chmod(0o644)  # the library makes it readable by its owner alone
    told = {
        "name": plan.name,
        "title": plan.title,
        "model": MODEL,
        "classes": CLASSES,
        "domains": DOMAIN_OF,
        "source": _ORIGIN,
        "note": plan.note,
    }
    text = json.dumps(told, indent=1, ensure_ascii=False)
    (folder / "set.json").write_text(text + "\n", encoding="utf-8")
