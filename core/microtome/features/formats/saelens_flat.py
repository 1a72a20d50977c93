"""Settings of SAELens from before version 6: one flat table, under older names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from microtome.features.formats.place import table

_RENAMED = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
}
_OF_THE_MODEL = (
    "model_name", "hook_name", "hook_name_out", "hook_head_index", "hook_head_index_out",
    "model_class_name", "model_from_pretrained_kwargs", "prepend_bos", "exclude_special_tokens",
    "neuronpedia_id", "context_size", "seqpos_slice", "dataset_path", "sae_lens_version",
    "sae_lens_training_version",
)  # fmt: skip
_DEFAULTS = {
    "prepend_bos": True,
    "apply_b_dec_to_input": True,
    "architecture": "standard",
    "activation_fn": "relu",
}


def is_flat(cfg: Mapping[str, Any]) -> bool:
    """Whether settings are of a version before 6, or tell no version."""
    version = cfg.get("sae_lens_version") or table(cfg, "metadata", "cfg.json").get(
        "sae_lens_version"
    )
    major = re.match(r"\d{1,6}", str(version or ""))
    return major is None or int(major[0]) < 6


def unfolded(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings in the form of version 6."""
    held = _DEFAULTS | {_RENAMED.get(key, key): value for key, value in cfg.items()}
    if held["activation_fn"] == "topk":
        kwargs = table(held, "activation_fn_kwargs", "cfg.json")
        held |= {"architecture": "topk", "k": kwargs.get("k", held.get("k"))}
    normalise = held.get("normalize_activations")
    if isinstance(normalise, bool) or normalise is None:
        held["normalize_activations"] = "expected_average_only_in" if normalise else "none"
    hooked_z = "hook_z" in str(held.get("hook_name", ""))
    held.setdefault("reshape_activations", "hook_z" if hooked_z else "none")
    across = "transcoder" in str(held["architecture"])
    if across and "apply_b_dec_to_input" not in cfg:
        held["apply_b_dec_to_input"] = False
    own = table(held, "metadata", "cfg.json")
    held["metadata"] = own | {key: held[key] for key in _OF_THE_MODEL if key in held}
    return held
