"""A transformer that sees, run on tokens: each token is a patch whose embedding is computed.

The module of transformers stays as it is and is run on pixels as its authors wrote it; beside it
stand a table of embedded patches and one of positions, so that its layers also run on ids.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.modeling_outputs import CausalLMOutput

from microtome.models.family import Family, part
from microtome.models.vision.patches import PatchLexicon

_ROOM = 256  # rows that a table has room for at first


def vision_config(config: Any) -> Any:
    """A configuration, or its part on vision where it has others too."""
    return getattr(config, "vision_config", config)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Where a family keeps what embeds an image; paths start at ``path``.

    The first name of ``path`` is missing in a model without a head.
    """

    path: str
    leading: tuple[str, ...]  # embeddings of the tokens before the patches
    convolution: str
    positions: str  # a parameter [1, position, dimension], or an embedding

    def of(self, net: nn.Module) -> nn.Module:
        """The module that embeds an image."""
        first, rest = self.path.split(".", 1)
        path = self.path if hasattr(net, first) else rest
        found: nn.Module = part(net, path, type(net).__name__)
        return found


class PatchTable(nn.Module):
    """From ids to embeddings: those of leading tokens, then of every patch that was ever shown."""

    def __init__(self, net: nn.Module, where: Embeddings, lexicon: PatchLexicon) -> None:
        super().__init__()
        held = where.of(net)
        self._lexicon = lexicon
        # Past torch's own setting of attributes: it stays a part of the module alone.
        self.__dict__["_convolution"] = part(held, where.convolution, where.path)
        first = [part(held, name, where.path).detach().flatten() for name in where.leading]
        self._rows = torch.stack(first).new_empty(_ROOM, len(first[0]))
        self._rows[: len(first)] = torch.stack(first)
        self._count = len(first)

    @property
    def weight(self) -> Float[Tensor, "token d_model"]:
        """The embedding of every token, in the order of ids."""
        if self._count < self._lexicon.size:
            self._grow()
        return self._rows[: self._count]

    def _grow(self) -> None:
        convolution: Any = self.__dict__["_convolution"]
        shown = self._lexicon.pixels_from(self._count)
        # No inference tensors: gradients of what is computed from the table may be asked for.
        with torch.inference_mode(mode=False), torch.no_grad():
            pixels = torch.from_numpy(shown).to(self._rows.device, self._rows.dtype)
            made = convolution(pixels).flatten(1)
            end = self._count + len(made)
            if end > len(self._rows):
                wider = self._rows.new_empty(max(end, 2 * len(self._rows)), self._rows.shape[1])
                wider[: self._count] = self._rows[: self._count]
                self._rows = wider
            self._rows[self._count : end] = made
            self._count = end

    def forward(self, ids: Int[Tensor, "batch position"]) -> Float[Tensor, "batch position d"]:
        """The embeddings of tokens."""
        return self.weight[ids]


class PositionTable(nn.Module):
    """What is added to the embedding at each position.

    Of a model that reads images of another size than its table was made for (DINOv2) these are
    the rows that the model itself interpolates.
    """

    def __init__(self, net: nn.Module, where: Embeddings, lexicon: PatchLexicon) -> None:
        super().__init__()
        held: Any = where.of(net)
        named: Any = part(held, where.positions, where.path)
        table: Tensor = named.weight if isinstance(named, nn.Embedding) else named[0]
        seen = table.new_zeros(1, len(where.leading) + lexicon.n_patches, table.shape[1])
        with torch.no_grad():
            made = held.interpolate_pos_encoding(seen, *lexicon.shape[1:])
        self.__dict__["_held"] = made.reshape(-1, table.shape[1]).detach()

    @property
    def weight(self) -> Float[Tensor, "position d_model"]:
        """The whole table."""
        table: Tensor = self.__dict__["_held"]
        return table

    def forward(self, places: Int[Tensor, "batch position"]) -> Float[Tensor, "batch position d"]:
        """The rows of positions."""
        return self.weight[places]


# From a module, what its final norm gives [batch, position, dimension] and which positions hold
# tokens [batch, position]: the logits of the whole model [batch, class], where they are not read
# at the class token alone.
Answer = Callable[[nn.Module, Tensor, Tensor], Tensor]


class PatchReader(nn.Module):
    """A module of transformers, as ``net``, that can also be run on ids of any number.

    The logits at each position are those that the classifier gives there; at the first one, the
    class token, they are the model's own.
    """

    def __init__(
        self,
        net: nn.Module,
        row: Family,
        where: Embeddings,
        lexicon: PatchLexicon,
        head: nn.Module | None = None,
        answer: Answer | None = None,
    ) -> None:
        super().__init__()
        self.net, self.head = net, head
        self._row, self._answer = row, answer
        self.tokens = PatchTable(net, where, lexicon)
        self.positions = PositionTable(net, where, lexicon)

    @property
    def config(self) -> Any:
        """The configuration of the module, or its part on vision."""
        return vision_config(self.net.config)

    def set_attn_implementation(self, name: str) -> None:
        """Another attention implementation of transformers."""
        self.net.set_attn_implementation(name)  # type: ignore[operator]

    def forward(
        self,
        input_ids: Int[Tensor, "batch position"],
        attention_mask: Int[Tensor, "batch position"] | None = None,
        position_ids: Int[Tensor, "batch position"] | None = None,
        logits_to_keep: int | Tensor = 0,
        **_unused: Any,
    ) -> CausalLMOutput:
        """The logits [batch, read, class] of tokens."""
        row = self._row
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1], device=input_ids.device)
        stream = self.tokens(input_ids) + self.positions(position_ids.expand_as(input_ids))
        if row.stream_norm is not None:
            stream = self._part(row.stream_norm)(stream)
        mask = None if attention_mask is None else _hiding(attention_mask, stream.dtype)
        for block in self._part(row.blocks):
            made = block(stream, mask)
            stream = made[0] if isinstance(made, tuple) else made
        normed = stream if row.final_norm is None else self._part(row.final_norm)(stream)
        logits = self._logits(normed, attention_mask)
        kept = slice(-logits_to_keep or None, None) if isinstance(logits_to_keep, int) else None
        return CausalLMOutput(logits=logits[:, logits_to_keep if kept is None else kept])

    def _logits(self, normed: Tensor, mask: Tensor | None) -> Tensor:
        logits: Tensor = self._part(self._row.unembedding)(normed)
        if self._answer is None:
            return logits
        held = normed.new_ones(normed.shape[:2]) if mask is None else mask.to(normed.device)
        first = held.long().argmax(1, keepdim=True)[..., None].expand(-1, 1, logits.shape[2])
        whole = self._answer(self.net, normed, held.bool())
        return logits.scatter(1, first, whole[:, None])

    def _part(self, path: str) -> Any:
        return part(self, path, self._row.title)


def _hiding(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to scores [batch, head, query, key], so that hidden keys are not seen."""
    hidden = mask.to(dtype)[:, None, None, :]
    return (1 - hidden) * torch.finfo(dtype).min
