"""``microtome discover``: circuits from the command line, tested, saved as a session or a table."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microtome.circuits.discovery.methods import ABLATIONS, METHODS
from microtome.cli.given import add_task_options, expect_writable, load, size
from microtome.cli.patch import metric_of, prompt_set
from microtome.errors import InputError

if TYPE_CHECKING:
    from microtome.jobs import Job, Progress
    from microtome.prompts import Question
    from microtome.records.circuit import Circuit
    from microtome.records.discovery import DiscoveryEstimate
    from microtome.records.faithfulness import Faithfulness

_METRICS = ("logit-difference", "log-probability", "probability", "kl", "loss")
_SHOWN = 10


def add_discover(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_task_options(parser)
    add = parser.add_argument
    add("--method", choices=tuple(METHODS), default="two-point")
    add("--metric", choices=_METRICS, help="what is measured; the KL divergence for acdc")
    add("--ablate", choices=ABLATIONS, default="resample", help="what takes an edge's place")
    add("--steps", type=int, default=5, help="of integrated gradients")
    add("--tau", type=float, default=0.01, help="of acdc: what an edge may cost")
    add("--by-position", action="store_true", help="keep positions apart; no curve is drawn then")
    add("--seed", type=int, default=0, help="of the bootstrap")
    add("--untested", action="store_true", help="leave out the faithfulness curve")


def discover(options: argparse.Namespace) -> int:
    """Look for the circuit, test it, write what was asked for, print the strongest edges."""
    for path in (options.out, options.csv):
        if path is not None:
            expect_writable(path)
    pairs = _pairs(options)
    model = load(options)
    circuit, curve = _found(options, model, pairs)
    if options.csv is not None:
        _write_csv(options.csv, circuit)
    if options.out is not None:
        _save(options, model, pairs[0], circuit, curve)
    print(json.dumps(_as_json(circuit, curve), indent=2) if options.json else _text(circuit, curve))
    return 0


def _pairs(options: argparse.Namespace) -> list[Question]:
    from microtome.prompts import Question

    if (options.prompt is None) == (options.prompt_set is None):
        raise InputError("Give either --set or --prompt.")
    if options.prompt_set is None:
        return [Question(options.prompt, options.corrupt, options.answer, options.wrong)]
    if options.limit is not None and options.limit < 1:
        raise InputError(f"--limit is {options.limit}.", "Give 1 or more.")
    held = prompt_set(options.prompt_set).pairs[: options.limit]
    return [Question(each.clean, each.corrupt, each.answer, each.wrong) for each in held]


def _found(
    options: argparse.Namespace, model: Any, pairs: list[Question]
) -> tuple[Circuit, Faithfulness | None]:
    from microtome.circuits.discovery.discover import discover_circuit
    from microtome.circuits.discovery.estimate import estimate_discovery
    from microtome.circuits.discovery.faithful import faithfulness
    from microtome.metrics import KL

    data: Any = [pair.pair or pair.prompt for pair in pairs]
    named = [metric_of(options.metric, pair.answer, pair.wrong) for pair in pairs]
    metrics = None if named[0] is None else named
    over = () if options.over is None else prompt_set(options.over).pairs
    told: Any = {"ablation": options.ablate, "over": [pair.clean for pair in over]}
    told |= {} if options.budget is None else {"budget": size(options.budget)}
    how = {"steps": options.steps, "tau": options.tau, "by_position": options.by_position}
    asked = KL() if options.method == "acdc" and options.metric is None else metrics
    likely = estimate_discovery(model, data, asked, options.method, **how, **told)
    job = _telling(_expected(likely))
    circuit = discover_circuit(model, data, asked, options.method, job=job, **how, **told)
    if options.untested or options.by_position:
        return circuit, None
    return circuit, faithfulness(model, circuit, data, metrics, seed=options.seed, **told)


def _telling(line: str) -> Job:
    """A job that says on standard error what is to come, once all has been found fit to start."""
    from microtome.jobs import Job

    lines = [line]

    def on_progress(progress: Progress) -> None:
        if lines and progress.title != "Running the model":
            print(lines.pop(), file=sys.stderr)

    return Job(on_progress)


def _expected(likely: DiscoveryEstimate) -> str:
    """What the search will take, in one line."""
    most = likely.most_seconds
    longest = f", at most {most:.3g} s" if most > likely.seconds else ""
    return (
        f"About {likely.seconds:.3g} s{longest} and {likely.bytes / 1e6:.3g} MB: "
        f"{likely.passes:.4g} passes for {likely.edges} edges on {likely.examples} prompts"
    )


def _edges(circuit: Circuit) -> list[tuple[str, float]]:
    """All edges by name, strongest first."""
    from microtome.records.edges import edge_names

    rows = zip(edge_names(circuit), circuit.edge_weight.tolist(), strict=True)
    return sorted(rows, key=lambda row: -abs(row[1]))


def _write_csv(path: Path, circuit: Circuit) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["edge", "score"])
        writer.writerows(_edges(circuit))


def _save(
    options: argparse.Namespace,
    model: Any,
    first: Question,
    circuit: Circuit,
    curve: Faithfulness | None,
) -> None:
    from dataclasses import replace

    from microtome.examining import examine
    from microtome.records.discovery import discovery_analysis
    from microtome.records.faithfulness import faithfulness_analysis
    from microtome.session.writer import save_session

    question = replace(first, seed=options.seed)
    held = [discovery_analysis(circuit)]
    held += [] if curve is None else [faithfulness_analysis(curve)]
    session = examine(model, question)
    analyses = {**session.analyses, **{each.id: each for each in held}}
    save_session(options.out, replace(session, analyses=analyses))


def _as_json(circuit: Circuit, curve: Faithfulness | None) -> dict[str, Any]:
    told = dict(circuit.metadata)
    told["edges"] = [{"edge": edge, "score": score} for edge, score in _edges(circuit)]
    if curve is not None:
        told["faithfulness"] = {
            "sizes": curve.sizes.tolist(),
            "counts": curve.counts.tolist(),
            "by_score": curve.faithfulness.tolist(),
            "by_magnitude": curve.by_magnitude.tolist(),
            "cpr": curve.cpr,
            "cmd": curve.cmd,
            "band": None if curve.band is None else curve.band.tolist(),
        }
    return told


def _text(circuit: Circuit, curve: Faithfulness | None) -> str:
    told = circuit.metadata
    lines = [
        f"{told['title']} on {len(told['prompts'])} prompts, {told['metric']}, {told['ablation']}",
        f"{circuit.n_edges} edges scored in {told['seconds']:.2f} s; {told['sign']}",
    ]
    lines += [f"  {edge:24} {score:+.4f}" for edge, score in _edges(circuit)[:_SHOWN]]
    if curve is not None:
        lines.append(f"CPR {curve.cpr:.3f}, CMD {curve.cmd:.3f}")
        kept = zip(curve.sizes, curve.by_magnitude, strict=True)
        lines += [f"  {share:6.1%} of edges keep {value:7.1%}" for share, value in kept]
    return "\n".join(lines)
