"""What a capture will hold, in bytes, said before the run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from microtome.errors import MemoryExceeded, megabytes
from microtome.models.hooks import layers_of
from microtome.models.model import Model
from microtome.sites import SITES, Site, expect_names

DEFAULT_BUDGET = 1 << 30

# When not everything fits, what helps most comes first.
_USEFULNESS = (
    "resid_post",
    "pattern",
    "resid_pre",
    "attn_out",
    "mlp_out",
    "resid_mid",
    "z",
    "mlp_post",
    "router",
    "embed",
    "pos_embed",
    "final_norm_scale",
    "norm1_scale",
    "norm2_scale",
    "final_norm",
    "v",
    "q",
    "k",
    "rot_q",
    "rot_k",
    "scores",
    "mlp_in",
    "norm1",
    "norm2",
    "mlp_pre",
)
_CROSS_USEFULNESS = (
    "cross_pattern", "resid_mid_cross", "cross_out", "cross_z", "cross_v", "cross_q", "cross_k",
    "cross_norm_scale", "cross_scores", "cross_norm",
)  # fmt: skip


def stored_dtype(model: Model) -> np.dtype[np.floating]:
    """The type that activations are kept in: float64 for a float64 model, else float32."""
    return np.dtype(np.float64 if model.dtype == torch.float64 else np.float32)


@dataclass(frozen=True, slots=True)
class Plan:
    """The layers of each site that a run will capture; ``()`` for a site that exists once.

    ``left_out`` are sites of the model that did not fit the budget.
    """

    layers: Mapping[str, tuple[int, ...]]
    n_bytes: int
    left_out: tuple[str, ...] = ()


def _by_usefulness() -> tuple[str, ...]:
    """All sites: what the decoder and cross-attention show, each beside the encoder's own."""
    both = [*_USEFULNESS[:2], *_CROSS_USEFULNESS[:3], *_USEFULNESS[2:], *_CROSS_USEFULNESS[3:]]
    return tuple(name for site in both for name in (site, f"enc_{site}") if name in SITES)


def axis_lengths(model: Model, positions: int, source: int = 0) -> dict[str, int]:
    """The length of every axis of the site table for a prompt of so many tokens.

    ``source`` tokens are those that an encoder reads.
    """
    identity = model.identity
    return {
        "position": positions,
        "query": positions,
        "key": positions,
        "head": identity.n_heads,
        "kv_head": identity.n_kv_heads,
        "d_head": identity.d_head,
        "d_model": identity.d_model,
        "d_mlp": identity.d_mlp,
        "expert": model.n_experts,
        "source": source,
        "source_query": source,
    }


def shape_of(model: Model, name: str, positions: int, source: int = 0) -> tuple[int, ...]:
    """The shape of a site's values in one layer."""
    lengths = axis_lengths(model, positions, source)
    return tuple(lengths[axis] for axis in SITES[name].axes)


def plan_capture(
    model: Model,
    positions: int,
    sites: Iterable[Site | str] | None = None,
    budget: int | None = None,
    source: int = 0,
) -> Plan:
    """What a run over so many positions captures within ``budget`` bytes, logits included.

    ``source`` is the number of tokens that an encoder reads.

    Without ``sites`` it is every site that fits, the most useful first.
    Raises SiteMissing for a site the model lacks, MemoryExceeded when named sites do not fit.
    """
    limit = DEFAULT_BUDGET if budget is None else budget
    if sites is not None:
        expect_names(sites, "sites")
    wanted = _named(model, sites) if sites is not None else _all(model)
    sizes = {
        name: _size(model, name, layers, (positions, source)) for name, layers in wanted.items()
    }
    logits = positions * model.identity.vocabulary * stored_dtype(model).itemsize
    if sites is not None or logits > limit:
        _require(sizes, logits, limit)
        return Plan(wanted, logits + sum(sizes.values()))
    return _as_many_as_fit(wanted, sizes, logits, limit)


def _all(model: Model) -> dict[str, tuple[int, ...]]:
    return _named(model, [name for name in _by_usefulness() if name in model.ports])


def _named(model: Model, sites: Iterable[Site | str]) -> dict[str, tuple[int, ...]]:
    layers: dict[str, set[int]] = {}
    for given in sites:
        site = Site.of(given)
        found = layers_of(model, site)
        layers.setdefault(site.name, set()).update(at for at in found if at is not None)
    return {name: tuple(sorted(found)) for name, found in layers.items()}


def _size(model: Model, name: str, layers: tuple[int, ...], lengths: tuple[int, int]) -> int:
    count = len(layers) if SITES[name].per_layer else 1
    return count * math.prod(shape_of(model, name, *lengths)) * stored_dtype(model).itemsize


def _require(sizes: Mapping[str, int], logits: int, limit: int) -> None:
    total = logits + sum(sizes.values())
    if total <= limit:
        return
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    parts = [f"{name} {megabytes(sizes[name])}" for name in largest]
    parts.append(f"logits {megabytes(logits)}")
    raise MemoryExceeded(
        f"This capture takes {megabytes(total)} ({', '.join(parts)}), but the "
        f"budget is {megabytes(limit)}.",
        "Choose fewer sites or layers, a shorter prompt, or a larger budget.",
    )


def _as_many_as_fit(
    wanted: Mapping[str, tuple[int, ...]], sizes: Mapping[str, int], used: int, limit: int
) -> Plan:
    kept: dict[str, tuple[int, ...]] = {}
    for name, layers in wanted.items():
        if used + sizes[name] <= limit:
            kept[name] = layers
            used += sizes[name]
    return Plan(kept, used, tuple(name for name in wanted if name not in kept))
