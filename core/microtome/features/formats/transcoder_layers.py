"""One layer of a set of transcoders, and what a set of them is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from microtome.errors import DictionaryError
from microtome.features.formats import gemma_scope
from microtome.features.formats.hooks import site_of
from microtome.features.formats.place import Entry, Place, whole
from microtome.features.formats.recipe import Recipe, gathered, names_of, stored, told
from microtome.features.rules import Settings, Weights
from microtome.features.transcoders import Transcoders
from microtome.records.dictionary_file import DictionaryFile

NAME, TITLE = "circuit-tracer", "circuit-tracer"
CONFIG = "config.yaml"
SET_KIND, CROSSING_KIND = "transcoder_set", "cross_layer_transcoder"
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
        layers = tuple(recipe.made() for recipe in self.layers)
        onward = self.onward and tuple(self.onward(layer) for layer in range(len(layers)))
        return Transcoders(layers, onward, self.silent, self.told.identity.name)


def silent_of(config: Mapping[str, Any]) -> int:
    """How many of the first positions have no codes."""
    return 4 if _LONG_START.search(str(config.get("model_name", ""))) else 1


def sites_of(config: Mapping[str, Any], layer: int) -> tuple[str, str]:
    """What a layer reads and writes, by the settings of its set."""

    def at(key: str, usual: str) -> str:
        return site_of(f"blocks.{layer}.{config.get(key) or usual}")

    return at("feature_input_hook", _INPUT), at("feature_output_hook", _OUTPUT) or "mlp_out"


def model_of(config: Mapping[str, Any]) -> str:
    """The model that the settings name."""
    return str(config.get("model_name") or "")


def layer_recipe(place: Place, config: Mapping[str, Any], layer: int, file: str) -> Recipe:
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
            expect_above_zero(weights, file)
            return weights, _settings(config, rule)

    said = told(
        placed, (NAME, TITLE), (file,),
        architecture=f"{rule} {'skip ' if skip else ''}transcoder",
        sizes=sizes, sites=sites_of(config, layer), model=model_of(config),
        dtype=next(iter(header.values())).dtype, source={"settings": dict(config)},
        model_fingerprint=fingerprint_of(config),
    )  # fmt: skip
    return Recipe(said, load)


def expect_above_zero(weights: Weights, file: str) -> None:
    """Below 0 the tool lets codes be negative, which no feature here is."""
    if weights.threshold is not None and (weights.threshold < 0).any():
        raise DictionaryError(f"{file} has thresholds below 0, so that codes would be negative.")


def fingerprint_of(config: Mapping[str, Any]) -> str:
    """The fingerprint of the model, in sets that Microtome wrote."""
    own = config.get("microtome")
    return str(own.get("model_fingerprint") or "") if isinstance(own, dict) else ""


def _rule(config: Mapping[str, Any], header: Mapping[str, Entry]) -> str:
    rule = config.get("activation")
    if rule is None:
        return "jumprelu" if "activation_function.threshold" in header else "relu"
    if rule not in ("relu", "topk", "jumprelu"):
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


def set_told(
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
