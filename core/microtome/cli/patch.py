"""``microtome patch``: sweeps from the command line, saved as a session or a table."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microtome.cli.given import (
    add_task_options,
    examined,
    expect_results_writable,
    ids,
    load,
    size,
    token_id,
    written,
)
from microtome.errors import InputError

if TYPE_CHECKING:
    from microtome.records.sweep import Sweep

_METRICS = ("logit-difference", "log-probability", "probability", "rank", "kl", "loss")
_SHOWN = 5


def add_patch(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_task_options(parser)
    add = parser.add_argument
    add("--ids", action="store_true", help="prompts and answers are token ids")
    add("--metric", choices=_METRICS, default=None, help="what is measured")
    add("--site", default="resid_pre", help="resid_pre, attn_out, mlp_out, z, q, k, v, pattern, …")
    add("--by", help="position, head, 'head position', neuron or range")
    add("--layer", type=int, help="one layer only; needed by neuron")
    add("--ranges", help="for --by range: first to last position, for example 0-2,3-5")
    add("--noising", action="store_true", help="put corrupt values into the clean run")
    add("--align", action="store_true", help="align prompts of different numbers of tokens")
    add("--ablate", choices=("zero", "mean", "position mean", "resample"), help="ablate instead")
    add("--trace-span", help="causal tracing: the positions to disturb, for example 1-2")
    add("--noise", type=float, default=3.0, help="of causal tracing, in standard deviations")
    add("--samples", type=int, default=10, help="of causal tracing")
    add("--seed", type=int, default=0)


def patch(options: argparse.Namespace) -> int:
    """Run the sweep, write what was asked for, print the strongest places."""
    expect_results_writable(options)
    asked = _Asked(options)
    found = asked.sweep()
    if options.csv is not None:
        _write_csv(options.csv, found)
    if options.out is not None:
        _save(options.out, asked, found)
    print(json.dumps(_as_json(found), indent=2) if options.json else _as_text(found))
    return 0


class _Asked:
    """The options as prompts, metrics and settings of the engine."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self._read: Callable[[str], Any] = ids if options.ids else str
        self.pairs = self._pairs()
        if options.ablate is None and options.trace_span is None and self.pairs[0][1] is None:
            raise InputError(
                "Patching needs a corrupt prompt.",
                "Give --corrupt, or ask for --ablate or --trace-span.",
            )
        self.model = load(options)

    def _pairs(self) -> list[tuple[Any, Any, Any, Any]]:
        """Clean, corrupt, answer and wrong answer."""
        options = self.options
        if (options.prompt is None) == (options.prompt_set is None):
            raise InputError("Give either --prompt or --set.")
        if options.prompt_set is not None:
            if options.limit is not None and options.limit < 1:
                raise InputError(f"--limit is {options.limit}.", "Give 1 or more.")
            held = prompt_set(options.prompt_set).pairs[: options.limit]
            return [(one.clean, one.corrupt, one.answer, one.wrong) for one in held]
        word: Callable[[str], Any] = token_id if options.ids else str
        answer, wrong = (given and word(given) for given in (options.answer, options.wrong))
        corrupt = options.corrupt and self._read(options.corrupt)
        return [(self._read(options.prompt), corrupt, answer, wrong)]

    @property
    def metrics(self) -> Any:
        """One metric a prompt, or None for the default."""
        made = [metric_of(self.options.metric, answer, wrong) for *_, answer, wrong in self.pairs]
        return None if made[0] is None else made

    def sweep(self) -> Sweep:
        """The sweep that was asked for."""
        from microtome.interventions.sweeps import ablation_sweep, causal_trace, patching_sweep
        from microtome.prompts import PromptPair

        options, kind = self.options, self.options.site
        told = {"by": options.by, "layer": options.layer, "seed": options.seed}
        told |= {} if options.ranges is None else {"ranges": _spans(options.ranges)}
        told |= {} if options.budget is None else {"budget": size(options.budget)}
        prompts = [clean for clean, *_ in self.pairs]
        if options.trace_span is not None:
            span = _spans(options.trace_span)[0]
            told = {name: value for name, value in told.items() if value is not None}
            if len(prompts) > 1:
                raise InputError("Causal tracing takes one prompt.", "Give --limit 1.")
            kind = "resid_post" if kind == "resid_pre" else kind
            drawn = {"span": span, "noise": options.noise, "samples": options.samples}
            return causal_trace(self.model, prompts[0], self.metrics, kind=kind, **drawn, **told)
        if options.ablate is not None:
            over = () if options.over is None else prompt_set(options.over).pairs
            told |= {"how": options.ablate, "over": [pair.clean for pair in over]}
            return ablation_sweep(self.model, prompts, self.metrics, kind, **told)
        pairs = [PromptPair(clean, corrupt) for clean, corrupt, *_ in self.pairs]
        told |= {"noising": options.noising, "align": options.align}
        return patching_sweep(self.model, pairs, self.metrics, kind, **told)


def prompt_set(name: str) -> Any:
    """A prompt set by name or file."""
    from microtome.prompt_sets import load_prompt_set

    return load_prompt_set(name)


def metric_of(name: str | None, answer: Any, wrong: Any) -> Any:
    """The metric of a name and its answers; None for the default one."""
    from microtome import metrics

    if name is None and answer is None:
        return None
    if name in ("kl", "loss"):
        return metrics.KL() if name == "kl" else metrics.Loss()
    if answer is None:
        raise InputError(f"The metric {name} needs an answer.", "Give --answer.")
    if name in (None, "logit-difference"):
        return (
            metrics.LogitOverMean(answer)
            if wrong is None
            else metrics.LogitDifference(answer, wrong)
        )
    kinds = {
        "log-probability": metrics.LogProbability,
        "probability": metrics.Probability,
        "rank": metrics.Rank,
    }
    return kinds[str(name)](answer)


def _spans(text: str) -> list[tuple[int, int]]:
    """Ranges as typed, from the first position to the last, both included."""
    spans = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        start = token_id(first)
        spans.append((start, (token_id(last) if last else start) + 1))
    return spans


def _cells(sweep: Sweep) -> list[tuple[tuple[int, ...], float, float]]:
    """Every cell that has a value: where, its effect, and the metric."""
    import numpy as np

    places = [place for place in np.ndindex(sweep.raw.shape) if np.isfinite(sweep.raw[place])]
    return [(place, float(sweep.effects[place]), float(sweep.raw[place])) for place in places]


def _write_csv(path: Path, sweep: Sweep) -> None:
    with written(path) as file:
        writer = csv.writer(file)
        writer.writerow([*sweep.axes, "effect", "metric"])
        writer.writerows([*place, effect, raw] for place, effect, raw in _cells(sweep))


def _save(path: Path, asked: _Asked, sweep: Sweep) -> None:
    """The session that ``microtome run`` makes of the (first) pair, with the sweep in it."""
    from microtome.prompts import Question
    from microtome.records.sweep import sweep_analysis
    from microtome.session.writer import save_session

    clean, corrupt, answer, wrong = asked.pairs[0]
    question = Question(clean, corrupt, answer, wrong, seed=asked.options.seed)
    session = _session(asked.model, question, sweep)
    held = sweep_analysis(sweep)
    save_session(path, replace(session, analyses={**session.analyses, held.id: held}))


def _session(model: Any, question: Any, sweep: Sweep) -> Any:
    """As much as can be examined: the pair, its clean prompt, or the bare runs."""
    from microtome.activations.capture import trace
    from microtome.errors import MicrotomeError, PromptError

    try:
        return examined(model, question)
    except PromptError as error:  # of unequal length: no circuit explains their difference
        print(f"microtome: the circuit is of the clean prompt alone: {error}", file=sys.stderr)
    except MicrotomeError as error:
        return _bare(model, question, sweep, error)
    try:
        alone = examined(model, replace(question, corrupt=None))
    except MicrotomeError as error:
        return _bare(model, question, sweep, error)
    runs = (*alone.traces, trace(model, question.corrupt))
    return replace(alone, traces=runs, question=question)


def _bare(model: Any, question: Any, sweep: Sweep, why: Exception) -> Any:
    """The runs of a question alone; the metric is that of the sweep."""
    from microtome.activations.capture import trace
    from microtome.records.session import Session

    print(f"microtome: the file gets no circuit: {why}", file=sys.stderr)
    prompts = [prompt for prompt in (question.prompt, question.corrupt) if prompt is not None]
    sites = [name for name in ("resid_post", "pattern") if name in model.ports]
    runs = tuple(trace(model, prompt, sites=sites) for prompt in prompts)
    metric = {"name": sweep.metric, "value": sweep.clean, "value_corrupt": sweep.corrupt}
    return Session(model, runs, question=question, metric=metric)


def _as_json(sweep: Sweep) -> dict[str, Any]:
    return {
        "site": sweep.kind,
        "axes": list(sweep.axes),
        "shape": list(sweep.effects.shape),
        "metric": sweep.metric,
        "mode": sweep.mode,
        "path": sweep.path,
        "clean": sweep.clean,
        "corrupt": sweep.corrupt,
        "normalised": sweep.normalised,
        "skipped": sweep.skipped,
        "seconds": sweep.seconds,
        "notes": list(sweep.notes),
        "tokens": list(sweep.tokens),
        "cells": [
            {**dict(zip(sweep.axes, place, strict=True)), "effect": effect, "metric": raw}
            for place, effect, raw in _cells(sweep)
        ],
    }


def _as_text(sweep: Sweep) -> str:
    ends = f"{sweep.clean:.3f}"
    ends += "" if sweep.mode == "ablation" else f" (clean) and {sweep.corrupt:.3f} (corrupt)"
    found = sorted(_cells(sweep), key=lambda cell: -abs(cell[1]))[:_SHOWN]
    runs = sweep.raw.size * int(sweep.params.get("examples", 1))
    lines = [
        f"{sweep.metric}: {ends}",
        f"{sweep.raw.size} cells of {sweep.kind} in {sweep.seconds:.2f} s ({sweep.path})",
        f"{sweep.skipped} of {runs} runs were known to change nothing",
        *sweep.notes,
        *(f"  {_place(sweep, place)}  {effect:+.3f}  ({raw:.3f})" for place, effect, raw in found),
    ]
    return "\n".join(lines)


def _place(sweep: Sweep, place: Sequence[int]) -> str:
    named = [f"{axis} {at}" for axis, at in zip(sweep.axes, place, strict=True)]
    if "position" in sweep.axes:
        named[-1] += f" {sweep.tokens[place[-1]]!r}"
    return ", ".join(named)
