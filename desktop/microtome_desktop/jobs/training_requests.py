"""Requests of the training panel: foresee, train, and look where a training stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from microtome.errors import InputError, MicrotomeError, StorageError
from microtome.features.training.offers import ONE, TRANSCODER, expect_offered
from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.training import TRAINING, TrainingCurve, curve_analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.trainings import (
    CHECKPOINTS,
    WISH,
    Stopped,
    TrainingOutlook,
    TrainWish,
    outlook_key,
    stopped_key,
)

TRAINING_SLOT = "training"
_ASKED = "training.json"  # beside the checkpoint: what was asked, as the window asks it


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training has brought: curves, and what of it is open in the model thread now."""

    curves: tuple[Analysis, ...]
    opened: tuple[DictionaryIdentity, ...]


@dataclass(frozen=True, slots=True)
class Train(Request):
    """Train, save where the user said, and open what was saved.

    ``model`` is the fingerprint of the model that was there when it was asked for: a curve goes
    into no session of another.
    """

    slot: ClassVar[str] = TRAINING_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({TRAINING_SLOT})
    gives_way: ClassVar[bool] = True

    wish: TrainWish
    model: str = ""

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Training {self.wish.name}"

    def bound(self, desk: Desk) -> Self:
        """For the model that is loaded. Raises InputError without a place to save."""
        if not self.wish.out:
            raise InputError("There is no folder to save in.", "Choose one first.")
        held = desk.workspace.model
        return replace(self, model="" if held is None else held.fingerprint)

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "its curve" if name == TRAINING else ""

    def perform(self, engine: Engine, job: Job) -> Trained:
        """Train. Raises what the engine raises; the folder of checkpoints keeps what was done."""
        from microtome.features.training.saving import save_trained

        wish = self.wish
        expect_offered(wish.form, wish.rule, skip=wish.skip)
        _expect_place(Path(wish.out))
        model = engine.loaded
        made, curves = _trained(model, wish, job)
        save_trained(made, Path(wish.out))
        # Another model may have been loaded meanwhile: what was trained would be refused for it.
        opened = _opened(engine, wish) if engine.model is model else ()
        return Trained(tuple(curve_of_wish(curve, wish) for curve in curves), opened)

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Draw the curve as far as it goes."""
        if name == TRAINING:
            self._add(desk, curve_of_wish(value, self.wish))

    def deliver(self, desk: Desk, result: Trained) -> None:
        """Keep the curves, and look at what was trained."""
        for curve in result.curves:
            self._add(desk, curve)
        if result.opened:
            desk.dictionaries.add(*result.opened)
        if self.wish.is_set:
            what = "Open transcoders\N{HORIZONTAL ELLIPSIS} makes graphs of features with them."
            desk.notices.info(f"The transcoders {self.wish.name} are saved", what)

    def _add(self, desk: Desk, curve: Analysis) -> None:
        session = desk.workspace.session
        if session is not None and session.model.fingerprint == self.model:
            desk.workspace.add_analysis(curve)


def curve_of_wish(curve: TrainingCurve, wish: TrainWish) -> Analysis:
    """The curve with what was asked, under a name of its own for each dictionary of a set."""
    reads = list(curve.params.get("reads", ()))
    at = f"-{reads[0]}" if wish.is_set and len(reads) == 1 else ""
    name = f"{wish.name}{at}"
    params = {**curve.params, "id": f"{TRAINING}-{name}", "name": name, WISH: wish.told()}
    return curve_analysis(replace(curve, params=params))


def _trained(model: Any, wish: TrainWish, job: Job) -> tuple[Any, tuple[TrainingCurve, ...]]:
    from microtome.features.training.layers import train_transcoders
    from microtome.features.training.single import train_dictionary

    _keep_asked(wish)
    options: dict[str, Any] = {
        **wish.options(), "folder": wish.folder, "name": wish.name, "job": job,
    }  # fmt: skip
    text = _text(wish, job)
    if wish.is_set:
        many = train_transcoders(model, text, wish.form, **options)
        return many.transcoders, many.curves
    one = train_dictionary(model, text, *wish.sites, **options)
    return one.dictionary, (one.curve,)


def _text(wish: TrainWish, job: Job) -> Any:
    """The text; where it is not known, the activations that were taken from it before."""
    if wish.text and wish.images:
        from microtome.images.sets import load_image_set

        return load_image_set(wish.text, job=job)
    if wish.text and wish.field:
        from microtome.corpora.reading import read_corpus

        return read_corpus(wish.text, field=wish.field)
    if wish.text:
        return wish.text
    from microtome.activations.shards import open_harvest

    return open_harvest(Path(wish.folder) / "activations")


def _expect_place(out: Path) -> None:
    """Raise StorageError now, not after the training, for a folder that nothing can go into."""
    if not out.parent.is_dir():
        raise StorageError(f"There is no folder {out.parent}.", "Choose another folder.")
    ours = ("cfg.json", "config.yaml")
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in ours):
        raise StorageError(f"{out.name} holds other files.", "Type a new name behind it.")


def _keep_asked(wish: TrainWish) -> None:
    """Write what was asked beside the checkpoints. Raises StorageError when the disk refuses.

    What a checkpoint belongs to stays: this may be another training, which is refused.
    """
    from microtome.features.training.checkpoints import CHECKPOINT
    from microtome.session.storage import storing

    folder = Path(wish.folder)
    if (folder / CHECKPOINT).exists() and (folder / _ASKED).exists():
        return
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _ASKED).write_text(json.dumps(wish.told(), indent=1) + "\n", encoding="utf-8")


def _opened(engine: Engine, wish: TrainWish) -> tuple[DictionaryIdentity, ...]:
    """What was saved, as anybody would open it; across layers there is none to look at."""
    from microtome.features.formats.files import load_dictionary, load_transcoders

    if not wish.is_set:
        one = load_dictionary(wish.out)
        engine.dictionaries[one.identity.fingerprint] = one
        return (one.identity,)
    loaded = load_transcoders(wish.out)
    if loaded.crosses:
        return ()
    engine.hold_set(loaded)
    return tuple(one.identity for one in loaded.layers)


@dataclass(frozen=True, slots=True)
class ForeseeTraining(Request):
    """Rows, bytes and seconds; the worker harvests a little and times a few steps."""

    slot: ClassVar[str] = "foresee training"
    replaces: ClassVar[frozenset[str]] = frozenset({"foresee training"})
    quiet: ClassVar[bool] = True

    wish: TrainWish

    @property
    def title(self) -> str:
        """What is being done."""
        return "Estimating a training"

    def perform(self, engine: Engine, job: Job) -> TrainingOutlook:
        """The estimate, or the problem."""
        wish = self.wish
        options = {**wish.options(), "folder": wish.folder or None, "job": job}
        try:
            return _foreseen(engine.loaded, wish, options)
        except MicrotomeError as error:
            return TrainingOutlook(problem=str(error))

    def deliver(self, desk: Desk, result: TrainingOutlook) -> None:
        """Give it to the panel."""
        desk.workspace.prepared.put(outlook_key(self.wish), result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(outlook_key(self.wish))


def _foreseen(model: Any, wish: TrainWish, options: Mapping[str, Any]) -> TrainingOutlook:
    from microtome.features.training.outlook import estimate_training

    sites, layers = wish.sites, 1
    if wish.is_set:
        layers = model.identity.n_layers
        sites = ("mlp_in.0", "mlp_out.0")
    found = estimate_training(model, _text(wish, options["job"]), *sites, **options)
    return TrainingOutlook(
        found.rows, found.n_bytes * layers, found.free, found.harvest_seconds,
        found.training_seconds * layers, noun="places of images" if wish.images else "tokens",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class LookAtStopped(Request):
    """How far the training in a folder has come, and what it was asked."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "look at training"
    replaces: ClassVar[frozenset[str]] = frozenset({"look at training"})
    quiet: ClassVar[bool] = True

    folder: str

    @property
    def title(self) -> str:
        """What is being done."""
        return "Looking for a checkpoint"

    def perform(self, engine: Engine, job: Job) -> Stopped:
        """What the folder holds, or the problem."""
        try:
            return _stopped(Path(self.folder))
        except (MicrotomeError, OSError, ValueError) as error:
            return Stopped(problem=str(error))

    def deliver(self, desk: Desk, result: Stopped) -> None:
        """Give it to the panel."""
        desk.workspace.prepared.put(stopped_key(self.folder), result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again: a training goes on meanwhile."""
        desk.workspace.prepared.forget(stopped_key(self.folder))


def _stopped(given: Path) -> Stopped:
    """Of the folder of checkpoints, or of the one that it lies beside."""
    from microtome.features.training.checkpoints import read_checkpoint

    beside = given.with_name(f"{given.name}{CHECKPOINTS}")
    folder = beside if beside.is_dir() else given
    held = read_checkpoint(folder)
    asked = folder / _ASKED
    wish = TrainWish.of(json.loads(asked.read_text("utf-8"))) if asked.exists() else None
    if held is None and wish is None:
        raise InputError(f"There is no training in {given.name}.", "Choose the folder of one.")
    if held is None:
        return Stopped(wish)
    step = int(held.told["step"])
    return Stopped(wish or _wish_of(held.told["question"], folder), step)


def _wish_of(question: Mapping[str, Any], folder: Path) -> TrainWish:
    """What a training that no window began was asked; its text is known by its activations."""
    reads, writes = question["reads"], question["writes"]
    if len(reads) != 1:
        raise InputError("It is of several layers, begun elsewhere.", "Go on where it was begun.")
    names = ("rule", "width", "k", "steps", "batch", "rate", "seed", "dead_after", "pressure",
             "skip")  # fmt: skip
    plan = {name: question[name] for name in names}
    form = ONE if reads == writes else TRANSCODER
    return TrainWish("", form, reads[0], **plan, kept=str(folder))
