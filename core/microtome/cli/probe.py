"""``microtome probe``: at which layer a concept can be read off, beside a control task."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microtome.cli.given import add_result_options, expect_results_writable, load, write_rows
from microtome.errors import InputError

if TYPE_CHECKING:
    from microtome.analysis.labelled import LabelledPrompts
    from microtome.records.probe import Probe


def add_probe(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("model", help="embedded name, folder or hub id")
    add("--prompts", type=Path, help="labelled prompts: text (label | prompt), CSV or JSON")
    add("--example", help="an example in their place: grammar, sentiment or entity")
    add("--set", dest="prompt_set", help="a prompt set, labelled by its answers")
    add("--limit", type=int, help="take the first so many pairs of an example or a set")
    add("--sites", default="resid", help="resid, a kind of site such as mlp_post, or sites with "
        "commas between")  # fmt: skip
    add("--position", type=int, default=-1, help="the token that is read; -1 is the last")
    add("--folds", type=int, default=5)
    add("--seed", type=int, default=0)
    add_result_options(parser)


def probe_command(options: argparse.Namespace) -> int:
    """Probe, write what was asked for, print a line a site."""
    from microtome.analysis.probes import probe, sites_of_kind
    from microtome.records.probe import probe_of

    expect_results_writable(options)
    given = _given(options)
    model = load(options)
    named = options.sites.split(",")
    layers = model.identity.n_layers
    sites = named if len(named) > 1 else sites_of_kind(named[0], layers)
    analysis = probe(
        model, given.prompts, given.labels, sites, position=options.position, groups=given.groups,
        folds=options.folds, seed=options.seed,
    )  # fmt: skip
    found = probe_of(analysis)
    rows = _rows(found)
    if options.csv is not None:
        write_rows(options.csv, rows)
    if options.out is not None:
        from microtome.records.session import Session
        from microtome.session.writer import save_session

        save_session(options.out, Session(model.identity, analyses={analysis.id: analysis}))
    print(json.dumps(rows, indent=2) if options.json else _text(found))
    return 0


def _given(options: argparse.Namespace) -> LabelledPrompts:
    from microtome.analysis.labelled import example_prompts, labelled_pairs, read_labelled
    from microtome.prompt_sets import load_prompt_set

    ways = (options.prompts, options.example, options.prompt_set)
    if sum(way is not None for way in ways) != 1:
        raise InputError(
            "Labelled prompts come from --prompts, --example or --set.", "Give one of them."
        )
    if options.prompts is not None:
        return read_labelled(options.prompts)
    if options.example is not None:
        return example_prompts(options.example, options.limit)
    return labelled_pairs(load_prompt_set(options.prompt_set), None, options.limit)


def _rows(found: Probe) -> list[dict[str, Any]]:
    columns = zip(
        found.sites, found.mean.tolist(), found.error.tolist(),
        found.control.mean(axis=1).tolist(), found.selectivity.tolist(), strict=True,
    )  # fmt: skip
    return [
        {"site": site, "accuracy": mean, "error": error, "control": control,
         "selectivity": selectivity, "chance": found.chance}
        for site, mean, error, control, selectivity in columns
    ]  # fmt: skip


def _text(found: Probe) -> str:
    told = found.params
    asked = f"{told['prompts']} prompts, {told['folds']} folds, token {told['position']}"
    head = f"{', '.join(found.labels)}: {asked}, chance {found.chance:.2f}"
    lines = [
        f"{row['site']:<14} {row['accuracy']:6.3f} ± {row['error']:5.3f} "
        f"{row['control']:8.3f} {row['selectivity']:+12.3f}"
        for row in _rows(found)
    ]
    titles = f"{'site':<14} {'accuracy':>14} {'control':>8} {'selectivity':>12}"
    return "\n".join([head, titles, *lines, f"best read at {found.best}"])
