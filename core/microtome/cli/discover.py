"""``microtome discover``: circuits from the command line, tested, saved as a session or a table."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microtome.circuits.discovery.methods import ABLATIONS, METHODS
from microtome.cli.given import add_task_options, expect_results_writable, load, size, written
from microtome.cli.judged import Judged
from microtome.cli.patch import metric_of, prompt_set
from microtome.errors import InputError
from microtome.records.positions import SUMMED

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
    add("--by-position", action="store_true", help="keep positions apart; the curve is of the sums")
    add("--seed", type=int, default=0, help="of the bootstrap")
    add("--judge", type=float, metavar="SHARE", help="judge the circuit of this share of edges")
    add("--untested", action="store_true", help="leave out the faithfulness curve")


def discover(options: argparse.Namespace) -> int:
    """Look for the circuit, test it, write what was asked for, print the strongest edges."""
    expect_results_writable(options)
    pairs = given_pairs(options)
    model = load(options)
    found = _found(options, model, pairs)
    if options.csv is not None:
        _write_csv(options.csv, found.circuit)
    if options.out is not None:
        _save(options, model, pairs[0], found)
    print(json.dumps(_as_json(found), indent=2) if options.json else _text(found))
    return 0


@dataclass(frozen=True, slots=True)
class _Found:
    """A circuit, and what was asked about it."""

    circuit: Circuit
    curve: Faithfulness | None = None
    judged: Judged | None = None


def given_pairs(options: argparse.Namespace) -> list[Question]:
    """The questions of --set or --prompt."""
    from microtome.prompts import Question

    if (options.prompt is None) == (options.prompt_set is None):
        raise InputError("Give either --set or --prompt.")
    if options.prompt_set is None:
        return [Question(options.prompt, options.corrupt, options.answer, options.wrong)]
    if options.limit is not None and options.limit < 1:
        raise InputError(f"--limit is {options.limit}.", "Give 1 or more.")
    held = prompt_set(options.prompt_set).pairs[: options.limit]
    return [Question(each.clean, each.corrupt, each.answer, each.wrong) for each in held]


def _found(options: argparse.Namespace, model: Any, pairs: list[Question]) -> _Found:
    from microtome.circuits.discovery.discover import discover_circuit, expect_possible
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
    expect_possible(model, data, asked, options.method, **how, **told)  # before anything is told
    likely = estimate_discovery(model, data, asked, options.method, **how, **told)
    job = _telling(_expected(likely, options))
    circuit = discover_circuit(model, data, asked, options.method, job=job, **how, **told)
    curve = None
    if not options.untested:
        curve = faithfulness(model, circuit, data, metrics, seed=options.seed, **told)
    if options.judge is None:
        return _Found(circuit, curve)
    judged = {"share": options.judge, "seed": options.seed, "method": options.method}
    more = {"steps": options.steps, "tau": options.tau}
    return _Found(
        circuit, curve, Judged.of(model, circuit, (data, asked), **judged, **more, **told)
    )


def _telling(line: str) -> Job:
    """A job that says on standard error what is to come, once all has been found fit to start."""
    from microtome.jobs import Job

    lines = [line]

    def on_progress(progress: Progress) -> None:
        if lines and progress.title != "Running the model":
            print(lines.pop(), file=sys.stderr)

    return Job(on_progress)


def _expected(likely: DiscoveryEstimate, options: argparse.Namespace) -> str:
    """What the search and its curve will take, in one line."""
    curve = 0.0 if options.untested else likely.curve_seconds
    held = likely.bytes if options.untested else max(likely.bytes, likely.curve_bytes)
    most = likely.most_seconds + curve
    longest = f", at most {most:.3g} s" if likely.most_seconds > likely.seconds else ""
    of_curve = f", {curve:.3g} s of them for the curve" if curve else ""
    judged = "" if options.judge is None else ", and then the judgement"
    return (
        f"About {likely.seconds + curve:.3g} s{longest}{of_curve}, and {held / 1e6:.3g} MB: "
        f"{likely.passes:.4g} passes for {likely.edges} edges on {likely.examples} prompts{judged}"
    )


def _edges(circuit: Circuit) -> list[tuple[str, float]]:
    """All edges by name, strongest first."""
    from microtome.records.edges import edge_names

    rows = zip(edge_names(circuit), circuit.edge_weight.tolist(), strict=True)
    return sorted(rows, key=lambda row: -abs(row[1]))


def _write_csv(path: Path, circuit: Circuit) -> None:
    with written(path) as file:
        writer = csv.writer(file)
        writer.writerow(["edge", "score"])
        writer.writerows(_edges(circuit))


def _save(
    options: argparse.Namespace,
    model: Any,
    first: Question,
    found: _Found,
) -> None:
    from dataclasses import replace

    from microtome.examining import examine
    from microtome.records.discovery import discovery_analysis
    from microtome.records.faithfulness import faithfulness_analysis
    from microtome.session.writer import save_session

    question = replace(first, seed=options.seed)
    held = [discovery_analysis(found.circuit)]
    held += [] if found.curve is None else [faithfulness_analysis(found.curve)]
    held += [] if found.judged is None else found.judged.analyses()
    session = examine(model, question)
    analyses = {**session.analyses, **{each.id: each for each in held}}
    save_session(options.out, replace(session, analyses=analyses))


def _as_json(found: _Found) -> dict[str, Any]:
    circuit, curve = found.circuit, found.curve
    told = dict(circuit.metadata)
    told["edges"] = [{"edge": edge, "score": score} for edge, score in _edges(circuit)]
    if curve is not None:
        told["faithfulness"] = {
            "metric": curve.metric,
            "sizes": curve.sizes.tolist(),
            "counts": curve.counts.tolist(),
            "by_score": curve.faithfulness.tolist(),
            "by_magnitude": curve.by_magnitude.tolist(),
            "cpr": curve.cpr,
            "cmd": curve.cmd,
            "band": None if curve.band is None else curve.band.tolist(),
        }
    if found.judged is not None:
        told["judged"] = found.judged.as_json()
    return told


def _text(found: _Found) -> str:
    circuit, curve = found.circuit, found.curve
    told = circuit.metadata
    lines = [
        f"{told['title']} on {len(told['prompts'])} prompts, {told['metric']}, {told['ablation']}",
        f"{circuit.n_edges} edges scored in {told['seconds']:.2f} s; {told['sign']}",
    ]
    lines += [f"  {edge:24} {score:+.4f}" for edge, score in _edges(circuit)[:_SHOWN]]
    if curve is not None:
        of_sums = ", edges summed over positions" if SUMMED in curve.params else ""
        lines.append(f"Kept of {curve.metric}{of_sums}: CPR {curve.cpr:.3f}, CMD {curve.cmd:.3f}")
        kept = zip(curve.sizes, curve.by_magnitude, strict=True)
        lines += [f"  {share:6.1%} of edges keep {value:7.1%}" for share, value in kept]
    lines += [] if found.judged is None else found.judged.lines()
    return "\n".join(lines)
