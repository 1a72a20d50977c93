"""GraphML: our files open elsewhere, others open here, and XML that means harm is refused."""

from __future__ import annotations

from dataclasses import replace

import graph_samples as samples
import numpy as np
import pytest
import session_records

import microtome as mt

HEAD = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
COLUMNS = (
    "id",
    "kind",
    "label",
    "layer",
    "position",
    "head",
    "feature",
    "score",
    "influence",
    "bias",
)


def read(tmp_path, text):
    path = tmp_path / "graph.graphml"
    path.write_text(text, encoding="utf-8")
    return mt.read_graph(path)


def circuit():
    found = session_records.circuit()
    ids = tuple(f"{id_} {row} <&\"'>" for row, id_ in enumerate(found.node_id))
    labels = (" Austin\r\n", "a\x00b\ud800", "<&>", *found.node_label[3:])
    return replace(found, node_id=ids, node_label=labels)


def test_a_circuit_comes_back_and_opens_elsewhere(tmp_path):
    networkx = pytest.importorskip("networkx")
    given = circuit()
    mt.write_graph(tmp_path / "a.graphml", given)
    again = mt.read_graph(tmp_path / "a.graphml")
    for name in COLUMNS:
        assert list(getattr(again, f"node_{name}")) == list(getattr(given, f"node_{name}")), name
    for name in ("source", "target", "kind", "weight", "influence"):
        np.testing.assert_array_equal(
            getattr(again, f"edge_{name}"), getattr(given, f"edge_{name}")
        )
    assert again.metadata["metric"] == given.metadata["metric"]
    graph = networkx.read_graphml(tmp_path / "a.graphml")
    assert set(graph.nodes) == set(given.node_id)
    assert graph.number_of_edges() == given.n_edges
    row = 5
    assert graph.nodes[given.node_id[row]]["score"] == pytest.approx(float(given.node_score[row]))


def test_a_file_of_another_tool(tmp_path):
    networkx = pytest.importorskip("networkx")
    graph = networkx.MultiDiGraph(name="mine")
    graph.add_node("a", layer=3, colour="red", on=True)
    graph.add_node("b", size=2.5)
    graph.add_edge("a", "b", weight=-2.0, sure=1)
    graph.add_edge("a", "b", kind="odd")
    networkx.write_graphml(graph, tmp_path / "a.graphml")
    found = mt.read_graph(tmp_path / "a.graphml")
    assert (found.node_id, found.node_kind, found.node_label) == (
        ("a", "b"),
        ("unknown",) * 2,
        ("a", "b"),
    )
    assert found.node_layer.tolist() == [3, -1]
    assert found.edge_weight.tolist() == [-2.0, 1.0]
    assert found.metadata["notes"] == ["1 edge had no weight, and weigh 1."]
    mt.write_graph(tmp_path / "b.graphml", found)
    again = networkx.read_graphml(tmp_path / "b.graphml")
    assert (again.nodes["a"]["colour"], again.nodes["a"]["on"], again.nodes["b"]["size"]) == (
        "red",
        True,
        2.5,
    )
    assert again.graph["name"] == "mine"
    assert sorted(str(data.get("sure")) for _, _, data in again.edges(data=True)) == ["1", "None"]
    assert sorted(data["kind"] for _, _, data in again.edges(data=True)) == ["feature", "odd"]


def test_what_the_xml_says_by_default_and_without_directions(tmp_path):
    text = (
        f'{HEAD}<key id="w" for="edge" attr.name="weight" attr.type="double"><default>2</default>'
        "</key>"
        '<graph edgedefault="undirected"><node id="a"/><node id="b"/><edge source="a" target="b"/>'
        '<edge source="b" target="a"/><edge source="a" target="c"/></graph></graphml>'
    )
    found = read(tmp_path, text)
    assert found.edge_weight.tolist() == [2.0, 2.0]
    assert found.metadata["cyclic"] is True
    assert found.metadata["notes"] == [
        "1 edge had an end that is no node, and was left out.",
        "The graph of the file has no directions; they are taken as it writes them.",
        "2 nodes on cycles: no order from input to output.",
    ]


def test_an_attribution_graph_survives_the_way_over_graphml(tmp_path):
    given = mt.read_graph(samples.write(tmp_path / "a.json", samples.current()))
    mt.write_graph(tmp_path / "b.graphml", given)
    again = mt.read_graph(tmp_path / "b.graphml")
    assert (again.node_id, again.node_kind) == (given.node_id, given.node_kind)
    assert again.edge_weight.tolist() == given.edge_weight.tolist()
    assert again.metadata["tokens"] == samples.TOKENS
