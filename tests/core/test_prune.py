"""Pruning against the rule written out on dictionaries, and its shape on small graphs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from microtome.circuits.component import component_graph
from microtome.circuits.prune import flow, prune
from microtome.records.circuit import HEAD, MLP, OUTPUT, TOKEN, Circuit, EdgeKind

IDS = (3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5)


def small(edges: list[tuple[str, str, float]], influence: dict[str, float]) -> Circuit:
    """A graph of T@0, L0H0@0, M0@0, L1H0@0, M1@0 and OUT."""
    names = ["T@0", "L0H0@0", "M0@0", "L1H0@0", "M1@0", "OUT"]
    kinds = (TOKEN, HEAD, MLP, HEAD, MLP, OUTPUT)
    layers, heads = [-1, 0, 0, 1, 1, 2], [-1, 0, -1, 0, -1, -1]
    n = len(names)
    rows = [(names.index(s), names.index(t)) for s, t, _ in edges]
    return Circuit(
        node_id=tuple(names),
        node_kind=kinds,
        node_layer=np.array(layers, np.int32),
        node_position=np.zeros(n, np.int32),
        node_head=np.array(heads, np.int32),
        node_feature=np.full(n, -1, np.int32),
        node_label=tuple(names),
        node_score=np.zeros(n, np.float32),
        node_influence=np.array([influence.get(name, 0.0) for name in names], np.float32),
        node_bias=np.zeros(n, np.float32),
        edge_source=np.array([s for s, _ in rows], np.int32),
        edge_target=np.array([t for _, t in rows], np.int32),
        edge_kind=np.full(len(rows), EdgeKind.VALUE, np.int8),
        edge_weight=np.array([w for _, _, w in edges], np.float32),
        edge_influence=np.zeros(len(rows), np.float32),
    )


def drawn(circuit: Circuit) -> set[tuple[str, str]]:
    ends = zip(circuit.edge_source, circuit.edge_target, strict=True)
    return {(circuit.node_id[s], circuit.node_id[t]) for s, t in ends}


CHAIN = [
    ("L1H0@0", "OUT", 3.0),
    ("M1@0", "OUT", -1.0),
    ("L0H0@0", "L1H0@0", 2.0),
    ("M0@0", "L1H0@0", 1.0),
    ("T@0", "L0H0@0", 1.0),
    ("T@0", "M0@0", 1.0),
    ("L1H0@0", "M1@0", 1.0),
]


def test_influence_flows_in_proportion_to_the_size_of_the_edges():
    circuit = small(CHAIN, {})
    influence, through = flow(circuit, np.ones(len(CHAIN), bool))
    expected = {"OUT": 1, "M1@0": 0.25, "L1H0@0": 1.0, "L0H0@0": 2 / 3, "M0@0": 1 / 3, "T@0": 1}
    assert dict(zip(circuit.node_id, influence, strict=True)) == pytest.approx(expected)
    assert through == pytest.approx([0.75, 0.25, 2 / 3, 1 / 3, 2 / 3, 1 / 3, 0.25])


def test_only_the_most_influential_components_stay_and_influence_is_shared_anew():
    circuit = small(CHAIN, {"L1H0@0": 0.9, "L0H0@0": 0.6, "M0@0": 0.3, "M1@0": 0.25})
    shown = prune(circuit, nodes=2, edge_share=1.0)
    assert drawn(shown) == {("L1H0@0", "OUT"), ("L0H0@0", "L1H0@0"), ("T@0", "L0H0@0")}
    assert shown.node_influence == pytest.approx(1.0)
    assert shown.edge_influence == pytest.approx(1.0)


def test_a_component_that_is_reached_keeps_in_edges_near_its_strongest():
    edges = [("L1H0@0", "OUT", 10.0), ("L0H0@0", "OUT", 0.9), ("T@0", "L1H0@0", 1.0),
             ("L0H0@0", "L1H0@0", 0.5), ("M0@0", "L1H0@0", 0.1), ("T@0", "L0H0@0", 1.0),
             ("T@0", "M0@0", 1.0)]  # fmt: skip
    circuit = small(edges, {"L1H0@0": 0.9, "L0H0@0": 0.4, "M0@0": 0.1})
    assert drawn(prune(circuit, edge_share=0.1)) == {
        ("L1H0@0", "OUT"), ("T@0", "L1H0@0"), ("L0H0@0", "L1H0@0"), ("T@0", "L0H0@0"),
    }  # fmt: skip


def test_nodes_without_a_way_in_or_out_are_dropped_again_and_again():
    edges = [("L1H0@0", "OUT", 1.0), ("M0@0", "OUT", 1.0), ("M0@0", "M1@0", 1.0),
             ("L0H0@0", "M0@0", 1.0), ("T@0", "L1H0@0", 1.0)]  # fmt: skip
    circuit = small(edges, {"L1H0@0": 0.9, "L0H0@0": 0.5, "M0@0": 0.4, "M1@0": 0.3})
    # L0H0 has no in-edge, so it goes, then M0 for the same reason; M1 has no out-edge.
    assert drawn(prune(circuit, edge_share=1.0)) == {("L1H0@0", "OUT"), ("T@0", "L1H0@0")}


def plainly(circuit: Circuit, nodes: int, share: float) -> set[tuple[str, str, int]]:
    """The rule on dictionaries."""
    ids, kinds = circuit.node_id, dict(zip(circuit.node_id, circuit.node_kind, strict=True))
    columns = (circuit.edge_source, circuit.edge_target, circuit.edge_kind, circuit.edge_weight)
    edges = {(ids[s], ids[t], int(k)): abs(float(w)) for s, t, k, w in zip(*columns, strict=True)}
    ranked = [ids[i] for i in np.argsort(-circuit.node_influence, kind="stable")]
    best = [name for name in ranked if kinds[name] in (HEAD, MLP)][:nodes]
    chosen = set(best) | {name for name in ids if kinds[name] not in (HEAD, MLP)}
    edges = {e: w for e, w in edges.items() if e[0] in chosen and e[1] in chosen}
    influence, through = dict.fromkeys(ids, 0.0) | {"OUT": 1.0}, {}
    for target in reversed(ids):
        into = {e: w for e, w in edges.items() if e[1] == target}
        for e, w in into.items():
            through[e] = influence[target] * w / sum(into.values()) if w else 0.0
            influence[e[0]] += through[e]
    kept, total = set(), 0.0
    for e in sorted(through, key=through.get, reverse=True):
        if total >= share * sum(through.values()) or through[e] <= 1e-7:
            break
        kept.add(e)
        total += through[e]
    reached, shown = {"OUT"}, set()
    for target in reversed(ids):
        into = {e: x for e, x in through.items() if e[1] == target and x > 1e-7}
        for e, x in into.items():
            if target in reached and (e in kept or x >= 0.4 * max(into.values())):
                shown.add(e)
                reached.add(e[0])
    while True:
        fed = {t for _, t, _ in shown} | {n for n in ids if kinds[n] not in (HEAD, MLP)}
        left = {e for e in shown if e[0] in fed and e[1] in fed}
        used = {s for s, _, _ in left} | {"OUT"}
        left = {e for e in left if e[1] in used}
        if left == shown:
            return shown
        shown = left


@pytest.mark.parametrize(("nodes", "share"), [(40, 0.8), (10, 0.95), (12, 0.3), (150, 1.0)])
def test_pruning_is_the_rule(tiny_model, nodes, share):
    circuit = component_graph(tiny_model("gpt2"), IDS)
    shown = prune(circuit, nodes, share)
    found = {
        (shown.node_id[s], shown.node_id[t], int(k))
        for s, t, k in zip(shown.edge_source, shown.edge_target, shown.edge_kind, strict=True)
    }
    assert found == plainly(circuit, nodes, share)
    components = [kind for kind in shown.node_kind if kind in (HEAD, MLP)]
    assert 0 < len(components) <= nodes
    assert shown.metadata == circuit.metadata


def test_nothing_left_is_the_metric_alone(tiny_model):
    circuit = component_graph(tiny_model("gpt2"), IDS)
    shown = prune(circuit, nodes=0, edge_share=0.0)
    assert set(shown.node_kind) <= {TOKEN, "position", OUTPUT}


def test_pruning_needs_no_torch():
    code = "import sys, microtome.circuits.prune; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
