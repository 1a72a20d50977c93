"""``microtome swaps``: swaps that flip an answer, as a table, a file, a session."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from microtome.cli.given import add_result_options, expect_results_writable, load, write_rows
from microtome.errors import InputError

if TYPE_CHECKING:
    from microtome.records.adversarial import Adversarial
    from microtome.records.analysis import Analysis

_ORDERS = ("nearness", "gradient")


def add_swaps(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("--model", required=True, help="embedded name, folder or hub id")
    add("--prompt", required=True, help="the prompt whose answer is to be flipped")
    add("--answer", required=True, help="the answer that it gives")
    add("--wrong", help="the word to compare it with; else any other")
    add("--swaps", type=int, default=1, help="at most so many tokens are swapped (1)")
    add("--task", action="append", metavar="SET",
        help="put in what stands at the same place in its other prompts; may be repeated. "
        "Without it: the model's own prompt sets")  # fmt: skip
    add("--words", help="words that may be put in: Mary,John")
    add("--any", action="store_true", help="put in any token that stands for text")
    add("--positions", help="where: 2,5; else wherever text but the answers stands")
    add("--order", choices=_ORDERS, default="nearness", help="which swaps are run first")
    add("--candidates", type=int, default=200, help="swaps that are run of each prompt (200)")
    add("--exhaustive", action="store_true", help="run all of them")
    add_result_options(parser)


def swaps_command(options: argparse.Namespace) -> int:
    """Search, write what was asked for, print the prompts and who carries the change."""
    from microtome.records.adversarial import adversarial_of
    from microtome.suites.adversarial import adversarial_search

    expect_results_writable(options)
    words, positions = _words(options), _positions(options.positions)
    model = load(options)
    analysis = adversarial_search(
        model, options.prompt, options.answer, options.wrong, swaps=options.swaps, words=words,
        task=options.task, positions=positions, order=options.order,
        candidates=options.candidates, exhaustive=options.exhaustive,
    )  # fmt: skip
    found = adversarial_of(analysis)
    if options.csv is not None:
        write_rows(options.csv, found.rows())
    if options.out is not None:
        _save(options, model, analysis)
    print(json.dumps(_as_json(found), indent=2) if options.json else _as_text(found))
    return 0


def _words(options: argparse.Namespace) -> Any:
    """What may be put in; None for what stands in the task."""
    given = [name for name in ("task", "words", "any") if getattr(options, name)]
    if len(given) > 1:
        raise InputError(f"--{given[0]} and --{given[1]} are both given.", "Give one of them.")
    if options.any:
        return "any"
    words = (options.words or "").replace(",", " ").split()
    return words or None


def _positions(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise InputError(f"{text!r} are no positions.", "Write for example 2,5.") from None


def _save(options: argparse.Namespace, model: Any, analysis: Analysis) -> None:
    from dataclasses import replace

    from microtome.examining import examine
    from microtome.prompts import Question
    from microtome.session.writer import save_session

    session = examine(model, Question(options.prompt, None, options.answer, options.wrong))
    analyses = {**session.analyses, analysis.id: analysis}
    save_session(options.out, replace(session, analyses=analyses))


def _as_json(found: Adversarial) -> dict[str, Any]:
    return {**found.params, "prompts": found.rows(), "nodes": found.node_rows()}


def _as_text(found: Adversarial) -> str:
    told, flips = found.params, int(found.flipped.sum())
    source = f" from the task {told['task']}" if told["task"] else ""
    shown = f"{flips or 'none'} of the {len(found.texts)} shown flip{'s' * (flips <= 1)}"
    asked = f"the answer {told['answer']}, margin {found.margin_before:+.2f}"
    lines = [
        f"{told['tried']} prompts tried{source}: {shown} {asked}",
        f"{'':6}{'margin':>8}{'change':>8}{'near':>6}  answer, swaps",
    ]
    lines += [
        f"{'flips' if row['flipped'] else '':6}{row['margin']:>+8.2f}{row['change']:>+8.2f}"
        f"{row['nearness']:>6.2f}  {row['said_before']} → {row['said']}, {row['swaps']}"
        for row in found.rows()
    ]
    if found.nodes:
        lines.append("the change to the first is carried by")
    lines += [
        f"  {row['node']:10}{row['score']:>+8.2f}{row['share']:>8.0%}" for row in found.node_rows()
    ]
    return "\n".join(lines)
