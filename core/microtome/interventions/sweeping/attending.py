"""Attention of many runs that share what stands before the first place where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.models.anatomy import Attention
from microtome.models.operations import soft_cap, visible_keys


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Runs that differ from their base from ``start`` on; their rows lie one after another.

    ``at`` are the positions of the queries that are asked. ``before`` are the base's keys and
    values [kv_head, key, d_head] in front of ``start``, None when there are none.
    """

    start: int
    count: int
    at: Int[Tensor, " query"]
    before: tuple[Float[Tensor, "kv_head key d_head"], Float[Tensor, "kv_head key d_head"]] | None


@dataclass(frozen=True, slots=True, eq=False)
class Looking:
    """One layer's attention at a prompt length: what is hidden, and what is added to scores."""

    weights: Attention
    length: int

    def attend(
        self,
        groups: Sequence[Group],
        q: Float[Tensor, "head query_row d_head"],
        k: Float[Tensor, "kv_head row d_head"],
        v: Float[Tensor, "kv_head row d_head"],
        into: Float[Tensor, "query_row head d_head"] | None = None,
    ) -> Float[Tensor, "query_row head d_head"]:
        """``z`` of the query rows; ``into`` is memory for it.

        Rows lie group by group, run by run, position by position. Keys and values are of all
        positions from the group's start on, queries of the group's ``at`` only.
        """
        weights = self.weights
        z = q.new_empty(q.shape[1], q.shape[0], q.shape[2]) if into is None else into
        kv, share = weights.w_k.shape[0], weights.group
        asked = held = 0
        for group in groups:
            own, queries = self.length - group.start, len(group.at)
            rows = slice(asked, asked + group.count * queries)
            keys = slice(held, held + group.count * own)
            looks = self._looks(q[:, rows], group.count, queries)
            own_k, own_v = (x[:, keys].unflatten(1, (group.count, own)) for x in (k, v))
            pattern = self._pattern(looks, own_k, group.before, group.at, share)
            seen = pattern[..., group.start :] @ own_v
            if group.before is not None:
                seen += (pattern[..., : group.start].flatten(1, 2) @ group.before[1]).view_as(seen)
            into = z[rows].unflatten(0, (group.count, queries)).unflatten(2, (kv, share))
            into.copy_(seen.unflatten(2, (share, queries)).permute(1, 3, 0, 2, 4))
            asked, held = rows.stop, keys.stop
        return z

    def patterns(
        self,
        q: Float[Tensor, "head row d_head"],
        k: Float[Tensor, "kv_head row d_head"],
        count: int,
    ) -> Float[Tensor, "row head key"]:
        """The attention patterns of whole runs, ``count`` one after another."""
        share, length = self.weights.group, self.length
        at = torch.arange(length, device=q.device)
        looks, keys = self._looks(q, count, length), k.unflatten(1, (count, length))
        pattern = self._pattern(looks, keys, None, at, share).unflatten(2, (share, length))
        found: Tensor = pattern.permute(1, 3, 0, 2, 4).flatten(2, 3).flatten(0, 1)
        return found

    def one_head(
        self,
        head: int,
        q: Float[Tensor, "*asking query d_head"],
        k: Float[Tensor, "*holding key d_head"],
        at: Int[Tensor, " query"],
    ) -> Float[Tensor, "*both query key"]:
        """The pattern of one head's queries, which stand at positions ``at``.

        Axes in front, of runs, broadcast.
        """
        weights = self.weights
        scores = weights.scale * (q @ k.mT)
        if weights.bias is not None:
            scores = scores + weights.bias.at(self.length)[head, at].to(scores.dtype)
        scores = soft_cap(scores, weights.soft_cap)
        mask = self._hidden(scores)
        return (scores if mask is None else scores + mask[at]).softmax(-1)

    def _hidden(self, scores: Tensor) -> Tensor | None:
        window, causal = self.weights.window, self.weights.causal
        return _mask(self.length, window, scores.device, scores.dtype, causal=causal)

    def _looks(
        self, q: Float[Tensor, "head row d_head"], count: int, queries: int
    ) -> Float[Tensor, "kv_head run shared_query d_head"]:
        grouped: Tensor = q.unflatten(1, (count, queries)).unflatten(0, (-1, self.weights.group))
        return grouped.transpose(1, 2).flatten(2, 3)

    def _pattern(
        self,
        looks: Tensor,
        own_k: Tensor,
        before: tuple[Tensor, Tensor] | None,
        at: Tensor,
        share: int,
    ) -> Float[Tensor, "kv_head run shared_query key"]:
        scores = looks @ own_k.mT
        if before is not None:
            shared = (looks.flatten(1, 2) @ before[0].mT).unflatten(1, looks.shape[1:3])
            scores = torch.cat([shared, scores], -1)
        scores *= self.weights.scale
        by_query = scores.unflatten(2, (share, len(at)))
        if self.weights.bias is not None:
            bias = self.weights.bias.at(self.length)[:, at].to(scores.dtype)
            by_query += bias.unflatten(0, (-1, share))[:, None]
        if self.weights.soft_cap is not None:
            by_query = soft_cap(by_query, self.weights.soft_cap)
        mask = self._hidden(scores)
        if mask is not None:
            by_query = by_query + mask[at]
        pattern: Tensor = by_query.softmax(-1).flatten(2, 3)
        return pattern


@lru_cache(maxsize=4)  # windows of one model; each holds length² floats
def _mask(
    length: int, window: int | None, device: torch.device, dtype: torch.dtype, *, causal: bool
) -> Float[Tensor, "query key"] | None:
    """Minus infinity where a query does not see a key, 0 elsewhere; None when it sees all."""
    seen = visible_keys(length, window, device, causal=causal)
    if bool(seen.all()):
        return None
    return torch.zeros(length, length, dtype=dtype, device=device).masked_fill_(
        ~seen, float("-inf")
    )
