"""Reading and writing dictionaries of other tools: one row for each format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from microtome.errors import (
    DictionaryError,
    MemoryExceeded,
    UnsafeDictionary,
    expect,
    megabytes,
)
from microtome.features.dictionary import Dictionary
from microtome.features.formats import (
    circuit_tracer,
    dictionary_learning,
    gemma_scope,
    llama_scope,
    saelens,
    sparsify,
)
from microtome.features.formats.circuit_tracer import SetRecipe
from microtome.features.formats.elsewhere import plans_of_layers, with_layers
from microtome.features.formats.finding import find_dictionary, plan_dictionary
from microtome.features.formats.place import Place
from microtome.features.formats.recipe import Recipe, scaled, with_sites
from microtome.features.formats.vetting import BENEATH, SETTINGS, WEIGHTS
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job, job_or_default
from microtome.models.download import Download
from microtome.records.dictionary_file import CROSSING, DictionaryFile
from microtome.records.memory import free_memory
from microtome.sites import Site
from microtome.triage.examination import examine

_LOOKED_INTO = 64  # folders, for the names that are offered in place of a wrong one
_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True)
class DictionaryFormat:
    """A format of one dictionary: its name, what it is, how a folder is told and read."""

    name: str
    title: str
    files: str
    fits: Callable[[Place], bool]
    recipe: Callable[[Place], Recipe]


_ROWS = (
    DictionaryFormat(
        saelens.NAME, saelens.TITLE, f"{saelens.CFG}, {saelens.WEIGHTS}",
        saelens.fits, saelens.recipe,
    ),
    DictionaryFormat(
        sparsify.NAME, sparsify.TITLE, "cfg.json, sae.safetensors", sparsify.fits, sparsify.recipe
    ),
    DictionaryFormat(
        dictionary_learning.NAME, dictionary_learning.TITLE, "config.json, ae.pt",
        dictionary_learning.fits, dictionary_learning.recipe,
    ),
    DictionaryFormat(
        llama_scope.NAME, llama_scope.TITLE, "hyperparams.json, checkpoints/final.safetensors",
        llama_scope.fits, llama_scope.recipe,
    ),
    DictionaryFormat(
        circuit_tracer.NAME, "circuit-tracer, one layer", "layer_N.safetensors",
        circuit_tracer.one_fits, circuit_tracer.one,
    ),
    DictionaryFormat(
        gemma_scope.FIRST, "Gemma Scope", "params.npz", gemma_scope.first_fits, gemma_scope.first
    ),
    DictionaryFormat(
        gemma_scope.SECOND, "Gemma Scope 2", "params.safetensors",
        gemma_scope.second_fits, gemma_scope.second,
    ),
)  # fmt: skip
FORMATS: Mapping[str, DictionaryFormat] = {row.name: row for row in _ROWS}


def inspect_dictionary(
    path: str | os.PathLike[str], *, allow_download: bool = False, job: Job | None = None
) -> DictionaryFile:
    """What a dictionary or a set of transcoders is, by its settings and headers alone.

    ``path`` is as in ``load_dictionary``. What Microtome cannot load is told as its ``problem``.
    ``microtome.features.fitting.expect_file_fits`` refuses what does not belong to a model.
    Raises DictionaryError for what is damaged or no dictionary, UnsafeDictionary for what would
    run or lead elsewhere, Offline when it is of the hub and not here.
    """
    place = _found(path, allow_download, job_or_default(job))
    held = _set_of(place)
    return held.told if held else _one_of(place).told


def load_dictionary(  # what a file does not tell is the user's to say
    path: str | os.PathLike[str],
    *,
    layer: int | None = None,
    reads: str = "",
    writes: str = "",
    model: str = "",
    scale: float | None = None,
    allow_download: bool = False,
    job: Job | None = None,
) -> Dictionary:
    """The dictionary of a folder or file of any format in ``FORMATS``, in float32.

    ``path`` is an embedded name, a folder, a file of it, or ``owner/repository/folder`` of the
    hub, which is fetched when ``allow_download`` says so. ``layer`` picks one of a transcoder set.
    ``reads``, ``writes`` (sites) and ``model`` say what a file does not; ``scale`` is what
    activations are to be multiplied by where its settings name a scaling whose factor they lack.
    No code of a file runs.
    Raises DictionaryError for what is damaged, unknown or contradicts itself, UnsafeDictionary for
    a pickle that asks for more than tensors, DictionaryMismatch never: see
    ``microtome.features.fitting``. MemoryExceeded when it does not fit, Offline as
    ``inspect_dictionary``, InputError for a site that does not exist.
    """
    job = job_or_default(job)
    place = _found(path, allow_download, job)
    recipe = _layer_of(place, layer)
    _expect_memory(recipe.told)
    job.progress(f"Reading {place.name}", 0, 1)
    read, written = (str(Site.of(site)) if site else "" for site in (reads, writes))
    made = with_sites(recipe, read, written, model).made()
    if scale is not None:
        if not scale > 0:
            raise DictionaryError(f"The scale {scale} is not positive.")
        made = Dictionary(scaled(made.weights, scale, scale), made.settings, made.identity)
    job.progress(f"Reading {place.name}", 1, 1)
    return made


def load_transcoders(
    path: str | os.PathLike[str], *, allow_download: bool = False, job: Job | None = None
) -> Transcoders:
    """A transcoder for each layer, or a cross-layer transcoder, in circuit-tracer's format.

    ``path`` is as in ``load_dictionary``; Gemma Scope 2's sets are read as well. Raises as
    ``load_dictionary``, and DictionaryError for a single dictionary.
    """
    job = job_or_default(job)
    place = _found(path, allow_download, job)
    held = _set_of(place)
    if held is None:
        one = _one_of(place).told
        raise DictionaryError(
            f"{place.name} is one dictionary ({one.title}), but a set for all layers was expected.",
            "Open it with load_dictionary.",
        )
    _expect_memory(held.told)
    job.progress(f"Reading {place.name}", 0, 1)
    made = held.made()
    job.progress(f"Reading {place.name}", 1, 1)
    return made


def _found(path: str | os.PathLike[str], allow_download: bool, job: Job) -> Place:
    place = find_dictionary(path, allow_download=allow_download, job=job)
    _look_at(place, job)
    found = with_layers(place, allow_download=allow_download, job=job)
    if found.elsewhere:
        examine("dictionary", tuple(found.elsewhere.values()), job=job)
    return found


def plan_download(name: str) -> tuple[Download, ...]:
    """What would be fetched of a dictionary of the hub, by repository; empty when it is here.

    Asks the hub. Settings that are here may name layers in other repositories. Raises
    DictionaryError, UnsafeDictionary, ModelNotFound and Offline.
    """
    plan = plan_dictionary(name)
    if plan is not None:
        return (plan,)
    job = job_or_default(None)
    return plans_of_layers(find_dictionary(name, allow_download=False, job=job))


def _look_at(place: Place, job: Job) -> None:
    """Have a child look at the files of a folder first, unless they came with the program."""
    weights = {name for name in place.files() if name.endswith(WEIGHTS)}
    meant = weights & {place.chosen} if place.chosen in weights else weights
    names = [name for name in (*SETTINGS, *sorted(meant), *BENEATH) if place.has(name)]
    if names:
        examine("dictionary", [place.path(name) for name in names], job=job)


def _set_of(place: Place) -> SetRecipe | None:
    return circuit_tracer.recipe(place) if circuit_tracer.fits(place) else None


def _layer_of(place: Place, layer: int | None) -> Recipe:
    held = _set_of(place)
    if held is None:
        return _one_of(place)
    if held.told.kind == CROSSING:
        raise DictionaryError(
            f"{place.name} is a cross-layer transcoder: its features write several layers.",
            "Open it with load_transcoders.",
        )
    if layer is None or not 0 <= layer < len(held.layers):
        raise DictionaryError(
            f"{place.name} has {len(held.layers)} layers, but "
            f"{'no layer' if layer is None else f'layer {layer}'} was given.",
            "Name one layer (layer=0, --layer 0), or open all with load_transcoders.",
        )
    recipe = held.layers[layer]
    identity = replace(recipe.told.identity, name=f"{place.name}, layer {layer}")
    return replace(recipe, told=replace(recipe.told, identity=identity))


def _one_of(place: Place) -> Recipe:
    for row in FORMATS.values():
        if row.fits(place):
            return row.recipe(place)
    known = "; ".join(f"{row.title} ({row.files})" for row in FORMATS.values())
    found = [path for path in place.files() if not path.startswith(".")]
    beneath = _beneath(place)
    raise DictionaryError(
        f"{place.name} holds no dictionary of a known format"
        f" ({', '.join(found[:6]) or 'no files'}).",
        f"Its folders do: choose {', '.join(beneath[:4])}." if beneath else f"Known are: {known}.",
    )


def _beneath(place: Place) -> list[str]:
    """Folders in this one that hold a dictionary, two levels down."""
    endings = {".safetensors", ".npz", ".pt"}
    found = {
        str(path.parent.relative_to(place.folder))
        for pattern in ("*/*", "*/*/*")
        for path in place.folder.glob(pattern)
        if path.suffix in endings
    }
    return [name for name in sorted(found)[:_LOOKED_INTO] if _holds_one(place, name)]


def _holds_one(place: Place, inner: str) -> bool:
    """Whether a folder is of a known format: activations and checkpoints lie in such files too."""
    beneath = Place(inner, place.folder / inner, trail=(*place.trail, *inner.split("/")))
    try:
        fits = any(row.fits(beneath) for row in FORMATS.values())
        return fits or circuit_tracer.fits(beneath)
    except (DictionaryError, UnsafeDictionary):
        return False


def _expect_memory(told: DictionaryFile) -> None:
    free, need = free_memory(), told.nbytes * 4 // _BYTES.get(told.dtype, 4)
    if free is not None and need > free:
        raise MemoryExceeded(
            f"{told.identity.name} takes {megabytes(need)} in float32, but {megabytes(free)} are "
            "free.",
            "Choose a smaller dictionary, or close other programs.",
        )


def folder_named(folder: str | os.PathLike[str]) -> Path:
    """The path of a folder that is to be written. Raises WrongKind for what names none."""
    expect(folder, (str, os.PathLike), "folder", "a folder's path", "Write for example 'mine'.")
    return Path(folder).expanduser()
