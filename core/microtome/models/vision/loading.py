"""Opening a model that sees: its module, its sight, and what a session remembers of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import torch
import transformers
from torch import nn

from microtome.errors import ModelDamaged
from microtome.images.preprocessing import Preprocessing
from microtome.models.family import Family
from microtome.models.outline import Outline
from microtome.models.resolve import Shape, resolve
from microtome.models.vision.patches import PatchLexicon
from microtome.models.vision.reader import PatchReader, vision_config
from microtome.models.vision.rows import VisionRow
from microtome.models.vision.sight import Sight, measured_layers
from microtome.records.model import ModelIdentity
from microtome.records.seen import PREPROCESSING
from microtome.sites import SITES

_NO_SITES = "a convolutional net has layers of units instead; see the tabs See, Units and Lesions"
_IMAGINED = 64  # random patches that are known before any image is shown
_LEADING = {0: (), 1: ("[CLS]",), 2: ("[CLS]", "[DIST]")}


@dataclass(frozen=True, slots=True)
class Seeing:
    """What a loaded module that sees is made into; ``module`` is what runs on tokens."""

    module: nn.Module
    sight: Sight
    lexicon: PatchLexicon
    family: Family | Outline
    shape: Shape


def class_of(row: VisionRow, settings: dict[str, Any]) -> str:
    """The class of transformers for a config: the one that it names, if the row knows it."""
    named = settings.get("architectures") or []
    return next((name for name in named if name in row.classes), row.classes[0])


def part_of(row: VisionRow, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of what is opened: of a model that reads text too its part on vision."""
    inner = settings.get("vision_config")
    if not isinstance(inner, dict) or class_of(row, settings) in row.whole_configs:
        return settings
    size = settings.get("projection_dim")
    return {**({} if size is None else {"projection_dim": size}), **inner}


def seeing(module: nn.Module, row: VisionRow, preprocessing: Preprocessing, name: str) -> Seeing:
    """The sight and the lexicon of a module of a known family."""
    config = vision_config(module.config)
    call = row.call(type(module).__name__)
    leading, shape = _LEADING[row.leading or 0], seen_shape(preprocessing, name)
    places = list(row.places(module, config))
    try:
        layers = measured_layers(module, places, shape, call, len(leading))
    except ValueError as error:  # images of another size than the model's
        raise ModelDamaged(
            f"{name} cannot read the images that {preprocessing.source} describes: {error}",
            "Its files do not belong together.",
        ) from error
    classes, named = _classes(module, call, shape)
    sight = Sight(module, row.title, layers, preprocessing, shape, classes, named, call)
    patch = None if row.leading is None else int(getattr(config, row.patch_key))
    lexicon = PatchLexicon(preprocessing, shape, name, patch, leading)
    if row.family is not None and row.embeddings is not None:
        return _transformer(module, row, sight, lexicon)
    outline = Outline(
        model_type=row.model_type,
        class_name=type(module).__name__,
        absent=MappingProxyType(dict.fromkeys((*SITES, "lens"), _NO_SITES)),
        labelled=True,
    )
    return Seeing(module, sight, lexicon, outline, _shape_of(sight))


def _transformer(net: nn.Module, row: VisionRow, sight: Sight, lexicon: PatchLexicon) -> Seeing:
    """A module whose every weight's place is known."""
    assert row.family is not None  # noqa: S101
    assert row.embeddings is not None  # noqa: S101
    ending = row.ending(type(net).__name__)
    family = replace(row.family, **ending.fields).of(vision_config(net.config))
    lexicon.imagine(_IMAGINED)
    head = None if ending.head is None else ending.head(net)
    reader = PatchReader(net, family, row.embeddings, lexicon, head, ending.answer)
    anatomy = resolve(reader, family, reader.config)
    shape = Shape.of(anatomy, reader.config, family.context_key)
    context = None if anatomy.positions is None else len(anatomy.positions)
    return Seeing(reader.eval(), sight, lexicon, family, replace(shape, context=context))


def _shape_of(sight: Sight) -> Shape:
    """A convolutional net has no layers as a transformer has them."""
    last = list(sight.layers.values())[-1]
    return Shape(0, 0, 0, last.n_units, 0, 0, len(sight.classes), 1, None)


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
    name: str,
    module: nn.Module,
    shape: Shape,
    settings: dict[str, Any],
    *,
    steps: tuple[str, ...],
    **known: Any,
) -> ModelIdentity:
    """What a session remembers of a model that sees, its preprocessing in words among it."""
    weight = next(module.parameters())
    told = {**settings, PREPROCESSING: list(steps)}
    return ModelIdentity(
        name=name,
        n_layers=shape.n_layers,
        n_heads=shape.n_heads,
        n_kv_heads=shape.n_kv_heads,
        d_model=shape.d_model,
        d_head=shape.d_head,
        d_mlp=shape.d_mlp,
        vocabulary=shape.vocabulary,
        context=shape.context,
        inputs=shape.inputs,
        n_parameters=sum(parameter.numel() for parameter in module.parameters()),
        dtype=str(weight.dtype).removeprefix("torch."),
        device=str(weight.device),
        config_json=json.dumps(told, sort_keys=True),
        versions={held: version(held) for held in ("microtome", "torch", "transformers")},
        sees=True,
        **known,
    )


def model_class(row: VisionRow, settings: dict[str, Any]) -> Any:
    """The class of transformers that opens a model."""
    return getattr(transformers, class_of(row, settings))
