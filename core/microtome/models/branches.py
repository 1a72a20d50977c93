"""Which modules of an unknown layer give what it adds to the residual stream."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from microtome.models.ports import Port, plain_port
from microtome.models.recording import Recording

_NO_SUM = "no two modules of a layer sum to what it adds to the residual stream"
_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 5e-3}


def branches(
    found: Recording, blocks: str, n_layers: int, attending: str | None, absent: dict[str, str]
) -> dict[str, Port]:
    """Ports of ``attn_out`` and ``mlp_out``, where two modules sum to what each layer adds.

    ``attending`` is the path of the module that attends, from its block. Of modules that make
    the same values the outermost is taken.
    """
    first = _sums(found, f"{blocks}.0")
    pairs = [
        pair
        for pair in first
        if all(_sum_up(found, f"{blocks}.{layer}", pair) for layer in range(1, n_layers))
    ]
    ordered = [_in_order(found, f"{blocks}.0", pair, attending) for pair in pairs]
    known = [pair for pair in ordered if pair is not None]
    if not known or not _agree(found, f"{blocks}.0", known):
        absent |= dict.fromkeys(("attn_out", "mlp_out"), _NO_SUM)
        return {}
    attn, mlp = min(known, key=lambda pair: (pair[0].count(".") + pair[1].count("."), pair))
    return {"attn_out": plain_port(attn, "after"), "mlp_out": plain_port(mlp, "after")}


def _sums(found: Recording, block: str) -> list[tuple[str, str]]:
    """Pairs of modules within a block, in the order they end, whose outputs it adds."""
    width = found.of(block).made.shape[-1]
    inside = [
        path.removeprefix(f"{block}.")
        for path in found.calls
        if path.startswith(f"{block}.") and found.makes(path, width)
    ]
    inside.sort(key=lambda path: found.of(f"{block}.{path}").turn)
    return [pair for pair in combinations(inside, 2) if _sum_up(found, block, pair)]


def _sum_up(found: Recording, block: str, pair: tuple[str, str]) -> bool:
    whole = found.of(block)
    paths = [f"{block}.{path}" for path in pair]
    if any(not found.makes(path, whole.made.shape[-1]) for path in paths):
        return False
    wide = torch.promote_types(whole.made.dtype, torch.float32)
    parts: list[Tensor] = [found.of(path).made.to(wide) for path in paths]
    summed = whole.given.to(wide) + parts[0] + parts[1]
    size = max(float(part.abs().max()) for part in (*parts, summed))
    off = float((summed - whole.made.to(wide)).abs().max())
    return off <= _ROUNDING[whole.made.dtype] * size and all(bool(part.any()) for part in parts)


def _in_order(
    found: Recording, block: str, pair: tuple[str, str], attending: str | None
) -> tuple[str, str] | None:
    """The pair with attention first; None where it cannot be told which that is."""
    inside = [_attends(path, attending) for path in pair]
    if inside[0] != inside[1]:
        return pair if inside[0] else (pair[1], pair[0])
    if attending is None or any(inside):
        return None
    # Norms behind both branches: attention's is the first to end after it.
    end = found.calls.get(f"{block}.{attending}") or []
    turns = [found.of(f"{block}.{path}").turn for path in pair]
    return pair if end and end[0].turn < turns[0] < turns[1] else None


def _attends(path: str, attending: str | None) -> bool:
    """Whether a module is the one that attends, or is around or inside it."""
    if attending is not None:
        return f"{path}.".startswith(f"{attending}.") or f"{attending}.".startswith(f"{path}.")
    return "att" in path.partition(".")[0]


def _agree(found: Recording, block: str, pairs: list[tuple[str, str]]) -> bool:
    """Whether all pairs say the same of what attention writes."""
    made = [found.of(f"{block}.{attn}").made for attn, _ in pairs]
    size = float(made[0].abs().max())
    limit = _ROUNDING[made[0].dtype] * size
    return all(float((other - made[0]).abs().max()) <= limit for other in made[1:])
