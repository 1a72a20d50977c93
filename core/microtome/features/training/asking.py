"""What is asked of a training: a model, text, sites and settings, all of it fit to be used."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

import microtome_resources as resources
from microtome.activations.harvest import harvest
from microtome.activations.shards import Harvest
from microtome.corpora.reading import Source
from microtome.errors import InputError, expect, expect_count
from microtome.features.dictionary import Dictionary
from microtome.features.evaluation import evaluate_dictionary, evaluate_transcoders
from microtome.features.fitting import width_of
from microtome.features.training.forms import Across, Own
from microtome.features.training.memory import TrainingSize, expect_room
from microtome.features.training.methods import METHODS
from microtome.features.training.plan import Plan
from microtome.features.training.presets import preset
from microtome.features.training.rows import Rows
from microtome.features.training.trainer import Places, Trainer, Watch
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job, QuietPart, job_or_default
from microtome.models.given import expect_model
from microtome.models.hooks import layers_of
from microtome.models.model import Model
from microtome.records.dictionary import DictionaryIdentity
from microtome.sites import Site

Text = Source | Harvest
_WATCHED = 2_048  # tokens whose cross-entropy is measured as a training goes on


class Shared(TypedDict, total=False):
    """How a dictionary is trained; what is left out is the preset's. ``Plan`` says what each is."""

    rule: str
    width: int
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
    watch_every: int  # steps between measures of the cross-entropy: a tenth of all; 0 for none
    job: Job | None


def text_file(given: str) -> str:
    """The file of an embedded text that is asked for by name; else what was given."""
    return str(resources.text_path(given)) if given in resources.text_names() else given


def one_place(model: Model, given: Site | str) -> Site:
    """A site that is one place of a model. Raises InputError for more, SiteMissing for none."""
    site = Site.of(given)
    layers = layers_of(model, site)
    if len(layers) != 1:
        raise InputError(
            f"The site {site} is {len(layers)} places, one a layer.", f"Write {site}.0."
        )
    return site


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
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
    def of(cls, model: Model, options: Mapping[str, Any]) -> Asked:
        """What was asked. Raises InputError for options that there are none of."""
        known = (*Shared.__annotations__, "k")
        unknown = [name for name in options if name not in known]
        if unknown:
            raise InputError(
                f"There is no option {unknown[0]!r}.", f"Known are {', '.join(known)}."
            )
        expect_model(model)
        rule = options.get("rule", "topk")
        if rule not in METHODS:
            raise InputError(f"The rule is {rule!r}.", f"Choose one of {', '.join(METHODS)}.")
        names = {each.name for each in fields(Plan)}
        given = {name: value for name, value in options.items() if name in names}
        folder = options.get("folder")
        expect(folder, (str, Path, type(None)), "folder", "a path", "Write folder='training'.")
        plan, name = preset(model.identity).but(**given), options.get("name", "")
        watch_every = options.get("watch_every", max(plan.every, plan.steps // 10))
        expect(name, str, "name", "a text", "Write for example name='mine'.")
        expect_count(watch_every, "watch_every", 0)
        return cls(
            model,
            plan,
            job_or_default(options.get("job")),
            None if folder is None else Path(folder).expanduser(),
            options.get("limit"),
            name,
            watch_every,
        )

    def but(self, within: str = "", **changes: Any) -> Asked:
        """The same with another plan, in a folder of its own."""
        return replace(self, plan=self.plan.but(**changes), within=within)

    def quiet(self) -> Asked:
        """The same to be tried: nothing is kept, watched or told."""
        return replace(self, job=QuietPart(self.job), folder=None, watch_every=0)

    @contextmanager
    def rows(self, text: Text, sites: Sequence[Site]) -> Iterator[Harvest]:
        """The activations: those given, or of a text, kept in the folder where there is one."""
        named = list(dict.fromkeys(map(str, sites)))
        if isinstance(text, Harvest):
            yield text
            return
        if self.folder is not None:
            yield self._harvest(text, named, self.folder / "activations")
            return
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            yield self._harvest(text, named, Path(folder))

    def _harvest(self, text: Source, sites: list[str], folder: Path) -> Harvest:
        source = text_file(text) if isinstance(text, str) else text
        kept, seed = self.limit, self.plan.seed
        return harvest(self.model, source, sites, folder, limit=kept, seed=seed, job=self.job)

    def expect_room(self, read: Site, written: Site) -> None:
        """Raise MemoryExceeded where a dictionary takes more than is free."""
        sizes = width_of(self.model, read), width_of(self.model, written)
        expect_room(self.plan, TrainingSize(*sizes))

    def trainer(self, rows: Rows, read: Site, written: Site) -> Trainer:
        """A trainer of one dictionary."""
        form = Own(
            self.plan.width, width_of(self.model, read), width_of(self.model, written),
            read != written,
        )  # fmt: skip
        places = Places((str(read),), (str(written),))
        return self.made(rows, places, form, [self.identity(read, written)])

    def made(
        self, rows: Rows, places: Places, form: Own | Across,
        identities: Sequence[DictionaryIdentity], watch: Watch | None = None,
    ) -> Trainer:  # fmt: skip
        """A trainer that watches the cross-entropy: by ``watch``, or on the text of a harvest."""
        folder = None if self.folder is None else self.folder / self.within
        read = isinstance(rows, Harvest) and rows.readable(self.model.lexicon.mark)
        if self.watch_every and isinstance(rows, Harvest) and read:
            watch = self._watch(rows.tokens)
        return Trainer(rows, places, self.plan, form, identities, self.job, folder, watch,
                       self.watch_every)  # fmt: skip

    def _watch(self, tokens: np.ndarray) -> Watch:
        few = np.array(tokens[: max(1, _WATCHED // tokens.shape[1])])
        quiet = QuietPart(self.job)

        def watch(made: Dictionary | Transcoders) -> float:
            if isinstance(made, Dictionary):
                return evaluate_dictionary(self.model, made, few, job=quiet).recovered
            return evaluate_transcoders(self.model, made, few, job=quiet).recovered

        return watch

    def identity(self, read: Site, written: Site) -> DictionaryIdentity:
        """What the dictionary belongs to."""
        held = self.model.identity
        name = self.name or f"{held.name} {written}"
        return DictionaryIdentity(
            name, "", 0, 0, 0, str(read), str(written), held.name, held.fingerprint,
            source={"metadata": {"training": self.plan.told()}},
        )  # fmt: skip
