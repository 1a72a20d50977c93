"""What a search for swaps may put in, and where: a token for a token, the nearest first.

The usual choice stands in the other prompts of the task: a name for a name, a place for a place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from microtome.errors import InputError, MicrotomeError, expect
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.models.operations import embedded
from microtome.prompt_sets import PromptSet, prompt_set_names
from microtome.prompts import Prompt
from microtome.suites.loading import Source, prompts_in

ANY = "any"  # in the place of words: every token that stands for text
_ALIKE = 0.5  # of its tokens a prompt shares with one of the same task
_WAY_OUT = "Choose another task, or give words to put in, or allow any token."

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """Each swap that may be made: a place, the token for it, and the cosine of both embeddings.

    The nearest come first. ``task`` names the prompts that they were taken from, if any.
    """

    at: Int[np.ndarray, " swap"]
    token: Int[np.ndarray, " swap"]
    near: Float[np.ndarray, " swap"]
    task: str | None = None

    def __len__(self) -> int:
        return len(self.at)


def choices(
    model: Model,
    prompt: Prompt,
    words: Sequence[str | int] | str | None,
    positions: Sequence[int] | None,
    task: Source | Sequence[Source] | None,
    kept: frozenset[int],
    job: Job,
) -> Choices:
    """The swaps that ``words``, ``positions`` and ``task`` allow for a prompt.

    Without words they are the tokens at the same place in the other prompts of a task: those of
    ``task``, or of the model's own sets, the one that holds this prompt, else the one that has the
    prompt that shares most tokens with it. Of that set the prompts count that share half of the
    tokens or more. Both are aligned on what they share; where then as many tokens stand against as
    many, each is a choice for the one that it stands against. Without positions, every place but
    those of the tokens ``kept``. Raises InputError for what cannot be asked, or where nothing is
    left to choose.
    """
    (ids,) = _tokens(model, [prompt])
    places = _places(model, ids, positions, kept)
    name = None
    if words is None:
        name, found = _of_task(model, prompt, task, job)
        swaps = [(at, token) for at, token in found if at in set(places.tolist())]
        if not swaps:
            raise InputError(f"Of {name}, no other token stands at these places.", _WAY_OUT)
        at, token = np.array(swaps, dtype=np.int64).T
    else:
        allowed = _allowed(model, words)
        at, token = np.repeat(places, len(allowed)), np.tile(allowed, len(places))
    own = np.array(ids)[at]
    at, token, own = at[token != own], token[token != own], own[token != own]
    near = _cosines(model, own, token)
    order = np.argsort(-near.round(6), kind="stable")
    return Choices(at[order], token[order], near[order], name)


def _allowed(model: Model, words: Sequence[str | int] | str) -> Int[np.ndarray, " token"]:
    """The tokens that may be put in."""
    example = "Write for example words=['Mary', 'John'], or words='any'."
    if words == ANY:
        return np.array(model.lexicon.ordinary, dtype=np.int64)
    expect(words, (tuple, list), "words", "a list of words", example)
    if not words:
        raise InputError("The list of words is empty.", example)
    return np.unique([model.lexicon.answer_token(word) for word in words])


def _places(
    model: Model, ids: Ids, positions: Sequence[int] | None, kept: frozenset[int]
) -> Int[np.ndarray, " place"]:
    """The positions that may be swapped: those given, or all that hold text that is not kept."""
    if positions is None:
        wanted = np.isin(ids, model.lexicon.ordinary) & ~np.isin(ids, sorted(kept))
        found = np.flatnonzero(wanted)
    else:
        example = "Write for example positions=[2, 5]."
        expect(positions, (tuple, list), "positions", "a list of positions", example)
        for at in positions:
            expect(at, int, "position", "a whole number", example)
            if not -len(ids) <= at < len(ids):
                raise InputError(
                    f"Position {at} is none of a prompt of {len(ids)} tokens.",
                    f"Positions are 0 to {len(ids) - 1}.",
                )
        found = np.unique([at % len(ids) for at in positions])
    if not len(found):
        raise InputError("No position may be swapped.", "Name some that hold text.")
    return found


def _cosines(
    model: Model, own: Int[np.ndarray, " swap"], token: Int[np.ndarray, " swap"]
) -> Float[np.ndarray, " swap"]:
    """How near each token is to the one whose place it takes."""
    rows, back = np.unique(np.concatenate([own, token]), return_inverse=True)
    with torch.no_grad():
        held = embedded(model.anatomy, torch.from_numpy(rows).to(model.anatomy.embedding.device))
        units = torch.nn.functional.normalize(held.double(), dim=-1).cpu().numpy()
    first, second = units[back[: len(own)]], units[back[len(own) :]]
    return np.asarray((first * second).sum(-1), dtype=np.float64)


# ---------------------------------------------------------------------- the task


def _of_task(
    model: Model, prompt: Prompt, task: Source | Sequence[Source] | None, job: Job
) -> tuple[str, list[tuple[int, int]]]:
    """The name of the set that is nearest to the prompt, and the swaps that its prompts make."""
    best: tuple[int, str, list[Ids]] = (0, "", [])
    (ids,) = _tokens(model, [prompt])
    for name, prompts in _sets(model, prompt, task):
        job.check()
        found = [other for other in _tokens(model, prompts) if other != ids]
        shared = [_shared(ids, other) for other in found]
        if shared and max(shared) > best[0]:
            alike = [o for o, count in zip(found, shared, strict=True)
                     if count >= _ALIKE * len(ids)]  # fmt: skip
            best = (max(shared), name, alike)
    _, name, alike = best
    if not alike:
        raise InputError("No prompt set has another prompt like this one.", _WAY_OUT)
    return name, list(dict.fromkeys(swap for other in alike for swap in _against(ids, other)))


def _sets(
    model: Model, prompt: Prompt, task: Source | Sequence[Source] | None
) -> list[tuple[str, tuple[Prompt, ...]]]:
    """The names of the sets and their prompts: only the one that holds this prompt, if one does."""
    held = [(_name(source), prompts_in(source)) for source in _sources(model, task)]
    return [one for one in held if prompt in one[1]][:1] or held


def _sources(model: Model, task: Source | Sequence[Source] | None) -> list[Source]:
    if task is None:
        return list(prompt_set_names(model.identity.name))
    expected = "a prompt set, a file or a list of them"
    expect(task, (str, Path, PromptSet, Sequence), "task", expected, "Write for example 'name'.")
    return [task] if isinstance(task, str | Path | PromptSet) else list(task)


def _name(source: Source) -> str:
    return source.name if isinstance(source, PromptSet) else Path(source).stem


def _tokens(model: Model, prompts: Iterable[Prompt]) -> Iterator[Ids]:
    """The prompts as the model reads them; those that it cannot read are passed over."""
    for prompt in dict.fromkeys(prompts):
        try:
            yield tuple(int(token) for token in model.tokenize(prompt).ids)
        except MicrotomeError:
            continue


def _shared(ids: Ids, other: Ids) -> int:
    return sum(end - start for tag, start, end, _, _ in _aligned(ids, other) if tag == "equal")


def _against(ids: Ids, other: Ids) -> Iterator[tuple[int, int]]:
    """Places of a prompt, and the token that stands at the same place of another."""
    for tag, start, end, first, last in _aligned(ids, other):
        if tag == "replace" and end - start == last - first:
            yield from zip(range(start, end), other[first:last], strict=True)


def _aligned(ids: Ids, other: Ids) -> Sequence[tuple[str, int, int, int, int]]:
    return SequenceMatcher(None, ids, other, autojunk=False).get_opcodes()
