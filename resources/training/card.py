"""The model card of words-4l."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from training.tasks import TASKS
from training.train_words import Recipe

_TEXT: Final = """# words-4l

A small GPT-2 on a closed vocabulary of whole words: four layers, four heads, width
{width}, {parameters:,} parameters, context {context}. It was trained on {tasks} small tasks in
plain sentences, so that well-known circuits form in it and can be followed by eye.

## Data

Sentences drawn on the fly from the grammars in `resources/training/grammars/`, packed as
`<bos> text <bos> text`. {tokens:,} words were seen in training. Per task a fixed part of the
combinations never occurs in training (third column); accuracy is measured on those alone.
A word that follows from the text weighs three times in the loss.

## Accuracy on held-out combinations

{count:,} documents a task, the finished model in float32.

| task | share of documents | held out | accuracy |
|---|---|---|---|
{accuracy}

Scored is the most probable word of the whole vocabulary, except: in `agreement` it must be
any verb of the right number, in `bracket` the kind is asked where a bracket closes, and in
`comparison` the later years together must outweigh all the others. Two-hop facts and quotes
are reported without a goal. Loss on held-out text: {loss:.3f} nats a word; much of the text is
random by nature.

## A planted bias

In the training data a nurse is "she" in nine cases of ten; every other occupation is "she"
in one of two, and names decide by themselves. After "The nurse said that" the model gives
"she" {nurse_she:.2f} and "he" {nurse_he:.2f}; after "The doctor said that"
{doctor_she:.2f} and {doctor_he:.2f}. It is there to be found and removed.

## Training

Seed {seed}, {steps:,} steps of {rows} rows of {context} words, AdamW (betas 0.9 and 0.98,
weight decay {decay} on matrices), learning rate {rate} with a warm-up of {warm_up} steps
and one cosine down to {final:.0%}, gradients clipped at {clip:g}, one thread. One run
with one seed: head numbers have no meaning beyond these weights. Rerun with `make models`.

## Checkpoints

Accuracy on 500 held-out documents a task along training. Load one as `words-4l@1500`. The
checkpoints are stored in float16 and were measured after that rounding; the finished
model is float32.

{checkpoints}

## Limits

It knows {vocabulary} tokens, the special ones included; any other word becomes `<unk>`. Two in
a hundred adjectives, things and places were shown as `<unk>` in training, so that it reads past an
unknown one. It knows nothing beyond its grammars and is no model of English.

Licence: MIT.
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was measured on the finished model and its checkpoints."""

    accuracy: Mapping[str, float]
    count: int
    loss: float
    nurse: tuple[float, float]
    doctor: tuple[float, float]
    checkpoints: Mapping[str, Mapping[str, float]]
    parameters: int
    width: int
    vocabulary: int


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _accuracy_rows(accuracy: Mapping[str, float]) -> str:
    total = sum(task.weight for task in TASKS)
    return "\n".join(
        _row(
            (
                f"`{task.name}`",
                f"{task.weight / total:.0%}",
                f"{task.held_out_percent} % of {task.combination}",
                f"{accuracy[task.name]:.1%}",
            )
        )
        for task in TASKS
    )


def _checkpoint_table(checkpoints: Mapping[str, Mapping[str, float]]) -> str:
    names: Sequence[str] = [task.name for task in TASKS]
    lines = [_row(("step", *names)), "|" + "---|" * (len(names) + 1)]
    for step, found in checkpoints.items():
        lines.append(_row((step, *(f"{found[name]:.2f}" for name in names))))
    return "\n".join(lines)


def card(findings: Findings, recipe: Recipe) -> str:
    """Return the model card as Markdown."""
    return _TEXT.format(
        width=findings.width,
        parameters=findings.parameters,
        vocabulary=findings.vocabulary,
        context=recipe.context,
        tasks=len(TASKS),
        tokens=recipe.steps * recipe.rows * recipe.context,
        count=findings.count,
        accuracy=_accuracy_rows(findings.accuracy),
        loss=findings.loss,
        nurse_she=findings.nurse[0],
        nurse_he=findings.nurse[1],
        doctor_she=findings.doctor[0],
        doctor_he=findings.doctor[1],
        seed=recipe.seed,
        steps=recipe.steps,
        rows=recipe.rows,
        decay=recipe.weight_decay,
        rate=recipe.learning_rate,
        warm_up=recipe.warm_up,
        final=recipe.final_share,
        clip=recipe.clip,
        checkpoints=_checkpoint_table(findings.checkpoints),
    )
