"""``microtome attribute``: a graph file, a session, predictions under changes, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from plain_attribution import random_set

import microtome as mt
from microtome import cli
from microtome.cli import attribute as command
from microtome.features.formats.saving import save_transcoders

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
    file = tmp_path / "graph.h5"
    assert cli.main([*given, "--out", str(file), "--whole"]) == 0
    text = capsys.readouterr().out
    session = mt.open_session(file)
    assert session.circuit is not None
    assert f"{session.circuit.n_edges:,} edges" in text
    assert session.circuit.metadata["method"] == "attribution graph"
    assert session.clean is not None


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
