"""Discovered circuits in sessions and from the command line: what was asked is told whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import microtome as mt
from microtome.cli import main
from microtome.records.discovery import discovery_analysis, discovery_of
from microtome.records.edges import scores_of
from microtome.records.judgement import judgement_of

PAIRS = [
    mt.PromptPair(
        "When Mary and John went to the store, John gave a drink to",
        "When Mary and John went to the store, Mary gave a drink to",
    ),
    mt.PromptPair(
        "When Anna and Tom went to the store, Tom gave a drink to",
        "When Anna and Tom went to the store, Anna gave a drink to",
    ),
]
METRICS = [mt.LogitDifference("Mary", "John"), mt.LogitDifference("Anna", "Tom")]


@pytest.fixture(scope="module")
def model():
    return mt.load_model("words-4l")


@pytest.fixture(scope="module")
def circuit(model):
    return mt.discover_circuit(model, PAIRS, METRICS)


def test_a_circuit_comes_back_from_its_analysis(circuit):
    analysis = discovery_analysis(circuit)
    again = discovery_of(analysis)
    np.testing.assert_array_equal(scores_of(again), scores_of(circuit))
    assert again.node_id == circuit.node_id
    assert again.metadata == circuit.metadata


def test_all_metrics_and_the_model_are_told(model, circuit):
    assert circuit.metadata["metrics"] == [metric.resolve(model).name(model) for metric in METRICS]
    assert circuit.metadata["fingerprint"] == model.identity.fingerprint


def test_another_metric_is_another_question(model, circuit):
    swapped = [METRICS[0], mt.LogitDifference("Tom", "Anna")]
    other = mt.discover_circuit(model, PAIRS, swapped)
    assert discovery_analysis(other).id != discovery_analysis(circuit).id
    again = mt.discover_circuit(model, PAIRS, METRICS)
    assert discovery_analysis(again).id == discovery_analysis(circuit).id

    sizes = [0.1, 1.0]
    curves = [
        mt.faithfulness(model, circuit, PAIRS, metric, sizes=sizes)
        for metric in (METRICS, METRICS, swapped, mt.KL())
    ]
    same, twin, *others = (curve.params["id"] for curve in curves)
    assert same == twin
    assert len({same, *others}) == 3


def test_another_corrupt_prompt_is_another_question(model, circuit):
    names = [PAIRS[0].corrupt, PAIRS[1].corrupt.replace("Anna gave", "Mary gave")]
    pairs = [mt.PromptPair(pair.clean, name) for pair, name in zip(PAIRS, names, strict=True)]
    ids = {
        mt.faithfulness(model, circuit, data, METRICS, sizes=[1.0]).params["id"]
        for data in (PAIRS, pairs)
    }
    assert len(ids) == 2


def test_the_command_line_finds_saves_and_tells(tmp_path, capsys):
    session, table = tmp_path / "found.h5", tmp_path / "edges.csv"
    asked = ["discover", "--model", "words-4l", "--set", "name", "--limit", "3"]
    more = ["--out", str(session), "--csv", str(table), "--judge", "0.05", "--json"]
    assert main([*asked, *more]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["edges"]) == 479
    assert told["faithfulness"]["by_magnitude"][-1] == pytest.approx(1)
    assert len(table.read_text(encoding="utf-8").splitlines()) == 480
    held = mt.open_session(session).analyses
    kinds = {each.kind for each in held.values()}
    assert {"discovery", "faithfulness", "judgement", "stability"} <= kinds
    judged = judgement_of(next(each for each in held.values() if each.kind == "judgement"))
    worth = dict(zip(judged.nodes, judged.minimality, strict=True))
    assert told["judged"]["nodes"] == pytest.approx(worth)
    assert told["judged"]["incompleteness"] == pytest.approx(judged.incompleteness)
    assert len(told["judged"]["overlap"]) == 5
    found = next(each for each in held.values() if each.kind == "discovery")
    assert len(found.params["metrics"]) == 3
    assert scores_of(discovery_of(found)).max() == pytest.approx(
        max(edge["score"] for edge in told["edges"]), rel=1e-5
    )


def test_each_block_of_the_command_names_its_metric(capsys):
    asked = ["discover", "--model", "words-4l", "--set", "name", "--limit", "1"]
    more = ["--method", "acdc", "--tau", "0.5", "--judge", "0.5"]
    assert main([*asked, *more]) == 0
    lines = capsys.readouterr().out.splitlines()
    search, curve, judged = (
        next(line for line in lines if word in line) for word in ("1 prompts", "CPR", "Judged")
    )
    assert "KL from clean" in search
    assert "KL" not in curve
    assert "Kept of logit(" in curve
    assert "Judged by KL from clean" in judged


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--prompt", "The keys"], "Resampling"),
        (["--set", "name", "--prompt", "The keys"], "either"),
        (["--set", "name", "--limit", "0"], "--limit"),
        (["--set", "name", "--limit", "2", "--steps", "0"], "steps"),
        (["--set", "name", "--limit", "2", "--method", "eap", "--metric", "kl"], "gradient"),
        (["--set", "name", "--limit", "2", "--ablate", "mean", "--method", "exact"], "over"),
        (["--set", "nothing"], "nothing"),
    ],
)
def test_bad_input_is_one_line(more, words, capsys, tmp_path):
    out = tmp_path / "none.h5"
    assert main(["discover", "--model", "words-4l", *more, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_a_reader_that_has_enough_is_no_error():
    """``microtome discover … | head -1``: the pipe closes before the rest is written."""
    python = [sys.executable, "-c", "import sys; from microtome.cli import main; sys.exit(main())"]
    asked = ["discover", "--model", "words-4l", "--set", "name", "--limit", "1", "--untested"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*python, *asked], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode == 141
    said = done.stderr.decode()
    assert said.count("\n") == 1
    assert "passes for 479 edges" in said
