"""The nearest others of each of many directions, without a table of all pairs.

Products are made a block of rows by a block of rows, each once for both of its sides. Of a block
only groups of numbers whose largest exceeds what a row has so far are looked at: after the first
block these are few, and nearly all the time goes into the products.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from microtome.jobs import Job

_BLOCK, _GROUP = 2_048, 64


@dataclass(slots=True, eq=False)
class _Found:
    """The largest products of each row so far, and with whom; strongest first."""

    value: Float[Tensor, "row count"]
    number: Int[Tensor, "row count"]


def nearest(
    unit: Float[Tensor, "row d"], count: int, job: Job, title: str
) -> tuple[Int[Tensor, "row count"], Float[Tensor, "row count"]]:
    """For each row the ``count`` others of the largest product with it, and the products.

    There must be more rows than ``count``. Of equal products any may be taken.
    """
    n = len(unit)
    rows = pad(unit, (0, 0, 0, -n % _GROUP))
    starts = range(0, len(rows), _BLOCK)
    shape = len(rows), count
    found = _Found(rows.new_full(shape, -torch.inf), rows.new_full(shape, -1, dtype=torch.long))
    pairs = [(one, one) for one in starts]  # what these find spares most of the others
    pairs += [(one, other) for one in starts for other in starts if one < other]
    with torch.inference_mode():
        for done, (one, other) in enumerate(pairs, 1):
            products = rows[one : one + _BLOCK] @ rows[other : other + _BLOCK].T
            products[:, max(0, n - other) :] = -torch.inf
            if one == other:
                products.fill_diagonal_(-torch.inf)
            _offer(found, one, other, products)
            if one != other:
                _offer(found, other, one, products.T)
            job.progress(title, n * done // len(pairs), n)
    return found.number[:n], found.value[:n]


def _offer(found: _Found, start: int, others: int, products: Float[Tensor, "row other"]) -> None:
    """Let some rows, from ``start`` on, keep what they need of products with others."""
    held = slice(start, start + len(products))
    least = found.value[held, -1]
    if bool(torch.isneginf(least).all()):
        value, number = products.topk(min(found.value.shape[1], products.shape[1]))
        found.value[held, : value.shape[1]] = value
        found.number[held, : value.shape[1]] = number + others
        return
    row, group = torch.nonzero(_peaks(products) > least[:, None], as_tuple=True)
    near = products.unflatten(1, (-1, _GROUP))[row, group]  # [found, of a group]
    which, place = torch.nonzero(near > least[row, None], as_tuple=True)
    _merge(found, start, row[which], group[which] * _GROUP + place + others, near[which, place])


def _peaks(products: Float[Tensor, "row other"]) -> Float[Tensor, "row group"]:
    """The largest of each group, read as the products lie in memory."""
    if products.stride(0) == 1:
        return products.T.unflatten(0, (-1, _GROUP)).amax(1).T  # type: ignore[no-any-return]
    return products.unflatten(1, (-1, _GROUP)).amax(2)  # type: ignore[no-any-return]


def _merge(
    found: _Found,
    start: int,
    row: Int[Tensor, " entry"],
    number: Int[Tensor, " entry"],
    value: Float[Tensor, " entry"],
) -> None:
    """Take entries in, in any order; ``row`` counts from ``start``."""
    if not len(row):
        return
    order = torch.argsort(value, descending=True, stable=True)
    order = order[torch.argsort(row[order], stable=True)]
    row, number, value = row[order], number[order], value[order]
    touched, own = torch.unique_consecutive(row, return_inverse=True)
    rank = torch.arange(len(row), device=row.device) - torch.searchsorted(own, own)
    kept = rank < found.value.shape[1]
    shape = len(touched), found.value.shape[1]
    values, numbers = value.new_full(shape, -torch.inf), number.new_full(shape, -1)
    values[own[kept], rank[kept]] = value[kept]
    numbers[own[kept], rank[kept]] = number[kept]
    held = touched + start
    both = torch.cat([found.value[held], values], dim=1)
    best = both.topk(shape[1])
    found.value[held] = best.values
    found.number[held] = torch.cat([found.number[held], numbers], 1).gather(1, best.indices)
