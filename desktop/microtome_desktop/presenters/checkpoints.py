"""The training steps at which a model was kept, as stops of a slider."""

from __future__ import annotations

from dataclasses import dataclass

from microtome.records.model import ModelIdentity
from microtome_desktop.state.library import Shelf


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop: the name that loads the model as it was then, and how it is called."""

    name: str
    title: str


def stops(
    shelf: Shelf, model: ModelIdentity | None, made_by: ModelIdentity | None = None
) -> tuple[Stop, ...]:
    """The stops of the loaded model, the trained model last; none where it has no checkpoints.

    None either while the session on screen was ``made_by`` another model.
    """
    base = _base(model)
    if made_by is not None and _base(made_by) != base:
        return ()
    kept = next((entry.checkpoints for entry in shelf.embedded if entry.name == base), ())
    if not kept:
        return ()
    held = tuple(Stop(f"{base}@{step}", f"step {step:,}") for step in kept)
    return (*held, Stop(base, "trained"))


def place_of(held: tuple[Stop, ...], model: ModelIdentity | None) -> int:
    """Which stop the loaded model is, the last one when none fits."""
    names = [stop.name for stop in held]
    wanted = "" if model is None else model.name
    return names.index(wanted) if wanted in names else len(held) - 1


def _base(model: ModelIdentity | None) -> str:
    return "" if model is None else model.name.partition("@")[0]
