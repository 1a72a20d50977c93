"""Write what was trained as other tools read it: SAELens' folder, circuit-tracer's set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from microtome.errors import DictionaryError, StorageError
from microtome.features.dictionary import Dictionary
from microtome.features.training.methods import METHODS
from microtome.features.transcoders import Transcoders
from microtome.session.storage import storing
from microtome.sites import Site

_ARCHITECTURES = {
    ("relu", False, False): "standard",
    ("topk", False, False): "topk",
    ("jumprelu", False, False): "jumprelu",
    ("gated", False, False): "gated",
    ("relu", True, False): "transcoder",
    ("relu", True, True): "skip_transcoder",
    ("jumprelu", True, False): "jumprelu_transcoder",
    ("jumprelu", True, True): "jumprelu_skip_transcoder",
}
_TURNED = {"w_enc": "W_enc"}
_NAMES = {"w_dec": "W_dec", "w_skip": "W_skip"}


def expect_form(rule: str, *, transcodes: bool) -> None:
    """Raise DictionaryError for a rule of training whose dictionary could not be saved."""
    made = METHODS[rule].rule
    if (made, transcodes, False) not in _ARCHITECTURES:
        able = [
            name for name, row in METHODS.items() if (row.rule, transcodes, False) in _ARCHITECTURES
        ]
        raise DictionaryError(
            f"A transcoder of the rule {rule} has no file format.",
            f"Train it by {', '.join(able)}.",
        )


def save_trained(made: Dictionary | Transcoders, folder: Path | str) -> Path:
    """Write a dictionary as SAELens does, transcoders as circuit-tracer; the folder.

    Raises DictionaryError for what neither has a form for, StorageError when the disk refuses.
    """
    path = Path(folder).expanduser()
    with storing(path):
        path.mkdir(parents=True, exist_ok=True)
        if isinstance(made, Dictionary):
            _save_dictionary(made, path)
        else:
            _save_set(made, path)
    return path


def _save_dictionary(made: Dictionary, folder: Path) -> None:
    identity, held = made.identity, made.weights.tensors()
    key = (made.settings.rule, identity.is_transcoder, "w_skip" in held)
    if key not in _ARCHITECTURES:
        raise DictionaryError(
            f"SAELens has no form for a {made.architecture}.",
            "Train a transcoder by relu, jumprelu, batchtopk or matryoshka.",
        )
    metadata: dict[str, Any] = {
        "model_name": identity.model,
        "hook_name": Site.of(identity.reads).lens_name,
        "hook_head_index": Site.of(identity.reads).head,
        "microtome": {
            "reads": identity.reads,
            "writes": identity.writes,
            "model_fingerprint": identity.model_fingerprint,
            **identity.source,
        },
    }
    if identity.is_transcoder:
        metadata["hook_name_out"] = Site.of(identity.writes).lens_name
    cfg: dict[str, Any] = {
        "architecture": _ARCHITECTURES[key],
        "d_in": made.d_in,
        "d_sae": made.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": made.settings.centred,
        "normalize_activations": "none",
        "reshape_activations": "hook_z" if identity.reads.startswith("z") else "none",
        "metadata": metadata,
    }
    cfg |= {"d_out": made.d_out} if identity.is_transcoder else {}
    if made.settings.rule == "topk":
        cfg |= {"k": made.settings.k, "rescale_acts_by_decoder_norm": False}
    _save({_name(name): _turned(name, each) for name, each in held.items()},
          folder / "sae_weights.safetensors")  # fmt: skip
    (folder / "cfg.json").write_text(json.dumps(cfg, indent=2) + "\n", encoding="utf-8")


def _name(name: str) -> str:
    return {**_TURNED, **_NAMES}.get(name, name)


def _turned(name: str, held: Tensor) -> Tensor:
    return held.T if name in _TURNED else held


def _save_set(made: Transcoders, folder: Path) -> None:
    first = made.layers[0].identity
    if made.layers[0].settings.rule not in {"relu", "jumprelu"}:
        raise DictionaryError(
            f"circuit-tracer has no form for a {first.architecture}.",
            "Train transcoders by relu, jumprelu, batchtopk or matryoshka.",
        )
    for layer, one in enumerate(made.layers):
        if made.onward is None:
            _save(_layer_tensors(one), folder / f"layer_{layer}.safetensors")
        else:
            _save_crossing(made, layer, folder)
    lines = {
        "model_name": first.model,
        "model_kind": "cross_layer_transcoder" if made.crosses else "transcoder_set",
        "feature_input_hook": _suffix(first.reads),
        "feature_output_hook": _suffix(first.writes),
        "scan": made.name or first.model,
    }
    text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in lines.items())
    text += f"microtome:\n  model_fingerprint: {json.dumps(first.model_fingerprint)}\n"
    (folder / "config.yaml").write_text(text, encoding="utf-8")


def _layer_tensors(one: Dictionary) -> dict[str, Tensor]:
    held = one.weights.tensors()
    names = {**_TURNED, **_NAMES, "threshold": "activation_function.threshold"}
    return {names.get(name, name): each for name, each in held.items()}


def _save_crossing(made: Transcoders, layer: int, folder: Path) -> None:
    one = made.layers[layer]
    if one.weights.w_skip is not None:
        raise DictionaryError("circuit-tracer has no form for a cross-layer skip transcoder.")
    names = {"w_enc": "W_enc", "b_enc": "b_enc", "b_dec": "b_dec", "threshold": "threshold"}
    held = one.weights.tensors()
    encoder = {f"{names[name]}_{layer}": held[name] for name in names if name in held}
    _save(encoder, folder / f"W_enc_{layer}.safetensors")
    _save({f"W_dec_{layer}": made.decoder(layer)}, folder / f"W_dec_{layer}.safetensors")


def _suffix(site: str) -> str:
    return Site.of(site).lens_name.split(".", 2)[2]


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        save_file({name: each.contiguous() for name, each in tensors.items()}, path)
    except SafetensorError as error:
        raise StorageError(f"{path.name} could not be saved. {error}") from error
    path.chmod(0o644)  # the library makes it readable by its owner alone
