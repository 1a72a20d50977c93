"""Cross-layer transcoders: of circuit-tracer, and of Gemma Scope 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from microtome.errors import DictionaryError
from microtome.features.formats import gemma_scope
from microtome.features.formats.place import Place
from microtome.features.formats.recipe import Recipe, told
from microtome.features.formats.transcoder_layers import (
    NAME,
    TITLE,
    SetRecipe,
    expect_above_zero,
    fingerprint_of,
    layer_recipe,
    model_of,
    set_told,
    silent_of,
    sites_of,
)
from microtome.features.rules import Settings, Weights
from microtome.records.dictionary_file import CROSSING


def crossing(place: Place, config: Mapping[str, Any], files: tuple[str, ...]) -> SetRecipe:
    """Features of a layer write it and all later ones: slot j of a decoder is layer i + j."""
    count = len(files)
    decoders = tuple(f"W_dec_{at}.safetensors" for at in range(count))
    layers = tuple(_layer(place, config, at, count) for at in range(count))

    def onward(layer: int) -> Tensor:
        name = f"W_dec_{layer}"
        return place.tensors(decoders[layer], [name])[name][:, 1:].contiguous()

    said = set_told(place, layers, (*files, *decoders), CROSSING)
    return SetRecipe(said, layers, onward, silent_of(config))


def _layer(place: Place, config: Mapping[str, Any], at: int, count: int) -> Recipe:
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
        expect_above_zero(weights, encoder)
        return weights, Settings(rule, centred=False)

    said = told(
        replace(place, name=f"{place.name}, layer {at}"), (NAME, TITLE), (encoder,),
        architecture=f"{rule} transcoder", sizes=(read[1], read[0], shape[2]),
        sites=sites_of(config, at), model=model_of(config), dtype=header[f"W_enc_{at}"].dtype,
        source={"settings": dict(config)}, model_fingerprint=fingerprint_of(config),
    )  # fmt: skip
    return Recipe(said, load)


def gemma_crossing(place: Place, config: Mapping[str, Any], files: tuple[str, ...]) -> SetRecipe:
    """Gemma Scope 2's: every decoder has a slot for each layer, and writes only from its own on."""
    for file in files:
        shape = gemma_scope.gathered_entries(place.header(file), file)["w_dec"].shape
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
        replace(layer_recipe(place, config, at, file), load=partial(load, at))
        for at, file in enumerate(files)
    )

    def onward(layer: int) -> Tensor:
        return place.tensors(files[layer], ["w_dec"])["w_dec"][:, layer + 1 :].contiguous()

    said = set_told(place, layers, files, CROSSING)
    return SetRecipe(said, layers, onward, silent_of(config))
