"""Opening a model that sees: its module, its sight, and what a session remembers of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import torch
import transformers
from torch import nn

from microtome.errors import ModelDamaged
from microtome.images.preprocessing import Preprocessing
from microtome.models.outline import Outline
from microtome.models.vision.patches import PatchLexicon
from microtome.models.vision.rows import VisionRow
from microtome.models.vision.sight import Sight, measured_layers
from microtome.records.model import ModelIdentity
from microtome.sites import SITES

_NO_SITES = "a convolutional net has layers of units instead; see the tabs See, Units and Lesions"
_LEADING = {0: (), 1: ("[CLS]",), 2: ("[CLS]", "[DIST]")}


@dataclass(frozen=True, slots=True)
class Seeing:
    """What a loaded module that sees is made into."""

    sight: Sight
    lexicon: PatchLexicon
    outline: Outline


def class_of(row: VisionRow, settings: dict[str, Any]) -> str:
    """The class of transformers for a config: the one that it names, if the row knows it."""
    named = settings.get("architectures") or []
    return next((name for name in named if name in row.classes), row.classes[0])


def seeing(module: nn.Module, row: VisionRow, preprocessing: Preprocessing, name: str) -> Seeing:
    """The sight and the lexicon of a module of a known family."""
    config: Any = module.config
    call = row.call(type(module).__name__)
    leading, shape = _LEADING[row.leading or 0], seen_shape(preprocessing, name)
    places = list(row.places(module, config))
    layers = measured_layers(module, places, shape, call, len(leading))
    classes, named = _classes(module, call, shape)
    sight = Sight(module, row.title, layers, preprocessing, shape, classes, named, call)
    patch = None if row.leading is None else int(getattr(config, row.patch_key))
    lexicon = PatchLexicon(preprocessing, shape, name, patch, leading)
    outline = Outline(
        model_type=row.model_type,
        class_name=type(module).__name__,
        absent=MappingProxyType(dict.fromkeys((*SITES, "lens"), _NO_SITES)),
        labelled=True,
    )
    return Seeing(sight, lexicon, outline)


def seen_shape(preprocessing: Preprocessing, name: str) -> tuple[int, int, int]:
    """Channels, rows and columns of what a model reads.

    Raises ModelDamaged where its files do not say.
    """
    if preprocessing.shape is None:
        raise ModelDamaged(
            f"{preprocessing.source} of {name} names no size of the images that it reads.",
            'Write for example "size": {"height": 224, "width": 224} there.',
        )
    return (preprocessing.channels, *preprocessing.shape)


def _classes(
    module: nn.Module, call: Any, shape: tuple[int, int, int]
) -> tuple[tuple[str, ...], bool]:
    """The names of what comes out, and whether the model's files say them."""
    config: Any = module.config
    weight = next(module.parameters())
    with torch.inference_mode():
        black = torch.zeros(1, *shape, device=weight.device, dtype=weight.dtype)
        count = call(module, black).shape[1]
    held = getattr(config, "id2label", None) or {}
    names = tuple(str(held.get(number, f"class {number}")) for number in range(count))
    plain = all(name == f"LABEL_{number}" for number, name in enumerate(names))
    if len(held) != count or plain:
        return tuple(f"output {number}" for number in range(count)), False
    return names, True


def seeing_identity(
    name: str, module: nn.Module, sight: Sight, settings: dict[str, Any], **known: Any
) -> ModelIdentity:
    """What a session remembers of a convolutional net."""
    weight = next(module.parameters())
    last = list(sight.layers.values())[-1]
    return ModelIdentity(
        name=name,
        n_layers=0,
        n_heads=0,
        n_kv_heads=0,
        d_model=last.n_units,
        d_head=0,
        d_mlp=0,
        vocabulary=len(sight.classes),
        context=None,
        n_parameters=sum(parameter.numel() for parameter in module.parameters()),
        dtype=str(weight.dtype).removeprefix("torch."),
        device=str(weight.device),
        config_json=json.dumps(settings, sort_keys=True),
        versions={held: version(held) for held in ("microtome", "torch", "transformers")},
        sees=True,
        **known,
    )


def model_class(row: VisionRow, settings: dict[str, Any]) -> Any:
    """The class of transformers that opens a model."""
    return getattr(transformers, class_of(row, settings))
