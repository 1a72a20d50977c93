"""What is asked of a training: a model, text, sites and settings; what comes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from microtome.activations.harvest import harvest
from microtome.activations.shards import Harvest
from microtome.corpora.reading import Corpus
from microtome.errors import InputError, expect
from microtome.features.dictionary import Dictionary
from microtome.features.evaluation import evaluate_dictionary, evaluate_transcoders
from microtome.features.fitting import width_of
from microtome.features.training.forms import Across, Own
from microtome.features.training.methods import METHODS
from microtome.features.training.plan import Plan
from microtome.features.training.presets import preset
from microtome.features.training.rows import Rows
from microtome.features.training.trainer import Places, Trainer, Watch
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.hooks import layers_of
from microtome.models.model import Model
from microtome.prompt_sets import PromptSet
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.training import TrainingCurve
from microtome.sites import Site

Text = Corpus | Path | str | PromptSet | Harvest
_WATCHED = 2_048  # tokens whose cross-entropy is measured as a training goes on


class Options(TypedDict, total=False):
    """How a dictionary is trained; what is left out is the preset's (``Plan`` says what each is)."""

    rule: str
    width: int
    k: int
    steps: int
    batch: int
    rate: float
    warm_up: float
    decay: float
    pressure: float
    pressure_warm_up: float
    auxiliary: float
    dead_after: int
    skip: bool
    groups: tuple[int, ...]
    bandwidth: float
    every: int
    seed: int
    folder: Path | str | None  # for checkpoints and activations, which are kept there
    limit: int | None  # tokens of the text
    name: str
    watch_every: int  # steps between measures of the cross-entropy, 0 for none
    job: Job | None


@dataclass(frozen=True, slots=True, eq=False)
class TrainedDictionary:
    """A dictionary and how its training went."""

    dictionary: Dictionary
    curve: TrainingCurve


@dataclass(frozen=True, slots=True, eq=False)
class TrainedTranscoders:
    """Transcoders for all layers and how their training went; one curve where it was one."""

    transcoders: Transcoders
    curves: tuple[TrainingCurve, ...]


def train_dictionary(
    model: Model,
    text: Text,
    site: Site | str,
    writes: Site | str | None = None,
    **options: Unpack[Options],
) -> TrainedDictionary:
    """Train a sparse dictionary on what a model makes of a text at a site.

    A sparse autoencoder, or with ``writes`` a transcoder from one site to another. ``text`` is a
    file, a folder, a prompt set or a corpus, or a harvest of the site. ``rule`` is relu, topk,
    batchtopk, jumprelu, gated or matryoshka. With ``folder`` activations and checkpoints are kept
    there, and the same call goes on from them. Curves are handed out by ``job.partial`` as
    ``training-curve``, about five a second.
    Raises CorpusError for text that cannot be used, SiteMissing for a site that the model lacks,
    InputError for settings that make no sense, DictionaryError when the training diverges,
    StorageError when the disk refuses, which loses no checkpoint.
    """
    expect_model(model)
    asked = _Asked.of(model, options)
    read = _one(model, site)
    written = read if writes is None else _one(model, writes)
    with asked.rows(text, [read, written]) as rows:
        trainer = asked.trainer(rows, read, written)
        made, curve = trainer.run()
    assert isinstance(made, Dictionary)  # noqa: S101  of this form
    return TrainedDictionary(made, curve)


def train_transcoders(
    model: Model,
    text: Text,
    kind: str = "per-layer",
    *,
    k: int | Sequence[int] | None = None,
    **options: Unpack[Options],
) -> TrainedTranscoders:
    """Train transcoders for all MLPs of a model: from what each reads to what it writes.

    ``kind`` is ``per-layer``, or ``cross-layer``, whose features write all layers from their own
    on. With ``skip`` each has a linear path beside its features. ``k`` may be a number for each
    layer of a set. All else is as of ``train_dictionary``, with the same errors.
    """
    expect_model(model)
    kinds = ("per-layer", "cross-layer")
    if kind not in kinds:
        raise InputError(f"The kind is {kind!r}.", f"Choose {' or '.join(kinds)}.")
    asked = _Asked.of(model, options)
    layers = model.identity.n_layers
    places = [(Site("mlp_in", layer), Site("mlp_out", layer)) for layer in range(layers)]
    for site in (each for pair in places for each in pair):
        layers_of(model, site)
    each_k = _each_k(k, asked.plan.k, layers)
    with asked.rows(text, [site for pair in places for site in pair]) as rows:
        if kind == "cross-layer":
            return _across(asked.but(k=max(each_k)), rows, places)
        return _each_layer(asked, rows, places, each_k)


def _each_k(k: int | Sequence[int] | None, usual: int, layers: int) -> list[int]:
    if k is None or isinstance(k, int):
        return [usual if k is None else k] * layers
    if len(k) != layers:
        raise InputError(
            f"k has {len(k)} numbers, but the model {layers} layers.", "Give one for each."
        )
    return list(k)


def _each_layer(
    asked: _Asked, rows: Rows, places: Sequence[tuple[Site, Site]], each_k: Sequence[int]
) -> TrainedTranscoders:
    made, curves = [], []
    for layer, (read, written) in enumerate(places):
        one = asked.but(k=each_k[layer])
        one.within = f"layer-{layer}"
        dictionary, curve = one.trainer(rows, read, written).run()
        made.append(dictionary)
        curves.append(curve)
    return TrainedTranscoders(Transcoders(tuple(made), name=asked.name), tuple(curves))


def _across(
    asked: _Asked, rows: Rows, places: Sequence[tuple[Site, Site]]
) -> TrainedTranscoders:
    identity = asked.model.identity
    form = Across(identity.n_layers, asked.plan.width, identity.d_model, identity.d_model)
    held = Places(tuple(str(read) for read, _ in places), tuple(str(at) for _, at in places))
    identities = [asked.identity(read, written) for read, written in places]
    made, curve = asked.made(rows, held, form, identities).run()
    return TrainedTranscoders(made, (curve,))


def _one(model: Model, given: Site | str) -> Site:
    """A site that is one place of the model."""
    site = Site.of(given)
    layers = layers_of(model, site)
    if len(layers) != 1:
        raise InputError(
            f"The site {site} is {len(layers)} places, one a layer.", f"Write {site}.0."
        )
    return site


@dataclass(slots=True, eq=False)
class _Asked:
    """The question, every part of it fit to be used."""

    model: Model
    plan: Plan
    job: Job
    folder: Path | None
    limit: int | None
    name: str
    watch_every: int
    within: str = ""  # a folder of its own for each of several trainings

    @classmethod
    def of(cls, model: Model, options: Options) -> _Asked:
        """What was asked. Raises InputError for options that there are none of."""
        unknown = [name for name in options if name not in Options.__annotations__]
        if unknown:
            raise InputError(
                f"There is no option {unknown[0]!r}.",
                f"Known are {', '.join(Options.__annotations__)}.",
            )
        rule = options.get("rule", "topk")
        if rule not in METHODS:
            raise InputError(f"The rule is {rule!r}.", f"Choose one of {', '.join(METHODS)}.")
        names = {each.name for each in fields(Plan)}
        given = {name: value for name, value in options.items() if name in names}
        folder = options.get("folder")
        expect(folder, (str, Path, type(None)), "folder", "a path", "Write folder='training'.")
        return cls(
            model,
            preset(model.identity).but(**given),
            job_or_default(options.get("job")),
            None if folder is None else Path(folder).expanduser(),
            options.get("limit"),
            options.get("name", ""),
            options.get("watch_every", 500),
        )

    def but(self, **changes: Any) -> _Asked:
        """The same with another plan."""
        return _Asked(self.model, self.plan.but(**changes), self.job, self.folder, self.limit,
                      self.name, self.watch_every)  # fmt: skip

    @contextmanager
    def rows(self, text: Text, sites: Sequence[Site]) -> Iterator[Harvest]:
        """The activations: those given, or of a text, kept in the folder where there is one."""
        named = list(dict.fromkeys(map(str, sites)))
        if isinstance(text, Harvest):
            yield text
            return
        kept = {"limit": self.limit, "seed": self.plan.seed, "job": self.job}
        if self.folder is not None:
            yield harvest(self.model, text, named, self.folder / "activations", **kept)
            return
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            yield harvest(self.model, text, named, folder, **kept)

    def trainer(self, rows: Harvest, read: Site, written: Site) -> Trainer:
        """A trainer of one dictionary."""
        form = Own(
            self.plan.width, width_of(self.model, read), width_of(self.model, written),
            read != written,
        )  # fmt: skip
        places = Places((str(read),), (str(written),))
        return self.made(rows, places, form, [self.identity(read, written)])

    def made(
        self, rows: Harvest, places: Places, form: Own | Across,
        identities: Sequence[DictionaryIdentity],
    ) -> Trainer:  # fmt: skip
        """A trainer that watches the cross-entropy."""
        folder = None if self.folder is None else self.folder / self.within
        watch = self._watch(rows.tokens) if self.watch_every else None
        return Trainer(rows, places, self.plan, form, identities, self.job, folder, watch,
                       self.watch_every)  # fmt: skip

    def _watch(self, tokens: np.ndarray) -> Watch:
        few = np.array(tokens[: max(1, _WATCHED // tokens.shape[1])])

        def watch(made: Dictionary | Transcoders) -> float:
            if isinstance(made, Dictionary):
                return evaluate_dictionary(self.model, made, few).recovered
            return 1 - evaluate_transcoders(self.model, made, few).kl

        return watch

    def identity(self, read: Site, written: Site) -> DictionaryIdentity:
        """What the dictionary belongs to."""
        held = self.model.identity
        name = self.name or f"{held.name} {written}"
        return DictionaryIdentity(
            name, "", 0, 0, 0, str(read), str(written), held.name, held.fingerprint,
            source={"training": self.plan.told()},
        )  # fmt: skip
