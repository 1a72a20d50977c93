"""Attribution graphs by automatic differentiation in float64, and sets of random transcoders.

Every node has a factor, 1, that what it writes is multiplied by. With attention patterns, scales
of norms and codes held, the derivative of a target by a factor is the edge between the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from microtome.features.dictionary import Dictionary
from microtome.features.rules import Settings, Weights
from microtome.features.transcoders import Transcoders
from microtome.models.arithmetic import anatomy_in
from microtome.records.dictionary import DictionaryIdentity

D_SAE, K = 24, 3


def random_set(
    model: Any,
    *,
    rule: str = "topk",
    reads: str = "mlp_in",
    skip: bool = False,
    crosses: bool = False,
    d_sae: int = D_SAE,
    silent: int = 1,
    size: float = 0.3,
) -> Transcoders:
    """Transcoders of random numbers for a model."""
    random = torch.Generator().manual_seed(3)
    layers, width = model.identity.n_layers, model.identity.d_model

    def draw(*shape: int) -> torch.Tensor:
        return size * torch.randn(*shape, generator=random)

    def one(layer: int) -> Dictionary:
        tensors = {"w_enc": draw(d_sae, width), "b_enc": draw(d_sae)}
        tensors |= {"w_dec": draw(d_sae, width), "b_dec": draw(width)}
        if rule == "gated":
            tensors |= {name: draw(d_sae) for name in ("b_gate", "b_mag", "r_mag")}
        if skip:
            tensors["w_skip"] = draw(width, width)
        named = DictionaryIdentity(
            f"random {layer}", "", 0, 0, 0, reads=f"{reads}.{layer}", writes=f"mlp_out.{layer}"
        )
        k = K if rule == "topk" else None
        return Dictionary(Weights(**tensors), Settings(rule, k=k, centred=False), named)

    onward = [draw(d_sae, layers - layer - 1, width) for layer in range(layers)]
    made = tuple(one(layer) for layer in range(layers))
    return Transcoders(made, tuple(onward) if crosses else None, silent, name="random")


class PlainGraph:
    """Edges, and constants, of the model of a circuit, one target at a time."""

    def __init__(self, plain: Any, model: Any, transcoders: Transcoders, circuit: Any) -> None:
        self.anatomy = anatomy_in(model.anatomy, torch.float64)
        self.ids = circuit.metadata["token_ids"]
        self.sets, self.circuit = transcoders, circuit
        self.factor = torch.ones(circuit.n_nodes, dtype=torch.float64, requires_grad=True)
        self.logits, self.clean = plain.run(self.anatomy, self.ids)
        self.activation = np.zeros(circuit.n_nodes)
        self.targets: dict[int, torch.Tensor] = {}
        self._read: dict[int, torch.Tensor] = {}
        self._codes: dict[int, torch.Tensor] = {}
        self._add_logits(plain.run(self.anatomy, self.ids, self._change)[0][-1])

    def row(self, node: int) -> np.ndarray:
        """All edges into a node."""
        return torch.autograd.grad(self.targets[node], self.factor, retain_graph=True)[0].numpy()

    def _nodes(self, kind: str, layer: int) -> list[int]:
        kinds, layers = self.circuit.node_kind, self.circuit.node_layer
        return [n for n in range(self.circuit.n_nodes) if (kinds[n], layers[n]) == (kind, layer)]

    def _change(self, name: str, layer: Any, _head: Any, values: torch.Tensor) -> torch.Tensor:
        if name == "pattern":
            return values.detach()
        if name == "embed":
            return values.detach() * self.factor[self._nodes("token", -1), None]
        if layer is None:
            return values
        if self.sets.layers[layer].identity.reads == f"{name}.{layer}":
            self._encode(layer, values)
        return self._replaced(layer) if name == "mlp_out" else values

    def _encode(self, layer: int, read: torch.Tensor) -> None:
        """What features read, their codes, and the sums that the features' targets are."""
        weights = self.sets.layers[layer].weights
        self._read[layer] = read
        codes = torch.zeros(len(read), len(weights.w_dec), dtype=torch.float64)
        for node in self._nodes("feature", layer):
            at, feature = self.circuit.node_position[node], self.circuit.node_feature[node]
            row, bias = weights.encoder[feature].double(), weights.b_enc
            if weights.b_mag is not None:
                row, bias = row * weights.r_mag[feature].double().exp(), weights.b_mag
            self.targets[node] = read[at] @ row + bias[feature].double()
            codes[at, feature] = self.targets[node].detach()
            self.activation[node] = float(codes[at, feature])
        self._codes[layer] = codes

    def _replaced(self, layer: int) -> torch.Tensor:
        """What transcoders write, and what they miss of the model's own."""
        own = self.sets.layers[layer].weights
        written = own.b_dec.double().expand(len(self.ids), -1)
        if own.w_skip is not None:
            written = written + self._read[layer] @ own.w_skip.double().T
        for before in range(layer + 1):
            if before < layer and not self.sets.crosses:
                continue
            nodes = self._nodes("feature", before)
            place = [torch.tensor(self.circuit.node_position[nodes]).long(),
                     torch.tensor(self.circuit.node_feature[nodes]).long()]  # fmt: skip
            ones = torch.ones(self._codes[before].shape, dtype=torch.float64)
            codes = self._codes[before] * ones.index_put(place, self.factor[nodes])
            written = written + codes @ self.sets.decoder(before)[:, layer - before].double()
        missed = (self.clean["mlp_out"][layer] - written).detach()
        nodes = self._nodes("error", layer)
        place = torch.tensor(self.circuit.node_position[nodes]).long()
        heard = torch.ones(len(self.ids), dtype=torch.float64)
        return written + missed * heard.index_put([place], self.factor[nodes])[:, None]

    def _add_logits(self, logits: torch.Tensor) -> None:
        """Those before a soft cap."""
        cap = self.anatomy.soft_cap
        raw = logits if cap is None else cap * torch.atanh(logits / cap)
        for node in self._nodes("output", self.circuit.node_layer[-1]):
            self.targets[node] = raw[self.circuit.node_feature[node]] - raw.mean()
