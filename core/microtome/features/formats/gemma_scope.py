"""Gemma Scope 1 (``params.npz``) and 2 (``params.safetensors``, names in lower case).

Neither tells all of what it is: the model and the site are in the names of repository and folders,
and for the second in ``config.json``. All are JumpReLU and subtract nothing from what they read.
Source: Lieberum et al., "Gemma Scope" (2024); SAELens' readers of both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from microtome.errors import DictionaryError
from microtome.features.formats.hooks import site_of
from microtome.features.formats.place import Entry, Place
from microtome.features.formats.recipe import Recipe, Stored, gathered, names_of, stored, told
from microtome.features.rules import Settings, Weights

FIRST, SECOND = "gemma-scope", "gemma-scope-2"
_TITLES = {FIRST: "Gemma Scope", SECOND: "Gemma Scope 2"}
_NPZ, _SAFE, _CONFIG = "params.npz", "params.safetensors", "config.json"
_SIZES = r"gemma-scope-(\d+b)-(pt|it)-(res|mlp|att|transcoders)"
SETTINGS = Settings("jumprelu", centred=False)

# Names of tensors: the first has W_enc, some of its transcoders w_enc as the second has.
ROWS: Mapping[str, Stored] = {
    "w_enc": stored("W_enc", "w_enc", turned=True),
    "w_dec": stored("W_dec", "w_dec"),
    "b_enc": stored("b_enc"),
    "b_dec": stored("b_dec"),
    "threshold": stored("threshold"),
    "w_skip": stored("affine_skip_connection", turned=True, may_lack=True),
}
_OF_FIRST = {
    "res": ("resid_post", "resid_post"),
    "mlp": ("mlp_out", "mlp_out"),
    "att": ("z", "z"),
    "transcoders": ("norm2", "mlp_out"),
}
_OF_SECOND = {
    "resid_post": ("resid_post", "resid_post"),
    "attn_out": ("z", "z"),
    "mlp_out": ("mlp_out", "mlp_out"),
    "transcoder": ("mlp_in", "mlp_out"),
}


@dataclass(frozen=True, slots=True)
class _Told:
    """What names of folders say."""

    sites: tuple[str, str] = ("", "")
    model: str = ""
    problem: str = ""


def first_fits(place: Place) -> bool:
    """Whether a place holds the arrays of Gemma Scope 1."""
    return bool(_params(place, _NPZ))


def second_fits(place: Place) -> bool:
    """Whether a place holds the tensors of Gemma Scope 2."""
    name = _params(place, _SAFE)
    return bool(name) and "w_enc" in place.header(name)


def first(place: Place) -> Recipe:
    """What Gemma Scope 1 has there."""
    return _recipe(place, FIRST, _params(place, _NPZ), _first_told(place))


def second(place: Place) -> Recipe:
    """What Gemma Scope 2 has there."""
    name = _params(place, _SAFE)
    if len(gathered_entries(place.header(name), name)["w_dec"].shape) == 3:
        raise DictionaryError(
            f"{place.name} holds a part of a cross-layer transcoder.", "Open the whole folder."
        )
    return _recipe(place, SECOND, name, _second_told(place))


def _params(place: Place, name: str) -> str:
    """The file of tensors: the one that was named, or the usual one."""
    ending = name[name.rindex(".") :]
    if place.chosen:
        return place.chosen if place.chosen.endswith(ending) else ""
    return name if place.has(name) else ""


def _recipe(place: Place, name: str, file: str, names: _Told) -> Recipe:
    header = place.header(file)
    sizes = sizes_of(header, file)
    skip = "skip " if "affine_skip_connection" in header else ""
    across = "transcoder" if names.sites[0] != names.sites[1] else "sae"
    files = (file, _CONFIG) if name == SECOND and place.has(_CONFIG) else (file,)
    said = told(
        place, (name, _TITLES[name]), files, architecture=f"jumprelu {skip}{across}",
        sizes=sizes, sites=names.sites, model=names.model, dtype=header["b_enc"].dtype,
        problem=names.problem,
    )  # fmt: skip
    return Recipe(said, lambda: (weights_of(place, file), SETTINGS))


def sizes_of(header: Mapping[str, Entry], file: str) -> tuple[int, int, int]:
    """Widths and number of features by a header. Raises DictionaryError for what does not fit."""
    entries = gathered_entries(header, file)
    read, written = entries["w_enc"].shape, entries["w_dec"].shape
    if len(read) != 2 or len(written) < 2 or read[1] != written[0]:
        raise DictionaryError(
            f"{file}: the encoder has shape {list(read)} and the decoder {list(written)}, which "
            "do not fit.",
            "An encoder [width, features] and a decoder [features, width] belong together.",
        )
    return read[0], read[1], written[-1]


def gathered_entries(header: Mapping[str, Entry], file: str) -> dict[str, Entry]:
    """The header's entries in our names. Raises DictionaryError for one that lacks."""
    found = {}
    for name, row in ROWS.items():
        at = next((each for each in row.names if each in header), None)
        if at is not None:
            found[name] = header[at]
        elif not row.may_lack:
            raise DictionaryError(
                f"{file} lacks {' or '.join(row.names)}; it holds {', '.join(sorted(header))}."
            )
    return found


def weights_of(place: Place, file: str) -> Weights:
    """The tensors of one file, features as rows."""
    held = place.tensors(file, names_of(place.header(file), ROWS))
    return Weights(**gathered(held, ROWS, file))


def _first_told(place: Place) -> _Told:
    path = "/".join(place.trail)
    known = re.search(_SIZES, path)
    layer = re.search(r"layer_(\d+)", path)
    if re.search(r"(^|/)embedding(/|$)", path):
        return _Told(
            problem="Its activations are embeddings in a scale of their own: not supported."
        )
    if not known:
        return _Told()
    model = f"gemma-2-{known[1]}" + ("-it" if known[2] == "it" else "")
    if not layer:
        return _Told(model=model)
    reads, writes = (f"{name}.{layer[1]}" for name in _OF_FIRST[known[3]])
    return _Told((reads, writes), model)


def _second_told(place: Place) -> _Told:
    path = "/".join(place.trail)
    held: dict[str, Any] = place.json(_CONFIG) if place.has(_CONFIG) else {}
    rule = held.get("architecture", "jump_relu")
    problem = "" if rule == "jump_relu" else f"The architecture {rule!r} is not supported."
    repository = re.search(r"gemma-scope-2-(\d+[bm])-(pt|it)", path)
    model = str(held.get("model_name") or "")
    if repository and not model:
        model = f"gemma-3-{repository[1]}-{repository[2]}"
    reads = site_of(held.get("hf_hook_point_in"))
    if reads:
        return _Told((reads, site_of(held.get("hf_hook_point_out")) or reads), model, problem)
    layer = re.search(r"layer_(\d+)", path)
    kind = next((name for name in _OF_SECOND if name in path), None)
    if not layer or not kind:
        return _Told(model=model, problem=problem)
    first_site, last_site = (f"{name}.{layer[1]}" for name in _OF_SECOND[kind])
    return _Told((first_site, last_site), model, problem)
