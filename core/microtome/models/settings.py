"""A model's config.json, checked before transformers acts on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from microtome.errors import ModelDamaged, UnsafeModel
from microtome.models.weights import inside, read_json

# A key of these names, or starting so, makes some version of transformers run or fetch code.
_UNSAFE = {"auto_map", "trust_remote_code", "custom_pipelines"}
_UNSAFE_STARTS = ("_attn_implementation", "_experts_implementation")

# Largest value that any published model comes near, with room above.
_LIMITS = {
    ("num_hidden_layers", "n_layer", "n_layers"): 1_000,
    ("num_attention_heads", "n_head", "n_heads"): 10_000,
    ("num_key_value_heads", "num_kv_heads"): 10_000,
    ("num_experts", "num_local_experts", "num_experts_per_tok"): 100_000,
    ("hidden_size", "n_embd", "n_embed", "d_model", "dim", "word_embed_proj_dim"): 1_000_000,
    ("head_dim",): 100_000,
    ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "hidden_dim"): 10_000_000,
    ("moe_intermediate_size", "shared_expert_intermediate_size"): 10_000_000,
    ("vocab_size",): 100_000_000,
    ("max_position_embeddings", "n_positions", "max_seq_len"): 1_000_000_000,
}


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of ``config.json``.

    Raises ModelDamaged when they are missing, unreadable or impossible, UnsafeModel when they
    would make transformers run code.
    """
    settings = read_json(inside(folder, "config.json"))
    if not isinstance(settings, dict) or not isinstance(settings.get("model_type"), str):
        raise ModelDamaged(
            "config.json names no model_type.",
            "Choose the folder of a transformers model.",
        )
    refuse_code(settings, "config.json")
    for names, limit in _LIMITS.items():
        for name in names:
            _check_size(name, settings.get(name), limit)
    return settings


def refuse_code(settings: Any, file: str) -> None:
    """Raise UnsafeModel when settings hold a key, at any depth, that would run code."""
    for key in _keys(settings):
        if key in _UNSAFE or key.startswith(_UNSAFE_STARTS):
            raise UnsafeModel(
                f"{file} holds the key {key!r}, which makes transformers run code that comes with "
                "the model.",
                "Microtome never runs such code; use a version of the model without it.",
            )


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (str(key) for key in value)
        for inner in value.values():
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)


def _check_size(name: str, value: Any, limit: int) -> None:
    if value is None:
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 1 <= value <= limit:
        raise ModelDamaged(
            f"config.json gives {name} = {value!r}; possible are whole numbers from 1 to {limit}.",
            "The file is damaged or was made to mislead.",
        )
