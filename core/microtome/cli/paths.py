"""``microtome path``: path patching from the command line, saved as a session or a table."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from microtome.circuits.discovery.methods import ABLATIONS
from microtome.cli.discover import given_pairs
from microtome.cli.given import (
    add_pair_options,
    add_result_options,
    expect_results_writable,
    load,
    write_rows,
)
from microtome.cli.patch import metric_of, prompt_set
from microtome.errors import InputError

if TYPE_CHECKING:
    from microtome.prompts import Question
    from microtome.records.paths import PatchedPaths

_METRICS = ("logit-difference", "log-probability", "probability", "kl", "loss")


def add_path(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add_pair_options(parser)
    add("--path", action="append", default=[], help="input->a0.h1<v>->logits; may come again")
    add("--from", dest="sender", help="all paths from here, in place of --path")
    add("--to", default="logits", help="where these paths end: logits, m1, a1.h0<k>")
    add("--through", type=int, default=1, help="how many nodes these paths go through at most")
    add("--metric", choices=_METRICS, help="what is measured")
    add("--ablate", choices=ABLATIONS, default="resample", help="what the path carries")
    add("--seed", type=int, default=0, help="of the bootstrap")
    add_result_options(parser)


def patch_paths(options: argparse.Namespace) -> int:
    """Patch the paths, write what was asked for, print those that carry most."""
    expect_results_writable(options)
    if bool(options.path) == bool(options.sender):
        raise InputError("Give either --path or --from.")
    pairs = given_pairs(options)
    model = load(options)
    found = _found(options, model, pairs)
    if options.csv is not None:
        write_rows(options.csv, _named(found))
    if options.out is not None:
        _save(options, model, pairs[0], found)
    print(json.dumps(_as_json(found), indent=2) if options.json else _text(found))
    return 0


def _found(options: argparse.Namespace, model: Any, pairs: list[Question]) -> PatchedPaths:
    from microtome.circuits.discovery.paths import path_patching
    from microtome.records.edges import Edges
    from microtome.records.paths import paths_between

    data: Any = [pair.pair or pair.prompt for pair in pairs]
    named = [metric_of(options.metric, pair.answer, pair.wrong) for pair in pairs]
    over = () if options.over is None else prompt_set(options.over).pairs
    paths: Any = options.path
    if options.sender:
        edges = Edges.of(model.anatomy)
        paths = paths_between(edges, options.sender, options.to, through=options.through)
    return path_patching(
        model, data, paths, None if named[0] is None else named,
        ablation=options.ablate, over=[pair.clean for pair in over], seed=options.seed,
    )  # fmt: skip


def _rows(found: PatchedPaths) -> list[tuple[str, float, float]]:
    """All paths, those that carry most first."""
    rows = zip(found.paths, found.effect.tolist(), found.share.tolist(), strict=True)
    return sorted(rows, key=lambda row: -abs(row[1]))


def _save(options: argparse.Namespace, model: Any, first: Question, found: PatchedPaths) -> None:
    from dataclasses import replace

    from microtome.examining import examine
    from microtome.records.paths import paths_analysis
    from microtome.session.writer import save_session

    session, held = examine(model, first), paths_analysis(found)
    save_session(options.out, replace(session, analyses={**session.analyses, held.id: held}))


def _as_json(found: PatchedPaths) -> dict[str, Any]:
    return {
        **found.params,
        "whole": found.whole.tolist(),
        "none": found.none.tolist(),
        "patched": _named(found),
    }


def _named(found: PatchedPaths) -> list[dict[str, Any]]:
    return [dict(zip(("path", "effect", "share"), row, strict=True)) for row in _rows(found)]


def _text(found: PatchedPaths) -> str:
    told = found.params
    asked = f"{len(told['prompts'])} prompts, {found.metric}, {told['ablation']}"
    lines = [
        f"{len(found.paths)} paths on {asked}",
        f"clean {found.whole.mean():+.4f}, everything replaced {found.none.mean():+.4f}",
    ]
    lines += [f"  {path:40} {effect:+.4f} {share:8.1%}" for path, effect, share in _rows(found)]
    return "\n".join(lines)
