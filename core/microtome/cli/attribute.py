"""``microtome attribute``: the graph of features behind an answer, as a graph file or a session.

A graph file holds the pruned graph. A session holds all of it with the run, what a text shows of
its features, and what changes of them do: as the window makes it, and opens it without the model.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from microtome.cli.given import (
    add_model_options,
    expect_writable,
    ids,
    load,
    progress_job,
    size,
    text_source,
    token_id,
)
from microtome.errors import InputError

if TYPE_CHECKING:
    from microtome.attributing import GraphSettings
    from microtome.prompts import Question
    from microtome.records.analysis import Analysis
    from microtome.records.circuit import Circuit
    from microtome.records.feature_edit import FeatureEditSpec
    from microtome.records.session import Session

_CHANGE = re.compile(r"(\w+):(\d+)\.(\d+)(?:@(-?\d+(?:,-?\d+)*))?(?:=(-?[0-9.eE+-]+))?")
_SHOWN = 8  # features and words that are printed


def add_attribute(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("model", help="embedded name, folder or hub id")
    add("prompt", help="the prompt, or comma-separated token ids with --ids")
    add("--transcoders", help="a set of transcoders: folder or hub id; else the embedded one")
    add("--out", type=Path, help="the graph (.json) or session (.h5) to write")
    add("--ids", action="store_true", help="prompt and answers are token ids")
    add("--answer", help="the word that should follow, for the session's metric")
    add("--wrong", help="the word to compare it with")
    add("--max-features", type=int, default=7500, help="features that become nodes, at most")
    add("--max-logits", type=int, default=10, help="logits that become nodes, at most")
    add("--probability", type=float, default=0.95, help="what these logits together reach")
    add(
        "--nodes", type=float, default=0.8, help="share of influence that a graph file's nodes have"
    )
    add("--edges", type=float, default=0.98, help="share of influence that its edges have")
    add("--whole", action="store_true", help="write all nodes and edges, as a session always has")
    add("--budget", help="memory of direct effects: 96, 0.5 (MB), 500kB, 1.5GB or 64MiB")
    add("--estimate", action="store_true", help="say what it takes of memory, and stop")
    add("--change", action="append", default=[], metavar="ACTION:LAYER.FEATURE[@POSITIONS][=X]",
        help="ablate:2.1207, scale:2.1207@-1=2, set:… or steer:…; may come again")  # fmt: skip
    add("--mode", choices=("frozen", "free"), default="free",
        help="predictions under changes by the graph alone, or with all else computed anew; "
        "a graph file has the graph of the free run, a session that before the changes and "
        "what they do to it")  # fmt: skip
    add("--write", type=int, default=0, metavar="TOKENS",
        help="with changes: tokens that the model writes on, without and with them")  # fmt: skip
    add("--text", help="look this text through, so that features have examples and labels")
    add("--limit", type=int, default=100_000, help="tokens of the text that are read")
    add("--labels", action="append", default=[], metavar="LAYER=FILE",
        help="published labels of a layer's features; may come again")  # fmt: skip
    add("--json", action="store_true", help="print a summary as JSON")
    add_model_options(parser)


def attribute(options: argparse.Namespace) -> int:
    """Make the graph, write what was asked for, and say what it holds."""
    _expect_place(options)
    from microtome.attributing import GraphSettings

    edits = tuple(read_change(text) for text in options.change)
    budget = None if options.budget is None else size(options.budget)
    model = load(options)
    transcoders = _transcoders(options, model.identity.name)
    question = _question(options)
    settings = GraphSettings(options.max_features, options.probability, options.max_logits, budget)
    if options.estimate:
        return _estimate(options, settings.estimate(model, transcoders, question))
    known = _known(options, model, transcoders)
    made = _Made(options, model, transcoders, question, settings)
    write = made.file if options.out.suffix.lower() == ".json" else made.session
    summary = write(edits, known) | {"file": str(options.out)}
    print(json.dumps(summary, indent=2) if options.json else _text(summary))
    return 0


def _question(options: argparse.Namespace) -> Question:
    from microtome.prompts import Question

    words: Any = token_id if options.ids else str
    answer, wrong = (None if one is None else words(one) for one in (options.answer, options.wrong))
    prompt: Any = ids(options.prompt) if options.ids else options.prompt
    return Question(prompt, None, answer, wrong)


def _expect_place(options: argparse.Namespace) -> None:
    if options.out is None and not options.estimate:
        raise InputError("Nothing would be written.", "Give --out graph.json or --out graph.h5.")
    if options.out is not None:
        expect_writable(options.out)
        if options.out.suffix.lower() not in {".json", ".h5"}:
            raise InputError(f"{options.out.name} is neither .json nor .h5.", "Choose one of them.")


@dataclass(frozen=True, slots=True)
class _Made:
    """What is asked for, and the two things that it can be written as."""

    options: argparse.Namespace
    model: Any
    transcoders: Any
    question: Question
    settings: GraphSettings

    def file(
        self, edits: tuple[FeatureEditSpec, ...], known: Mapping[str, Analysis]
    ) -> dict[str, Any]:
        """A graph file, of the run in which the edits act, with its features' labels."""
        from microtome.attributing import graph_of
        from microtome.circuits.attribution.edited import change_of
        from microtome.circuits.attribution.intervening import feature_intervention
        from microtome.circuits.formats.files import write_graph
        from microtome.circuits.influences import prune_by_influence
        from microtome.records.feature_names import feature_names, with_names

        options = self.options
        given = self.model, self.transcoders, self.question
        whole = graph_of(*given, edits=edits, settings=self.settings, job=progress_job())
        part = whole if options.whole else prune_by_influence(whole, options.nodes, options.edges)
        write_graph(options.out, with_names(part, feature_names(part, known.values(), ())))
        told = _summary(whole, part)
        if edits:
            changes = [change_of(spec) for spec in edits]
            found = feature_intervention(
                self.model, self.transcoders, self.question.prompt, changes, mode=options.mode
            )
            told["changed"] = _changed(options.mode, found.predictions)
        return told

    def session(
        self, edits: tuple[FeatureEditSpec, ...], known: Mapping[str, Analysis]
    ) -> dict[str, Any]:
        """A session: the run, its whole graph, what edits do to both, and the features' cards."""
        from microtome.attributing import attribute as made_session
        from microtome.attributing import with_feature_edits
        from microtome.selfcheck.suite import self_check
        from microtome.session.writer import save_session

        options, job = self.options, progress_job()
        given = self.model, self.transcoders
        made = made_session(*given, self.question, settings=self.settings, job=job)
        made = with_feature_edits(
            made, *given, edits, mode=options.mode, written=options.write, job=job
        )
        analyses = MappingProxyType({**made.analyses, **known})
        made = replace(made, analyses=analyses, checks=self_check(self.model))
        save_session(options.out, made)
        if made.circuit is None:
            raise InputError("The model has no graph of features.")
        return _summary(made.circuit, made.circuit) | _told_edits(made, options.mode)


def _known(options: argparse.Namespace, model: Any, transcoders: Any) -> dict[str, Analysis]:
    """What a text shows of the features, and their published labels."""
    from microtome.attributing import card_indexes
    from microtome.features.label_files import read_labels
    from microtome.records.feature_labels import labels_analysis

    found: list[Analysis] = []
    for text in options.labels:
        number, _, file = text.partition("=")
        if not file or not number.isdecimal() or int(number) >= transcoders.n_layers:
            raise InputError(
                f"{text!r} names no labels of a layer.", "Write for example 2=labels.jsonl."
            )
        one = transcoders.layers[int(number)].identity
        found.append(labels_analysis(read_labels(file, one.fingerprint, n_features=one.d_sae)))
    if options.text:
        source = text_source(options.text)
        found += card_indexes(model, transcoders, source, limit=options.limit, job=progress_job())
    return {one.id: one for one in found}


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


def read_change(text: str) -> FeatureEditSpec:
    """A change as it is typed. Raises InputError for what is none."""
    from microtome.records.feature_edit import FeatureEditSpec

    found = _CHANGE.fullmatch(text)
    if not found:
        raise InputError(
            f"{text!r} is no change of a feature.", "Write for example scale:2.1207@-1=3."
        )
    action, layer, feature, at, amount = found.groups()
    positions = None if at is None else tuple(int(one) for one in at.split(","))
    if (amount is None) != (action == "ablate"):
        raise InputError(f"{text!r} needs a number, unless it ablates.", "End it with =2, say.")
    return FeatureEditSpec(int(layer), int(feature), action, float(amount or 0), positions)


def _estimate(options: argparse.Namespace, told: Any) -> int:
    print(json.dumps(asdict(told) | {"total": told.total}, indent=2) if options.json else told)
    return 0


def _changed(mode: str, predictions: Any) -> dict[str, Any]:
    rows = [{"word": str(word), "before": before, "after": after}
            for word, before, after in predictions]  # fmt: skip
    return {"mode": mode, "predictions": rows}


def _told_edits(session: Session, mode: str) -> dict[str, Any]:
    """What the edits of a session do, for the summary."""
    from microtome.records.feature_edit import FEATURE_EDIT, FEATURE_TEXT
    from microtome.records.generation import generations_of

    held, text = (session.analyses.get(name) for name in (FEATURE_EDIT, FEATURE_TEXT))
    if held is None:
        return {}
    names = ("word", "probability_before", "probability_after")
    columns = (held.array(name).tolist() for name in names)
    told = _changed(mode, zip(*columns, strict=True))
    if text is not None:
        told["texts"] = [None if one is None else one.text for one in generations_of(text)]
    return {"changed": told}


def _summary(whole: Circuit, shown: Circuit) -> dict[str, Any]:
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
    return {
        "model": whole.metadata["model"], **told, "logits": words, "strongest": strongest,
        "nodes": shown.n_nodes, "edges": shown.n_edges,
    }  # fmt: skip


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
        lines += [f"  writes {text!r}" for text in summary["changed"].get("texts", ())]
    lines += [f"note: {note}" for note in summary["notes"]]
    held = f"{summary['nodes']:,} nodes, {summary['edges']:,} edges"
    return "\n".join([*lines, f"{held}, saved to {summary['file']}"])
