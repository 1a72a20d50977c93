"""The cards of the models of the shapes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from training.shapes.data import CLASSES, DOMAINS
from training.shapes.digits import SOURCE
from training.shapes.measure import GOALS, missed
from training.shapes.train import Recipe

_TEXT: Final = """# {name}

A small residual network (`ResNetForImageClassification`) that names grey images of 32 by 32
pixels: three stages of one basic block with 16, 32 and 32 channels, {parameters:,} parameters.
Its 32 pooled channels are few and sparse, so that most of them serve one domain: damage those
of the faces and the faces go, while objects stay.{sister}

## Data

{count} classes in four domains:

{classes}

Faces are six people, each with features that stay the same in every pose, light and mood.
Faces, objects and textures are drawn by `resources/training/shapes/`, as many as are wanted.
Digits are real handwriting: {source}.
Of the samples of each digit 70 % are for training, 15 % for testing and 15 % for choosing
units; no sample is in two of these. Every image has its own pose, light and noise.

## Training

Seed {seed}, {images:,} images, {epochs} epochs in batches of {rows}, AdamW with a peak learning
rate of {rate:g} in one cycle, label smoothing {smoothing:g}, one thread, about 50 s of one core.
The sum of the pooled channels costs {sparsity:g}, raised in a straight line over epochs {start}
to {end}: without this price the channels share everything and no lesion is clean. Each image is
shown with its pixels moved by up to {attack:g} (white is 1) the way that hurts the model most: what
it answers to then looks more like the thing, and models of other seeds answer to it too.
Rerun with `make models ARGS=shapes`; it needs scikit-learn, for the digits.

## Accuracy, whole and damaged

On the embedded set `shapes` (20 images a class, held out). A lesion sets the most selective of
the 32 pooled channels to zero; selectivity is (mean in - mean out) / (sd in + sd out) on the
set `shapes-localizer`. The last row is the mean of 20 random lesions.

{embedded}

## Seeds of the recipe

The same on {per_class} held-out images a class (of each digit {samples} samples in several poses).

{seeds}

{goals}

{verdicts}

Seed {seed} is this model.

## Limits

It knows its {count} classes and has no answer "something else". Its faces are drawings, its
people exist nowhere, and it says nothing on photographs. Digits are split by sample, not by
writer. Zero is one way to silence a channel: its mean in its place does less. "Selective" is
what these images show; that a channel is needed is shown by the lesion alone.

Licence: MIT; the digits are CC BY 4.0.
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was measured, by seed: accuracy by lesion and domain, on many images and on the set."""

    many: Mapping[int, Mapping[str, Mapping[str, float]]]
    embedded: Mapping[int, Mapping[str, Mapping[str, float]]]
    per_class: int
    parameters: int
    samples: int


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    named = tuple(head)
    return "\n".join([_row(named), "|" + "---|" * len(named), *map(_row, rows)])


def _percents(found: Mapping[str, float]) -> list[str]:
    return [f"{found[domain]:.1%}" for domain in DOMAINS]


def _lesion(name: str) -> str:
    count, _, kind = name.partition(" ")
    return {"": name, "random": f"{count} at random"}.get(kind, f"{count} {kind}-selective")


def _embedded(found: Mapping[str, Mapping[str, float]]) -> str:
    rows = ([_lesion(name), *_percents(by_domain)] for name, by_domain in found.items())
    return _table(("set to zero", *DOMAINS), rows)


def _seeds(found: Findings) -> str:
    rows = (
        [seed, _lesion(name), *_percents(by_domain)]
        for seed, lesions in found.many.items()
        for name, by_domain in lesions.items()
    )
    return _table(("seed", "set to zero", *DOMAINS), rows)


def _goals() -> str:
    told = (
        f"{goal.domain} {'at most' if goal.at_most else 'at least'} {goal.bound:.0%}"
        f" ({_lesion(goal.lesion)})"
        for goal in GOALS
    )
    return f"Goals, with what is set to zero: {', '.join(told)}."


def _verdicts(found: Findings) -> str:
    short = {seed: missed(lesions) for seed, lesions in found.many.items()}
    return "\n".join(
        f"- Seed {seed} {'misses: ' + ', '.join(goals) if goals else 'holds all'}."
        for seed, goals in short.items()
    )


def card(name: str, found: Findings, recipe: Recipe, sister: str) -> str:
    """Return the card of the model of the recipe's seed as Markdown."""
    return _TEXT.format(
        name=name,
        seed=recipe.seed,
        parameters=found.parameters,
        count=len(CLASSES),
        classes="\n".join(f"- {domain}: {', '.join(names)}" for domain, names in DOMAINS.items()),
        source=SOURCE,
        images=recipe.per_class * len(CLASSES),
        epochs=recipe.epochs,
        rows=recipe.rows,
        rate=recipe.learning_rate,
        smoothing=recipe.smoothing,
        sparsity=recipe.sparsity,
        start=recipe.ramp[0],
        end=recipe.ramp[1],
        attack=recipe.attack,
        embedded=_embedded(found.embedded[recipe.seed]),
        per_class=found.per_class,
        samples=found.samples,
        seeds=_seeds(found),
        goals=_goals(),
        verdicts=_verdicts(found),
        sister=sister,
    )
