"""The bench for what a lesion is asked on: image sets or prompt sets, named or given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from microtome.errors import InputError, WrongKind, described
from microtome.images.sets import image_set_names, load_image_set
from microtome.models.model import Model
from microtome.prompt_sets import PromptSet, load_prompt_set, prompt_set_names
from microtome.records.image_set import ImageSet
from microtome.vision.bench import Bench
from microtome.vision.seen_bench import SeenBench
from microtome.vision.told_bench import ToldBench

One = str | Path | ImageSet | PromptSet
Data = One | Sequence[One]
LOCALIZER = "localizer"  # how the name of a set for choosing units ends
EACH = 25  # prompts of a task, of the model's own: the first half of each set chooses units


def bench_of(model: Model, data: Data | None, over: Data | None, seed: int) -> Bench:
    """A bench of data; ``over`` is what means and others' values come from, the data without it."""
    if model.sight is not None:
        images = image_set(model, data)
        return SeenBench(model, images, images if over is None else image_set(model, over), seed)
    sets = tasks(model, data)
    return ToldBench(model, sets, sets if over is None else tasks(model, over), seed)


def localizer_of(model: Model, data: Data | None) -> Bench:
    """A bench on which units are chosen: other cases than a lesion's own."""
    if model.sight is not None:
        images = image_set(model, data, localizer=True)
        return SeenBench(model, images, images, 0)
    sets = tasks(model, data, localizer=True)
    return ToldBench(model, sets, sets, 0)


def own_image_sets(model_name: str) -> tuple[str, ...]:
    """The embedded sets that were made for a model: to be tried on first, localizers last."""
    held = [name for name in image_set_names() if load_image_set(name).model == model_name]
    return tuple(sorted(held, key=lambda name: (name.endswith(LOCALIZER), name)))


def image_set(model: Model, data: Data | None, *, localizer: bool = False) -> ImageSet:
    """One image set. Raises InputError where there is none, WrongKind for another thing."""
    if isinstance(data, ImageSet):
        return data
    if isinstance(data, str | Path):
        return load_image_set(data)
    if data is not None:
        raise WrongKind(
            f"The images are {described(data)}, but one image set was expected.",
            "Write its name or folder, or give an ImageSet.",
        )
    own = own_image_sets(model.identity.name)
    if not own:
        raise InputError(
            f"{model.identity.name} has no image set of its own.",
            "Give one, by its name or folder: see docs/vision.md.",
        )
    return load_image_set(own[-1 if localizer else 0])


def tasks(model: Model, data: Data | None, *, localizer: bool = False) -> tuple[PromptSet, ...]:
    """Prompt sets, a task each.

    Without any they are the model's own: the first half of each to choose units, the second to
    try them on. Raises InputError where there are none, WrongKind for other things.
    """
    if data is not None:
        given: Sequence[One] = [data] if isinstance(data, str | Path | PromptSet) else list(data)  # type: ignore[arg-type]
        return tuple(_tasked(one) for one in given)
    sets = [load_prompt_set(name) for name in prompt_set_names(model.identity.name)]
    if not sets:
        raise InputError(
            f"{model.identity.name} has no prompt sets of its own.",
            "Give some, by name or file: each is a task.",
        )
    return tuple(halves(one)[0 if localizer else 1] for one in sets)


def halves(one: PromptSet) -> tuple[PromptSet, PromptSet]:
    """The pairs of even and of odd number, at most so many of each."""
    pairs = one.pairs
    first, second = pairs[0::2][:EACH], pairs[1::2][:EACH] or pairs
    return replace(one, pairs=first), replace(one, pairs=second)


def _tasked(one: One) -> PromptSet:
    if isinstance(one, PromptSet):
        return one
    if isinstance(one, str | Path):
        return load_prompt_set(one)
    raise WrongKind(
        f"A task is {described(one)}, but a prompt set was expected.",
        "Write its name or file, or give a PromptSet.",
    )
