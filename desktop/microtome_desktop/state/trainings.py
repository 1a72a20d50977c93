"""What trainings are asked for: frozen wishes, kept beside each curve, and what they will take."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from microtome.features.training.offers import ACROSS, LAYERS, ONE, TRANSCODER
from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome.records.training import TRAINING

WISH = "wish"  # the parameter of a curve that holds what was asked
CHECKPOINTS = "-checkpoints"  # of the folder beside what was trained
_PLAN = ("rule", "width", "k", "steps", "batch", "rate", "seed")


@dataclass(frozen=True, slots=True)
class TrainWish:
    """A dictionary to be trained.

    ``text`` is a file, a folder or an embedded text by name, for a model that sees a set of
    images; ``site`` is a place of the model, or a layer of units; a transcoder of a layer, or
    transcoders of all layers, read what the MLPs read. ``out`` is the folder that it is saved in,
    ``kept`` that of checkpoints and activations.
    """

    text: str
    form: str = ONE
    site: str = ""
    rule: str = "topk"
    width: int = 512
    k: int = 16
    steps: int = 2_000
    batch: int = 512
    rate: float = 1e-3
    seed: int = 0
    limit: int | None = None
    dead_after: int | None = None
    skip: bool = False
    pressure: float | None = None
    images: bool = False  # whether the text is a set of images, by name or folder
    field: str = ""  # of JSON lines and Parquet that holds the text, text without one
    out: str = ""
    kept: str = ""

    @property
    def name(self) -> str:
        """What it is called: its folder."""
        return Path(self.out).name

    @property
    def folder(self) -> str:
        """Where checkpoints and activations are kept."""
        return self.kept or (f"{Path(self.out)}{CHECKPOINTS}" if self.out else "")

    @property
    def sites(self) -> tuple[str, str | None]:
        """Where one dictionary reads and, for a transcoder, writes."""
        if self.form != TRANSCODER:
            return self.site, None
        layer = self.site.rpartition(".")[2]
        return f"mlp_in.{layer}", f"mlp_out.{layer}"

    @property
    def is_set(self) -> bool:
        """Whether transcoders of all layers are asked for."""
        return self.form in {LAYERS, ACROSS}

    def options(self) -> dict[str, Any]:
        """What the engine is asked with, but for folders and names."""
        given: dict[str, Any] = {name: getattr(self, name) for name in _PLAN}
        given |= {"skip": True} if self.skip else {}
        given |= {} if self.pressure is None else {"pressure": self.pressure}
        given |= {} if self.dead_after is None else {"dead_after": self.dead_after}
        return {**given, "limit": self.limit}

    def told(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return asdict(self)

    @classmethod
    def of(cls, held: Any) -> Self | None:
        """The wish that ``told`` made; None for what is none, or of another version."""
        if not isinstance(held, dict):
            return None
        try:
            return cls(**{each.name: held[each.name] for each in fields(cls) if each.name in held})
        except TypeError:
            return None


@dataclass(frozen=True, slots=True)
class TrainingOutlook:
    """What a training would take; ``problem`` says why it cannot be asked for."""

    rows: int = 0
    n_bytes: int = 0
    free: int = 0
    harvest: float = 0.0
    training: float = 0.0
    problem: str = ""
    noun: str = "tokens"  # what rows are
    nbytes: int = 64  # of this, for what keeps it


@dataclass(frozen=True, slots=True)
class Stopped:
    """A training that a folder holds: how far it came, and what it was asked."""

    wish: TrainWish | None = None
    step: int = 0
    problem: str = ""
    nbytes: int = 512


def outlook_key(wish: TrainWish) -> tuple[str, TrainWish]:
    """What the outlook of a wish is kept under."""
    return "training outlook", wish


def stopped_key(folder: str) -> tuple[str, str]:
    """What is known of a folder is kept under."""
    return "stopped training", folder


def curves_in(session: Session | None) -> tuple[Analysis, ...]:
    """The curves of a session, the newest first."""
    held = () if session is None else tuple(session.analyses.values())
    return tuple(one for one in reversed(held) if one.kind == TRAINING)


def wish_of(analysis: Analysis) -> TrainWish | None:
    """What a curve's training was asked; None for one that was not made in a window."""
    return TrainWish.of(analysis.params.get(WISH))
