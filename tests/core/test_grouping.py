"""Proposals of groups agree with a plain version: dicts of edges, pairs merged one by one."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

import microtome as mt
from microtome.circuits.grouping import MOST_NODES, likenesses
from microtome.errors import InputError, MicrotomeError


@pytest.fixture(scope="module")
def found():
    """The circuit of a pair of ``induction-exact-tiny`` with its run."""
    model = mt.load_model("induction-exact-tiny")
    question = model_question(model)
    session = mt.examine(model, question)
    return session.circuit, session.clean


def model_question(model):
    from microtome.examining import prompt_sets_of

    pair = prompt_sets_of(model)[0].pairs[0]
    return mt.Question(pair.clean, pair.corrupt, pair.answer, pair.wrong)


def plain_alike(circuit, rows, trace):
    """The mean of cosines, over dicts."""

    def name(node):
        kind = circuit.node_kind[node]
        place = (kind, int(circuit.node_layer[node]), int(circuit.node_head[node]))
        return place if kind in ("head", "mlp") else circuit.node_id[node]

    def profile(node, here, there):
        held = {}
        for edge in range(circuit.n_edges):
            if here[edge] == node:
                key = name(int(there[edge])), int(circuit.edge_kind[edge])
                held[key] = held.get(key, 0.0) + float(circuit.edge_weight[edge])
        return held

    def active(node, kind):
        at, layer = int(circuit.node_position[node]), int(circuit.node_layer[node])
        if circuit.node_kind[node] != kind:
            return {}
        values = (
            trace.attention(layer)[int(circuit.node_head[node])][at]
            if kind == "head"
            else trace.activation(f"mlp_out.{layer}")[at]
        )
        return {number: float(value) for number, value in enumerate(values)}

    def cosine(a, b):
        dot = sum(value * b.get(key, 0.0) for key, value in a.items())
        return dot / np.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))

    source, target = circuit.edge_source, circuit.edge_target
    sides = [
        {node: profile(node, *ends) for node in rows}
        for ends in ((target, source), (source, target))
    ]
    sides += [{node: active(node, kind) for node in rows} for kind in ("head", "mlp")]
    alike = np.ones((len(rows), len(rows)))
    for (i, a), (j, b) in combinations(enumerate(rows), 2):
        known = [(side[a], side[b]) for side in sides]
        known = [pair for pair in known if all(any(held.values()) for held in pair)]
        alike[i, j] = alike[j, i] = np.mean([cosine(*p) for p in known]) if known else 0.0
    return alike


def plain_groups(alike, least):
    """Average linkage: merge the two clusters whose members are nearest on average."""
    groups = [[at] for at in range(len(alike))]
    while len(groups) > 1:
        mean = {
            (i, j): np.mean([alike[a, b] for a in groups[i] for b in groups[j]])
            for i, j in combinations(range(len(groups)), 2)
        }
        (i, j), best = max(mean.items(), key=lambda pair: pair[1])
        if best < least:
            break
        groups[i] += groups.pop(j)
    return {frozenset(group) for group in groups if len(group) > 1}


def test_groups_are_those_of_a_plain_clustering(found):
    circuit, trace = found
    inner = [row for row, kind in enumerate(circuit.node_kind) if kind in ("head", "mlp")][:30]
    alike = plain_alike(circuit, inner, trace)
    np.testing.assert_allclose(likenesses(circuit, np.array(inner), trace), alike, atol=1e-9)
    ids = [circuit.node_id[row] for row in inner]
    for least in (0.3, 0.6, 0.9):
        made = mt.propose_groups(circuit, ids, trace=trace, likeness=least)
        wanted = {frozenset(ids[at] for at in group) for group in plain_groups(alike, least)}
        assert {frozenset(group.nodes) for group in made} == wanted
        for group in made:
            at = [ids.index(node) for node in group.nodes]
            pairs = [alike[a, b] for a, b in combinations(at, 2)]
            assert group.likeness == pytest.approx(np.mean(pairs))


def test_features_with_one_label_belong_together(found):
    circuit, _ = found
    heads = [row for row, kind in enumerate(circuit.node_kind) if kind == "head"][:3]
    kinds, labels = list(circuit.node_kind), list(circuit.node_label)
    for row in heads:
        kinds[row], labels[row] = "feature", "capitals"
    named = replace(circuit, node_kind=tuple(kinds), node_label=tuple(labels))
    ids = [named.node_id[row] for row in heads]
    (group,) = mt.propose_groups(named, ids, likeness=0.999)
    assert group.name == "capitals"
    assert set(group.nodes) == set(ids)


def test_features_without_a_label_are_not_alike_for_that(found):
    circuit, _ = found
    kinds = tuple("feature" if kind == "head" else kind for kind in circuit.node_kind)
    rows = [row for row, kind in enumerate(kinds) if kind == "feature"][:4]
    labels = ["" if row in rows[:2] else "  " for row in range(circuit.n_nodes)]
    alone = replace(
        circuit, node_kind=kinds, node_label=tuple(labels),
        edge_weight=np.zeros(circuit.n_edges, np.float32),
    )  # fmt: skip
    assert mt.propose_groups(alone, [alone.node_id[row] for row in rows], likeness=0.01) == ()


@pytest.mark.parametrize("likeness", [2.0, float("nan"), -5])
def test_a_likeness_that_is_none_is_refused(found, likeness):
    with pytest.raises(MicrotomeError, match=r"likeness is .*(2\.0|nan|-5)") as refused:
        mt.propose_groups(found[0], (), likeness=likeness)
    assert "0 to 1" in str(refused.value.way_out)


def test_too_many_nodes_are_refused_and_none_give_nothing(found):
    circuit, _ = found
    assert mt.propose_groups(circuit, ()) == ()
    many = MOST_NODES + 1
    none, zero = np.full(many, -1, np.int32), np.zeros(many)
    large = mt.Circuit(
        tuple(map(str, range(many))), ("feature",) * many, none, none, none, none, ("",) * many,
        zero, zero, zero, *(np.zeros(0, np.int32),) * 3, np.zeros(0), np.zeros(0),
    )  # fmt: skip
    with pytest.raises(InputError, match="4,001 nodes"):
        mt.propose_groups(large)


class Counted:
    """An array that tells how often it is read, as one in a file would be."""

    def __init__(self, values):
        self.values, self.reads = values, 0
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, index):
        self.reads += 1
        return self.values[index]


def test_each_layer_is_read_once(found):
    circuit, trace = found
    counted = {
        name: Counted(np.asarray(trace.activations[name].values[...]))
        for name in ("pattern", "mlp_out") if name in trace.activations
    }  # fmt: skip
    held = {name: replace(trace.activations[name], values=one) for name, one in counted.items()}
    made = mt.propose_groups(circuit, trace=replace(trace, activations=held))
    assert made == mt.propose_groups(circuit, trace=trace)
    for name, one in counted.items():
        assert one.reads <= len(trace.activations[name].layers)
    assert counted["pattern"].reads > 0
