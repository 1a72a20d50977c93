"""The change of a circuit's edges by edits: the same maps, applied to what is written then."""

import numpy as np
import pytest

import microtome as mt
from microtome.circuits.asking import ask
from microtome.circuits.changed import edge_changes, edge_weights
from microtome.circuits.coefficients import Rule
from microtome.circuits.component import component_graph, linearised
from microtome.records.circuit import HEAD

CLEAN = "When Mary and John went to the store, John gave a drink to"
CORRUPT = "When Mary and John went to the store, Mary gave a drink to"


@pytest.fixture(scope="module")
def model():
    return mt.load_model("words-4l")


@pytest.fixture(scope="module")
def metric(model):
    return mt.LogitDifference("Mary", "John").resolve(model)


@pytest.mark.parametrize("subject", [CLEAN, mt.PromptPair(CLEAN, CORRUPT)])
def test_the_edges_of_a_circuit_are_found_again_from_what_its_sources_write(model, metric, subject):
    circuit = component_graph(model, subject, metric)
    rule = Rule(circuit.metadata["rule"])
    gradient, outputs = linearised(ask(model, subject, metric), rule)
    again = edge_weights(gradient, outputs, circuit)
    np.testing.assert_allclose(again, circuit.edge_weight, rtol=1e-4, atol=1e-5)


def test_an_ablated_head_writes_nothing_any_more_and_what_stands_before_it_does_not_change(
    model, metric
):
    circuit = component_graph(model, CLEAN, metric)
    heads = [row for row, kind in enumerate(circuit.node_kind) if kind == HEAD]
    row = max(heads, key=lambda row: circuit.node_influence[row] * (circuit.node_layer[row] == 1))
    layer, head = int(circuit.node_layer[row]), int(circuit.node_head[row])
    runs = [mt.trace(model, CLEAN, edits=e) for e in ([], [mt.Ablate(f"z.{layer}.{head}")])]
    found = edge_changes(model, CLEAN, circuit, metric, *runs)
    change, source = found.array("change"), circuit.edge_source
    own = (circuit.node_layer[source] == layer) & (circuit.node_head[source] == head)
    assert own.any()
    np.testing.assert_allclose(change[own], -circuit.edge_weight[own], rtol=1e-3, atol=1e-4)
    before = circuit.node_layer[source] < layer
    np.testing.assert_allclose(change[before], 0, atol=1e-4)
    after = circuit.node_layer[source] > layer
    assert np.abs(change[after]).max() > 1e-2
    assert found.params["edits"] == [f"zero ablation of z.{layer}.{head}"]
