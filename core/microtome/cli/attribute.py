"""``microtome attribute``: the graph of features behind an answer, as a graph file or a session."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microtome.cli.given import add_model_options, expect_writable, ids, load, size
from microtome.errors import InputError

if TYPE_CHECKING:
    from microtome.circuits.attribution.changes import FeatureChange
    from microtome.circuits.attribution.intervening import FeatureIntervention
    from microtome.records.circuit import Circuit

_CHANGE = re.compile(r"(\w+):(\d+)\.(\d+)(?:@(-?\d+(?:,-?\d+)*))?(?:=(-?[0-9.eE+-]+))?")
_SHOWN = 8  # features and words that are printed


def add_attribute(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("model", help="embedded name, folder or hub id")
    add("prompt", help="the prompt, or comma-separated token ids with --ids")
    add("--transcoders", help="a set of transcoders: folder or hub id; else the embedded one")
    add("--out", type=Path, help="the graph (.json) or session (.h5) to write")
    add("--ids", action="store_true", help="the prompt is token ids")
    add("--max-features", type=int, default=7500, help="features that become nodes, at most")
    add("--max-logits", type=int, default=10, help="logits that become nodes, at most")
    add("--probability", type=float, default=0.95, help="what these logits together reach")
    add("--nodes", type=float, default=0.8, help="share of influence that kept nodes have")
    add("--edges", type=float, default=0.98, help="share of influence that kept edges have")
    add("--whole", action="store_true", help="write all nodes and edges")
    add("--budget", help="memory of direct effects: 96, 0.5 (MB), 500kB, 1.5GB or 64MiB")
    add("--estimate", action="store_true", help="say what it takes of memory, and stop")
    add("--change", action="append", default=[], metavar="ACTION:LAYER.FEATURE[@POSITIONS][=X]",
        help="ablate:2.1207, scale:2.1207@-1=2, set:… or steer:…; may come again")  # fmt: skip
    add("--mode", choices=("frozen", "free"), default="free",
        help="predictions under changes by the graph alone, or with all else computed anew; "
        "the graph is that of the free run")  # fmt: skip
    add("--json", action="store_true", help="print a summary as JSON")
    add_model_options(parser)


def attribute(options: argparse.Namespace) -> int:
    """Make the graph, write what was asked for, and say what it holds."""
    if options.out is None and not options.estimate:
        raise InputError("Nothing would be written.", "Give --out graph.json or --out graph.h5.")
    if options.out is not None:
        expect_writable(options.out)
        if options.out.suffix.lower() not in {".json", ".h5"}:
            raise InputError(f"{options.out.name} is neither .json nor .h5.", "Choose one of them.")
    changes = [read_change(text) for text in options.change]
    budget = None if options.budget is None else size(options.budget)
    model = load(options)
    transcoders = _transcoders(options, model.identity.name)
    prompt: Any = ids(options.prompt) if options.ids else options.prompt
    if options.estimate:
        return _estimate(options, model, transcoders, prompt, budget)
    from microtome.circuits.attribution.graph import attribution_graph
    from microtome.circuits.influences import prune_by_influence

    whole = attribution_graph(
        model, transcoders, prompt, max_feature_nodes=options.max_features, budget=budget,
        probability=options.probability, max_logits=options.max_logits, changes=changes,
    )  # fmt: skip
    shown = whole if options.whole else prune_by_influence(whole, options.nodes, options.edges)
    changed = _changed(options, model, transcoders, prompt, changes) if changes else None
    _write(options.out, model, prompt, shown)
    summary = _summary(whole, shown, changed) | {"file": str(options.out)}
    print(json.dumps(summary, indent=2) if options.json else _text(summary))
    return 0


def _transcoders(options: argparse.Namespace, model: str) -> Any:
    """Those that were given, or those embedded for the model."""
    import microtome_resources as resources
    from microtome.features.formats.files import load_transcoders

    embedded = f"{model}/transcoders"
    if options.transcoders is None and embedded not in resources.dictionary_names():
        raise InputError(
            f"No transcoders for {model} are part of the package.",
            "Train some with microtome train, and give their folder with --transcoders.",
        )
    return load_transcoders(options.transcoders or embedded, allow_download=options.download)


def read_change(text: str) -> FeatureChange:
    """A change as it is typed. Raises InputError for what is none."""
    from microtome.circuits.attribution.changes import FeatureChange

    found = _CHANGE.fullmatch(text)
    if not found:
        raise InputError(
            f"{text!r} is no change of a feature.", "Write for example scale:2.1207@-1=3."
        )
    action, layer, feature, at, amount = found.groups()
    positions = None if at is None else tuple(int(one) for one in at.split(","))
    if (amount is None) != (action == "ablate"):
        raise InputError(f"{text!r} needs a number, unless it ablates.", "End it with =2, say.")
    return FeatureChange(int(layer), int(feature), action, float(amount or 0), positions)


def _estimate(
    options: argparse.Namespace, model: Any, transcoders: Any, prompt: Any, budget: int | None
) -> int:
    from dataclasses import asdict

    from microtome.circuits.attribution.estimate import estimate_attribution

    told = estimate_attribution(
        model, transcoders, prompt, max_feature_nodes=options.max_features,
        max_logits=options.max_logits, budget=budget,
    )  # fmt: skip
    print(json.dumps(asdict(told) | {"total": told.total}, indent=2) if options.json else told)
    return 0


def _changed(
    options: argparse.Namespace, model: Any, transcoders: Any, prompt: Any, changes: Any
) -> FeatureIntervention:
    from microtome.circuits.attribution.intervening import feature_intervention

    return feature_intervention(model, transcoders, prompt, changes, mode=options.mode)


def _write(path: Path, model: Any, prompt: Any, circuit: Circuit) -> None:
    """A graph file, or a session of the run with the graph as its circuit."""
    if path.suffix.lower() == ".json":
        from microtome.circuits.formats.files import write_graph

        return write_graph(path, circuit)
    from dataclasses import replace

    from microtome.examining import examine
    from microtome.prompts import Question
    from microtome.session.writer import save_session

    save_session(path, replace(examine(model, Question(prompt)), circuit=circuit))
    return None


def _summary(whole: Circuit, shown: Circuit, changed: FeatureIntervention | None) -> dict[str, Any]:
    names = ("active_features", "features", "replacement_score", "completeness_score",
             "unexplored", "seconds", "notes")  # fmt: skip
    told = {name: whole.metadata[name] for name in names}
    outputs = [row for row, kind in enumerate(whole.node_kind) if kind == "output"]
    words = [
        {"word": whole.node_label[row], "logit": float(whole.node_score[row])} for row in outputs
    ]
    features = [row for row, kind in enumerate(whole.node_kind) if kind == "feature"]
    best = sorted(features, key=lambda row: -whole.node_influence[row])[:_SHOWN]
    strongest = [
        {"node": whole.node_id[row], "influence": float(whole.node_influence[row]),
         "activation": float(whole.node_score[row])} for row in best
    ]  # fmt: skip
    found = {
        "model": whole.metadata["model"], **told, "logits": words, "strongest": strongest,
        "nodes": shown.n_nodes, "edges": shown.n_edges,
    }  # fmt: skip
    if changed is not None:
        rows = [
            {"word": word, "before": before, "after": after}
            for word, before, after in changed.predictions
        ]
        found["changed"] = {"mode": changed.mode, "predictions": rows}
    return found


def _text(summary: dict[str, Any]) -> str:
    scores = [
        f"{name} {'–' if summary[key] is None else format(summary[key], '.3f')}"
        for name, key in (("replacement score", "replacement_score"),
                          ("completeness score", "completeness_score"))
    ]  # fmt: skip
    active = f"{summary['active_features']:,} active features"
    lines = [f"{summary['model']}: {active}; {', '.join(scores)}"]
    lines += [f"  {row['word']}" for row in summary["logits"][:_SHOWN]]
    lines += ["most influence:"]
    lines += [
        f"  {row['node']:16} {row['influence']:.3f}  activation {row['activation']:.3g}"
        for row in summary["strongest"]
    ]
    if "changed" in summary:
        lines += [f"predictions before and after ({summary['changed']['mode']}):"]
        lines += [
            f"  {row['word']!r:16} {row['before']:.3f} → {row['after']:.3f}"
            for row in summary["changed"]["predictions"][:_SHOWN]
        ]
    lines += [f"note: {note}" for note in summary["notes"]]
    held = f"{summary['nodes']:,} nodes, {summary['edges']:,} edges"
    return "\n".join([*lines, f"{held}, saved to {summary['file']}"])
