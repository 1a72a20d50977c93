"""One cell at a time in the most obvious way: a GPT-2 of transformers with plain forward hooks.

Nothing of Microtome is used here. A cell is ``(layer, head or None, neuron or None, start, stop)``.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch
import transformers
from torch import Tensor

Cell = tuple[int, int | None, int | None, int, int]


class PlainGpt2:
    """A folder's GPT-2 with eager attention; ``values`` and ``patched`` are all that it does."""

    def __init__(self, folder: Any) -> None:
        self.module = transformers.AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation="eager"
        ).eval()
        self.config = self.module.config
        self.width = self.config.n_embd // self.config.n_head
        self._known: dict[Any, Tensor] = {}

    def _module(self, site: str, layer: int) -> tuple[Any, bool]:
        """Where a site is, and whether it is what that module is given."""
        block = self.module.transformer.h[layer]
        return {
            "resid_pre": (block, True),
            "resid_mid": (block.ln_2, True),
            "attn_out": (block.attn.c_proj, False),
            "mlp_out": (block.mlp, False),
            "resid_post": (block, False),
            "z": (block.attn.c_proj, True),
            "q": (block.attn.c_attn, False),
            "k": (block.attn.c_attn, False),
            "v": (block.attn.c_attn, False),
            "mlp_post": (block.mlp.c_proj, True),
        }[site]

    def _part(self, site: str, values: Tensor) -> Tensor:
        """The view of a module's tensor [1, position, …] that is one site, without the batch."""
        if site in ("q", "k", "v"):
            values = values.split(self.config.n_embd, -1)["qkv".index(site)]
        if site in ("q", "k", "v", "z"):
            return values[0].unflatten(-1, (self.config.n_head, self.width))
        return values[0]

    @contextlib.contextmanager
    def _hooked(self, site: str, layer: int, change: Any) -> Any:
        """Within, ``change`` is given the site's values and may write into them."""
        module, given = self._module(site, layer)

        def before(_module, args):
            change(self._part(site, args[0]))

        def after(_module, _args, output):
            change(self._part(site, output[0] if isinstance(output, tuple) else output))

        hook = module.register_forward_pre_hook(before) if given else None
        hook = hook or module.register_forward_hook(after)
        yield
        hook.remove()

    def logits(self, ids: Any, noise: Tensor | None = None) -> Tensor:
        """Logits [position, vocabulary]; ``noise`` is added to the word embeddings."""
        hooks = []
        if noise is not None:
            words = self.module.transformer.wte
            hooks.append(words.register_forward_hook(lambda _m, _a, output: output + noise))
        with torch.no_grad():
            found = self.module(torch.tensor([list(ids)]), use_cache=False).logits[0]
        for hook in hooks:
            hook.remove()
        return found

    def values(self, site: str, layer: int, ids: Any) -> Tensor:
        """A site's values in one run, remembered."""
        key = (site, layer, tuple(ids))
        if key not in self._known:
            self._known[key] = self._values(site, layer, ids)
        return self._known[key]

    def _values(self, site: str, layer: int, ids: Any) -> Tensor:
        if site == "pattern":
            with torch.no_grad():
                run = self.module(torch.tensor([list(ids)]), output_attentions=True)
            return run.attentions[layer][0]
        held: list[Tensor] = []
        with self._hooked(site, layer, lambda values: held.append(values.clone())):
            self.logits(ids)
        return held[0]

    def patched(
        self, site: str, cell: Cell, ids: Any, new: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        """Logits when the cell's values are those of ``new``, which has the site's axes."""
        layer, head, neuron, start, stop = cell
        if site == "pattern":  # no module gives it: what the heads make of it is put in instead
            new = new.expand(self.values(site, layer, ids).shape)
            new = new @ self.values("v", layer, ids).transpose(0, 1)  # head query d_head
            site, new = "z", new.transpose(0, 1)

        def put(values):
            into, given = values[start:stop], new.expand(values.shape)[start:stop]
            one = head if head is not None else neuron
            if one is not None:
                into, given = into[:, one], given[:, one]
            into.copy_(given)

        with self._hooked(site, layer, put):
            return self.logits(ids, noise)
