"""Edges kept position by position: the same as a plain pass gives, and as the sum of them all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_edges import PlainEdges, named_edges

import microtome as mt
from microtome.circuits.discovery.methods import METHODS
from microtome.errors import InputError
from microtome.jobs import Job
from microtome.records.discovery import discovery_analysis, discovery_of
from microtome.records.positions import summed

CLEAN, CORRUPT = (5, 17, 3, 29, 17, 11), (5, 8, 3, 33, 17, 2)
PAIR, METRIC = mt.PromptPair(CLEAN, CORRUPT), mt.LogitDifference(4, 9)
SMALL = {"gpt2": {"n_layer": 2, "n_head": 2}, "llama": {"num_hidden_layers": 2},
         "bert": {"num_hidden_layers": 2, "num_attention_heads": 2}}  # fmt: skip
KEPT = tuple(name for name, row in METHODS.items() if row.positioned)


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model("gpt2", dtype="float64", **SMALL["gpt2"])


def placed(circuit):
    """Weights by the edge's name without positions, and the position."""
    found = {}
    for (writer, reader), weight in named_edges(circuit).items():
        (source, at), (target, _, there) = writer.split("@"), reader.partition("@")
        place, angle, side = there.partition("<")
        assert place == at  # the stream carries an edge at one position
        found[source, target + angle + side, int(at)] = weight
    return found


@pytest.mark.parametrize("kind", SMALL)
def test_each_position_has_its_own_slope(tiny_model, kind):
    model = tiny_model(kind, dtype="float64", **SMALL[kind])
    plain = PlainEdges(model.anatomy)
    own, other = plain.written(CLEAN), plain.written(CORRUPT)
    step = {name: own[name] - other[name] for name in own}

    def metric(logits):
        return logits[-1, 4] - logits[-1, 9]

    slopes = plain.slopes(CLEAN, step, metric, shape=(len(CLEAN), 1))
    found = placed(mt.discover_circuit(model, PAIR, METRIC, "eap", by_position=True))
    wanted = {
        (writer, reader, at): float(slope[at])
        for (writer, reader), slope in slopes.items()
        for at in range(len(CLEAN))
        if reader != "logits" or at == len(CLEAN) - 1
    }
    assert found.keys() == wanted.keys()
    largest = max(map(abs, wanted.values()))
    assert largest > 0.01
    assert sum(abs(value) > 1e-3 * largest for value in wanted.values()) > 100
    for edge, value in wanted.items():
        assert found[edge] == pytest.approx(value, rel=1e-6, abs=1e-8 * largest)


@pytest.mark.parametrize("method", KEPT)
def test_positions_add_up_to_the_whole(model, method):
    pairs = [PAIR, mt.PromptPair((9, 2, 31, 7, 7, 20), (9, 4, 31, 7, 12, 20))]
    whole = mt.discover_circuit(model, pairs, METRIC, method, steps=2)
    heard = []
    job = Job(on_partial=lambda _, value: heard.append(value))
    circuit = mt.discover_circuit(
        model, pairs, METRIC, method, steps=2, by_position=True, budget=1, job=job
    )
    sums = {}
    for (writer, reader, _), weight in placed(circuit).items():
        share = weight / len(CLEAN) if method == "routes" else weight  # there the whole is a mean
        sums[writer, reader] = sums.get((writer, reader), 0.0) + share
    wanted = named_edges(whole)
    assert sums.keys() == wanted.keys()
    for edge, value in wanted.items():
        assert sums[edge] == pytest.approx(value, rel=1e-5, abs=1e-6)
    assert set(circuit.node_position.tolist()) == set(range(len(CLEAN)))
    assert circuit.node_score[circuit.row("a0.h1@3")] == pytest.approx(
        circuit.edge_weight[circuit.edge_source == circuit.row("a0.h1@3")].sum(), abs=1e-6
    )
    told = circuit.metadata
    assert told["tokens"] == list(model.tokenize(CLEAN).texts)
    assert (told["aggregated"], told["by_position"]) == (False, True)
    assert heard[0].node_id == circuit.node_id
    back = discovery_of(discovery_analysis(circuit))
    assert (back.node_id, back.metadata) == (circuit.node_id, told)
    np.testing.assert_array_equal(back.edge_weight, circuit.edge_weight)
    np.testing.assert_array_equal(back.edge_target, circuit.edge_target)


def test_files_keep_positions_or_add_them_up(model, tmp_path):
    circuit = mt.discover_circuit(model, PAIR, METRIC, by_position=True)
    sums = named_edges(mt.discover_circuit(model, PAIR, METRIC))
    for name in ("graph.graphml", "graph.json"):
        mt.write_graph(tmp_path / name, circuit)
        back = mt.read_graph(tmp_path / name)
        assert back.n_edges == circuit.n_edges
        assert sorted(back.node_position.tolist()) == sorted(circuit.node_position.tolist())
    mt.write_graph(tmp_path / "scores.pt", circuit, format="auto-circuit")
    tensors = torch.load(tmp_path / "scores.pt", weights_only=True)
    assert {len(each) for each in tensors.values()} == {len(CLEAN)}
    back = placed(mt.read_graph(tmp_path / "scores.pt"))
    for edge, value in placed(circuit).items():
        assert back.get(edge, 0.0) == pytest.approx(value, abs=1e-6)
    mt.write_graph(tmp_path / "eap.json", circuit, format="eap")
    for edge, value in named_edges(mt.read_graph(tmp_path / "eap.json")).items():
        assert value == pytest.approx(sums[edge], abs=1e-5)


def test_what_has_no_positions_is_refused_with_a_way_out(model):
    uneven = [PAIR, mt.PromptPair(CLEAN[:4], CORRUPT[:4])]
    with pytest.raises(InputError, match=r"4, 6 tokens.*one length"):
        mt.discover_circuit(model, uneven, METRIC, by_position=True)
    for method in set(METHODS) - set(KEPT):
        with pytest.raises(InputError, match=rf"{method}.*two-point, eap"):
            mt.discover_circuit(model, PAIR, METRIC, method, by_position=True)


def test_what_is_tested_of_positions_are_their_sums(model):
    """An edge is taken away at all positions at once, and a result says so."""
    known = ["input->a0.h1<v>", "a0.h1->a1.h0<k>", "a1.h0->logits"]
    found = [mt.discover_circuit(model, PAIR, METRIC, by_position=kept) for kept in (True, False)]
    kept, whole = (mt.faithfulness(model, circuit, PAIR, METRIC) for circuit in found)
    np.testing.assert_allclose(kept.faithfulness, whole.faithfulness, atol=1e-6)
    np.testing.assert_array_equal(kept.counts, whole.counts)
    assert (kept.params["summed"], whole.params.get("summed")) == (len(CLEAN), None)
    assert kept.params["id"] != whole.params["id"]
    assert mt.edge_auc(found[0], known) == mt.edge_auc(found[1], known)
    judged, other = (mt.judge_circuit(model, one, PAIR, METRIC, share=0.5) for one in found)
    np.testing.assert_allclose(judged.gaps, other.gaps, atol=1e-6)
    sums = summed(found[0])
    np.testing.assert_allclose(sums.edge_weight, found[1].edge_weight, atol=1e-6)
    assert summed(sums) is sums
