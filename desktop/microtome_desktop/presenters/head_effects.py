"""What patching and ablating every head does to the metric: which sweep of a session tells it."""

from __future__ import annotations

from dataclasses import dataclass

from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome.records.sweep import Sweep, sweep_of
from microtome_desktop.presenters.sweep_choice import question_on_screen
from microtome_desktop.state.draft import DraftText
from microtome_desktop.state.sweeps import DENOISING, ZERO, Wish, sweeps_in, wish_of

_AXES = ["layer", "head"]


@dataclass(frozen=True, slots=True)
class Effect:
    """A row: an effect of whole heads, by the sweep of their outputs that measures it."""

    name: str
    mode: str  # as a wish says it
    recorded: str  # as a sweep says it
    tip: str
    of_pairs: bool = False


PATCHING = Effect(
    "patching", DENOISING, "denoising",
    "What comes of the corrupt run when the head's output (z) is that of the clean one at every "
    "position: 0 = as corrupt, 1 = as clean", of_pairs=True,
)  # fmt: skip
ABLATION = Effect(
    "ablation", ZERO, "ablation",
    "The change of the metric when the head's output (z) is zero at every position",
)  # fmt: skip
EFFECTS = (PATCHING, ABLATION)


def wish_for(session: Session, effect: Effect) -> Wish | str:
    """The sweep that tells an effect of the session's own prompts, or why there can be none."""
    question = question_on_screen(session, DraftText())  # whatever is typed meanwhile
    if question is None:
        return "The session holds no run."
    if effect.of_pairs and question.corrupt is None:
        return "Needs a corrupt prompt: run a pair."
    return Wish(question, what="z", mode=effect.mode)


def effect_in(session: Session, effect: Effect) -> Sweep | None:
    """What the session knows of an effect, perhaps in part; a finished sweep comes first."""
    held = [one for one in sweeps_in(session) if _tells(session, one, effect)]
    held.sort(key=_finished)
    return sweep_of(held[-1]) if held else None


def missing(session: Session) -> tuple[Wish, ...]:
    """The sweeps that the session lacks, of those that it can have."""
    found = []
    for effect in EFFECTS:
        wish, held = wish_for(session, effect), effect_in(session, effect)
        if isinstance(wish, Wish) and (held is None or not held.complete):
            found.append(wish)
    return tuple(found)


def _finished(analysis: Analysis) -> bool:
    return not analysis.params["asked"].get("partial", False)


def _tells(session: Session, analysis: Analysis, effect: Effect) -> bool:
    held = analysis.params
    if (held["kind"], held["axes"], held["mode"]) != ("z", _AXES, effect.recorded):
        return False
    asked, wish = wish_of(analysis), wish_for(session, effect)
    if asked is not None:
        return isinstance(wish, Wish) and asked.same_numbers(wish)
    return _is_of_runs(session, analysis, effect)


def _is_of_runs(session: Session, analysis: Analysis, effect: Effect) -> bool:
    """Whether a sweep that was made in Python is about the session's runs and metric."""
    sweep, runs = sweep_of(analysis), [run.tokens for run in session.traces[:2]]
    swept = [sweep.source_tokens, sweep.tokens] if effect.of_pairs else [sweep.tokens]
    return (
        [tuple(tokens) for tokens in swept] == [tuple(t) for t in runs[: len(swept)]]
        and sweep.metric == session.metric.get("name")
        and sweep.params.get("how", effect.mode) == effect.mode
        and sweep.params.get("examples", 1) == 1
    )
