"""The split of an edge by who reads on: its parts add up to the weight, whatever the edge."""

from __future__ import annotations

import numpy as np
import pytest

import microtome as mt
from microtome.circuits.why_edge import edge_id, edge_readers
from microtome.errors import InputError
from microtome.records.circuit import EdgeKind
from microtome.records.edges import Edges

CLEAN, CORRUPT = (5, 17, 3, 29, 17, 11), (5, 8, 3, 33, 17, 2)
METRIC = mt.LogitDifference(4, 9)
PAIR = mt.PromptPair(CLEAN, CORRUPT)


# Norms behind branches and on the stream, caps, grouped heads, biases of scores, norms of queries
# and keys, parallel blocks, a mixture of experts.
CASES = [
    ("gpt2", CLEAN), ("gpt2", PAIR), ("gemma2", PAIR), ("llama", CLEAN), ("qwen2_moe", CLEAN),
    ("bert", PAIR), ("bloom", CLEAN), ("qwen3", PAIR), ("gpt_neox", CLEAN),
]  # fmt: skip


@pytest.mark.parametrize(("kind_of_model", "subject"), CASES)
def test_parts_add_up_to_the_weight_of_every_kind_of_edge(tiny_model, kind_of_model, subject):
    model = tiny_model(kind_of_model, dtype="float64")
    circuit = mt.component_graph(model, subject, METRIC)
    largest = float(np.abs(circuit.edge_weight).max())
    seen = set()
    for row in np.argsort(-np.abs(circuit.edge_weight)).tolist():
        kind = EdgeKind(int(circuit.edge_kind[row]))
        if kind in seen:
            continue
        seen.add(kind)
        names = (
            circuit.node_id[int(end[row])] for end in (circuit.edge_source, circuit.edge_target)
        )
        source, target = names
        found = edge_readers(model, subject, circuit, (source, target, kind), METRIC)
        weight = float(circuit.edge_weight[row])
        assert float(found.array("weight").sum()) == pytest.approx(weight, abs=1e-6 * largest)
        assert found.id == edge_id((source, target, kind))
        assert found.params["total"] == pytest.approx(weight, abs=1e-6 * largest)
    assert {EdgeKind.OUT, EdgeKind.VALUE} < seen


def test_what_the_previous_token_head_brings_is_read_by_the_induction_heads_keys(embedded):
    model = embedded("induction-exact")
    pair = mt.PromptPair("mole jay gnu owl mole jay gnu", "mole jay kiwi owl mole jay gnu")
    metric = mt.LogitDifference("owl", "dog")
    circuit = mt.component_graph(model, pair, metric)
    found = edge_readers(model, pair, circuit, ("T@3", "L0H0@4", EdgeKind.VALUE), metric)
    best = found.array("reader")[0], found.array("kind")[0]
    assert best == ("L1H0", "key")
    share = found.array("weight")[0] / found.params["total"]
    assert share == pytest.approx(1.0, abs=1e-4)


def test_edges_that_have_no_such_split_are_refused(tiny_model):
    model = tiny_model("gpt2")
    circuit = mt.component_graph(model, PAIR, METRIC)
    with pytest.raises(InputError, match="no node L9H9@3"):
        edge_readers(model, PAIR, circuit, ("T@1", "L9H9@3", EdgeKind.VALUE), METRIC)
    edges = Edges.of(model.anatomy)
    other = edges.as_circuit(np.zeros(edges.exists.shape), {"method": "eap"})
    with pytest.raises(InputError, match="not made of a prompt"):
        edge_readers(model, PAIR, other, ("input", "m0", EdgeKind.MLP), METRIC)
