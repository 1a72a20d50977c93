"""The memory that a model will take, estimated before its weights are read."""

from __future__ import annotations

import torch

from microtome.errors import MemoryExceeded, megabytes
from microtome.models.model import Model
from microtome.records.memory import MemoryNeed


def memory_need(numbers: int, dtype: torch.dtype, free: int | None = None) -> MemoryNeed:
    """What a model of so many numbers takes in a number format."""
    wide = torch.promote_types(dtype, torch.float32)
    return MemoryNeed(
        numbers * dtype.itemsize, 0 if wide == dtype else numbers * wide.itemsize, free
    )


def refuse_too_large(need: MemoryNeed, name: str, dtype: torch.dtype) -> None:
    """Raise MemoryExceeded for weights that cannot fit, with the format in which they would."""
    if need.fits or need.free is None:
        return
    half = need.weights * 2 // dtype.itemsize
    fits = dtype.itemsize > 2 and half <= need.free
    raise MemoryExceeded(
        f"The weights of {name} take {megabytes(need.weights)} in "
        f"{str(dtype).removeprefix('torch.')}, but {megabytes(need.free)} are free.",
        f"Choose bfloat16, which takes {megabytes(half)}."
        if fits
        else "Choose a smaller model, or close other programs.",
    )


def pass_bytes(model: Model, prompts: int, positions: int) -> int:
    """About how many bytes one pass takes at its widest, beside the weights.

    A layer's scores and pattern, its streams and hidden units, and the logits of all positions.
    """
    shape, number = model.identity, torch.empty((), dtype=model.dtype).element_size()
    scores = 2 * shape.n_heads * positions**2
    widths = 4 * shape.d_model + 2 * shape.d_mlp + shape.vocabulary
    return number * prompts * (scores + positions * widths)
