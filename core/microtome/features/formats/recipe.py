"""What a format makes of a file: what it is, and how its tensors become a dictionary."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from microtome.errors import DictionaryError
from microtome.features.dictionary import Dictionary
from microtome.features.formats.place import Place
from microtome.features.rules import Settings, Weights
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.dictionary_file import DictionaryFile

_DEEPEST, _LONGEST = 12, 1_000
NOT_TOLD = "The site is not told; name it when the dictionary is opened."


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """A dictionary that can be loaded, unless ``told.problem`` says why not."""

    told: DictionaryFile
    load: Callable[[], tuple[Weights, Settings]]

    def made(self) -> Dictionary:
        """The dictionary. Raises DictionaryError, which names it, for tensors that do not fit."""
        identity = self.told.identity
        if self.told.problem:
            raise DictionaryError(f"{identity.name}: {self.told.problem}")
        try:
            weights, settings = self.load()
            _expect_one_site(identity, settings)
            made = Dictionary(weights, settings, identity)
        except DictionaryError as error:
            raise type(error)(f"{identity.name}: {error.what}", error.way_out) from error
        found, said = (made.d_in, made.d_sae, made.d_out), _sizes(identity)
        if found != said:
            raise DictionaryError(
                f"{identity.name}: its tensors make a dictionary of {_size(found)}, but its "
                f"settings say {_size(said)}.",
                "Take settings and tensors from the same place.",
            )
        return made


def _expect_one_site(identity: DictionaryIdentity, settings: Settings) -> None:
    if settings.centred and identity.is_transcoder:
        raise DictionaryError(
            "It subtracts what it writes from what it reads, so it is no transcoder.",
            f"Name one site, not {identity.reads} and {identity.writes}.",
        )


def _sizes(identity: DictionaryIdentity) -> tuple[int, int, int]:
    return identity.d_in, identity.d_sae, identity.d_out


def _size(sizes: tuple[int, int, int]) -> str:
    return f"{sizes[0]} → {sizes[1]} features → {sizes[2]}"


@dataclass(frozen=True, slots=True)
class Stored:
    """How a tensor is stored: under which names (the first that is there), and whether turned."""

    names: tuple[str, ...]
    turned: bool = False
    may_lack: bool = False


def stored(*names: str, turned: bool = False, may_lack: bool = False) -> Stored:
    """A row of a format's table of tensors."""
    return Stored(names, turned, may_lack)


def gathered(
    held: Mapping[str, Tensor], rows: Mapping[str, Stored], file: str
) -> dict[str, Tensor]:
    """The tensors of a file in our names, features as rows.

    Raises DictionaryError that names what is not there.
    """
    made = {}
    for name, row in rows.items():
        found = next((each for each in row.names if each in held), None)
        if found is None and not row.may_lack:
            raise DictionaryError(
                f"{file} lacks {' or '.join(row.names)}; it holds {', '.join(sorted(held))}.",
                "Take settings and tensors from the same place.",
            )
        if found is not None:
            tensor = held[found]
            if row.turned and tensor.ndim != 2:
                raise DictionaryError(f"{file}: {found} has {tensor.ndim} axes, but 2 belong.")
            made[name] = tensor.T.contiguous() if row.turned else tensor
    return made


def names_of(header: Mapping[str, Any], rows: Mapping[str, Stored]) -> list[str]:
    """Those stored names of a table that a file has: one a row."""
    found = (next((each for each in row.names if each in header), None) for row in rows.values())
    return [each for each in found if each is not None]


def scaled(weights: Weights, into: float, out: float) -> Weights:
    """The same dictionary for activations that are to be multiplied before it reads them.

    ``into`` is what activations are multiplied by, ``out`` what the output is divided by. Codes
    stay what they were. The formula is that of SAELens' folding of a norm.
    """
    skip = None if weights.w_skip is None else weights.w_skip * (into / out)
    encoder = weights.encoder * into
    return replace(
        weights, w_enc=encoder, w_dec=weights.w_dec / out, b_dec=weights.b_dec / out, w_skip=skip
    )


def unit_decoder(weights: Weights) -> Weights:
    """The same outputs with decoder rows of length 1, so that codes tell what is written.

    Thresholds are left: they belong to codes in these units.
    """
    norms = weights.w_dec.norm(dim=1)
    norms = torch.where(norms > 0, norms, 1.0)
    moved: dict[str, Tensor] = {"w_enc": weights.encoder * norms[:, None]}
    if weights.b_enc is not None:
        moved["b_enc"] = weights.b_enc * norms
    return replace(weights, w_dec=weights.w_dec / norms[:, None], **moved)


def told(  # noqa: PLR0913  # a form to fill in
    place: Place,
    fmt: tuple[str, str],
    files: tuple[str, ...],
    *,
    architecture: str,
    sizes: tuple[int, int, int],
    sites: tuple[str, str],
    model: str = "",
    dtype: str = "float32",
    source: Mapping[str, Any] | None = None,
    model_fingerprint: str = "",
    problem: str = "",
    notes: tuple[str, ...] = (),
) -> DictionaryFile:
    """What a file is; ``fmt`` is the format's name and title, ``sites`` what is read and written.

    A site that is not told adds a note that says so.
    """
    reads, writes = sites
    identity = DictionaryIdentity(
        place.name, architecture, *sizes, reads=reads, writes=writes, model=model,
        model_fingerprint=model_fingerprint, source=_plain({"format": fmt[0], **(source or {})}),
    )  # fmt: skip
    if not reads:
        notes += (NOT_TOLD,)
    return DictionaryFile(
        identity, fmt[0], fmt[1], place.size(files), dtype, problem=problem, notes=notes
    )


def _plain(value: Any, deep: int = _DEEPEST) -> Any:
    """Settings as a session can keep them: JSON values, what is none of them as text."""
    if deep == 0:
        return "…"
    if isinstance(value, Mapping):
        return {str(key): _plain(each, deep - 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, deep - 1) for each in value]
    finite = not isinstance(value, float) or math.isfinite(value)
    kept = value is None or isinstance(value, bool | int | float | str)
    return value if kept and finite else str(value)[:_LONGEST]


def with_sites(recipe: Recipe, reads: str, writes: str, model: str) -> Recipe:
    """The same with what the user says of it where a file does not, or says wrongly."""
    held = recipe.told.identity
    follows = reads and not held.is_transcoder
    named = replace(
        held,
        reads=reads or held.reads,
        writes=writes or (reads if follows else held.writes),
        model=model or held.model,
    )
    notes = tuple(note for note in recipe.told.notes if not (reads and note == NOT_TOLD))
    return replace(recipe, told=replace(recipe.told, identity=named, notes=notes))
