"""``microtome attribute``: a graph file, a session, predictions under changes, bad input."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_attribution import random_set

import microtome as mt
from microtome import cli
from microtome.cli import attribute as command
from microtome.features.formats.saving import save_transcoders
from microtome.records.feature_card import feature_card
from microtome.records.feature_edit import FEATURE_EDIT
from microtome.records.feature_index import FEATURE_INDEX, index_of
from microtome.records.feature_names import feature_names

PROMPT = "the keys to the old cabinet"


@pytest.fixture
def given(embedded: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The model that the tests share, and a folder of transcoders as circuit-tracer has them."""
    model = embedded("words-4l")
    monkeypatch.setattr(command, "load", lambda _options: model)
    folder = save_transcoders(random_set(model, rule="relu", d_sae=16), tmp_path / "set")
    return ["attribute", "words-4l", PROMPT, "--transcoders", str(folder or tmp_path / "set")]


def test_a_graph_file_is_pruned_and_a_session_holds_it(
    given: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "graph.json"
    change = ["--change", "set:2.3@-1=50", "--mode", "frozen"]
    assert cli.main([*given, "--out", str(out), "--json", *change]) == 0
    told = json.loads(capsys.readouterr().out)
    read = mt.read_graph(out)
    assert (told["nodes"], told["edges"]) == (read.n_nodes, read.n_edges)
    assert told["active_features"] == told["features"] > read.node_kind.count("feature")
    assert read.metadata["changes"] == ["set 50 L2 F3 at -1"]
    rows = told["changed"]["predictions"]
    assert any(abs(row["before"] - row["after"]) > 0.01 for row in rows)


def test_a_session_holds_the_graph_its_cards_and_what_changes_do(
    embedded: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    """With a cross-layer set, as a researcher trains one."""
    model = embedded("words-4l")
    monkeypatch.setattr(command, "load", lambda _options: model)
    sets = random_set(model, rule="relu", d_sae=16, crosses=True)
    save_transcoders(sets, tmp_path / "set")
    text, labels, file = (tmp_path / name for name in ("a.txt", "labels.json", "graph.h5"))
    text.write_text("Mary and John went to the store .\n\nthe keys to the old cabinet .\n" * 9)
    labels.write_text(json.dumps({str(number): f"label {number}" for number in range(16)}))
    change = ["--change", "set:2.3@-1=50", "--write", "3"]
    more = ["--text", str(text), "--labels", f"1={labels}", "--answer", "is", "--wrong", "are"]
    asked = ["attribute", "words-4l", PROMPT, "--transcoders", str(tmp_path / "set")]
    assert cli.main([*asked, "--out", str(file), *change, *more]) == 0
    printed = capsys.readouterr().out
    session = mt.open_session(file)
    circuit = session.circuit
    assert circuit is not None
    assert f"{circuit.n_edges:,} edges" in printed
    assert (circuit.metadata["method"], circuit.metadata["crosses"]) == ("attribution graph", True)
    assert circuit.metadata["changes"] == []
    assert (session.metric["answer"].strip(), session.checks.passed) == ("is", True)
    kinds = {analysis.kind for analysis in session.analyses.values()}
    assert {"logit-lens", "feature-words", FEATURE_EDIT, "generation"} <= kinds
    (edit,) = session.marks.feature_edits
    assert (edit.layer, edit.feature, edit.amount) == (2, 3, 50)
    moved = session.analyses[FEATURE_EDIT]
    assert np.nanmax(np.abs(moved.array("after") - moved.array("before"))) > 1
    prints = circuit.metadata["transcoders_fingerprints"]
    assert [one.fingerprint for one in session.dictionaries] == prints
    held = {
        a.params["fingerprint"]: a for a in session.analyses.values() if a.kind == FEATURE_INDEX
    }
    assert set(held) == set(prints)
    written = sets.decoder(1)[5].sum(dim=0)  # to all layers
    raised = feature_card(index_of(held[prints[1]]), 5).raised[0].text
    assert raised == raised_most(model, written)
    names = feature_names(circuit, session.analyses.values(), ())
    labelled = [name for node, name in names.items() if node.startswith("1_")]
    assert labelled
    assert all(re.fullmatch(r"L1 F(\d+) \N{MIDDLE DOT} label \1", name) for name in labelled)
    others = [name for node, name in names.items() if node.startswith("2_")]
    assert others
    assert all(" \N{MIDDLE DOT} " in name for name in others)
    graph = tmp_path / "graph.json"
    assert cli.main([*asked, "--out", str(graph), "--whole", *more[:4]]) == 0
    assert set(labelled) <= set(mt.read_graph(graph).node_label)
    assert cli.main([*asked, "--out", str(file), "--labels", "9=x"]) == 2
    assert "names no labels of a layer" in capsys.readouterr().err


def raised_most(model: Any, written: torch.Tensor) -> str:
    """The word that a direction raises most, by hand."""
    anatomy = model.anatomy
    written = (written - written.mean()).double() * anatomy.final_norm.weight.double()
    return str(model.token_text(int((anatomy.unembedding.double() @ written).argmax())))


def test_memory_is_told_without_a_graph(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*given, "--estimate", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["fits"]
    assert (
        told["total"]
        == told["rows"] + told["walk"] + told["edges"] + told["copies"] + told["carried"]
    )


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], "Nothing would be written"),
        (["--out", "x.txt"], "neither .json nor .h5"),
        (["--out", "x.json", "--change", "twist:1.2=3"], "'twist'"),
        (["--out", "x.json", "--change", "scale:1.2"], "needs a number"),
        (["--out", "x.json", "--change", "L1F2"], "no change of a feature"),
        (["--out", "x.json", "--budget", "1kB"], "the budget is 1.0 kB"),
        (["--out", "x.json", "--max-features", "0"], "graph of 0 features"),
    ],
)
def test_bad_input_is_one_line(
    given: list[str], more: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    more = [str(tmp_path / text) if text.startswith("x.") else text for text in more]
    assert cli.main([*given, *more]) == 2
    errors = capsys.readouterr().err
    assert told in errors
    assert errors.count("\n") == 1
    assert not list(tmp_path.glob("x.*"))


def test_the_embedded_transcoders_are_taken_where_none_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt, out = "The nurse said that", str(tmp_path / "graph.json")
    assert cli.main(["attribute", "words-4l", prompt, "--out", out]) == 0
    assert "replacement score" in capsys.readouterr().out
    assert cli.main(["attribute", "induction-exact", "mole jay", "--out", out]) == 2
    assert "microtome train" in capsys.readouterr().err
