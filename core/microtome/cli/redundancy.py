"""``microtome redundancy``: which parts a model can do without, as a table, a file, a session."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from microtome.cli.given import add_result_options, expect_results_writable, load, write_rows
from microtome.cli.suite import add_suite_options, save_with, suite_given
from microtome.records.redundancy import CRITERIA
from microtome.records.removal import KINDS, REMOVALS

if TYPE_CHECKING:
    from microtome.records.redundancy import Redundancy


def add_redundancy(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add_suite_options(parser)
    add("--parts", nargs="+", choices=KINDS, default=["heads", "mlps"], help="what may go")
    add("--how", choices=REMOVALS, default="zero", help="what takes their place")
    add("--criterion", choices=CRITERIA, default="pass rate", help="what must be kept")
    add("--threshold", type=float, default=0.95, help="the share of it that must be kept (0.95)")
    add("--candidates", type=int, default=4, help="parts that are measured before one goes (4)")
    add_result_options(parser)


def redundancy_command(options: argparse.Namespace) -> int:
    """Take parts out one by one, write what was asked for, print what can go."""
    from microtome.records.redundancy import redundancy_of
    from microtome.suites.redundancy import redundancy

    expect_results_writable(options)
    suite = suite_given(options)
    model = load(options)
    analysis = redundancy(
        model, suite, parts=options.parts, how=options.how, criterion=options.criterion,
        threshold=options.threshold, candidates=options.candidates,
    )  # fmt: skip
    found = redundancy_of(analysis)
    if options.csv is not None:
        write_rows(options.csv, found.rows())
    if options.out is not None:
        save_with(options.out, model, suite, [analysis])
    print(json.dumps(_as_json(found), indent=2) if options.json else _as_text(found))
    return 0


def _as_json(found: Redundancy) -> dict[str, Any]:
    parameters, flops = found.saved(len(found.recommended))
    return {
        **found.params,
        "recommended": list(found.recommended),
        "saved_parameters": parameters,
        "saved_flops": flops,
        "rate": found.rate.tolist(),
        "metric": found.metric.tolist(),
        "points": list(found.points),
        "similarity": found.similarity.tolist(),
        "rows": found.rows(),
    }


def _as_text(found: Redundancy) -> str:
    told, count = found.params, len(found.recommended)
    parameters, flops = found.saved(count)
    whole = f"pass rate {found.rate[0]:.1%}, metric {found.metric[0]:.3f}"
    lines = [
        f"{told['title']} on {told['model']}: {whole}, {told['cases']} cases",
        f"{'part':8}{'alone':>9}{'pass rate':>11}{'metric':>9}{'parameters':>12}",
    ]
    for row in found.rows():
        if row["step"] is None:
            lines.append(f"{row['part']:8}{row['effect']:>+9.3f}{'':>20}{row['parameters']:>12,}")
            continue
        mark = "  can go" if row["recommended"] else ""
        lines.append(
            f"{row['part']:8}{row['effect']:>+9.3f}{row['pass_rate']:>11.1%}{row['metric']:>9.3f}"
            f"{row['parameters']:>12,}{mark}"
        )
    lines.append(
        f"{count} parts can go and {told['threshold']:.0%} of the {told['criterion']} stays: "
        f"{', '.join(found.recommended) or 'none'}"
    )
    share = parameters / told["whole_parameters"], flops / told["whole_flops"]
    lines.append(
        f"saved: {parameters:,} parameters ({share[0]:.1%}), about {flops:,.0f} operations of a "
        f"token ({share[1]:.1%})"
    )
    return "\n".join(lines)
