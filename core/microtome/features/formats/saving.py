"""Writing dictionaries for SAELens and transcoders for circuit-tracer, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from microtome.errors import DictionaryError, InputError, expect
from microtome.features.dictionary import Dictionary
from microtome.features.formats import circuit_tracer, saelens
from microtome.features.formats.files import folder_named
from microtome.features.formats.hooks import hook_of, is_site, suffix_of
from microtome.features.formats.own_folders import ours
from microtome.features.formats.recipe import unit_decoder
from microtome.features.formats.shown_examples import (
    NO_EXAMPLES,
    expect_examples,
    write_shown,
)
from microtome.features.formats.whole_folder import whole_folder
from microtome.features.formats.yaml_text import written_yaml
from microtome.features.rules import PURSUITS, Settings, Weights
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job, job_or_default
from microtome.records.feature_index import FeatureIndex
from microtome.sites import Site

# The layout that is written; the tool reads it by this number, not by which program wrote it.
_LAYOUT = "6.0.0"
_FORMATS = (saelens.NAME,)
_BY_NORM = ("topk", "jumprelu")


def save_dictionary(
    dictionary: Dictionary,
    folder: str | os.PathLike[str],
    kind: str = saelens.NAME,
    *,
    examples: FeatureIndex | None = None,
    job: Job | None = None,
) -> None:
    """Write a dictionary as a folder that SAELens opens: ``cfg.json``, ``sae_weights.safetensors``.

    Numbers are what they are, but where features are compared by decoder norms: then the norms go
    into the encoder, as SAELens does, and codes are measured by what they write. ``examples`` are
    written beside it, as circuit-tracer's page reads them.
    Raises DictionaryError for what that tool has no architecture for, InputError for another
    format, StorageError when the disk refuses or the folder holds something else.
    """
    expect(dictionary, Dictionary, "dictionary", "a Dictionary", "Load or train one.")
    if kind not in _FORMATS:
        raise InputError(
            f"There is no format {kind!r} to write one dictionary in.",
            f"Choose {' or '.join(_FORMATS)}; sets of transcoders have save_transcoders.",
        )
    job = job_or_default(job)
    job.check()
    layer = Site.of(dictionary.identity.reads).layer if examples is not None else None
    shown = {} if examples is None else {layer or 0: examples}
    expect_examples(shown, [dictionary] * (1 + (layer or 0)))
    weights, settings = _unnormed(dictionary)
    cfg = _cfg(dictionary, settings)
    tensors = _stored(saelens.ARCHITECTURES[cfg["architecture"]], weights)
    with whole_folder(folder_named(folder), _bytes(tensors), ours(folder_named(folder))) as fresh:
        save_file(tensors, fresh / saelens.WEIGHTS)
        _write_text(fresh / saelens.CFG, json.dumps(cfg, indent=2, ensure_ascii=False) + "\n")
        write_shown(fresh, shown, job)


def save_transcoders(
    transcoders: Transcoders,
    folder: str | os.PathLike[str],
    *,
    scan: str = "",
    examples: Mapping[int, FeatureIndex] = NO_EXAMPLES,
    job: Job | None = None,
) -> None:
    """Write transcoders as a folder that circuit-tracer opens: ``config.yaml`` and files of layers.

    ``scan`` names their features to pages that show examples; ``examples`` are those of layers,
    written beside them. A bias that is subtracted first goes
    into the encoder's. Raises DictionaryError for what that format has no place for, StorageError
    when the disk refuses or the folder holds something else.
    """
    expect(transcoders, Transcoders, "transcoders", "Transcoders", "Load or train some.")
    job = job_or_default(job)
    _expect_written(transcoders)
    expect_examples(examples, transcoders.layers)
    parts = [_plain(one) for one in transcoders.layers]
    config = _config(transcoders, parts[0][1], scan)
    files = _crossing(transcoders, parts) if transcoders.crosses else _layers(parts)
    size = sum(_bytes(tensors) for tensors in files.values())
    with whole_folder(folder_named(folder), size, ours(folder_named(folder))) as fresh:
        for at, (name, tensors) in enumerate(files.items()):
            job.progress("Saving transcoders", at, len(files))
            save_file(tensors, fresh / name)
        _write_text(fresh / circuit_tracer.CONFIG, written_yaml(config))
        write_shown(fresh, examples, job)


def expect_dictionary_saved(one: Dictionary) -> None:
    """Raise DictionaryError for what SAELens has no architecture for."""
    _cfg(one, one.settings)


def expect_transcoders_saved(transcoders: Transcoders) -> None:
    """Raise DictionaryError for what circuit-tracer's format has no place for."""
    _expect_written(transcoders)
    _config(transcoders, transcoders.layers[0].settings, "")


def _unnormed(one: Dictionary) -> tuple[Weights, Settings]:
    """The same without ``by_decoder_norm``, which only some rules look at."""
    settings = replace(one.settings, by_decoder_norm=False)
    looks = one.settings.by_decoder_norm and settings.rule in _BY_NORM
    return unit_decoder(one.weights) if looks else one.weights, settings


def _cfg(one: Dictionary, settings: Settings) -> dict[str, Any]:
    identity, name = one.identity, _architecture(one)
    row = saelens.ARCHITECTURES[name]
    cfg: dict[str, Any] = {
        "architecture": name, "d_in": one.d_in, "d_sae": one.d_sae,
        "dtype": str(one.weights.w_dec.dtype).removeprefix("torch."), "device": "cpu",
        "apply_b_dec_to_input": settings.centred, "normalize_activations": settings.normalise,
        "reshape_activations": "none", "metadata": _metadata(one),
    }  # fmt: skip
    if row.across:
        cfg["d_out"] = one.d_out
    if row.rule == "topk":
        cfg |= {"k": settings.k, "rescale_acts_by_decoder_norm": False}
    if row.rule == "matching_pursuit":
        cfg |= {
            "residual_threshold": settings.residual_threshold,
            "max_iterations": settings.rounds or PURSUITS,
            "stop_on_duplicate_support": settings.until_repeated,
        }
    site = Site.of(identity.reads) if is_site(identity.reads) else None
    if site is not None and site.name == "z" and site.head is None:
        cfg["reshape_activations"] = "hook_z"
    return cfg


def _architecture(one: Dictionary) -> str:
    across, skip = one.identity.is_transcoder, one.weights.w_skip is not None
    for name, row in saelens.ARCHITECTURES.items():
        if (row.rule, row.across, row.skip) == (one.settings.rule, across, skip):
            return name
    raise DictionaryError(
        f"SAELens has no architecture for a {one.architecture}.",
        "Transcoders of all layers can be saved with save_transcoders.",
    )


def _metadata(one: Dictionary) -> dict[str, Any]:
    identity = one.identity
    kept = identity.source.get("metadata")
    meta: dict[str, Any] = dict(kept) if isinstance(kept, Mapping) else {}
    meta |= {"sae_lens_version": _LAYOUT, "sae_lens_training_version": None}
    if identity.model:
        meta["model_name"] = identity.model
    if identity.reads:
        meta["hook_name"], meta["hook_head_index"] = hook_of(identity.reads)
    if identity.is_transcoder and identity.writes:
        meta["hook_name_out"], meta["hook_head_index_out"] = hook_of(identity.writes)
    meta["microtome"] = {
        "reads": identity.reads, "writes": identity.writes,
        "model_fingerprint": identity.model_fingerprint,
    }  # fmt: skip
    return meta


def _stored(row: saelens.Architecture, weights: Weights) -> dict[str, Tensor]:
    held = weights.tensors()
    return {
        stored.names[0]: _own(held[name].T if stored.turned else held[name])
        for name, stored in row.rows.items()
    }


def _own(tensor: Tensor) -> Tensor:
    """Its own contiguous numbers on the processor: the format shares none between tensors."""
    return tensor.detach().cpu().contiguous().clone()


def _bytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _plain(one: Dictionary) -> tuple[Weights, Settings]:
    """A transcoder without what the format has no place for."""
    weights, settings = _unnormed(one)
    if settings.centred:
        bias = weights.need("b_enc")
        moved = bias.double() - weights.encoder.double() @ weights.b_dec.double()
        weights = replace(weights, b_enc=moved.to(bias.dtype))
    return weights, replace(settings, centred=False)


def _expect_written(transcoders: Transcoders) -> None:
    """Raise DictionaryError for what circuit-tracer's format has no place for."""
    rules = {one.settings.rule for one in transcoders.layers}
    sizes = {one.d_sae for one in transcoders.layers}
    normed = {one.settings.normalise for one in transcoders.layers} - {"none"}
    known = {"relu", "jumprelu"} if transcoders.crosses else {"relu", "jumprelu", "topk"}
    skips = {one.weights.w_skip is not None for one in transcoders.layers}
    if len(rules) > 1 or not rules <= known or len(skips) > 1:
        raise DictionaryError(
            f"circuit-tracer's format has one rule for all layers, of {', '.join(sorted(known))}; "
            f"these have {', '.join(sorted(rules))}.",
            "Save them layer by layer with save_dictionary.",
        )
    if normed:
        raise DictionaryError(
            f"circuit-tracer's format has no place for the normalisation {', '.join(normed)}."
        )
    if len(sizes) > 1:
        raise DictionaryError(
            f"circuit-tracer's layers are of one size, but these have {sorted(sizes)} features."
        )
    if transcoders.crosses and skips == {True}:
        raise DictionaryError("circuit-tracer keeps no skip with a cross-layer transcoder.")


def _config(transcoders: Transcoders, settings: Settings, scan: str) -> dict[str, Any]:
    first = transcoders.layers[0].identity
    if not first.reads or not first.writes:
        raise DictionaryError("The transcoders do not tell what they read and write.")
    crossing = transcoders.crosses
    kind = circuit_tracer.CROSSING_KIND if crossing else circuit_tracer.SET_KIND
    config: dict[str, Any] = {
        "model_name": first.model, "model_kind": kind,
        "feature_input_hook": suffix_of(first.reads),
        "feature_output_hook": suffix_of(first.writes),
        "scan": scan or transcoders.name or "microtome",
    }  # fmt: skip
    if settings.rule == "topk":
        config |= {"activation": "topk", "k": settings.k}
    if first.model_fingerprint:
        config["microtome"] = {"model_fingerprint": first.model_fingerprint}
    return config


def _layers(parts: list[tuple[Weights, Settings]]) -> dict[str, dict[str, Tensor]]:
    files = {}
    for layer, (weights, _) in enumerate(parts):
        held = {
            "W_enc": weights.encoder, "W_dec": weights.w_dec, "b_enc": weights.need("b_enc"),
            "b_dec": weights.b_dec, "activation_function.threshold": weights.threshold,
            "W_skip": weights.w_skip,
        }  # fmt: skip
        files[f"layer_{layer}.safetensors"] = {
            name: _own(tensor) for name, tensor in held.items() if tensor is not None
        }
    return files


def _crossing(
    transcoders: Transcoders, parts: list[tuple[Weights, Settings]]
) -> dict[str, dict[str, Tensor]]:
    files = {}
    for at, (weights, _) in enumerate(parts):
        held = {
            f"W_enc_{at}": weights.encoder, f"b_enc_{at}": weights.need("b_enc"),
            f"b_dec_{at}": weights.b_dec,
        }  # fmt: skip
        if weights.threshold is not None:
            held[f"threshold_{at}"] = weights.threshold
        onward = (transcoders.onward or ())[at]
        written = torch.cat([weights.w_dec[:, None], onward], dim=1)
        files[f"W_enc_{at}.safetensors"] = {name: _own(each) for name, each in held.items()}
        files[f"W_dec_{at}.safetensors"] = {f"W_dec_{at}": _own(written)}
    return files
