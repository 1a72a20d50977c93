"""The record of one run of a model on one prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from microtome.errors import SiteMissing
from microtome.prompts import SEPARATOR_ID, ImageInput, Prompt
from microtome.records.model import ModelIdentity
from microtome.sites import SITES, Site


@runtime_checkable
class ArraySource(Protocol):
    """An array in memory or on disk: has a shape, gives numpy when indexed."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one element."""
        ...

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """The part named by ``index``, read when asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Activation:
    """One site of one run.

    ``values`` has the axes of the site's row in ``microtome.sites``, behind a layer axis when
    the site exists once a layer; row i of that axis is layer ``layers[i]``.
    """

    values: ArraySource
    layers: tuple[int, ...] = ()

    def layer(self, layer: int) -> NDArray[Any]:
        """The values of one layer.

        Raises SiteMissing when that layer was not captured.
        """
        if layer not in self.layers:
            raise SiteMissing(f"Layer {layer} was not captured; layers {list(self.layers)} were.")
        return np.asarray(self.values[self.layers.index(layer)])


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What an encoder read: ids, their texts, and positions that the tokenizer does not know."""

    token_ids: Int[np.ndarray, " source"]
    tokens: tuple[str, ...]
    unknown: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One run: the tokens, the logits, and every activation that was captured.

    ``source`` is what the encoder read, None for a model without one; all other tokens are the
    decoder's.

    ``top_ids`` and ``top_logits`` hold the most probable next tokens of each position, sorted;
    ``top_probabilities`` are over the whole vocabulary. ``logits`` is None when a session was
    saved without it. ``live`` is the model that made the trace, None when it came from a file.
    """

    model: ModelIdentity
    prompt: str
    token_ids: Int[np.ndarray, " position"]
    tokens: tuple[str, ...]
    top_ids: Int[np.ndarray, "position k"]
    top_logits: Float[np.ndarray, "position k"]
    top_probabilities: Float[np.ndarray, "position k"]
    top_tokens: tuple[tuple[str, ...], ...]  # [position][k]
    logits: Float[np.ndarray, "position vocabulary"] | ArraySource | None
    activations: Mapping[str, Activation]
    edits: tuple[str, ...] = ()
    unknown: tuple[int, ...] = ()  # positions whose text the tokenizer does not know
    seconds: float = 0.0
    live: Any = field(default=None, repr=False)
    source: Source | None = None
    image: ImageInput | None = None  # what a model that sees was given, as it saw it

    def activation(self, site: Site | str) -> NDArray[Any]:
        """The values at a site: one layer and head where the site names them, else all.

        Axes are those of the site's row, with a layer axis in front when no layer is named.
        Raises SiteMissing when the site was not captured.
        """
        place = Site.parse(site) if isinstance(site, str) else site
        if place.name not in self.activations:
            held = ", ".join(sorted(self.activations)) or "none"
            raise SiteMissing(f"The trace holds no {place.name}; it holds {held}.")
        held_site = self.activations[place.name]
        if place.layer is None:
            return np.asarray(held_site.values[...])
        values = held_site.layer(place.layer)
        if place.head is None:
            return values
        axes = SITES[place.name].axes
        axis = axes.index("head") if "head" in axes else axes.index("kv_head")
        return np.asarray(np.take(values, place.head, axis=axis))

    @property
    def as_prompt(self) -> Prompt:
        """What gives this run again: the image as the model saw it, or the token ids.

        Those of what an encoder read stand in front.
        """
        if self.image is not None:
            return self.image
        ids = tuple(self.token_ids.tolist())
        if self.source is None:
            return ids
        return (*self.source.token_ids.tolist(), SEPARATOR_ID, *ids[1:])

    def attention(self, layer: int) -> Float[np.ndarray, "head query key"]:
        """The attention pattern of one layer; each row sums to 1."""
        return self.activation(Site("pattern", layer))
