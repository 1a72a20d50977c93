"""Transcoder sets and cross-layer transcoders of circuit-tracer, and Gemma Scope 2's of both kinds.

Facts: circuit-tracer 0.5 (``transcoder/``, ``utils/hf_utils.py``). A set has ``layer_0`` …, a
cross-layer one ``W_enc_0`` and ``W_dec_0`` …, each with ``config.yaml`` beside; in Gemma Scope 2
one file a layer holds both kinds, told apart by the axes of its decoder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor

from microtome.errors import DictionaryError
from microtome.features.dictionary import Dictionary
from microtome.features.formats import gemma_scope
from microtome.features.formats.hooks import site_of
from microtome.features.formats.place import Entry, Place, whole
from microtome.features.formats.recipe import Recipe, gathered, names_of, stored, told
from microtome.features.rules import Settings, Weights
from microtome.features.transcoders import Transcoders
from microtome.records.dictionary_file import CROSSING, SET, DictionaryFile

NAME, TITLE = "circuit-tracer", "circuit-tracer"
CONFIG = "config.yaml"
SET_KIND, CROSSING_KIND = "transcoder_set", "cross_layer_transcoder"
_LAYER = re.compile(r"(?:.*_)?layer_(\d+)\.(safetensors|npz)")
_CROSS = re.compile(r"W_enc_(\d+)\.safetensors")
_INPUT, _OUTPUT = "mlp.hook_in", "hook_mlp_out"
# Its demonstrations leave out more of the first positions for these models.
_LONG_START = re.compile(r"gemma-3-.*-it")
_NO_CONFIG = f"There is no {CONFIG}: it is taken to read what the MLP reads, of a model not told."
_ROWS = {
    "w_enc": stored("W_enc"),
    "b_enc": stored("b_enc"),
    "w_dec": stored("W_dec"),
    "b_dec": stored("b_dec"),
    "threshold": stored("activation_function.threshold", may_lack=True),
    "w_skip": stored("W_skip", may_lack=True),
}


@dataclass(frozen=True, slots=True, eq=False)
class SetRecipe:
    """A set that can be loaded: one recipe a layer, and what its features write onward."""

    told: DictionaryFile
    layers: tuple[Recipe, ...]
    onward: Callable[[int], Tensor] | None = None  # layer → [feature, layers behind, d_out]
    silent: int = 1

    def made(self) -> Transcoders:
        """The transcoders. Raises DictionaryError for tensors that do not fit."""
        if self.told.problem:
            raise DictionaryError(f"{self.told.identity.name}: {self.told.problem}")
        layers: tuple[Dictionary, ...] = tuple(recipe.made() for recipe in self.layers)
        onward = self.onward and tuple(self.onward(layer) for layer in range(len(layers)))
        return Transcoders(layers, onward, self.silent, self.told.identity.name)


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
    return _layer(place, config, int(found[1]) if found else 0, place.chosen)


def recipe(place: Place) -> SetRecipe:
    """What the folder is. Raises DictionaryError for layers that are missing or do not fit."""
    config = place.yaml(CONFIG) if place.has(CONFIG) else {}
    kind = config.get("model_kind") or (CROSSING_KIND if _numbered(place, _CROSS) else SET_KIND)
    if kind not in {SET_KIND, CROSSING_KIND}:
        raise DictionaryError(
            f"{CONFIG} says model_kind = {kind!r}; known are {SET_KIND} and {CROSSING_KIND}."
        )
    crosses = _numbered(place, _CROSS)
    if kind == CROSSING_KIND and crosses:
        return _crossing(place, config, _contiguous(crosses))
    files = _contiguous(_listed(config) or _numbered(place, _LAYER))
    header = place.header(files[0])
    decoder = header.get("w_dec")
    if decoder is not None and len(decoder.shape) == 3:
        return _gemma_crossing(place, config, files)
    layers = tuple(_layer(place, config, at, file) for at, file in enumerate(files))
    return SetRecipe(_set_told(place, layers, files, SET), layers, silent=_silent(config))


def _numbered(place: Place, pattern: re.Pattern[str]) -> dict[int, str]:
    found = ((pattern.fullmatch(name), name) for name in place.files())
    return {int(match[1]): name for match, name in found if match}


def _listed(config: Mapping[str, Any]) -> dict[int, str]:
    """Files that the settings list; those must lie in the folder itself."""
    listed = config.get("transcoders")
    if not listed:
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


def _silent(config: Mapping[str, Any]) -> int:
    return 4 if _LONG_START.search(str(config.get("model_name", ""))) else 1


def _sites(config: Mapping[str, Any], layer: int) -> tuple[str, str]:
    def at(key: str, usual: str) -> str:
        return site_of(f"blocks.{layer}.{config.get(key) or usual}")

    return at("feature_input_hook", _INPUT), at("feature_output_hook", _OUTPUT) or "mlp_out"


def _model(config: Mapping[str, Any]) -> str:
    return str(config.get("model_name") or "")


def _layer(place: Place, config: Mapping[str, Any], layer: int, file: str) -> Recipe:
    """The recipe of one layer's file, of either family of names."""
    header, placed = place.header(file), replace(place, name=f"{place.name}, layer {layer}")
    if "w_enc" in header or file.endswith(".npz"):
        sizes, rule = gemma_scope.sizes_of(header, file), "jumprelu"
        skip = "affine_skip_connection" in header

        def load() -> tuple[Weights, Settings]:
            return gemma_scope.weights_of(place, file), gemma_scope.SETTINGS
    else:
        sizes, rule = _sizes(header, file), _rule(config, header)
        skip = "W_skip" in header

        def load() -> tuple[Weights, Settings]:
            held = place.tensors(file, names_of(header, _ROWS))
            weights = Weights(**gathered(held, _ROWS, file))
            _expect_above_zero(weights, file)
            return weights, _settings(config, rule)

    said = told(
        placed, (NAME, TITLE), (file,),
        architecture=f"{rule} {'skip ' if skip else ''}transcoder",
        sizes=sizes, sites=_sites(config, layer), model=_model(config),
        dtype=next(iter(header.values())).dtype, source={"settings": dict(config)},
        model_fingerprint=_fingerprint(config),
    )  # fmt: skip
    return Recipe(said, load)


def _expect_above_zero(weights: Weights, file: str) -> None:
    """Below 0 the tool lets codes be negative, which no feature here is."""
    if weights.threshold is not None and (weights.threshold < 0).any():
        raise DictionaryError(f"{file} has thresholds below 0, so that codes would be negative.")


def _fingerprint(config: Mapping[str, Any]) -> str:
    own = config.get("microtome")
    return str(own.get("model_fingerprint") or "") if isinstance(own, dict) else ""


def _rule(config: Mapping[str, Any], header: Mapping[str, Entry]) -> str:
    rule = config.get("activation")
    if rule is None:
        return "jumprelu" if "activation_function.threshold" in header else "relu"
    if rule not in {"relu", "topk", "jumprelu"}:
        raise DictionaryError(f"{CONFIG} says activation = {rule!r}; known are relu and topk.")
    return str(rule)


def _settings(config: Mapping[str, Any], rule: str) -> Settings:
    return Settings(rule, k=whole(config, "k", CONFIG) if rule == "topk" else None, centred=False)


def _sizes(header: Mapping[str, Entry], file: str) -> tuple[int, int, int]:
    for name in ("W_enc", "W_dec", "b_enc", "b_dec"):
        if name not in header:
            raise DictionaryError(f"{file} lacks {name}; it holds {', '.join(sorted(header))}.")
    read, written = header["W_enc"].shape, header["W_dec"].shape
    if len(read) != 2 or len(written) != 2 or read[0] != written[0]:
        raise DictionaryError(
            f"{file}: W_enc has shape {list(read)} and W_dec {list(written)}, which do not fit.",
            "Both are [features, width].",
        )
    return read[1], read[0], written[1]


def _set_told(
    place: Place,
    layers: tuple[Recipe, ...],
    files: tuple[str, ...],
    kind: str,
) -> DictionaryFile:
    """What a set is. Raises DictionaryError for layers of several sizes."""
    held = [recipe.told.identity for recipe in layers]
    first = held[0]
    for layer, one_layer in enumerate(held):
        sizes = (one_layer.d_in, one_layer.d_sae, one_layer.d_out)
        if sizes != (first.d_in, first.d_sae, first.d_out):
            raise DictionaryError(
                f"Layer {layer} has {one_layer.d_sae} features of {one_layer.d_in} numbers, but "
                f"layer 0 has {first.d_sae} of {first.d_in}.",
                "All layers of a set are of one size.",
            )
    names = (CONFIG, *files) if place.has(CONFIG) else files
    identity = replace(
        first, name=place.name,
        reads=first.reads.partition(".")[0], writes=first.writes.partition(".")[0],
    )  # fmt: skip
    notes = () if place.has(CONFIG) else (_NO_CONFIG,)
    return DictionaryFile(
        identity, NAME, TITLE, place.size(names), layers[0].told.dtype, kind, len(layers),
        notes=notes,
    )  # fmt: skip


def _crossing(place: Place, config: Mapping[str, Any], files: tuple[str, ...]) -> SetRecipe:
    """Features of a layer write it and all later ones: slot j of a decoder is layer i + j."""
    count = len(files)
    decoders = tuple(f"W_dec_{at}.safetensors" for at in range(count))
    layers = tuple(_crossing_layer(place, config, at, count) for at in range(count))

    def onward(layer: int) -> Tensor:
        name = f"W_dec_{layer}"
        return place.tensors(decoders[layer], [name])[name][:, 1:].contiguous()

    said = _set_told(place, layers, (*files, *decoders), CROSSING)
    return SetRecipe(said, layers, onward, _silent(config))


def _crossing_layer(place: Place, config: Mapping[str, Any], at: int, count: int) -> Recipe:
    encoder, decoder = f"W_enc_{at}.safetensors", f"W_dec_{at}.safetensors"
    header, written = place.header(encoder), place.header(decoder)
    lacks = [each for each in (f"W_enc_{at}", f"b_enc_{at}", f"b_dec_{at}") if each not in header]
    if lacks or f"W_dec_{at}" not in written:
        raise DictionaryError(f"Layer {at} lacks {', '.join(lacks) or f'W_dec_{at}'}.")
    shape, read = written[f"W_dec_{at}"].shape, header[f"W_enc_{at}"].shape
    if len(read) != 2 or shape[:2] != (read[0], count - at) or len(shape) != 3:
        raise DictionaryError(
            f"W_dec_{at} has shape {list(shape)}, but [{read[0]}, {count - at}, width] was "
            f"expected: layer {at} of {count} writes {count - at} layers.",
        )
    rule = "jumprelu" if f"threshold_{at}" in header else "relu"

    def load() -> tuple[Weights, Settings]:
        names = [f"{name}_{at}" for name in ("W_enc", "b_enc", "b_dec")]
        names += [f"threshold_{at}"] if rule == "jumprelu" else []
        held = place.tensors(encoder, names)
        own = place.tensors(decoder, [f"W_dec_{at}"])[f"W_dec_{at}"][:, 0].contiguous()
        weights = Weights(
            own, held[f"b_dec_{at}"], held[f"W_enc_{at}"], held[f"b_enc_{at}"],
            held.get(f"threshold_{at}"),
        )  # fmt: skip
        _expect_above_zero(weights, encoder)
        return weights, Settings(rule, centred=False)

    said = told(
        replace(place, name=f"{place.name}, layer {at}"), (NAME, TITLE), (encoder,),
        architecture=f"{rule} transcoder", sizes=(read[1], read[0], shape[2]),
        sites=_sites(config, at), model=_model(config), dtype=header[f"W_enc_{at}"].dtype,
        source={"settings": dict(config)}, model_fingerprint=_fingerprint(config),
    )  # fmt: skip
    return Recipe(said, load)


def _gemma_crossing(place: Place, config: Mapping[str, Any], files: tuple[str, ...]) -> SetRecipe:
    """Gemma Scope 2's: every decoder has a slot for each layer, and writes only from its own on."""
    for file in files:
        shape = place.header(file)["w_dec"].shape
        if len(shape) != 3 or shape[1] != len(files):
            raise DictionaryError(
                f"{file}: w_dec has shape {list(shape)}, but {len(files)} layers were found, so "
                f"that [features, {len(files)}, width] was expected.",
                "Download the whole set again.",
            )

    def load(at: int) -> tuple[Weights, Settings]:
        weights = gemma_scope.weights_of(place, files[at])
        own = weights.w_dec[:, at].contiguous()
        return replace(weights, w_dec=own), gemma_scope.SETTINGS

    layers = tuple(
        replace(_layer(place, config, at, file), load=partial(load, at))
        for at, file in enumerate(files)
    )

    def onward(layer: int) -> Tensor:
        return place.tensors(files[layer], ["w_dec"])["w_dec"][:, layer + 1 :].contiguous()

    said = _set_told(place, layers, files, CROSSING)
    return SetRecipe(said, layers, onward, _silent(config))
