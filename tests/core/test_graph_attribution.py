"""Attribution graphs: all generations come in, everything goes out again, bad ones are refused."""

from __future__ import annotations

import json
import math

import graph_samples as samples
import numpy as np
import pytest
import session_records

import microtome as mt
from microtome.circuits.formats import json_text
from microtome.circuits.formats.web_nodes import cantor, cantor_pair
from microtome.errors import Cancelled, GraphError
from microtome.jobs import Job
from microtome.records.circuit import EdgeKind

COLUMNS = ("node_id", "node_kind", "node_layer", "node_position", "node_head", "node_feature")


def columns(circuit, *names):
    return [list(row) for row in zip(*(getattr(circuit, name) for name in names), strict=True)]


def named_edges(circuit):
    """Edges by the ids of their ends, in no order."""
    ends = (
        [circuit.node_id[row] for row in getattr(circuit, name)]
        for name in ("edge_source", "edge_target")
    )
    numbers = (
        getattr(circuit, f"edge_{name}").tolist() for name in ("kind", "weight", "influence")
    )
    return sorted(zip(*ends, *numbers, strict=True))


def read(tmp_path, value):
    return mt.read_graph(samples.write(tmp_path / "graph.json", value))


@pytest.mark.parametrize("generation", samples.GENERATIONS)
def test_a_file_comes_back_as_it_was(tmp_path, generation):
    given = samples.GENERATIONS[generation]()
    circuit = read(tmp_path, given)
    mt.save_session(tmp_path / "s.h5", session_records.Session(
        model=session_records.identity(), circuit=circuit))  # fmt: skip
    kept = mt.open_session(tmp_path / "s.h5").circuit
    for held in (circuit, kept):
        mt.write_graph(tmp_path / "again.json", held)
        assert json.loads((tmp_path / "again.json").read_text()) == given


@pytest.mark.parametrize("name", ["attribution-graph", "graphml"])
def test_the_opposite_sign_is_turned_and_written_back(tmp_path, name):
    plain = read(tmp_path, samples.current())
    path = tmp_path / "graph"
    mt.write_graph(path, plain, name)
    turned = mt.read_graph(path, opposite_sign=True)
    assert (turned.edge_weight == -plain.edge_weight).all()
    mt.write_graph(tmp_path / "again", turned, name)
    assert mt.read_graph(tmp_path / "again").edge_weight.tolist() == plain.edge_weight.tolist()


def test_columns_say_what_the_file_says(tmp_path):
    circuit = read(tmp_path, samples.current())
    assert columns(circuit, *COLUMNS) == [
        ["0_5_1", "feature", 0, 1, -1, 5], ["3_70000_3", "feature", 3, 3, -1, 70000],
        ["2_-1_3", "error", 2, 3, -1, -1], ["E_2_0", "token", -1, 0, -1, 2],
        ["E_651_1", "token", -1, 1, -1, 651], ["6_4321_3", "output", 6, 3, -1, 4321],
        ["6_99_3", "output", 6, 3, -1, 99],
    ]  # fmt: skip
    assert circuit.edge_weight.tolist() == [2.5, -0.1, 0.25, 1 / 3, -0.7, 1e-30]
    assert set(circuit.edge_kind.tolist()) == {EdgeKind.FEATURE}
    told = circuit.metadata
    assert told["tokens"] == samples.TOKENS
    assert (told["format"], told["n_layers"], told["cyclic"]) == ("attribution-graph", 4, False)
    assert told["metric"] == 'Output " Austin" (p=0.750)'
    assert circuit.node_label[3] == "<bos>"


def test_kinds_of_other_generations(tmp_path):
    assert read(tmp_path, samples.naming()).node_kind == (
        "feature", "attention feature", "error", "attention error", "bias", "unknown", "unknown",
        "token", "output",
    )  # fmt: skip
    first = read(tmp_path, samples.first())
    assert columns(first, "node_kind", "node_layer") == [
        ["token", -1],
        ["feature", 4],
        ["output", 5],
    ]
    assert first.node_influence.tolist() == [0.5, 0.5, 0.5]


def test_what_a_node_has_of_a_cumulative_share(tmp_path):
    # The file sorts by influence and adds up: 0.35, then 0.25 more, then 0.2 more.
    circuit = read(tmp_path, samples.current())
    np.testing.assert_allclose(
        circuit.node_influence, [0.25, 0.35, 0.2, 0, 0, 0.75, 0.2], atol=1e-12
    )
    into = circuit.edge_influence[circuit.edge_target == 5]
    np.testing.assert_allclose(
        into, [0.75 * 0.25 / (0.25 + 1 / 3), 0.75 / 3 / (0.25 + 1 / 3)], rtol=1e-6
    )


def test_influence_that_a_file_lacks_is_the_published_one(tmp_path):
    rng = np.random.default_rng(3)
    nodes = [samples.feature(layer, layer, 0) for layer in range(7)]
    nodes += [samples.logit(8, 1, 0, "a", 0.6), samples.logit(8, 2, 0, "b", 0.3)]
    ids = [each["node_id"] for each in nodes]
    matrix = np.tril(rng.standard_normal((9, 9)), -1) * (rng.random((9, 9)) < 0.7)
    matrix[8, 7] = 0
    links = [
        samples.link(ids[s], ids[t], matrix[t, s]) for t, s in zip(*np.nonzero(matrix), strict=True)
    ]
    sums = np.abs(matrix).sum(1, keepdims=True)
    scaled = np.abs(matrix) / np.where(sums > 0, sums, 1)
    start = np.array([0] * 7 + [0.6, 0.3])
    expected = start + sum(start @ np.linalg.matrix_power(scaled, power) for power in range(1, 10))
    circuit = read(tmp_path, samples.graph(nodes, links))
    np.testing.assert_allclose(circuit.node_influence, expected, rtol=1e-12)


def test_ids_that_meant_two_nodes(tmp_path):
    nodes = [
        samples.feature(0, 2, 1), samples.feature(0, 4, 1),
        *(samples.error(layer, at, old=True) for layer, at in ((2, 1), (4, 1), (3, 0))),
        samples.logit(6, 9, 1, "a", 1.0),
    ]  # fmt: skip
    links = [
        samples.link("0_2_1", "6_9_1", 1.0), samples.link("0_2_1", "6_9_1", 2.0),
        samples.link("0_4_1", "6_9_1", 3.0), samples.link("0_3_0", "6_9_1", 4.0),
    ]  # fmt: skip
    view = {"pinnedIds": ["0_2_1", "0_3_0"], "supernodes": [["g", "0_3_0"]], "clickedId": "0_3_0"}
    circuit = read(tmp_path, samples.graph(nodes, links, view))
    assert circuit.node_id == ("0_2_1", "0_4_1", "2_-1_1", "4_-1_1", "3_-1_0", "6_9_1")
    assert [circuit.node_id[row] for row in circuit.edge_source] == [
        "0_2_1",
        "2_-1_1",
        "0_4_1",
        "3_-1_0",
    ]
    kept = circuit.metadata["source"]["qParams"]
    assert kept["pinnedIds"] == ["0_2_1", "3_-1_0"]
    assert (kept["supernodes"], kept["clickedId"]) == ([["g", "3_-1_0"]], "3_-1_0")
    assert circuit.metadata["notes"] == [
        "2 ids meant both a feature and an error node.",
        "1 link may start at either; they stay with the feature.",
    ]


def test_links_that_lead_nowhere_or_back(tmp_path):
    given = samples.current()
    given["links"] += [
        samples.link("gone", "0_5_1", 1.0), samples.link("0_5_1", "gone", 1.0),
        samples.link("0_5_1", "0_5_1", 1.0), samples.link("3_70000_3", "0_5_1", 1.0),
    ]  # fmt: skip
    circuit = read(tmp_path, given)
    assert circuit.n_edges == 8
    assert circuit.metadata["cyclic"] is True
    assert circuit.metadata["notes"] == [
        "2 links had an end that is no node, and were left out.",
        "1 edge from a node to itself.",
        "2 nodes on cycles: no order from input to output.",
    ]


BAD = {
    "a weight that is no number": (lambda g: g["links"][1].update(weight=math.nan), "NaN"),
    "a weight of text": (lambda g: g["links"][1].update(weight="1"), "Link 1 .*finite weight"),
    "a weight that is too large": (lambda g: g["links"][1].update(weight=10**400), "too large"),
    "a link without end": (lambda g: g["links"][2].pop("target"), "Link 2"),
    "two nodes of one id": (
        lambda g: g["nodes"][1].update(node_id="0_5_1"),
        "0 and 1 .*both called",
    ),
    "a node without layer": (lambda g: g["nodes"][3].pop("layer"), "Node 3"),
    "a node of a layer that is none": (lambda g: g["nodes"][3].update(layer="x"), "layer 'x'"),
    "an influence of text": (lambda g: g["nodes"][3].update(influence="x"), "influence"),
    "metadata without scan": (lambda g: g["metadata"].pop("scan"), "scan"),
    "tokens that are none": (lambda g: g["metadata"].update(prompt_tokens=[1]), "tokens"),
    "no metadata": (lambda g: g.pop("metadata"), "none of a known graph.*Known are"),
    "own metadata that are none": (lambda g: g["metadata"].update(microtome=3), "own metadata"),
    "own layers of text": (
        lambda g: g["metadata"].update(microtome={"n_layers": "4"}),
        "own metadata.*n_layers = 4",
    ),
    "own fields that are none": (lambda g: g["nodes"][0].update(microtome={"id": 1}), "own fields"),
    "own parts that are none": (lambda g: g["links"][0].update(microtome={}), "Link 0.*parts"),
    "a view that is none": (lambda g: g.update(qParams=[]), "qParams"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_is_no_graph_is_refused_whole(tmp_path, case):
    change, told = BAD[case]
    given = {**samples.current(), "metadata": dict(samples.METADATA)}
    change(given)
    with pytest.raises(GraphError, match=told):
        read(tmp_path, given)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", '{"nodes": [' * 20_000, '{"a": ' + "[" * 20_000, '{"nodes": [{"a": 1},]}',
        '{"nodes": [], "nodes": []}', '{"nodes": []} {}', '{"links": [{]}', '{"nodes": [1 2]}',
        "{1: 2}", '{"a": ' + "9" * 5000 + "}", '{"nodes": [], "links": [7]}', '{"a": "\udce9"}',
    ],
)  # fmt: skip
def test_text_that_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "graph.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(GraphError, match=r"graph\.json|Link 0"):
        mt.read_graph(path)


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    text = json.dumps(samples.first())
    path = tmp_path / "graph.json"
    for length in range(0, len(text), 7):
        path.write_text(text[:length])
        with pytest.raises(GraphError):
            mt.read_graph(path)


@pytest.mark.parametrize("block", [3, 50, 400])
@pytest.mark.parametrize("indent", [None, 1])
def test_reading_in_small_blocks_gives_the_same(tmp_path, monkeypatch, block, indent):
    given = samples.current()
    given["links"].insert(
        3, samples.link("E_2_0", "0_5_1", 1, odd={"text": '"}, {"', "in": [{}, {}]})
    )
    whole = read(tmp_path, given)
    monkeypatch.setattr(json_text, "_BLOCK", block)
    path = tmp_path / "small.json"
    path.write_text(json.dumps(given, indent=indent))
    parts = mt.read_graph(path)
    assert named_edges(parts) == named_edges(whole)
    assert parts.node_id == whole.node_id
    assert parts.metadata == whole.metadata


def test_reading_stops_when_it_is_told_to(tmp_path):
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        mt.read_graph(samples.write(tmp_path / "graph.json", samples.current()), job=job)


def expect_published(value):
    """The published schema, written out: required keys and their types, and ends that exist."""
    assert {"metadata", "qParams", "nodes", "links"} <= set(value)
    told = value["metadata"]
    assert all(isinstance(told[key], str) for key in ("slug", "scan", "prompt"))
    assert all(isinstance(token, str) for token in told["prompt_tokens"])
    kinds = {"logit", "embedding", "unknown", "cross layer transcoder", "mlp reconstruction error"}
    for each in value["nodes"]:
        assert type(each["feature"]) in (int, type(None))
        assert type(each["layer"]) in (int, str)
        assert each["layer"] == "E" or int(each["layer"]) >= 0
        assert 0 <= each["ctx_idx"] < len(told["prompt_tokens"])
        assert each["feature_type"] in kinds
        assert each["influence"] is None or 0 <= each["influence"] <= 1
        assert all(isinstance(each[key], str) for key in ("node_id", "jsNodeId", "clerp"))
        assert each["feature_type"] != "logit" or "(p=" in each["clerp"]
    ids = [each["node_id"] for each in value["nodes"]]
    assert len(ids) == len(set(ids))
    assert len({(each["source"], each["target"]) for each in value["links"]}) == len(value["links"])
    for each in value["links"]:
        assert {each["source"], each["target"]} <= set(ids)
        assert math.isfinite(each["weight"])


def test_a_circuit_of_components_is_a_file_that_the_page_opens(tmp_path, embedded):
    pair = mt.PromptPair((0, 1, 2, 3, 1), (0, 3, 2, 3, 1))
    circuit = mt.component_graph(embedded("induction-exact-tiny"), pair)
    mt.write_graph(tmp_path / "Graph of a pair.json", circuit)
    value = json.loads((tmp_path / "Graph of a pair.json").read_text())
    expect_published(value)
    assert value["metadata"]["slug"] == "graph-of-a-pair"
    best = {each["node_id"]: each for each in value["nodes"]}["1_unknown_H0_4"]
    assert (best["clerp"], best["layer"], best["ctx_idx"]) == ("L1H0", 1, 4)
    again = mt.read_graph(tmp_path / "Graph of a pair.json")
    assert columns(again, *COLUMNS, "node_label") == columns(circuit, *COLUMNS, "node_label")
    for name in ("node_score", "node_influence", "node_bias"):
        assert getattr(again, name).tolist() == getattr(circuit, name).tolist()
    assert named_edges(again) == named_edges(circuit)
    assert {key: again.metadata[key] for key in circuit.metadata} == circuit.metadata


def test_the_page_takes_every_component_for_a_node_of_its_own(tmp_path, embedded):
    """What the page does with nodes before it draws them, seen in a browser once."""
    model, pair = embedded("induction-exact-tiny"), mt.PromptPair((0, 1, 2, 1), (0, 3, 2, 3))
    by_position = mt.component_graph(model, pair)
    aggregated = mt.discover_circuit(model, pair, mt.LogitDifference(2, 3))
    for circuit in (by_position, aggregated):
        mt.write_graph(tmp_path / "graph.json", circuit, "attribution-graph")
        value = json.loads((tmp_path / "graph.json").read_text())
        expect_published(value)
        tokens, nodes = value["metadata"]["prompt_tokens"], value["nodes"]
        assert all(type(node["feature"]) is int for node in nodes)  # it writes them as text
        places = [(node["layer"], node["feature"], node["ctx_idx"]) for node in nodes]
        assert len(set(places)) == len(nodes)  # equal ones are a feature, and drawn as one
        assert len(tokens) * 2 / 3 > 1  # a feature at more positions than that is dropped
        assert max(node["ctx_idx"] for node in nodes) >= 1  # a single column has no width
        assert columns(mt.read_graph(tmp_path / "graph.json"), *COLUMNS) == columns(
            circuit, *COLUMNS
        )


def test_queries_keys_and_values_of_two_nodes_are_one_link(tmp_path):
    circuit = session_records.circuit(nodes=1, edges=3)
    mt.write_graph(tmp_path / "graph.json", circuit)
    (only,) = json.loads((tmp_path / "graph.json").read_text())["links"]
    assert only["weight"] == pytest.approx(circuit.edge_weight.sum(), rel=1e-6)
    assert named_edges(mt.read_graph(tmp_path / "graph.json")) == named_edges(circuit)


def test_a_part_of_a_graph_keeps_what_the_file_said_of_it(tmp_path):
    given = samples.current()
    circuit = read(tmp_path, given)
    keep = np.array([id_ != "E_2_0" for id_ in circuit.node_id])
    mt.write_graph(tmp_path / "part.json", circuit.select(keep, np.ones(circuit.n_edges, bool)))
    part = json.loads((tmp_path / "part.json").read_text())
    assert part["nodes"] == [each for each in given["nodes"] if each["node_id"] != "E_2_0"]
    assert part["links"] == given["links"][:-1]


def test_pairs_have_numbers_and_numbers_pairs():
    assert [cantor(0, 0), cantor(1, 0), cantor(0, 1), cantor(2, 0)] == [0, 1, 2, 3]
    for found in ((0, 0), (25, 16383), (3, 2**40 + 1), (10**12, 10**15 + 7)):
        assert cantor_pair(cantor(*found)) == found


def test_pruning_keeps_ways_that_begin_at_errors_and_at_the_input(tmp_path):
    attention = samples.node("1_lor_9_1", samples.pair(1, 9), 1, 1, "lorsa", "1_lor_9_1")
    nodes = [
        samples.embedding(5, 0), attention, samples.error(0, 1), samples.feature(1, 4, 1),
        samples.logit(3, 7, 1, " c", 0.5),
    ]  # fmt: skip
    ways = (("E_5_0", "1_lor_9_1"), ("1_lor_9_1", "1_4_1"), ("0_-1_1", "1_4_1"), ("1_4_1", "3_7_1"))
    links = [samples.link(source, target, 1.0) for source, target in ways]
    part = mt.prune(read(tmp_path, samples.graph(nodes, links)))
    assert {edge[:2] for edge in named_edges(part)} == set(ways)
    # Attention comes before the features of its layer: half of the influence goes through it.
    assert dict(zip(part.node_id, part.node_influence.tolist(), strict=True))["E_5_0"] == 0.5
    part = mt.prune(read(tmp_path, samples.eap()), edge_share=0.1)
    assert part.node_id[0] == "input"
    assert part.n_edges > 2
