"""Write the prompt sets: clean and corrupt prompts with their answers."""

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from training.compile_induction import FULL, TINY, Size
from training.documents import Pair, seeded
from training.grammars.induction import key_pair
from training.grammars.pronoun import bias_pairs
from training.tasks import TASKS
from training.tokenizer import word_tokenizer
from training.vocabulary import vocabulary
from training.words import BOS

_COUNT: Final = 100
_WORDS: Final = "words-4l"
_STORE = "When Mary and John went to the store , {} gave a drink to"
_START: Final = Pair(
    clean=tuple(_STORE.format("John").split()),
    corrupt=tuple(_STORE.format("Mary").split()),
    answer="Mary",
    wrong="John",
)


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Pairs of prompts of one kind for one model."""

    name: str
    title: str
    model: str
    description: str
    source: str
    pairs: tuple[Pair, ...]


def as_text(words: Sequence[str]) -> str:
    """Return words as one would type them; the tokenizer gives the same words back."""
    text = re.sub(r" ([.,:])", r"\1", " ".join(words))
    text = re.sub(r"\b(\d\d) (\d\d)\b", r"\1\2", text)
    return text.replace(' " ', ' "')


def _distinct(draw: Callable[[], Pair], start: Sequence[Pair] = ()) -> tuple[Pair, ...]:
    """Draw until there are enough different pairs, after those given."""
    found = dict.fromkeys(start)
    while len(found) < _COUNT:
        found.setdefault(draw())
    return tuple(found)


def _task_sets() -> Iterator[PromptSet]:
    for task in TASKS:
        rng = seeded("pairs", task.name)
        start = (_START,) if task.name == "name" else ()
        yield PromptSet(
            name=task.name,
            title=task.title,
            model=_WORDS,
            description=task.description,
            source=f"Drawn from the grammar of the task. Combination: {task.combination}; "
            f"{task.pair_source}.",
            pairs=_distinct(partial(task.pair, rng), start),
        )


def _further_sets() -> Iterator[PromptSet]:
    rng = seeded("pairs", "induction-key")
    yield PromptSet(
        name="induction-key",
        title="Repeated words, match broken",
        model=_WORDS,
        description=(
            "As the set induction, but in the corrupt prompt the word before the answer is "
            "another one, so that the last word of the prompt has no earlier match."
        ),
        source="Drawn from the grammar of the task; held out of training.",
        pairs=_distinct(partial(key_pair, rng)),
    )
    yield PromptSet(
        name="nurse",
        title="A planted bias",
        model=_WORDS,
        description=(
            'In the training data a nurse is "she" in nine cases of ten, every other occupation '
            "in one of two. In the corrupt prompt the nurse has another occupation."
        ),
        source="Every sentence of the pronoun task with every other occupation.",
        pairs=tuple(bias_pairs()),
    )


def _exact_pair(rng: random.Random, size: Size, *, key: bool) -> Pair:
    """Return a repeated segment whose first copy is changed at one place."""
    animals = size.vocabulary[2:]
    length = rng.randint(4, len(animals) - 3)
    drawn = rng.sample(animals, length + 2)
    segment, replacement, unused = drawn[:length], drawn[-2], drawn[-1]
    at = rng.randrange(length - 1)
    changed = list(segment)
    changed[at if key else at + 1] = replacement
    tail = segment[: at + 1]
    wrong = unused if key else replacement
    return Pair((*segment, *tail), (*changed, *tail), segment[at + 1], wrong)


def _exact_sets() -> Iterator[PromptSet]:
    match = (
        "Repeated animals. In the corrupt prompt the word before the answer is another one, so "
        "that nothing matches; the wrong answer stands in neither prompt."
    )
    value = "Repeated animals. In the corrupt prompt the answer itself is another word."
    for size, suffix, key in ((FULL, "", True), (FULL, "-value", False), (TINY, "", True)):
        name = size.name + suffix
        rng = seeded("pairs", name)
        yield PromptSet(
            name=name,
            title="Known circuit, match broken" if key else "Known circuit, answer exchanged",
            model=size.name,
            description=match if key else value,
            source="Random segments of the model's own words.",
            pairs=_distinct(partial(_exact_pair, rng, size, key=key)),
        )


def _check(sets: Sequence[PromptSet]) -> None:
    """Raise ValueError unless every text gives back its words, in the model's vocabulary."""
    words = {_WORDS: vocabulary(), FULL.name: FULL.vocabulary, TINY.name: TINY.vocabulary}
    tokenizers = {model: word_tokenizer(known) for model, known in words.items()}
    for one in sets:
        for pair in one.pairs:
            for prompt in (pair.clean, pair.corrupt):
                told = tokenizers[one.model].encode(as_text(prompt)).tokens
                if told != [BOS, *prompt] or len(pair.clean) != len(pair.corrupt):
                    raise ValueError(f"{one.name}: {as_text(prompt)!r} is read as {told}.")


def write_all(folder: Path) -> None:
    """Write every prompt set as JSON."""
    sets = (*_task_sets(), *_further_sets(), *_exact_sets())
    _check(sets)
    folder.mkdir(parents=True, exist_ok=True)
    for one in sets:
        content = {
            "name": one.name,
            "title": one.title,
            "model": one.model,
            "description": one.description,
            "source": one.source,
            "pairs": [
                {
                    "clean": as_text(pair.clean),
                    "corrupt": as_text(pair.corrupt),
                    "answer": pair.answer,
                    "wrong": pair.wrong,
                }
                for pair in one.pairs
            ],
        }
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (folder / f"{one.name}.json").write_text(text + "\n", encoding="utf-8")
