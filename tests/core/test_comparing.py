"""What circuits share, against sets of plain tuples."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from graph_samples import current, embedding, error, feature, graph, link, logit, write

import microtome as mt
from microtome.circuits.comparing import aligned
from microtome.errors import InputError


def other():
    """The same prompt but for its second token: some features and links of ``current``."""
    value = graph(
        [
            feature(0, 5, 1, influence=0.5),
            feature(3, 70000, 3, influence=0.4),
            feature(2, 9, 3, influence=0.9),
            error(2, 3),
            embedding(2, 0),
            embedding(77, 1),
            logit(6, 4321, 3, " Austin", 0.75),
        ],
        [
            link("E_77_1", "0_5_1", 2.0),
            link("0_5_1", "3_70000_3", 0.3),
            link("3_70000_3", "6_4321_3", 1.0),
            link("2_9_3", "6_4321_3", -0.5),
            link("2_-1_3", "6_4321_3", 0.25),
        ],
    )
    value["metadata"] = value["metadata"] | {"prompt_tokens": ["<bos>", " A", " capital", " is"]}
    return value


@pytest.fixture
def pair(tmp_path):
    paths = [write(tmp_path / f"{n}.json", v) for n, v in (("a", current()), ("b", other()))]
    return [mt.read_graph(path) for path in paths]


def named(circuit):
    """Edges by what their ends are and where, as a reader of both files would say."""

    def name(row):
        kind, at = circuit.node_kind[row], int(circuit.node_position[row])
        if kind == "token":
            return kind, at
        if kind == "output":
            return kind, circuit.node_label[row]
        return kind, int(circuit.node_layer[row]), int(circuit.node_feature[row]), at

    ends = zip(circuit.edge_source.tolist(), circuit.edge_target.tolist(), strict=True)
    weights = circuit.edge_weight.tolist()
    return {(name(a), name(b)): weight for (a, b), weight in zip(ends, weights, strict=True)}


def test_two_graphs_share_what_is_in_both(pair):
    both = mt.graph_difference(*pair)
    sets = [named(circuit) for circuit in pair]
    joined = named(both.circuit)
    assert set(joined) == set(sets[0]) | set(sets[1])
    for row, key in enumerate(joined):
        for which in (0, 1):
            told = both.edge_weights[which, row]
            assert told == sets[which][key] if key in sets[which] else np.isnan(told)
        assert both.edge_counts[row] == (key in sets[0]) + (key in sets[1])
        mean = np.mean([held[key] for held in sets if key in held])
        assert joined[key] == pytest.approx(mean)
    counts = dict(zip(both.circuit.node_id, both.node_counts.tolist(), strict=True))
    assert counts == {
        "0_5_1": 2, "3_70000_3": 2, "2_-1_3": 2, "E_2_0": 2, "E_651_1": 2, "6_4321_3": 2,
        "6_99_3": 1, "2_9_3": 1,
    }  # fmt: skip


def test_a_consensus_counts_and_exports(pair):
    a, b = pair
    held = mt.graph_consensus([a, b, a], ["x", "y", "z"])
    edges = dict(zip(named(held.circuit), held.edge_counts.tolist(), strict=True))
    for key, count in edges.items():
        assert count == 2 * (key in named(a)) + (key in named(b))
    told = json.loads(json.dumps(held.told()))
    assert told["circuits"] == ["x", "y", "z"]
    assert [node["count"] for node in told["nodes"]] == held.node_counts.tolist()
    only = next(edge for edge in told["edges"] if edge["count"] == 1)
    assert only["weights"][0] is only["weights"][2] is None


def test_what_differs_is_named_as_different(pair):
    """A column by all of its tokens; a metric by its name only where all have that one."""
    a, b = pair
    a, b = (
        replace(
            circuit,
            metadata=circuit.metadata | {"tokens": tokens},
            node_label=tuple(
                name if kind == "output" else label
                for kind, label in zip(circuit.node_kind, circuit.node_label, strict=True)
            ),
            node_feature=np.full(circuit.n_nodes, -1, np.int32),
        )
        for circuit, name, tokens in (
            (a, "logit(Mary)", ["<bos>", " Mary", " capital", " is"]),
            (b, "logit(Anna)", ["<bos>", " Anna", " capital", " is"]),
        )
    )  # fmt: skip
    both = mt.graph_difference(a, b).circuit
    assert both.metadata["tokens"] == ["<bos>", " Mary | Anna", " capital", " is"]
    labels = dict(zip(both.node_id, both.node_label, strict=True))
    assert labels["6_4321_3"] == "metric"
    alike = mt.graph_difference(a, a).circuit
    assert "logit(Mary)" in alike.node_label
    assert alike.metadata["tokens"][1] == " Mary"


def test_tokens_are_aligned_from_both_ends():
    first = ["<bos>", "When", "Mary", "and", "John", "went"]
    assert aligned(first, first).tolist() == list(range(6))
    longer = ["<bos>", "When", "Anna", "May", "and", "John", "went"]
    assert aligned(first, longer).tolist() == [0, 1, 2, 6, 3, 4, 5]
    assert aligned(first, ["<bos>", "went"]).tolist() == [0, 5]
    assert aligned(first, []).tolist() == []


def of_words(folder, text):
    """A graph of one feature a token, and one output."""
    words = text.split()
    nodes = [feature(0, 7, at, influence=0.5) for at in range(len(words))]
    last = len(words) - 1
    links = [link(f"0_7_{at}", f"6_1_{last}", 1.0) for at in range(len(words))]
    value = graph([*nodes, logit(6, 1, last, " end", 0.9)], links)
    value["metadata"] = value["metadata"] | {"prompt_tokens": words}
    return mt.read_graph(write(folder / f"{text}.json", value))


@pytest.mark.parametrize(
    ("texts", "counts"),
    [
        (("A B", "A X B", "A B Z"), {"A": 3, "B": 3, "X": 1, "Z": 1}),
        (("A B", "A X B", "A X B", "A B Z"), {"A": 4, "B": 4, "X": 2, "Z": 1}),
        (("A B", "A X Y B", "A B", "Q A B"), {"A": 4, "B": 4, "X": 1, "Y": 1, "Q": 1}),
        (("A", "A X", "A X Y"), {"A": 3, "X": 2, "Y": 1}),
    ],
)
def test_what_each_text_has_alone_is_one_node_for_each(tmp_path, texts, counts):
    held = mt.graph_consensus([of_words(tmp_path, text) for text in texts])
    words = held.circuit.metadata["tokens"]
    features = [row for row, kind in enumerate(held.circuit.node_kind) if kind == "feature"]
    places = [words[int(held.circuit.node_position[row])] for row in features]
    assert dict(zip(places, held.node_counts[features].tolist(), strict=True)) == counts


def test_what_cannot_be_compared_is_refused(pair, tmp_path):
    from graph_samples import eap

    with pytest.raises(InputError, match="two or more"):
        mt.graph_consensus(pair[:1])
    with pytest.raises(InputError, match="Name each"):
        mt.graph_consensus(pair, ["one"])
    components = mt.read_graph(write(tmp_path / "eap.json", eap()))
    with pytest.raises(InputError, match="positions"):
        mt.graph_difference(pair[0], components)
    same = mt.graph_difference(components, components)
    assert (same.edge_counts == 2).all()
    np.testing.assert_allclose(np.sort(same.circuit.edge_weight), np.sort(components.edge_weight))
