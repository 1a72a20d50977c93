"""Training of transcoders for all layers, one after another or across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from microtome.activations.shards import Harvest
from microtome.errors import InputError
from microtome.features.dictionary import Dictionary
from microtome.features.training.asking import Asked, Shared, Text
from microtome.features.training.forms import Across
from microtome.features.training.memory import TrainingSize, expect_room
from microtome.features.training.trainer import Places
from microtome.features.transcoders import Transcoders
from microtome.models.hooks import layers_of
from microtome.models.model import Model
from microtome.records.training import TrainingCurve
from microtome.sites import Site

_KINDS = ("per-layer", "cross-layer")


class LayerOptions(Shared, total=False):
    """How transcoders are trained."""

    k: int | Sequence[int]  # or one a layer


@dataclass(frozen=True, slots=True, eq=False)
class TrainedTranscoders:
    """Transcoders for all layers and how their training went; one curve where it was one."""

    transcoders: Transcoders
    curves: tuple[TrainingCurve, ...]


def train_transcoders(
    model: Model, text: Text, kind: str = "per-layer", **options: Unpack[LayerOptions]
) -> TrainedTranscoders:
    """Train transcoders for all MLPs of a model: from what each reads to what it writes.

    ``kind`` is ``per-layer``, or ``cross-layer``, whose features write all layers from their own
    on. With ``skip`` each has a linear path beside its features. ``k`` may be a number for each
    layer of a set. All else is as of ``train_dictionary``, with the same errors.
    """
    given = dict(options)
    k = given.pop("k", None)
    asked = Asked.of(model, given)
    if kind not in _KINDS:
        raise InputError(f"The kind is {kind!r}.", f"Choose {' or '.join(_KINDS)}.")
    layers = model.identity.n_layers
    places = [(Site("mlp_in", layer), Site("mlp_out", layer)) for layer in range(layers)]
    for site in (each for pair in places for each in pair):
        layers_of(model, site)
    each_k = _each_k(k, asked.plan.k, layers)
    wide = model.identity.d_model
    expect_room(asked.plan, TrainingSize(wide, wide, layers, across=kind == "cross-layer"))
    with asked.rows(text, [site for pair in places for site in pair]) as rows:
        if kind == "cross-layer":
            return _across(asked.but(k=max(each_k)), rows, places)
        return _each_layer(asked, rows, places, each_k)


def _each_k(k: object, usual: int, layers: int) -> list[int]:
    if k is None or isinstance(k, int):
        return [usual if k is None else k] * layers
    numbers = list(k) if isinstance(k, list | tuple) else []
    if len(numbers) != layers:
        raise InputError(
            f"k is {k!r}, but the model has {layers} layers.",
            "Give a number, or a list of one for each layer.",
        )
    return numbers


def _each_layer(
    asked: Asked, rows: Harvest, places: Sequence[tuple[Site, Site]], each_k: Sequence[int]
) -> TrainedTranscoders:
    made, curves = [], []
    for layer, (read, written) in enumerate(places):
        one = asked.but(f"layer-{layer}", k=each_k[layer])
        dictionary, curve = one.trainer(rows, read, written).run()
        assert isinstance(dictionary, Dictionary)  # noqa: S101  of this form
        made.append(dictionary)
        curves.append(curve)
    return TrainedTranscoders(Transcoders(tuple(made), name=asked.name), tuple(curves))


def _across(asked: Asked, rows: Harvest, places: Sequence[tuple[Site, Site]]) -> TrainedTranscoders:
    identity = asked.model.identity
    form = Across(identity.n_layers, asked.plan.width, identity.d_model, identity.d_model)
    held = Places(tuple(str(read) for read, _ in places), tuple(str(at) for _, at in places))
    identities = [asked.identity(read, written) for read, written in places]
    made, curve = asked.made(rows, held, form, identities).run()
    assert isinstance(made, Transcoders)  # noqa: S101  of this form
    return TrainedTranscoders(made, (curve,))
