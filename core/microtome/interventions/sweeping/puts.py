"""What an ablation sweep puts in place of activations: zero, means, or another prompt's values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from microtome.errors import EditError
from microtome.interventions.means import Means, by_position
from microtome.interventions.sweeping.base import Base, run_base
from microtome.interventions.sweeping.scratch import Scratch
from microtome.interventions.sweeping.task import Put, Task
from microtome.models.tokens import Tokens
from microtome.sites import Site


def put_in_place(task: Task, base: Base, scratch: Scratch) -> Callable[[int], Tensor]:
    """The values of a layer that take the base's place, rows of the base first."""
    shape = _shape(task, base)
    if task.put.how == "zero":
        zero = base.final.new_zeros(1)
        return _Same(dict.fromkeys(range(len(base.layers)), zero), shape)
    whole = by_position(task.put.how, Site(task.cells.site))
    if whole:
        expect_length(task.put, task.cells.site, len(task.examples[0].base))
    length = base.length if whole else None
    means = Means(None if whole else 0)
    for tokens in task.put.used:
        kept = _kept(task, tokens, base, length, scratch)
        means.add({layer: values.cpu().numpy() for layer, values in enumerate(kept)})
    found = {
        layer or 0: torch.from_numpy(mean).to(base.final.dtype).to(base.final.device)
        for layer, mean in means.taken().items()
    }
    if whole and base.examples > 1:
        again = {layer: [base.examples, *[1] * (mean.ndim - 1)] for layer, mean in found.items()}
        found = {layer: mean.repeat(again[layer]) for layer, mean in found.items()}
    return _Same(found, shape)


def expect_length(put: Put, site: str, length: int) -> None:
    """Raise EditError when values are needed position by position and a prompt has others."""
    for tokens in put.used:
        if len(tokens) != length:
            raise EditError(
                f"The {put.how} of {site} needs prompts of {length} tokens, but "
                f"{tokens.prompt!r} has {len(tokens)}.",
                "Give prompts of the same length, or take the mean over all positions.",
            )


def _kept(
    task: Task, tokens: Tokens, base: Base, length: int | None, scratch: Scratch
) -> list[Tensor]:
    """The site's values of one prompt, layer by layer, up to a length if one is given."""
    ids = torch.from_numpy(tokens.ids)[None].to(base.final.device).long()
    ran = run_base(base.anatomy, ids, [task.cells.site], scratch=scratch)
    values = [ran.values(task.cells.site, layer)[:length] for layer in range(len(ran.layers))]
    return [each[..., :length] for each in values] if task.cells.site == "pattern" else values


def _shape(task: Task, base: Base) -> tuple[int, ...]:
    weights = base.anatomy.blocks[0].attention
    heads, kv, width = weights.w_q.shape[0], weights.w_k.shape[0], weights.w_q.shape[1]
    rows = base.examples * base.length
    shapes: dict[str, tuple[int, ...]] = {}
    shapes |= {"z": (heads, width), "q": (heads, width), "k": (kv, width), "v": (kv, width)}
    shapes |= {"pattern": (heads, base.length), "mlp_post": (base.anatomy.blocks[0].mlp.n_neurons,)}
    return (rows, *shapes.get(task.cells.site, (base.anatomy.d_model,)))


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """One value a layer for every row."""

    values: dict[int, Tensor]
    shape: tuple[int, ...]

    def __call__(self, layer: int) -> Tensor:
        return self.values[layer].expand(self.shape)
