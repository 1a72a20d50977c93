"""The request that tests a hypothesis by causal scrubbing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from microtome.errors import InputError
from microtome.jobs import Job
from microtome.prompt_sets import PromptSet
from microtome.prompts import Prompt, typed_ids
from microtome.records.analysis import Analysis
from microtome.records.scrubbed import Scrubbed, scrubbed_analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.hypotheses import ASKED, RANDOM, TYPED, ScrubWish

SCRUB_SLOT = "scrub"


@dataclass(frozen=True, slots=True)
class TestHypothesis(Request):
    """Scrub a model as a hypothesis says; what is known after each draw is handed out."""

    __test__: ClassVar[bool] = False  # its name starts as those of tests do
    slot: ClassVar[str] = SCRUB_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({SCRUB_SLOT})
    about_session: ClassVar[bool] = True

    wish: ScrubWish
    prompts: PromptSet | None = None  # of the wish's source

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Testing “{self.wish.hypothesis.title}”"

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "the first draws"

    def bound(self, desk: Desk) -> TestHypothesis:
        """With the prompt set that is asked for. Raises InputError for one that is not there."""
        if self.wish.source in (RANDOM, TYPED):
            return self
        held = {each.name: each for each in desk.library.shelf.facts.prompt_sets}
        if self.wish.source not in held:
            raise InputError(
                f"There is no prompt set {self.wish.source!r}.", "Choose other inputs."
            )
        return replace(self, prompts=held[self.wish.source])

    def perform(self, engine: Engine, job: Job) -> Scrubbed:
        """The test."""
        from microtome.circuits.scrubbing.scrub import causal_scrub
        from microtome.metrics import Probability

        model, wish = engine.loaded, self.wish
        data, answers = inputs(model, wish, self.prompts)
        metrics = [Probability(answer) for answer in answers] or None
        return causal_scrub(
            model, wish.hypothesis, data, metrics, draws=wish.draws, seed=wish.seed, job=job
        )

    def deliver_partial(self, desk: Desk, name: str, value: Scrubbed) -> None:
        """Show the draws that there are."""
        self.deliver(desk, value)

    def deliver(self, desk: Desk, result: Scrubbed) -> None:
        """Keep the test with the session."""
        desk.workspace.add_analysis(analysis_for(self.wish, result))


def analysis_for(wish: ScrubWish, found: Scrubbed) -> Analysis:
    """The test for the session, with what was asked for beside it."""
    made = scrubbed_analysis(found)
    return replace(made, params={**made.params, ASKED: wish.as_json()})


def inputs(
    model: Any, wish: ScrubWish, prompts: PromptSet | None
) -> tuple[list[Prompt], list[str | int]]:
    """What the hypothesis is tested on: inputs that others of their length can stand in for.

    And the answers of these, where they are to be judged by them.
    Raises InputError when nothing is typed, or no two have the same number of tokens.
    """
    if wish.source == RANDOM:
        from microtome.circuits.scrubbing.inputs import repeated_inputs

        return list(repeated_inputs(model, wish.count or 64, seed=wish.seed)), []
    pairs = () if prompts is None else prompts.pairs[: wish.count or None]
    given = [pair.clean for pair in pairs] or typed_inputs(wish.text)[: wish.count or None]
    lengths = [len(model.tokenize(prompt)) for prompt in given]
    many = Counter(lengths)
    kept = [number for number, own in enumerate(lengths) if many[own] > 1]
    if not kept:
        raise InputError(
            f"No two of the {len(given)} inputs have the same number of tokens.",
            "Give several of one length: they stand in for each other.",
        )
    answers = [pairs[number].answer for number in kept] if pairs and wish.by_answer else []
    return [given[number] for number in kept], answers


def typed_inputs(text: str) -> list[Prompt]:
    """The prompts of a text, one a line: token ids where a line holds nothing but numbers."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [typed_ids(line) or line for line in lines]
