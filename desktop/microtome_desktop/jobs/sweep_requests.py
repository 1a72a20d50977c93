"""Requests of the patching panel: a sweep, and what one would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from microtome.errors import InputError, MicrotomeError, PromptError
from microtome.jobs import Job
from microtome.prompt_sets import PromptSet, load_prompt_set
from microtome.prompts import Prompt, PromptPair, Question, as_prompt
from microtome.records.analysis import Analysis
from microtome.records.edits import EditSpec
from microtome.records.sweep import Sweep, sweep_analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.one_length import of_one_length
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.sweeps import (
    BY_POSITION,
    MEAN,
    NOISING,
    WISH,
    Foreseen,
    Wish,
    mean_over,
)

SWEEP_SLOT = "sweep"


@dataclass(frozen=True, slots=True)
class RunSweep(Request):
    """Patch or ablate one place after another; the map fills as cells come."""

    slot: ClassVar[str] = SWEEP_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({SWEEP_SLOT})
    about_session: ClassVar[bool] = True

    wish: Wish

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Sweeping {self.wish.row.title.split(':')[0].lower()}"

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "the first cells"

    def memory(self, desk: Desk) -> int | None:
        """As it was estimated, if it was."""
        held = desk.workspace.prepared.get(foreseen_key(self.wish))
        return held.bytes if isinstance(held, Foreseen) and not held.problem else None

    def perform(self, engine: Engine, job: Job) -> Sweep:
        """The sweep; what is there of it is handed out before."""
        return sweep(engine.loaded, self.wish, job)

    def deliver_partial(self, desk: Desk, name: str, value: Sweep) -> None:
        """Show the cells that there are."""
        desk.workspace.add_analysis(analysis_for(self.wish, value))

    def deliver(self, desk: Desk, result: Sweep) -> None:
        """Add it to the session."""
        desk.workspace.add_analysis(analysis_for(self.wish, result))


@dataclass(frozen=True, slots=True)
class ForeseeSweep(Request):
    """What a sweep would take, before anybody starts it."""

    slot: ClassVar[str] = "foresee"
    replaces: ClassVar[frozenset[str]] = frozenset({"foresee"})
    about_session: ClassVar[bool] = True
    quiet: ClassVar[bool] = True

    wish: Wish

    @property
    def title(self) -> str:
        """What is being done."""
        return "Estimating a sweep"

    def perform(self, engine: Engine, job: Job) -> Foreseen:
        """The estimate, or the problem."""
        try:
            return foreseen(engine.loaded, self.wish)
        except PromptError as error:
            return Foreseen(problem=str(error), unequal="align" in error.way_out)
        except MicrotomeError as error:
            return Foreseen(problem=str(error))

    def deliver(self, desk: Desk, result: Foreseen) -> None:
        """Give it to the panel."""
        desk.workspace.prepared.put(foreseen_key(self.wish), result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(foreseen_key(self.wish))


@dataclass(frozen=True, slots=True)
class ReadPromptSet(Request):
    """Read a prompt set from a file; it is offered beside those made for the model."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "prompt set"
    replaces: ClassVar[frozenset[str]] = frozenset({"prompt set"})
    quiet: ClassVar[bool] = True

    path: Path

    @property
    def title(self) -> str:
        """What is being done."""
        return f"Reading {self.path.name}"

    def perform(self, engine: Engine, job: Job) -> PromptSet:
        """The set, under the name by which it is found again."""
        return replace(load_prompt_set(self.path), name=str(self.path))

    def deliver(self, desk: Desk, result: PromptSet) -> None:
        """Offer it."""
        facts = desk.library.shelf.facts
        others = tuple(held for held in facts.prompt_sets if held.name != result.name)
        desk.library.update(facts=replace(facts, prompt_sets=(*others, result)))


def foreseen_key(wish: Wish) -> tuple[str, Wish]:
    """Under which the estimate of a wish is kept for the panel."""
    return "sweep estimate", wish


def analysis_for(wish: Wish, found: Sweep) -> Analysis:
    """The sweep for the session, with what was asked for beside it."""
    made = sweep_analysis(found, wish.row.title)
    return replace(made, params={**made.params, WISH: wish.as_json()})


@dataclass(frozen=True, slots=True)
class _Questions:
    """What a sweep asks, and what is to be known of the choice."""

    asked: tuple[Question, ...]
    note: str = ""


def _questions(model: Any, wish: Wish) -> _Questions:
    """The one pair, or the first pairs of a set: of one length where columns are positions."""
    if not wish.data:
        if wish.question is None:
            raise InputError("There is nothing to sweep.", "Run a prompt, or choose a prompt set.")
        return _Questions((wish.question,))
    pairs, note = load_prompt_set(wish.data).pairs, ""
    if wish.row.by in BY_POSITION:
        pairs, note = of_one_length(model, pairs)
    some = pairs[: wish.count or None]
    return _Questions(tuple(Question(p.clean, p.corrupt, p.answer, p.wrong) for p in some), note)


def pairs_of(questions: Sequence[Question]) -> PromptPair | tuple[PromptPair, ...]:
    """The pairs of the questions; one by itself.

    Raises InputError for a question without a corrupt prompt.
    """
    pairs = tuple(pair for question in questions if (pair := question.pair) is not None)
    if len(pairs) < len(questions):
        raise InputError(
            "There is no corrupt prompt to patch from.",
            "Type one below the prompt, choose a prompt set, or ablate instead.",
        )
    return pairs[0] if len(pairs) == 1 else pairs


def metrics_of(model: Any, wish: Wish, questions: Sequence[Question]) -> Any:
    """The metric of each question, one by itself, or None for the default one."""
    made = [_metric(wish.metric, question, _read_at(model, question)) for question in questions]
    return made[0] if len(made) == 1 else None if None in made else made


def _read_at(model: Any, question: Question) -> int:
    """Where the answer is read: at the end, or at the first masked token."""
    return (
        int(model.read_at(model.tokenize(as_prompt(question.prompt)).ids)) if model.in_place else -1
    )


def _metric(name: str, question: Question, at: int) -> Any:
    from microtome import metrics

    if name == "kl":
        return metrics.KL(position=at)
    if name == "loss":
        return metrics.Loss()
    if question.answer is None:
        if name == "logit":
            return None
        raise InputError(
            "This metric needs an answer.", "Type the answer, or choose the logit difference."
        )
    if name == "logit":
        if question.wrong is None:
            return metrics.LogitOverMean(question.answer, at)
        return metrics.LogitDifference(question.answer, question.wrong, at)
    kinds = {
        "log-probability": metrics.LogProbability,
        "probability": metrics.Probability,
        "rank": metrics.Rank,
    }
    return kinds[name](question.answer, at)


def sweep(model: Any, wish: Wish, job: Job | None = None) -> Sweep:
    """The sweep that is wished for. Raises what the engine raises."""
    from microtome.interventions.sweeps import (
        Options,
        ablation_sweep,
        causal_trace,
        patching_sweep,
    )

    chosen, row = _questions(model, wish), wish.row
    questions, metric = chosen.asked, metrics_of(model, wish, chosen.asked)
    options: Options = {"by": row.by, "seed": wish.seed, "budget": wish.budget << 20, "job": job}
    if row.causal:
        return causal_trace(
            model, questions[0].prompt, metric, span=_span(wish), kind=row.site,
            noise=wish.noise, samples=wish.samples, **options,
        )  # fmt: skip
    options["layer"] = wish.layer
    if wish.ablates:
        prompts = [question.prompt for question in questions]
        over, note = _over(model, wish, questions[0])
        found = ablation_sweep(
            model, prompts, metric, row.site, how=wish.mode, over=over, **options
        )
        found = replace(found, notes=(*found.notes, note)) if note else found
    else:
        noising = wish.mode == NOISING
        found = patching_sweep(
            model, pairs_of(questions), metric, row.site, noising=noising, align=wish.align,
            **options,
        )  # fmt: skip
    return replace(found, notes=(*found.notes, chosen.note)) if chosen.note else found


def _over(model: Any, wish: Wish, question: Question) -> tuple[tuple[Prompt, ...], str]:
    """The prompts that a mean is taken over, and what is to be known of the choice.

    A mean of patterns is taken entry by entry, so that all its prompts need one length.
    """
    over = mean_over(wish) if wish.mode == MEAN else ()
    if not over or not EditSpec(wish.row.site, MEAN).of_one_length:
        return over, ""
    from microtome.interventions.fitting import prompts_of_length

    tokens = model.tokenize(as_prompt(question.prompt))
    fitting = prompts_of_length(model, over, (len(tokens), tokens.n_source))
    few = f"mean over the {len(fitting)} of {len(over)} prompts with {len(tokens)} tokens"
    return fitting, few if len(fitting) < len(over) else ""


def foreseen(model: Any, wish: Wish) -> Foreseen:
    """What the sweep would take. Raises what the engine raises."""
    from microtome.interventions.sweeping.examples import Noise, noised_examples
    from microtome.interventions.sweeps import Options, estimate_sweep

    row, questions = wish.row, _questions(model, wish).asked
    options: Options = {"by": row.by, "budget": wish.budget << 20}
    metric = metrics_of(model, wish, questions)
    for one in metric if isinstance(metric, list) else [metric]:
        if one is not None:
            one.resolve(model)  # answers that the model does not know are told of now
    if row.causal:
        noise = Noise(_span(wish), wish.noise, 1, wish.seed)
        noised_examples(model, questions[0].prompt, metric, noise)  # or an error
    else:
        options["layer"] = wish.layer
    alone = wish.ablates or row.causal
    asked = [question.prompt for question in questions] if alone else pairs_of(questions)
    found = estimate_sweep(
        model, asked, metric, row.site, align=wish.align,
        samples=wish.samples if row.causal else 1, **options,
    )  # fmt: skip
    return Foreseen(found.cells, found.skipped, found.seconds, found.bytes, found.path)


def _span(wish: Wish) -> tuple[int, int]:
    if wish.span is None:
        raise InputError("No tokens are chosen to put noise on.", "Type a span, as 2-4.")
    return wish.span
