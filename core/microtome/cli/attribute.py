"""``microtome attribute``: the features that carry an answer, and what edits of them do."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microtome.cli.given import add_model_options, expect_writable, load
from microtome.errors import InputError
from microtome.records.feature_edit import FEATURE_ACTIONS, FEATURE_MODES, FeatureEditSpec

if TYPE_CHECKING:
    from microtome.records.analysis import Analysis
    from microtome.records.session import Session

_EDIT = re.compile(r"(\w+)(?:=([-+.\deE]+))?:(\d+)\.(\d+)(?:@([-\d,]+))?")
_SHOWN = 12  # features that are listed
_NODES, _EDGES = 0.8, 0.98  # of circuit-tracer


def add_attribute(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("--model", required=True, help="embedded name, folder or hub id")
    add("--prompt", required=True, help="the prompt that is explained")
    add("--answer", help="the answer that the session's metric is about")
    add("--wrong", help="the word to compare it with")
    add("--transcoders", help="embedded name, folder or hub id; else those embedded for the model")
    add("--features", type=int, default=7_500, help="features that become nodes at most (7500)")
    add("--edit", action="append", default=[], metavar="EDIT",
        help="ablate:2.706@14, scale=2:2.706, set=5:2.706@3,14 or steer=-4:2.706 change feature "
        "706 of layer 2, at positions or everywhere; may be repeated")  # fmt: skip
    add("--mode", choices=FEATURE_MODES, default="free",
        help="free: all behind edits is computed anew; frozen: direct effects alone")  # fmt: skip
    add("--out", type=Path, help="the session file to write")
    add("--graph", type=Path, help="the graph file to write, as circuit-tracer reads it")
    add("--json", action="store_true", help="print the whole result as JSON")
    add_model_options(parser)


def attribute_command(options: argparse.Namespace) -> int:
    """Make the graph, try the edits, write what was asked for, and say what carries the answer."""
    from dataclasses import replace

    from microtome.attributing import attribute
    from microtome.features.formats.files import load_transcoders
    from microtome.prompts import Question

    for path in (options.out, options.graph):
        if path is not None:
            expect_writable(path)
    edits = tuple(_edit(text) for text in options.edit)
    model = load(options)
    where = options.transcoders or _embedded(model.identity.name)
    transcoders = load_transcoders(where, allow_download=options.download)
    question = Question(options.prompt, None, options.answer, options.wrong)
    session = attribute(model, transcoders, question, max_feature_nodes=options.features)
    if edits:
        marks = replace(session.marks, feature_edits=edits, feature_mode=options.mode)
        found = _tried(model, transcoders, session, edits, options.mode)
        session = replace(session, marks=marks, analyses={**session.analyses, found.id: found})
    _write(options, session)
    told = _told(session)
    print(json.dumps(told, indent=2) if options.json else _as_text(told))
    return 0


def _embedded(model: str) -> str:
    import microtome_resources as resources

    name = f"{model}/transcoders"
    if name not in resources.dictionary_names():
        raise InputError(
            f"There are no embedded transcoders for {model}.",
            "Name a folder with --transcoders; microtome train makes one.",
        )
    return name


def _edit(text: str) -> FeatureEditSpec:
    match = _EDIT.fullmatch(text.strip())
    if match is None or match[1] not in FEATURE_ACTIONS:
        raise InputError(
            f"{text!r} is no edit of a feature.",
            "Write for example ablate:2.706@14, scale=2:2.706 or steer=-4:2.706@3,14.",
        )
    action, amount, layer, feature, places = match.groups()
    if (amount is None) != (action == "ablate"):
        raise InputError(
            f"{text!r} needs {'no' if action == 'ablate' else 'a'} number.",
            "Write ablate:2.706, or scale=2:2.706, set=5:2.706, steer=-4:2.706.",
        )
    try:
        number = 0.0 if amount is None else float(amount)
        positions = None if places is None else tuple(int(at) for at in places.split(","))
    except ValueError:
        raise InputError(f"{text!r} has a number that is none.", "Write 2.5, and @3,14.") from None
    return FeatureEditSpec(int(layer), int(feature), action, number, positions)


def _tried(
    model: Any, transcoders: Any, session: Session, edits: tuple[FeatureEditSpec, ...], mode: str
) -> Analysis:
    from microtome.circuits.attribution.edited import change_of, edited_graph

    if session.circuit is None or session.question is None:
        raise InputError("There is no graph to edit.", "Give a prompt.")
    changes = [change_of(spec) for spec in edits]
    prompt = session.question.prompt
    return edited_graph(model, transcoders, prompt, session.circuit, changes, mode=mode)


def _write(options: argparse.Namespace, session: Session) -> None:
    from microtome.circuits.formats.files import format_for, write_graph
    from microtome.circuits.formats.sessions import circuit_to_write
    from microtome.session.writer import save_session

    if options.graph is not None:
        circuit = circuit_to_write(session)
        write_graph(options.graph, circuit, format_for(options.graph, circuit, None).name)
    if options.out is not None:
        save_session(options.out, session)


def _told(session: Session) -> dict[str, Any]:
    """Scores, the features with most influence, and what edits do, as plain values."""
    from microtome.circuits.influences import prune_by_influence
    from microtome.records.feature_edit import FEATURE_EDIT, FEATURE_WORDS

    circuit = session.circuit
    if circuit is None:
        return {}
    kept = prune_by_influence(circuit, _NODES, _EDGES)
    words, edited = (session.analyses.get(name) for name in (FEATURE_WORDS, FEATURE_EDIT))
    raised: dict[tuple[int, int], list[str]] = {}
    if words is not None:
        columns = (words.array(name).tolist() for name in ("layer", "number", "raised"))
        raised = {(layer, n): found for layer, n, found in zip(*columns, strict=True)}
    rows = [row for row, kind in enumerate(circuit.node_kind) if kind == "feature"]
    rows.sort(key=lambda row: -float(circuit.node_influence[row]))
    features = [
        {
            "node": circuit.node_id[row],
            "activation": float(circuit.node_score[row]),
            "influence": float(circuit.node_influence[row]),
            "raises": raised.get(
                (int(circuit.node_layer[row]), int(circuit.node_feature[row])), []
            ),
        }
        for row in rows[:_SHOWN]
    ]
    names = ("metric", "replacement_score", "completeness_score", "unexplored", "transcoders")
    told = {name: circuit.metadata[name] for name in names}
    told |= {"nodes": circuit.n_nodes, "edges": circuit.n_edges}
    told |= {"kept_nodes": kept.n_nodes, "kept_edges": kept.n_edges, "features": features}
    if edited is not None:
        columns = (edited.array(n).tolist() for n in ("word", "probability_before",
                                                      "probability_after"))  # fmt: skip
        told["changes"], told["mode"] = edited.params["changes"], edited.params["mode"]
        told["predictions"] = [
            {"word": word, "before": before, "after": after}
            for word, before, after in zip(*columns, strict=True)
        ]
    return told


def _as_text(told: dict[str, Any]) -> str:
    scores = ((name, told[f"{name}_score"]) for name in ("replacement", "completeness"))
    shares = ", ".join(f"{name} {score:.2f}" for name, score in scores if score is not None)
    lines = [
        f"{told['metric']}: {told['nodes']:,} nodes, {told['edges']:,} edges; {shares}",
        f"{told['kept_nodes']:,} nodes and {told['kept_edges']:,} edges carry most of it",
        f"{'feature':<16}{'active':>8}{'share':>8}  raises",
    ]
    lines += [
        f"{row['node']:<16}{row['activation']:>8.2f}{row['influence']:>8.3f}  "
        f"{', '.join(row['raises'])}"
        for row in told["features"]
    ]
    if "changes" in told:
        lines += [f"{'; '.join(told['changes'])} ({told['mode']})"]
        lines += [f"{'word':<16}{'before':>8}{'after':>8}"]
        lines += [
            f"{row['word']:<16}{row['before']:>8.3f}{row['after']:>8.3f}"
            for row in told["predictions"]
        ]
    return "\n".join(lines)
