"""Whether a dictionary belongs to a model, and what of a run it reads."""

from __future__ import annotations

from math import prod

from jaxtyping import Float
from torch import Tensor

from microtome.errors import DictionaryMismatch, InputError, SiteMissing
from microtome.features.unit_rows import expect_unit_fit, unit_layer
from microtome.models.hooks import expect_head
from microtome.models.model import Model
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.dictionary_file import ONE, DictionaryFile
from microtome.sites import Site


def expect_fit(identity: DictionaryIdentity, model: Model) -> None:
    """Raise DictionaryMismatch, which names both sides, unless it can be used on a model.

    Sites must exist and have its widths, and a model whose fingerprint it names must be that one.
    """
    named = identity.name or "The dictionary"
    if identity.model_fingerprint and identity.model_fingerprint != model.identity.fingerprint:
        raise DictionaryMismatch(
            f"{named} was trained on {identity.model or 'another model'}, "
            f"but the model is {model.identity.name}.",
            f"Open {identity.model}, or a dictionary of {model.identity.name}.",
        )
    if identity.reads and model.sight is not None and not model.ports:
        try:
            layer = unit_layer(model, identity.reads)
        except SiteMissing as error:
            raise DictionaryMismatch(f"{named} belongs to {identity.reads}. {error}") from error
        assert layer is not None  # noqa: S101  this model has no sites
        expect_unit_fit(identity, model, layer)
        return
    for text, width in ((identity.reads, identity.d_in), (identity.writes, identity.d_out)):
        _expect_site(named, text, width, model)


def expect_file_fits(file: DictionaryFile, model: Model) -> None:
    """Raise DictionaryMismatch for a file that does not belong to a model, before it is loaded.

    A set of transcoders must have as many layers as the model.
    """
    layers = model.identity.n_layers
    if file.kind != ONE and file.n_layers != layers:
        raise DictionaryMismatch(
            f"{file.identity.name} has transcoders for {file.n_layers} layers, but "
            f"{model.identity.name} has {layers} layers.",
            f"Open {file.identity.model or 'the model that it was trained on'}.",
        )
    expect_fit(file.identity, model)


def _expect_site(named: str, text: str, width: int, model: Model) -> None:
    if not text:
        raise DictionaryMismatch(
            f"{named} does not tell which site it belongs to.",
            "Name it when the dictionary is opened, for example reads='resid_post.2'.",
        )
    try:
        site = Site.of(text)
    except InputError:  # a layer of units
        raise DictionaryMismatch(
            f"{named} belongs to {text}, which {model.identity.name} does not have.",
            "Open the model that it was trained on.",
        ) from None
    layers = model.identity.n_layers
    if site.name not in model.ports or (site.layer or 0) >= layers:
        raise DictionaryMismatch(
            f"{named} belongs to {text}, which {model.identity.name} does not have.",
            f"It has {layers} layers.",
        )
    try:
        expect_head(model, site)
    except SiteMissing as error:
        raise DictionaryMismatch(f"{named} belongs to {text}. {error}") from error
    held = width_of(model, site)
    if held != width:
        raise DictionaryMismatch(
            f"{named} is for {width} numbers at {text}, but {model.identity.name} has {held}."
        )


def width_of(model: Model, site: Site) -> int:
    """How many numbers a site holds at one position; heads lie one after another."""
    identity = model.identity
    sizes = {
        "d_model": identity.d_model,
        "d_mlp": identity.d_mlp,
        "d_head": identity.d_head,
        "head": identity.n_heads,
        "kv_head": identity.n_kv_heads,
        "expert": model.n_experts,
    }
    axes = site.kind.axes
    if axes[0] not in {"position", "source"}:
        raise DictionaryMismatch(f"A dictionary cannot read {site}, which is not of one position.")
    kept = [
        axis for axis in axes[1:] if not (axis in {"head", "kv_head"} and site.head is not None)
    ]
    return prod(sizes[axis] for axis in kept)


def rows(values: Float[Tensor, "position *rest"]) -> Float[Tensor, "position width"]:
    """A site's values of one prompt as a dictionary reads them: heads one after another."""
    return values.reshape(len(values), -1)
