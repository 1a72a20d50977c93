"""``microtome import`` and ``microtome export``: a graph file into a session, and back."""

from __future__ import annotations

import json

import graph_samples as samples
import pytest

from microtome import cli
from microtome.records.marks import Supernode
from microtome.session.reader import info, open_session


@pytest.fixture
def imported(tmp_path):
    graph = samples.write(tmp_path / "graph.json", samples.current())
    assert cli.main(["import", str(graph), "--out", str(tmp_path / "s.h5")]) == 0
    return tmp_path / "s.h5"


def test_a_graph_goes_into_a_session_and_comes_out_as_it_was(imported, capsys):
    session = open_session(imported)
    assert (session.model.name, session.model.n_layers) == (samples.SCAN, 4)
    assert session.traces == ()
    assert session.marks.pins == ("3_70000_3", "6_4321_3")
    assert session.marks.supernodes == (
        Supernode("capital", ("0_5_1", "3_70000_3")), Supernode("capital", ("2_-1_3",)),
    )  # fmt: skip
    assert info(imported)["circuit"]["method"] == "attribution graph"
    again = imported.with_name("again.json")
    assert cli.main(["export", str(imported), "--graph", str(again)]) == 0
    assert json.loads(again.read_text()) == samples.current()
    assert "7 nodes, 6 edges" in capsys.readouterr().out


def test_notes_and_the_sign_are_told(tmp_path, capsys):
    given = samples.eap()
    graph = samples.write(tmp_path / "e.json", given)
    out = ["--out", str(tmp_path / "s.h5")]
    assert cli.main(["import", str(graph), *out, "--opposite-sign", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["nodes"], found["cyclic"]) == ("eap", 8, False)
    circuit = open_session(tmp_path / "s.h5").circuit
    assert circuit.edge_weight[0] == -given["edges"]["input->a0.h0<q>"]["score"]
    given = samples.current()
    given["links"].append(samples.link("gone", "0_5_1", 1.0))
    assert cli.main(["import", str(samples.write(graph, given)), *out]) == 0
    assert "note: 1 link had an end" in capsys.readouterr().out


def test_a_session_of_a_run_is_written_with_its_marks_and_tokens(tmp_path, session_file):
    out = tmp_path / "graph.json"
    given = ["export", str(session_file), "--graph", str(out), "--format", "graphml"]
    assert cli.main(given) == 0
    assert out.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["import", "none.json", "--out", "s.h5"], "There is no file none.json"),
        (["import", "bad.json", "--out", "s.h5"], "ends too early"),
        (["import", "good.json", "--out", "gone/s.h5"], "There is no folder gone"),
        (["export", "none.h5", "--graph", "g.json"], "There is no file none.h5"),
        (["export", "s0.h5", "--graph", "g.dot"], "g.dot ends like no graph file"),
        (["export", "s0.h5", "--graph", "g.json", "--format", "x"], "no graph format 'x'"),
        (["export", "s0.h5", "--graph", "g.json", "--format", "acdc"], "has a feature"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(tmp_path)
    samples.write(tmp_path / "good.json", samples.current())
    (tmp_path / "bad.json").write_text('{"nodes": [')
    if "s0.h5" in arguments:
        assert cli.main(["import", "good.json", "--out", "s0.h5"]) == 0
    before = {path.name for path in tmp_path.iterdir()}
    capsys.readouterr()
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert told in said
    assert len(said.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == before
