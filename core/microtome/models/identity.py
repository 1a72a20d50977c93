"""What a session remembers of a model, made in one place for all ways of opening one."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from torch import nn

from microtome.models.resolve import Shape
from microtome.records.model import ModelIdentity


def identity_of(
    name: str, module: nn.Module, shape: Shape, settings: dict[str, Any], **known: Any
) -> ModelIdentity:
    """The identity of a module that was opened: its counts, its weights as they are, its settings.

    ``known`` are the other fields of a `ModelIdentity`: ``architecture`` and ``fingerprint``, and
    what is special to the kind of model.
    """
    weight = next(module.parameters())
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
        n_parameters=sum(parameter.numel() for parameter in module.parameters()),
        dtype=str(weight.dtype).removeprefix("torch."),
        device=str(weight.device),
        config_json=json.dumps(settings, sort_keys=True),
        versions={library: version(library) for library in ("microtome", "torch", "transformers")},
        **known,
    )
