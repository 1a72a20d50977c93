"""Training of one dictionary, from a model and a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

from microtome.corpora.reading import read_corpus
from microtome.errors import InputError
from microtome.features.dictionary import Dictionary
from microtome.features.training.asking import Asked, Shared, Text, one_place
from microtome.features.training.units import unit_trainer
from microtome.features.unit_rows import unit_layer
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.records.image_set import ImageSet
from microtome.records.training import TrainingCurve
from microtome.sites import Site


class Options(Shared, total=False):
    """How a dictionary is trained."""

    k: int


@dataclass(frozen=True, slots=True, eq=False)
class TrainedDictionary:
    """A dictionary and how its training went."""

    dictionary: Dictionary
    curve: TrainingCurve


def train_dictionary(
    model: Model,
    text: Text | ImageSet,
    site: Site | str,
    writes: Site | str | None = None,
    **options: Unpack[Options],
) -> TrainedDictionary:
    """Train a sparse dictionary on what a model makes of a text at a site.

    A sparse autoencoder, or with ``writes`` a transcoder from one site to another. ``text`` is a
    file, a folder, an embedded text by name, a prompt set or a corpus, or a harvest of the site;
    for a model that sees an image set. Of a convolutional net ``site`` is a layer of units, whose
    values at each place of each image are the rows.
    ``rule`` is relu, topk, batchtopk, jumprelu, gated or matryoshka. With ``folder`` activations
    and checkpoints are kept there, and the same call goes on from them. Curves are handed out by
    ``job.partial`` as ``training-curve``, about five a second.
    Raises CorpusError for text that cannot be used, SiteMissing for a site that the model lacks,
    InputError for settings that make no sense, DictionaryError when the training diverges,
    StorageError when the disk refuses, which loses no checkpoint, MemoryExceeded for what takes
    more memory than is free.
    """
    expect_model(model)
    layer = unit_layer(model, site)
    if layer is not None:
        if writes is not None and writes != site:
            raise InputError("Layers of units have no transcoders.", "Leave writes out.")
        made, curve = unit_trainer(model, layer, text, options).run()
        assert isinstance(made, Dictionary)  # noqa: S101  of this form
        return TrainedDictionary(made, curve)
    if isinstance(text, ImageSet):
        text = read_corpus(text)
    asked = Asked.of(model, options)
    read = one_place(model, site)
    written = read if writes is None else one_place(model, writes)
    asked.expect_room(read, written)
    with asked.rows(text, [read, written]) as rows:
        trainer = asked.trainer(rows, read, written)
        made, curve = trainer.run()
    assert isinstance(made, Dictionary)  # noqa: S101  of this form
    return TrainedDictionary(made, curve)
