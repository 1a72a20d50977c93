"""What other prompts give a site: the values of one, the mean over some, rows to look into.

Each model remembers what was measured on it, so that an edit with the same prompts costs
nothing the next time: a slider that is moved, a text that grows token by token.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from microtome.activations.batches import batched_activations
from microtome.activations.capture import trace
from microtome.errors import EditError
from microtome.interventions.means import Means
from microtome.interventions.regions import axes_of, counted, position_axis_of
from microtome.jobs import Job
from microtome.models.hooks import layers_of
from microtome.models.model import Model
from microtome.prompts import Prompt
from microtome.records.edit_texts import prompt_text
from microtome.sites import Site

# Layer (None for a site that exists once) -> values with the axes of the site, float64.
Measured = dict[int | None, NDArray[np.float64]]
_T = TypeVar("_T")

_HELD_BYTES = 128 << 20  # for each model; what was asked for longest ago goes first
_held: WeakKeyDictionary[Model, OrderedDict[Hashable, tuple[int, Any]]] = WeakKeyDictionary()


def remembered(model: Model, key: Hashable, measure: Callable[[], _T], size: int = 0) -> _T:
    """What ``measure`` gives, or gave before under the same key."""
    held = _held.setdefault(model, OrderedDict())
    if key not in held:
        found = measure()
        held[key] = (size or _size(found), found)
        while len(held) > 1 and sum(taken for taken, _ in held.values()) > _HELD_BYTES:
            held.popitem(last=False)
    held.move_to_end(key)
    value: _T = held[key][1]
    return value


def _size(found: Any) -> int:
    arrays = found.values() if isinstance(found, dict) else [found]
    return sum(np.asarray(array).nbytes for array in arrays)


def values_of(model: Model, site: Site, prompt: Prompt, job: Job) -> Measured:
    """The values of a site on one prompt, in the layer that it names or in all."""
    key = ("values", site, prompt)
    return remembered(model, key, lambda: _run(model, site, prompt, job))


def _run(model: Model, site: Site, prompt: Prompt, job: Job) -> Measured:
    run = trace(model, prompt, sites=[site], top_k=1, job=job)
    return {
        layer: run.activation(Site(site.name, layer, site.head)).astype(np.float64)
        for layer in layers_of(model, site)
    }


def _runs(model: Model, site: Site, prompts: Sequence[Prompt], job: Job) -> Iterator[Measured]:
    """The values of a site on each prompt; many prompts run together where they can."""
    if site.kind.axes[0] != "position":
        yield from (_run(model, site, prompt, job) for prompt in prompts)
        return
    places = {layer: Site(site.name, layer) for layer in layers_of(model, site)}
    tokens = [model.tokenize(prompt) for prompt in prompts]
    for _, values in batched_activations(model, tokens, list(places.values()), job=job):
        yield {
            layer: (values[at] if site.head is None else values[at][:, site.head]).astype(float)
            for layer, at in places.items()
        }


def mean_of(
    model: Model,
    site: Site,
    prompts: Sequence[Prompt],
    job: Job,
    at: tuple[int, ...] | None = None,
) -> Measured:
    """The mean of a site over all positions of all prompts, or over those ``at`` in each.

    The position axis stays, with a length of 1.
    """
    key = ("mean", site, tuple(prompts), at)
    return remembered(model, key, lambda: _mean(model, site, prompts, job, at))


def _mean(
    model: Model, site: Site, prompts: Sequence[Prompt], job: Job, at: tuple[int, ...] | None
) -> Measured:
    means = Means(position_axis_of(site))
    runs = zip(prompts, _runs(model, site, prompts, job), strict=True)
    for done, (prompt, found) in enumerate(runs):
        job.progress("Taking means", done, len(prompts))
        means.add(_picked(found, site, prompt, at))
    return means.taken()


def _picked(values: Measured, site: Site, prompt: Prompt, at: tuple[int, ...] | None) -> Measured:
    if at is None:
        return values
    axis = position_axis_of(site)
    length = next(iter(values.values())).shape[axis]
    rows = list(counted(site, at, length, prompt_text(prompt)))
    return {layer: found.take(rows, axis) for layer, found in values.items()}


def position_means_of(model: Model, site: Site, prompts: Sequence[Prompt], job: Job) -> Measured:
    """The mean of a site over prompts of one length, each position and each entry by itself."""
    key = ("position mean", site, tuple(prompts))
    return remembered(model, key, lambda: _position_means(model, site, prompts, job))


def _position_means(model: Model, site: Site, prompts: Sequence[Prompt], job: Job) -> Measured:
    means = Means(None)
    for done, values in enumerate(_runs(model, site, prompts, job)):
        job.progress("Taking means", done, len(prompts))
        means.add(values)
    return means.taken()


def expect_lengths(
    model: Model, site: Site, prompts: Sequence[Prompt], what: str, lengths: tuple[int, int]
) -> None:
    """Refuse prompts that give the site another shape than a run of these lengths does.

    ``lengths`` are the tokens of the run, and those that an encoder reads.
    Raises EditError that names the prompt.
    """
    axes = set(axes_of(site))
    needed = (
        bool({"position", "query", "key"} & axes),
        bool({"source", "source_query"} & axes),
    )
    for prompt in prompts:
        tokens = model.tokenize(prompt)
        counts = (len(tokens), tokens.n_source)
        for count, length, matters in zip(counts, lengths, needed, strict=True):
            if matters and count != length:
                raise EditError(
                    f"The {what} of {site.name} needs prompts of {length} tokens, but "
                    f"{prompt_text(prompt)} has {count}.",
                    "Give prompts of the same length, or ablate to zero or the mean.",
                )


def rows_of(
    model: Model,
    site: Site,
    prompts: Sequence[Prompt],
    job: Job,
    at: tuple[int, ...] | None = None,
) -> dict[int | None, list[NDArray[np.float64]]]:
    """The values of a site, prompt by prompt, for each layer: all positions or those ``at``."""
    found: dict[int | None, list[NDArray[np.float64]]] = {
        layer: [] for layer in layers_of(model, site)
    }
    runs = zip(prompts, _runs(model, site, prompts, job), strict=True)
    for done, (prompt, values) in enumerate(runs):
        job.progress("Collecting activations", done, len(prompts))
        for layer, rows in _picked(values, site, prompt, at).items():
            found[layer].append(rows)
    return found
