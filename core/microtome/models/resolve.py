"""From a transformers model and its family row to the anatomy: views of the parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from microtome.errors import UnknownArchitecture
from microtome.models.anatomy import (
    Anatomy,
    Attention,
    Block,
    Experts,
    Mlp,
    Norm,
    Rotary,
    Router,
    ScoreBias,
    Transform,
)
from microtome.models.family import Family, head_width, kv_heads, part
from microtome.models.positions import rotaries, score_biases, windows

# transformers' names of activations -> ours.
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_fast": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}

_CROSS = (
    "its decoder also looks at what the encoder made of the prompt, and there is no rule yet for "
    "what flows through cross-attention"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The counts and widths of a model."""

    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    vocabulary: int  # of the answers
    inputs: int  # tokens that can be read
    context: int | None

    @classmethod
    def of(cls, anatomy: Anatomy, config: Any, context_key: str) -> Shape:
        """Read from the weights themselves; only the context comes from the config."""
        attention, mlp = anatomy.blocks[0].attention, anatomy.blocks[0].mlp
        n_heads, d_head, d_model = attention.w_q.shape
        context = getattr(config, context_key, None)
        if context and anatomy.positions is not None:
            context = min(context, len(anatomy.positions))
        return cls(
            n_layers=len(anatomy.blocks),
            n_heads=n_heads,
            n_kv_heads=attention.w_k.shape[0],
            d_model=d_model,
            d_head=d_head,
            d_mlp=mlp.n_neurons,
            vocabulary=anatomy.unembedding.shape[0],
            inputs=anatomy.embedding.shape[0],
            context=int(context) if context else None,
        )


class _Block:
    """Reads one block by its row."""

    def __init__(self, block: nn.Module, row: Family, config: Any, layer: int) -> None:
        self._block, self._row, self._config, self._layer = block, row, config, layer
        self._owner = f"{row.title}, layer {layer}"

    def _part(self, path: str | None) -> Any:
        return None if path is None else part(self._block, path, self._owner)

    def _linear(self, path: str) -> tuple[Tensor, Tensor | None]:
        """Weight [out, in] and bias of a matrix."""
        module = self._part(path)
        weight = module.weight.detach()
        bias = module.bias
        return (
            weight.T if self._row.input_major else weight,
            None if bias is None else bias.detach(),
        )

    def _written(self, path: str, factor: str | None) -> tuple[Tensor, Tensor | None]:
        """The same of the matrix that a branch ends with, times its factors if it has any."""
        weight, bias = self._linear(path)
        if factor is None:
            return weight, bias
        (by,) = (each.detach() for each in self._part(factor).parameters())
        return by[:, None] * weight, None if bias is None else by * bias

    def norm(self, path: str | None) -> Norm | None:
        module = self._part(path)
        absent = module is None or isinstance(module, nn.Identity)
        return None if absent else norm_of(module, self._row)

    def _head_norm(self, path: str | None) -> Norm | None:
        """A norm of queries or keys; its weight split into heads where they differ in it."""
        found = self._part(path)
        if isinstance(found, nn.ModuleList):
            norms = [norm_of(module, self._row) for module in found]
            weights = [norm.weight for norm in norms if norm.weight is not None]
            return replace(norms[0], weight=torch.stack(weights)[:, None])
        norm = self.norm(path)
        if norm is None or norm.weight is None or not self._row.joint_norms:
            return norm
        width = head_width(self._config)
        return replace(norm, weight=norm.weight.unflatten(0, (-1, 1, width)), joint=True)

    def _projections(self) -> list[tuple[Tensor, Tensor | None]]:
        """Weights [head, d_head, d_model] and biases [head, d_head] of q, k and v."""
        row, config = self._row, self._config
        if row.qkv is not None:
            weight, bias = self._linear(row.qkv)
            biases = (None,) * 3 if bias is None else split_qkv(bias, 0, row, config)
            return list(zip(split_qkv(weight, 0, row, config), biases, strict=True))
        width = head_width(config)
        found = [self._linear(name) for name in (row.q, row.k, row.v) if name is not None]
        return [
            (split_heads(weight, 0, width), None if bias is None else split_heads(bias, 0, width))
            for weight, bias in found
        ]

    def attention(
        self, window: int | None, rotary: Rotary | None, bias: ScoreBias | None
    ) -> Attention:
        row, config = self._row, self._config
        (w_q, b_q), (w_k, b_k), (w_v, b_v) = self._projections()
        w_o, b_o = self._written(row.o, row.attention_factor)
        return Attention(
            w_q=w_q,
            w_k=w_k,
            w_v=w_v,
            w_o=w_o.unflatten(1, (-1, head_width(config))).permute(1, 0, 2),
            b_q=b_q,
            b_k=b_k,
            b_v=b_v,
            b_o=b_o,
            scale=row.scale(config, self._layer),
            soft_cap=soft_cap(config, row, "attn_logit_softcapping"),
            window=window,
            causal=row.causal,
            q_norm=self._head_norm(row.q_norm),
            k_norm=self._head_norm(row.k_norm),
            rotary=rotary,
            bias=bias,
            queries_scaled=row.queries_scaled,
        )

    def mlp(self) -> Mlp:
        row = self._row
        gate: tuple[Tensor | None, Tensor | None] = (None, None)
        if row.gate_up is not None:
            weight, bias = self._linear(row.gate_up)
            w_gate, w_in = weight.chunk(2)
            b_gate, b_in = (None, None) if bias is None else bias.chunk(2)
            gate = (w_gate, b_gate)
        else:
            w_in, b_in = self._linear(row.w_in or row.mlp)
            if row.w_gate is not None:
                gate = self._linear(row.w_gate)
        w_out, b_out = self._written(row.w_out, row.mlp_factor)
        activation = _activation(self._config, row)
        return Mlp(activation, w_in, w_out, b_in, b_out, w_gate=gate[0], b_gate=gate[1])

    def experts(self) -> Experts:
        row, config, found = self._row, self._config, self._part(self._row.experts)
        always = row.renormalise_key is None
        gate = self._part(row.shared_gate)
        router = Router(
            self._part(row.router).weight.detach(),
            config.num_experts_per_tok,
            renormalise=always or bool(getattr(config, str(row.renormalise_key))),
            shared=None if gate is None else gate.weight.detach(),
        )
        return Experts(
            _activation(config, row),
            found.gate_up_proj.detach(),
            found.down_proj.detach(),
            router,
            shared=None if gate is None else self.mlp(),
        )

    def block(self, window: int | None, rotary: Rotary | None, bias: ScoreBias | None) -> Block:
        row = self._row
        norm1 = self.norm(row.norm1)
        return Block(
            attention=self.attention(window, rotary, bias),
            mlp=self.mlp() if row.experts is None else self.experts(),
            norm1=norm1,
            norm2=norm1 if row.norm2 == row.norm1 else self.norm(row.norm2),
            attention_norm=self.norm(row.attention_norm),
            mlp_norm=self.norm(row.mlp_norm),
            parallel=is_parallel(row, self._config),
            sum_norm1=self.norm(row.sum_norm1),
            sum_norm2=self.norm(row.sum_norm2),
        )


def split_heads(values: Tensor, dim: int, width: int) -> Tensor:
    """A view whose axis ``dim`` is split into heads and dimensions of a head."""
    split: Tensor = values.unflatten(dim, (-1, width))
    return split


def split_qkv(fused: Tensor, dim: int, row: Family, config: Any) -> tuple[Tensor, ...]:
    """The q, k and v parts of a fused axis, each split into heads and dimensions.

    Views, but for queries that lie in groups.
    """
    dim, width, n_heads = dim % fused.dim(), head_width(config), config.num_attention_heads
    if row.packing == "groups":
        n_kv = kv_heads(row, config)
        grouped = split_heads(fused, dim, width).unflatten(dim, (n_kv, -1))
        parts = grouped.split([n_heads // n_kv, 1, 1], dim + 1)
        return tuple(part.flatten(dim, dim + 1) for part in parts)
    n_q = n_heads * width
    n_kv = (fused.shape[dim] - n_q) // 2
    return tuple(split_heads(part, dim, width) for part in fused.split([n_q, n_kv, n_kv], dim))


def is_parallel(row: Family, config: Any) -> bool:
    """Whether attention and MLP both read the layer's input."""
    return row.parallel if row.parallel_key is None else bool(getattr(config, row.parallel_key))


def soft_cap(config: Any, row: Family, key: str) -> float | None:
    """A soft cap of the config, None for families that have none."""
    return getattr(config, key, None) if row.soft_caps else None


def norm_of(module: nn.Module, row: Family) -> Norm:
    """The norm of a module, epsilon as the module has it."""
    weight, bias = (getattr(module, name, None) for name in ("weight", "bias"))
    eps = getattr(module, "eps", None)
    if weight is not None:
        weight = weight.detach()
        # The sum is made in float32, as the models do it: 1 + w would round away small weights.
        weight = weight.float() + row.norm_offset if row.norm_offset else weight
    return Norm(
        centred=not row.rms,
        eps=float(module.variance_epsilon if eps is None else eps),  # type: ignore[arg-type]
        weight=weight,
        bias=None if bias is None else bias.detach(),
    )


def _activation(config: Any, row: Family) -> str:
    return _first_known(
        row, [row.activation, *(getattr(config, key, None) for key in row.activation_keys)]
    )


def _first_known(row: Family, names: list[str | None]) -> str:
    name = next((found for found in names if found), None)
    if name not in _ACTIVATIONS:
        known = ", ".join(sorted(_ACTIVATIONS))
        raise UnknownArchitecture(
            f"{row.title}: the activation function {name!r} is not known.", f"Known: {known}."
        )
    return _ACTIVATIONS[name]


def resolve(module: nn.Module, row: Family, config: Any) -> Anatomy:
    """The anatomy of a transformers model.

    Raises UnknownArchitecture that names the part that could not be found, or the setting of a
    variant that is not supported.
    """
    row = row.of(config)
    find: Callable[[str], Any] = lambda path: part(module, path, row.title)  # noqa: E731
    norm_at: Callable[[str | None], Norm | None] = lambda path: (  # noqa: E731
        None if path is None else norm_of(find(path), row)
    )
    embedding = find(row.embedding)
    weight = embedding.weight.detach()
    biases = score_biases(find(row.blocks), row, config, weight)
    table_at: Callable[[str | None], Tensor | None] = lambda path: (  # noqa: E731
        None if path is None else find(path).weight.detach()
    )
    positions, types = table_at(row.positions), table_at(row.token_types)
    head = find(row.unembedding)
    turns = rotaries(module, row, config, weight[:1, None])
    per_layer = zip(find(row.blocks), windows(config, row), turns, biases, strict=True)
    return Anatomy(
        embedding=weight,
        embedding_scale=_embedding_scale(embedding),
        embedding_norm=norm_at(row.embedding_norm),
        positions=None if positions is None else positions[row.position_offset :],
        blocks=tuple(
            _Block(block, row, config, layer).block(window, rotary, bias)
            for layer, (block, window, rotary, bias) in enumerate(per_layer)
        ),
        final_norm=_final_norm(norm_at(row.final_norm), row, config),
        unembedding=head.weight.detach(),
        unembedding_bias=None if head.bias is None else head.bias.detach(),
        soft_cap=soft_cap(config, row, "final_logit_softcapping"),
        embedding_map=table_at(row.embedding_map),
        token_type=None if types is None else types[0],
        stream_norm=norm_at(row.stream_norm),
        transform=_transform(find, norm_at(row.transform_norm), row, config),
        leaves_out=row.leaves_out if row.cross is None else _CROSS,
    )


def _transform(
    find: Callable[[str], Any], norm: Norm | None, row: Family, config: Any
) -> Transform | None:
    if row.transform is None:
        return None
    dense, key = find(row.transform), row.transform_activation_key
    names = [row.transform_activation, None if key is None else getattr(config, key, None)]
    acts = key is not None or row.transform_activation is not None
    return Transform(
        dense.weight.detach(),
        None if dense.bias is None else dense.bias.detach(),
        _first_known(row, names) if acts else None,
        norm,
    )


def _final_norm(norm: Norm | None, row: Family, config: Any) -> Norm | None:
    """What the unembedding reads, with a factor of its own where there is one."""
    if norm is None or norm.weight is None or row.unembedding_scale is None:
        return norm
    return replace(norm, weight=norm.weight.float() * row.unembedding_scale(config))


def _embedding_scale(embedding: nn.Module) -> float:
    """What the embedding module multiplies by, rounded as it rounds it."""
    scale: Any = getattr(embedding, "embed_scale", None)
    if scale is None:
        return 1.0
    return float(torch.as_tensor(scale).to(embedding.weight.dtype))  # type: ignore[arg-type]
