"""The modules of a loaded model, with the shapes that one run shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.records.modules import ModuleRow

_PROBE = 4  # tokens of the run that shows shapes


def module_tree(model: Model) -> tuple[ModuleRow, ...]:
    """Every module of a model in the order of the tree, the model itself first.

    Shapes are of one run: on a black image, or on a few tokens.
    """
    expect_model(model)
    shapes = _shapes(model)
    layers = _layers(model)
    return tuple(
        ModuleRow(
            path=path,
            kind=type(inner).__name__,
            depth=path.count(".") + 1 if path else 0,
            n_parameters=sum(weight.numel() for weight in inner.parameters()),
            weights=tuple(
                (name, tuple(weight.shape))
                for name, weight in inner.named_parameters(recurse=False)
            ),
            output=shapes.get(path, ()),
            layer=layers.get(path, ""),
        )
        for path, inner in model.module.named_modules()
    )


def _layers(model: Model) -> dict[str, str]:
    """The layer of units that is read at a module; of two at one place the last."""
    if model.sight is None:
        return {}
    return {layer.place.path: layer.name for layer in model.sight.layers.values()}


def _shapes(model: Model) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    handles = [
        inner.register_forward_hook(_Note(path, found))
        for path, inner in model.module.named_modules()
    ]
    try:
        _run(model)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _run(model: Model) -> None:
    if model.sight is None:
        ids = torch.zeros(1, min(_PROBE, model.identity.context or _PROBE), dtype=torch.long)
        model.forward(ids, ids if model.has_encoder else None)
        return
    black = torch.zeros(1, *model.sight.shape, device=model.device, dtype=model.dtype)
    with torch.inference_mode():
        model.sight.logits(black)


@dataclass(frozen=True, slots=True)
class _Note:
    path: str
    found: dict[str, tuple[int, ...]]

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(first, Tensor):
            first = getattr(first, "last_hidden_state", None)
        if isinstance(first, Tensor):
            self.found[self.path] = tuple(first.shape)
