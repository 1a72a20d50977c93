"""``microtome suite``: what a model still does after edits or removals, slice by slice."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microtome.cli.edits import EDITS_HELP, Reader, add_edits, check_edits, read_edit
from microtome.cli.given import add_model_options, expect_writable, load
from microtome.errors import InputError
from microtome.records.removal import REMOVALS
from microtome.records.suite_result import PASSING

if TYPE_CHECKING:
    from microtome.records.analysis import Analysis
    from microtome.records.slice_circuits import CircuitDifference, SliceCircuits
    from microtome.records.suite import Suite
    from microtome.records.suite_result import SuiteResult

_FELL = 1  # exit status


def add_suite_options(parser: argparse.ArgumentParser) -> None:
    """How a suite is given."""
    add = parser.add_argument
    add("--model", required=True, help="embedded name, folder or hub id")
    add("--suite", action="append", required=True, metavar="SUITE",
        help="a suite file, or prompt sets by name or file; may be repeated")  # fmt: skip
    add("--limit", type=int, help="take the first so many cases of each set")


def suite_given(options: argparse.Namespace) -> Suite:
    """The suite of the options."""
    from microtome.suites.loading import load_suite

    return load_suite(options.suite, limit=options.limit)


def add_suite(commands: Any) -> None:
    """The command ``suite`` and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "suite",
        help="say how many prompts of a suite are answered rightly, before and after edits",
        description="Run a suite: prompts with expected answers, in slices; with edits or "
        "removals, before and after them.",
        epilog=EDITS_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add_suite_options(parser)
    add("--remove", default="", help="heads, MLPs, layers to take out: a1.h2,m3,l2")
    add("--how", choices=REMOVALS, default="zero", help="what takes their place")
    add("--passing", choices=PASSING, default="above",
        help="a case passes with its answer above the wrong one, or on top of all")  # fmt: skip
    add("--at-least", type=float, metavar="SHARE",
        help="exit with status 1 when a slice's pass rate is below: 0.95")  # fmt: skip
    add("--circuits", metavar="A,B", help="compare the circuits of two slices, as 'task: name,all'")
    add("--seed", type=int, default=0, help="of the bootstrap")
    add("--out", type=Path, help="the session file to write")
    add("--json", action="store_true", help="print the result as JSON")
    add_edits(parser)
    add_model_options(parser)


def suite_command(options: argparse.Namespace) -> int:
    """Run the suite, print a table, and tell by the exit status whether a slice is too low."""
    from microtome.records.suite_result import suite_of

    if options.out is not None:
        expect_writable(options.out)
    least = options.at_least
    if least is not None and not 0 <= least <= 1:
        raise InputError(f"--at-least is {least}.", "Give a share from 0 to 1, for example 0.95.")
    check_edits(options.edits)
    suite = suite_given(options)
    model = load(options)
    analysis = _run(options, model, suite)
    found, held = suite_of(analysis), [analysis]
    low = () if least is None else below(found, least)
    compared = None
    if options.circuits is not None:
        compared = _circuits(options, model, suite)
        held.append(compared[0])
    if options.out is not None:
        save_with(options.out, model, suite, held)
    if options.json:
        print(json.dumps(_as_json(found, low, compared), indent=2))
    else:
        print(_as_text(found, low, least))
        if compared is not None:
            print(_difference_text(compared[1], *compared[2]))
    return _FELL if low else 0


def _run(options: argparse.Namespace, model: Any, suite: Suite) -> Analysis:
    from microtome.interventions.specs import edits_of
    from microtome.suites.running import run_suite

    reader = Reader(False, options.seed, options.unit, model.answer_token)
    specs = [read_edit(kind, text, reader) for kind, text in options.edits]
    remove = [name for name in options.remove.split(",") if name.strip()]
    return run_suite(
        model, suite, edits_of(model, specs), remove=remove, how=options.how,
        passing=options.passing, seed=options.seed,
    )  # fmt: skip


def below(found: SuiteResult, least: float) -> tuple[str, ...]:
    """The slices whose pass rate, after the edits if there are any, is too low."""
    rates = zip(found.slices, found.rate[:, -1], strict=True)
    return tuple(name for name, rate in rates if rate < least)


def _circuits(
    options: argparse.Namespace, model: Any, suite: Suite
) -> tuple[Analysis, SliceCircuits, tuple[str, str]]:
    from microtome.records.slice_circuits import slice_circuits_of
    from microtome.suites.slices import slice_circuits

    names = [name.strip() for name in options.circuits.split(",")]
    if len(names) != 2:
        raise InputError(
            f"--circuits names {len(names)} slices.", "Give two, as 'task: name,task: induction'."
        )
    analysis = slice_circuits(model, suite, names)
    return analysis, slice_circuits_of(analysis), (names[0], names[1])


def save_with(path: Path, model: Any, suite: Suite, held: list[Analysis]) -> None:
    """A session of the suite's first prompt, with the analyses in it."""
    from dataclasses import replace

    from microtome.examining import examine
    from microtome.prompts import Question
    from microtome.session.writer import save_session

    first = suite.cases[0]
    corrupt = first.corrupt
    if corrupt is not None and len(model.tokenize(corrupt)) != len(model.tokenize(first.prompt)):
        corrupt = None
    session = examine(model, Question(first.prompt, corrupt, first.answer, first.wrong))
    analyses = {**session.analyses, **{each.id: each for each in held}}
    save_session(path, replace(session, analyses=analyses))


def _as_json(
    found: SuiteResult, low: tuple[str, ...], compared: tuple[Any, SliceCircuits, Any] | None
) -> dict[str, Any]:
    rows = [
        {
            "slice": name,
            "cases": found.counts[row],
            "pass_rate": _sided(found, found.rate[row]),
            "pass_band": _sided(found, found.rate_band[row]),
            "confidence": _sided(found, found.confidence[row]),
            "confidence_band": _sided(found, found.confidence_band[row]),
            "change_band": _numbers(found.change[row]),
            "falls": bool(found.falls[row]),
            "too_low": name in low,
        }
        for row, name in enumerate(found.slices)
    ]
    told = {**found.params, "slices": rows}
    if compared is not None:
        difference = _difference(compared[1], *compared[2])
        told["circuits"] = {
            "first": difference.first, "second": difference.second,
            "shared": difference.shared, "only_first": difference.only_first,
            "only_second": difference.only_second, "overlap": difference.overlap,
            "correlation": difference.correlation,
        }  # fmt: skip
    return told


def _sided(found: SuiteResult, values: Any) -> dict[str, Any]:
    return {side: _numbers(own) for side, own in zip(found.sides, values, strict=True)}


def _numbers(values: Any) -> Any:
    """Plain numbers; null for none."""
    listed = values.tolist()
    if isinstance(listed, list):
        return [None if math.isnan(each) else each for each in listed]
    return None if math.isnan(listed) else listed


def _as_text(found: SuiteResult, low: tuple[str, ...], least: float | None) -> str:
    width = max(len(name) for name in found.slices)
    edited = found.params["edits"]
    lines = [f"{found.title} on {found.params['model']}: {len(found.prompts)} cases"]
    lines += [f"with {edit}" for edit in edited]
    lines += [found.note] if found.note else []
    heads = [f"{f'{side} pass':>14}{'95 % band':>14}{'p(answer)':>11}" for side in found.sides]
    lines.append(f"{'slice':{width}}{'cases':>7}{''.join(heads)}")
    for row, name in enumerate(found.slices):
        marks = " falls" if found.falls[row] else ""
        marks += " too low" if name in low else ""
        sides = "".join(_side(found, row, side) for side in range(len(found.sides)))
        lines.append(f"{name:{width}}{found.counts[row]:>7}{sides}{marks}")
    if low:
        lines.append(f"below {least:.1%}: {', '.join(low)}")
    return "\n".join(lines)


def _side(found: SuiteResult, row: int, side: int) -> str:
    start, end = found.rate_band[row, side]
    band = f"{start:.0%} to {end:.0%}"
    return f"{found.rate[row, side]:>14.1%}{band:>14}{found.confidence[row, side]:>11.3f}"


def _difference(found: SliceCircuits, first: str, second: str) -> CircuitDifference:
    from microtome.suites.comparing import compare_slices

    return compare_slices(found, first, second)


def _difference_text(found: SliceCircuits, first: str, second: str) -> str:
    told = _difference(found, first, second)
    same = f"{told.overlap:.0%} of the strongest edges are in both"
    lines = [f"{first} and {second}: {same}, rank correlation {told.correlation:.2f}"]
    for title, edges in (
        ("both", told.shared),
        (f"only {first}", told.only_first),
        (f"only {second}", told.only_second),
    ):
        lines.append(f"  {title}: {', '.join(edges) or 'none'}")
    return "\n".join(lines)
