"""Transcoder sets and cross-layer transcoders of circuit-tracer, and Gemma Scope 2's of both kinds.

Facts: circuit-tracer 0.5 (``transcoder/``, ``utils/hf_utils.py``). A set has ``layer_0`` …, a
cross-layer one ``W_enc_0`` and ``W_dec_0`` …, each with ``config.yaml`` beside; in Gemma Scope 2
one file a layer holds both kinds, told apart by the axes of its decoder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from microtome.errors import DictionaryError
from microtome.features.formats.cross_layer import crossing, gemma_crossing
from microtome.features.formats.place import Place
from microtome.features.formats.recipe import Recipe
from microtome.features.formats.transcoder_layers import (
    CONFIG,
    CROSSING_KIND,
    NAME,
    SET_KIND,
    TITLE,
    SetRecipe,
    layer_recipe,
    set_told,
    silent_of,
)
from microtome.records.dictionary_file import SET

__all__ = ["CONFIG", "CROSSING_KIND", "NAME", "SET_KIND", "TITLE", "SetRecipe"]

_LAYER = re.compile(r"(?:.*_)?layer_(\d{1,4})\.(safetensors|npz)")
_CROSS = re.compile(r"W_enc_(\d{1,4})\.safetensors")


def fits(place: Place) -> bool:
    """Whether a place is a folder of transcoders for all layers."""
    if place.chosen and place.chosen != CONFIG:
        return False
    if place.has(CONFIG):
        return "model_kind" in place.yaml(CONFIG)
    return len(_numbered(place, _LAYER)) > 1 or bool(_numbered(place, _CROSS))


def one_fits(place: Place) -> bool:
    """Whether one layer's file of a set was named."""
    return bool(_LAYER.fullmatch(place.chosen)) and place.chosen.endswith(".safetensors")


def one(place: Place) -> Recipe:
    """One layer of a set."""
    found = _LAYER.fullmatch(place.chosen)
    config = place.yaml(CONFIG) if place.has(CONFIG) else {}
    return layer_recipe(place, config, int(found[1]) if found else 0, place.chosen)


def recipe(place: Place) -> SetRecipe:
    """What the folder is. Raises DictionaryError for layers that are missing or do not fit."""
    config = place.yaml(CONFIG) if place.has(CONFIG) else {}
    kind = str(
        config.get("model_kind") or (CROSSING_KIND if _numbered(place, _CROSS) else SET_KIND)
    )
    if kind not in {SET_KIND, CROSSING_KIND}:
        raise DictionaryError(
            f"{CONFIG} says model_kind = {kind!r}; known are {SET_KIND} and {CROSSING_KIND}."
        )
    crosses = _numbered(place, _CROSS)
    if kind == CROSSING_KIND and crosses:
        return crossing(place, config, _contiguous(crosses))
    files = _contiguous(_listed(place, config) or _numbered(place, _LAYER))
    header = place.header(files[0])
    decoder = header.get("w_dec")
    if decoder is not None and len(decoder.shape) == 3:
        return gemma_crossing(place, config, files)
    layers = tuple(layer_recipe(place, config, at, file) for at, file in enumerate(files))
    return SetRecipe(set_told(place, layers, files, SET), layers, silent=silent_of(config))


def _numbered(place: Place, pattern: re.Pattern[str]) -> dict[int, str]:
    found = ((pattern.fullmatch(name), name) for name in place.files())
    return {int(match[1]): name for match, name in found if match}


def _listed(place: Place, config: Mapping[str, Any]) -> dict[int, str]:
    """Files that the settings list; those must lie in the folder itself."""
    listed = config.get("transcoders")
    if not listed or place.elsewhere:
        return {}
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise DictionaryError(f"{CONFIG} says transcoders = {str(listed)[:60]}; a list belongs.")
    away = next((each for each in listed if "/" in each or "\\" in each), None)
    if away is not None:
        raise DictionaryError(
            f"{CONFIG} takes its layers from other places, first {away[:120]}.",
            "Download those files into one folder as layer_0, layer_1, …, and open that.",
        )
    return dict(enumerate(listed))


def _contiguous(files: Mapping[int, str]) -> tuple[str, ...]:
    count = max(files, default=0) + 1
    missing = sorted(set(range(count)) - set(files))
    if missing:
        raise DictionaryError(
            f"Layers are missing: {', '.join(map(str, missing[:8]))} of {count}.",
            "A set has a file for each layer, from 0 on; download it again.",
        )
    return tuple(files[layer] for layer in range(count))
