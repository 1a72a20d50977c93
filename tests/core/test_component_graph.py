"""The public circuit of a prompt or pair: known circuits, what is recorded, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import microtome_resources
from microtome.circuits.coefficients import Rule
from microtome.circuits.component import CANCELLATION_WARNING, component_graph
from microtome.circuits.prune import prune
from microtome.errors import AnswerError, Cancelled, MetricError, PromptError
from microtome.jobs import Job
from microtome.metrics import LogitDifference, LogitOverMean
from microtome.prompts import PromptPair, Question
from microtome.records.circuit import HEAD, MLP, OUTPUT, EdgeKind

IDS = (3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5)
CORRUPT = (3, 17, 4, 4, 60, 22, 9, 31, 44, 3, 17, 5)
EXACT = ("induction-exact", "induction-exact-tiny")


def edges_of(circuit) -> dict[tuple[str, str, int], float]:
    ends = zip(circuit.edge_source, circuit.edge_target, circuit.edge_kind, strict=True)
    names = [(circuit.node_id[s], circuit.node_id[t], int(k)) for s, t, k in ends]
    return dict(zip(names, circuit.edge_weight.tolist(), strict=True))


# ------------------------------------------------------------------- the compiled model


def known(name: str) -> tuple[dict, set[tuple[str, str, int]]]:
    """The compiled circuit as the model's own files tell it."""
    folder = microtome_resources.embedded_model(name).folder
    circuit = json.loads((folder / "ground_truth.json").read_text())["circuit"]

    def node(part: dict) -> str:
        if "metric" in part:
            return "OUT"
        if "head" in part:
            layer, head = part["head"]
            return f"L{layer}H{head}@{part['position']}"
        return f"{'T' if 'token' in part else 'P'}@{part['position']}"

    edges = {
        (node(edge["source"]), node(edge["target"]), int(EdgeKind[edge["kind"].upper()]))
        for edge in circuit["edges"]
    }
    return circuit, edges


@pytest.mark.parametrize("name", EXACT)
def test_the_compiled_circuit_is_found_whole_and_alone(embedded, name):
    asked, expected = known(name)
    found = edges_of(component_graph(embedded(name), asked["prompt"]))
    weakest = min(abs(found.get(edge, 0.0)) for edge in expected)
    rest = max((abs(weight) for edge, weight in found.items() if edge not in expected), default=0)
    assert len(expected) == 7
    assert weakest > 1
    assert weakest >= 20 * rest


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("share", [0.3, 0.8, 1.0])
def test_the_compiled_circuit_is_what_is_shown(embedded, name, share):
    asked, expected = known(name)
    shown = prune(component_graph(embedded(name), asked["prompt"]), edge_share=share)
    assert set(edges_of(shown)) == expected


@pytest.mark.parametrize("name", EXACT)
def test_replacing_the_matched_token_lets_everything_flow_along_one_path(embedded, name):
    asked, _ = known(name)
    pair = PromptPair(asked["prompt"], asked["matched_token_replaced"])
    circuit = component_graph(embedded(name), pair)
    influence = {circuit.node_id[row]: flow for row, flow in enumerate(circuit.node_influence)}
    through = edges_of(circuit)
    order = np.argsort(-circuit.edge_influence)
    path = [
        (circuit.node_id[circuit.edge_source[e]], circuit.node_id[circuit.edge_target[e]])
        for e in order[:3]
    ]
    assert path == [("L1H0@10", "OUT"), ("L0H0@5", "L1H0@10"), ("T@4", "L0H0@5")]
    assert circuit.edge_influence[order[:3]] == pytest.approx(1.0, abs=1e-6)
    assert circuit.edge_influence[order[3:]].max(initial=0) < 1e-6
    for node in ("T@4", "L0H0@5", "L1H0@10", "OUT"):
        assert influence[node] == pytest.approx(1.0, abs=1e-6)
    difference = circuit.metadata["metric_value"] - circuit.metadata["metric_value_corrupt"]
    assert through["T@4", "L0H0@5", int(EdgeKind.VALUE)] == pytest.approx(difference, rel=1e-5)


def test_a_gradient_does_not_see_saturated_attention(embedded):
    asked, _ = known("induction-exact")
    pair = PromptPair(asked["prompt"], asked["matched_token_replaced"])
    circuit = component_graph(embedded("induction-exact"), pair, rule=Rule.EAP_CLEAN)
    keys = circuit.edge_weight[circuit.edge_kind == EdgeKind.KEY]
    assert np.abs(keys).max(initial=0.0) < 1e-3
    assert any("saturated" in note for note in circuit.metadata["notes"])


# ------------------------------------------------------------------- what is recorded


def test_the_circuit_sums_as_its_columns_say(tiny_model, family):
    circuit = component_graph(tiny_model(family), IDS, tau=0.0, keep=10**6)
    scale = 1e-5 * max(1.0, float(np.abs(circuit.node_score).max()))
    incoming, outgoing = np.zeros(circuit.n_nodes), np.zeros(circuit.n_nodes)
    carries = np.isin(circuit.edge_kind, (EdgeKind.VALUE, EdgeKind.MLP, EdgeKind.OUT))
    np.add.at(incoming, circuit.edge_target[carries], circuit.edge_weight[carries])
    np.add.at(outgoing, circuit.edge_source, circuit.edge_weight)
    inner = np.isin(circuit.node_kind, (HEAD, MLP, OUTPUT))
    rest = incoming + circuit.node_bias - circuit.node_score
    assert np.abs(rest[inner]).max() < scale
    assert np.abs((outgoing - circuit.node_score)[:-1]).max() < scale
    assert circuit.node_id[-1] == "OUT"
    assert circuit.node_score[-1] == pytest.approx(circuit.metadata["metric_value"], abs=scale)


def test_nodes_say_where_they_are(tiny_model):
    circuit = component_graph(tiny_model("gpt2"), IDS, LogitDifference(5, 9, position=7))
    columns = zip(circuit.node_id, circuit.node_layer, circuit.node_position, circuit.node_head,
                  circuit.node_label, strict=True)  # fmt: skip
    found = {name: tuple(rest) for name, *rest in columns}
    assert len(found) == circuit.n_nodes
    assert found["T@3"] == (-1, 3, -1, "<4>")
    assert found["P@0"] == (-1, 0, -1, "pos 0")
    assert found["OUT"] == (3, 7, -1, circuit.metadata["metric"])
    for name, (layer, position, head, label) in found.items():
        if name.startswith("L"):
            assert name == f"L{layer}H{head}@{position}"
            assert label == f"L{layer}H{head}"
        if name.startswith("M"):
            assert (name, label, head) == (f"M{layer}@{position}", f"M{layer}", -1)
    assert circuit.node_position.max() == 11
    assert circuit.node_position[circuit.node_influence > 0].max() == 7


def test_metadata_is_plain_and_says_how_it_was_made(tiny_model):
    model = tiny_model("llama")
    pair = component_graph(model, PromptPair(IDS, CORRUPT), LogitOverMean(4)).metadata
    single = component_graph(model, IDS, LogitOverMean(4), values_only=True).metadata
    assert json.loads(json.dumps(pair)) == pair
    assert (pair["rule"], pair["values_only"]) == ("two-point", False)
    assert (single["rule"], single["values_only"]) == ("single", True)
    assert "metric_value_corrupt" not in single
    assert pair["metric_value"] == single["metric_value"]
    logits = model.forward(torch.tensor([IDS]))[0, -1].double()
    assert single["metric_value"] == pytest.approx(float(logits[4] - logits.mean()), abs=1e-4)
    assert (pair["prompt"], pair["corrupt"]) == (list(IDS), list(CORRUPT))
    assert (pair["n_layers"], pair["n_heads"], len(pair["tokens"])) == (3, 4, 12)
    assert pair["tau"] == 3e-4
    assert 0 <= pair["unexplored"] < 1
    assert pair["seconds"] > 0


def test_values_only_has_no_key_or_query_edges(tiny_model):
    circuit = component_graph(tiny_model("gpt2"), IDS, values_only=True)
    assert not set(circuit.edge_kind.tolist()) & {EdgeKind.KEY, EdgeKind.QUERY}


def test_the_unexplored_share_falls_with_tau(tiny_model):
    model = tiny_model("gpt2")
    shares = [component_graph(model, IDS, tau=tau).metadata["unexplored"] for tau in (0.1, 1e-2, 0)]
    assert shares[0] > shares[1] > shares[2]
    assert shares[2] < 1e-5


def test_cancellation_is_the_size_of_the_parts_beside_their_sum(tiny_model):
    model = tiny_model("gpt2")
    circuit = component_graph(model, IDS, LogitDifference(5, 9), keep=10**6)
    direct = np.abs(circuit.edge_weight[circuit.edge_kind == EdgeKind.OUT]).sum()
    held = circuit.metadata
    assert held["cancellation"] == pytest.approx(direct / abs(held["metric_value"]), rel=1e-5)
    warned = any("small difference" in note for note in held["notes"])
    assert warned == (held["cancellation"] > CANCELLATION_WARNING)


def test_a_pair_without_a_difference_explains_nothing(tiny_model):
    circuit = component_graph(tiny_model("gpt2"), PromptPair(IDS, IDS))
    assert circuit.metadata["cancellation"] is None
    assert circuit.metadata["unexplored"] is None
    assert circuit.n_edges == 0
    assert np.abs(circuit.node_score).max() == 0
    assert any("nothing to explain" in note for note in circuit.metadata["notes"])


def test_at_most_so_many_edges_enter_each_node(tiny_model):
    circuit = component_graph(tiny_model("gpt2"), IDS, keep=7)
    assert np.bincount(circuit.edge_target).max() == 7


def test_half_precision_is_computed_in_float32(tiny_model):
    circuit = component_graph(tiny_model("llama", dtype="bfloat16"), IDS)
    assert np.isfinite(circuit.node_score).all()
    direct = circuit.node_bias[-1] + circuit.edge_weight[circuit.edge_kind == EdgeKind.OUT].sum()
    assert direct == pytest.approx(circuit.metadata["metric_value"], abs=1e-5)


# ------------------------------------------------------------------- questions and metrics


def test_a_question_brings_its_answers_along(embedded):
    model = embedded("induction-exact")
    prompt = "ant bee cat dog elk fox ant bee cat dog"
    named = component_graph(model, Question(prompt, answer="elk", wrong="fox"))
    given = component_graph(model, prompt, LogitDifference("elk", "fox"))
    assert named.metadata["metric"] == given.metadata["metric"] == "logit(elk) − logit(fox)"
    np.testing.assert_array_equal(named.edge_weight, given.edge_weight)
    default = component_graph(model, prompt).metadata["metric"]
    assert default == "logit(elk) − mean logit"


def test_what_cannot_be_asked_is_refused_by_name(tiny_model, embedded):
    model = tiny_model("gpt2")
    with pytest.raises(PromptError, match="12 tokens and the corrupt prompt 11"):
        component_graph(model, PromptPair(IDS, CORRUPT[:-1]))
    with pytest.raises(PromptError, match="compares two runs"):
        component_graph(model, IDS, rule=Rule.TWO_POINT)
    with pytest.raises(MetricError, match="position 12 of 12"):
        component_graph(model, IDS, LogitOverMean(4, position=12))
    with pytest.raises(PromptError):
        component_graph(model, ())
    with pytest.raises(AnswerError, match="zebra"):
        component_graph(embedded("induction-exact"), Question("ant bee", answer="zebra"))


@pytest.mark.parametrize("stage", ["Running the model", "Tracing the answer back", "Finding the"])
def test_it_can_be_stopped_at_every_stage(tiny_model, stage):
    titles = []

    def watch(progress):
        titles.append(progress.title)
        if progress.title.startswith(stage):
            job.cancel()

    job = Job(on_progress=watch)
    with pytest.raises(Cancelled):
        component_graph(tiny_model("gpt2"), IDS, job=job)
    assert titles[-1].startswith(stage)


def test_a_long_search_hands_out_what_it_has_found_so_far(tiny_model, monkeypatch):
    monkeypatch.setattr("microtome.circuits.growing.EVERY", 0.0)
    monkeypatch.setattr("microtome.circuits.growing.TIMES", 0)
    parts = []
    job = Job(on_partial=lambda name, value: parts.append((name, value)))
    whole = component_graph(tiny_model("llama"), IDS, job=job)
    layers = whole.metadata["n_layers"]
    assert [name for name, _ in parts] == ["circuit"] * (layers - 1)
    assert "partial" not in whole.metadata
    everything, before = edges_of(whole), {}
    for lowest, (_, part) in zip(reversed(range(1, layers)), parts, strict=True):
        held = edges_of(part)
        assert (part.metadata["partial"], part.metadata["lowest"]) == (True, lowest)
        assert before.items() <= held.items() <= everything.items()
        entered = part.node_layer[part.edge_target]
        assert entered.min() >= lowest
        rows = whole.node_layer[whole.edge_target] >= lowest
        assert len(held) == rows.sum()
        before = held
        assert prune(part).n_edges  # nodes whose in-edges are still to come are no dead ends
    quiet = component_graph(tiny_model("llama"), IDS)
    assert edges_of(quiet) == everything
