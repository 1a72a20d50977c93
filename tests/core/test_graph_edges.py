"""Files of edges between heads and MLPs: EAP-IG, auto-circuit, ACDC, and circuit-tracer's own."""

from __future__ import annotations

import json
import pickle
import sys
import types
from collections import namedtuple

import graph_samples as samples
import numpy as np
import pytest
import torch

import microtome as mt
from microtome.errors import GraphError, InputError
from microtome.records.circuit import EdgeKind

FORMATS = {
    "eap": "x.json", "eap-pt": "x.pt", "auto-circuit": "x.pt", "acdc": "x.pth",
    "acdc-edges": "x.pkl", "graphml": "x.graphml", "attribution-graph": "x.json",
}  # fmt: skip
SIDES = {"QUERY": "<q>", "KEY": "<k>", "VALUE": "<v>"}


def scores(circuit):
    """Weights by the edges' names."""
    found = {}
    for row in range(circuit.n_edges):
        ends = circuit.edge_source[row], circuit.edge_target[row]
        side = SIDES.get(EdgeKind(circuit.edge_kind[row]).name, "")
        name = "->".join(circuit.node_id[end] for end in ends) + side
        found[name] = float(circuit.edge_weight[row])
    return found


def matrices():
    """The same graph as ``samples.eap``, as matrices."""
    given = samples.eap()
    names = list(given["nodes"])[:-1]
    readers = [name for name, _ in samples.readers()]
    values, inside = torch.zeros(7, len(readers)), torch.zeros(7, len(readers), dtype=torch.bool)
    for name, edge in given["edges"].items():
        source, _, target = name.partition("->")
        place = names.index(source), readers.index(target)
        values[place], inside[place] = edge["score"], edge["in_graph"]
    return {
        "cfg": given["cfg"], "src_nodes": names, "dst_nodes": readers, "edges_scores": values,
        "edges_in_graph": inside,
        "nodes_in_graph": torch.tensor([given["nodes"][name]["in_graph"] for name in names]),
        "nodes_scores": torch.arange(7.0), "neurons_in_graph": torch.ones(7, 3, dtype=torch.bool),
    }  # fmt: skip


@pytest.mark.parametrize("neurons", [False, True])
def test_json_of_eap_comes_back_as_it_was(tmp_path, neurons):
    given = samples.eap(neurons) | {"task": {"kept": True}}
    given["edges"]["input->m0"]["unknown"] = [1]
    circuit = mt.read_graph(samples.write(tmp_path / "a.json", given))
    assert scores(circuit) == {name: edge["score"] for name, edge in given["edges"].items()}
    inside = {name for name, edge in given["edges"].items() if edge["in_graph"]}
    assert int(circuit.edge_influence.sum()) == len(inside)
    assert circuit.node_kind == ("input", "head", "head", "mlp", "head", "head", "mlp", "output")
    assert circuit.node_layer.tolist() == [-1, 0, 0, 0, 1, 1, 1, 2]
    assert circuit.node_position.tolist() == [-1] * 8
    mt.write_graph(tmp_path / "b.json", circuit)
    assert json.loads((tmp_path / "b.json").read_text()) == given


def test_matrices_of_eap_are_the_same_graph(tmp_path):
    torch.save(matrices(), tmp_path / "a.pt")
    circuit = mt.read_graph(tmp_path / "a.pt")
    same = mt.read_graph(samples.write(tmp_path / "a.json", samples.eap()))
    assert scores(circuit) == scores(same)
    assert circuit.node_score[:7].tolist() == [0, 1, 2, 3, 4, 5, 6]
    mt.write_graph(tmp_path / "b.pt", circuit)
    again, given = torch.load(tmp_path / "b.pt", weights_only=True), matrices()
    assert again.keys() == given.keys()
    for key, value in given.items():
        assert torch.equal(again[key], value) if torch.is_tensor(value) else again[key] == value


def test_a_file_may_count_the_logits_among_the_nodes(tmp_path):
    given = matrices() | {"nodes_scores": torch.arange(8.0)}
    torch.save(given, tmp_path / "a.pt")
    assert mt.read_graph(tmp_path / "a.pt").node_score[:7].tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_the_opposite_sign_is_turned_told_and_written_back(tmp_path):
    path = samples.write(tmp_path / "a.json", samples.eap(neurons=True))
    plain, turned = mt.read_graph(path), mt.read_graph(path, opposite_sign=True)
    assert (turned.edge_weight == -plain.edge_weight).all()
    assert (turned.node_score == -plain.node_score).all()
    assert plain.metadata["sign"] == turned.metadata["sign"]
    assert plain.metadata["sign_read"] == "as written"
    assert turned.metadata["sign_read"].startswith("turned")
    mt.write_graph(tmp_path / "b.json", turned)
    assert json.loads((tmp_path / "b.json").read_text()) == samples.eap(neurons=True)


def auto_circuit(positions=()):
    rng = np.random.default_rng(0)
    shapes = {}
    for layer, first in ((0, 1), (1, 4)):
        shapes |= {f"blocks.{layer}.hook_{side}_input": (2, first) for side in "qkv"}
        shapes[f"blocks.{layer}.hook_mlp_in"] = (first + 2,)
    shapes["blocks.1.hook_resid_post"] = (7,)
    return {
        name: torch.tensor(rng.standard_normal((*positions, *shape)), dtype=torch.float32)
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize("positions", [(), (3,)])
def test_scores_of_auto_circuit(tmp_path, positions):
    given = auto_circuit(positions)
    torch.save(given, tmp_path / "a.pt")
    circuit = mt.read_graph(tmp_path / "a.pt")
    assert circuit.metadata["aggregated"] is (positions == ())
    place = "@2" if positions else ""
    last = {name: (value[2] if positions else value) for name, value in given.items()}
    found = scores(circuit)
    # Sources are the input, then heads and MLP of each layer.
    assert found[f"m0{place}->a1.h1{place}<k>"] == last["blocks.1.hook_k_input"][1, 3]
    assert found[f"a1.h0{place}->m1{place}"] == last["blocks.1.hook_mlp_in"][4]
    assert found[f"input{place}->logits{place}"] == last["blocks.1.hook_resid_post"][0]
    mt.write_graph(tmp_path / "b.pt", circuit)
    again = torch.load(tmp_path / "b.pt", weights_only=True)
    assert list(again) == list(given)
    assert all(torch.equal(again[name], value) for name, value in given.items())


def index(*parts):
    return (None, *parts) if parts else (None,)


SUBGRAPH = {
    ("blocks.1.hook_resid_post", index(), "blocks.1.attn.hook_result", index(None, 1)): True,
    ("blocks.1.hook_k_input", index(None, 1), "blocks.0.attn.hook_result", index(None, 0)): True,
    ("blocks.1.attn.hook_k", index(None, 1), "blocks.1.hook_k_input", index(None, 1)): False,
    ("blocks.0.hook_mlp_in", index(), "blocks.0.hook_resid_pre", index()): False,
    ("blocks.1.hook_mlp_in", index(), "blocks.0.hook_mlp_out", index()): True,
}


def test_a_subgraph_of_acdc(tmp_path):
    torch.save(SUBGRAPH, tmp_path / "a.pth")
    circuit = mt.read_graph(tmp_path / "a.pth")
    assert scores(circuit) == {
        "a1.h1->logits": 1.0, "a0.h0->a1.h1<k>": 1.0, "input->m0": 0.0, "m0->m1": 1.0,
    }  # fmt: skip
    assert circuit.metadata["notes"] == ["1 edge inside components taken away."]
    mt.write_graph(tmp_path / "b.pth", circuit)
    assert torch.load(tmp_path / "b.pth", weights_only=True) == SUBGRAPH


@pytest.fixture
def acdc_index(monkeypatch):
    """The class that ACDC keeps indices in, as its own pickles name it."""

    class TorchIndex:
        def __init__(self, parts):
            self.hashable_tuple = tuple(parts)
            self.as_index = tuple(slice(None) if part is None else part for part in parts)

    module = types.ModuleType("acdc.TLACDCEdge")
    TorchIndex.__module__, TorchIndex.__qualname__ = module.__name__, "TorchIndex"
    module.TorchIndex = TorchIndex
    monkeypatch.setitem(sys.modules, "acdc", types.ModuleType("acdc"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return TorchIndex


def test_edges_of_acdc_with_two_inputs_and_its_own_indices(tmp_path, acdc_index):
    child = "blocks.0.hook_mlp_in", acdc_index([None])
    given = [
        ((*child, "hook_embed", acdc_index([None])), np.float32(0.25)),
        ((*child, "hook_pos_embed", acdc_index([None])), -0.5),
        ((*child, "blocks.0.attn.hook_result", acdc_index([None, None, 3])), 2.0),
    ]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(given))
    circuit = mt.read_graph(tmp_path / "a.pkl")
    assert scores(circuit) == {"input->m0": -0.5, "a0.h3->m0": 2.0}
    mt.write_graph(tmp_path / "b.pkl", circuit)
    again = dict(pickle.loads((tmp_path / "b.pkl").read_bytes()))  # noqa: S301  # our own file
    expected = {
        (*key[:1], key[1].hashable_tuple, key[2], key[3].hashable_tuple): float(v)
        for key, v in given
    }
    assert again == expected


def raw_graph(monkeypatch, config="UnifiedConfig"):
    """A graph of circuit-tracer: 2 features, 2 layers × 2 tokens of errors, 2 tokens, 2 logits."""
    module = types.ModuleType("circuit_tracer.somewhere")
    setattr(module, config, type(config, (), {"__module__": module.__name__}))
    module.LogitTarget = namedtuple("LogitTarget", "token vocab_idx", module=module.__name__)  # noqa: PYI024
    monkeypatch.setitem(sys.modules, "circuit_tracer", types.ModuleType("circuit_tracer"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    cfg = getattr(module, config)()
    cfg.n_layers, cfg.dtype, cfg.device = 2, torch.bfloat16, torch.device("cpu")
    matrix = torch.zeros(10, 10)
    matrix[8, 1], matrix[1, 0], matrix[0, 6], matrix[8, 2], matrix[9, 7] = 0.5, -1.0, 2.0, 0.25, 3.0
    return {
        "input_string": "a b", "input_tokens": torch.tensor([5, 6]), "cfg": cfg, "scan": ["x", "y"],
        "active_features": torch.tensor([[0, 0, 11], [1, 1, 12], [1, 1, 13]]),
        "activation_values": torch.tensor([1.5, 2.5, 3.5]),
        "selected_features": torch.tensor([0, 2]),
        "adjacency_matrix": matrix, "logit_targets": [module.LogitTarget(" c", 7), (" d", 8)],
        "logit_probabilities": torch.tensor([0.5, 0.25]), "vocab_size": 100,
    }  # fmt: skip


def test_a_raw_graph_of_circuit_tracer(tmp_path, monkeypatch):
    torch.save(raw_graph(monkeypatch), tmp_path / "a.pt")
    circuit = mt.read_graph(tmp_path / "a.pt")
    assert circuit.node_id == (
        "0_11_0", "1_13_1", "0_-1_0", "0_-1_1", "1_-1_0", "1_-1_1", "E_5_0", "E_6_1",
        "3_7_1", "3_8_1",
    )  # fmt: skip
    edges = scores(circuit)
    assert edges == {
        "1_13_1->3_7_1": 0.5, "0_11_0->1_13_1": -1.0, "E_5_0->0_11_0": 2.0, "0_-1_0->3_7_1": 0.25,
        "E_6_1->3_8_1": 3.0,
    }  # fmt: skip
    flow = dict(zip(circuit.node_id, circuit.node_influence.tolist(), strict=True))
    assert flow["1_13_1"] == pytest.approx(0.5 * 2 / 3)
    assert flow["E_5_0"] == pytest.approx(0.5 * 2 / 3)
    assert circuit.metadata["source"]["activations"] == {"0_11_0": 1.5, "1_13_1": 3.5}
    mt.write_graph(tmp_path / "a.json", circuit)
    assert scores(mt.read_graph(tmp_path / "a.json")) == edges


def test_a_raw_graph_is_written_back_with_the_objects_of_its_tool(tmp_path, monkeypatch):
    given = raw_graph(monkeypatch)
    torch.save(given, tmp_path / "a.pt")
    with monkeypatch.context() as without:  # Microtome needs no part of the tool
        without.delitem(sys.modules, "circuit_tracer.somewhere")
        circuit = mt.read_graph(tmp_path / "a.pt")
        mt.write_graph(tmp_path / "b.pt", circuit)  # the format that it was read from
    found = torch.load(tmp_path / "b.pt", weights_only=False)  # our own file
    assert type(found["cfg"]) is type(given["cfg"])
    assert vars(found["cfg"]) == vars(given["cfg"])
    assert type(found["logit_targets"][0]) is type(given["logit_targets"][0])
    for key, value in given.items():
        if isinstance(value, torch.Tensor):
            assert found[key].dtype == value.dtype
            torch.testing.assert_close(found[key], value, rtol=0, atol=0)
        elif key != "cfg":
            assert found[key] == value
    assert set(found) == set(given)
    mt.write_graph(tmp_path / "a.json", circuit)
    other = mt.read_graph(samples.write(tmp_path / "e.json", samples.eap()))
    with pytest.raises(GraphError, match="was not read from one"):
        mt.write_graph(tmp_path / "c.pt", other, "circuit-tracer")


def test_a_raw_graph_that_lost_nodes_is_written_with_those_left(tmp_path, monkeypatch):
    torch.save(raw_graph(monkeypatch) | {"logit_tokens": torch.tensor([7, 8])}, tmp_path / "a.pt")
    circuit = mt.read_graph(tmp_path / "a.pt")
    kept = np.array([name != "0_11_0" for name in circuit.node_id])
    edges = np.ones(circuit.n_edges, dtype=bool)
    mt.write_graph(tmp_path / "b.pt", circuit.select(kept, edges), "circuit-tracer")
    again = mt.read_graph(tmp_path / "b.pt")
    assert scores(again) == {
        edge: weight for edge, weight in scores(circuit).items() if "0_11_0" not in edge
    }
    assert again.node_id == tuple(name for name in circuit.node_id if name != "0_11_0")


@pytest.mark.parametrize("name", FORMATS)
def test_a_circuit_of_positions_is_summed_over_them(tmp_path, embedded, name):
    pair = mt.PromptPair((0, 1, 2, 3, 1), (0, 3, 2, 3, 1))
    circuit = mt.component_graph(embedded("induction-exact-tiny"), pair)
    path = tmp_path / FORMATS[name]
    mt.write_graph(path, circuit, name)
    again = mt.read_graph(path)
    assert again.metadata["format"] == name
    if name in {"graphml", "attribution-graph"}:
        assert scores(again) == scores(circuit)
        return
    expected: dict[str, float] = {}
    for edge, weight in scores(circuit).items():
        source, _, target = edge.partition("->")
        ends = [named(end.partition("<")[0]) for end in (source, target)]
        key = "->".join(ends) + edge[len(f"{source}->{target.partition('<')[0]}") :]
        expected[key] = expected.get(key, 0) + (1.0 if name == "acdc" else weight)
    found = {edge: weight for edge, weight in scores(again).items() if weight}
    expected = {
        key: min(1.0, value) if name == "acdc" else value for key, value in expected.items()
    }
    assert found == pytest.approx(expected, rel=1e-6)


def named(node):
    """The name of a node without its position, as files of edges write it."""
    place = node.partition("@")[0]
    if place in {"T", "P"}:
        return "input"
    if place == "OUT":
        return "logits"
    layer, _, head = place[1:].partition("H")
    return f"a{layer}.h{head}" if place.startswith("L") else f"m{place[1:]}"


PICKLED = {
    "scores of another shape": (lambda g: g.update(edges_scores=torch.zeros(2, 2)), "edges_scores"),
    "scores that are not finite": (lambda g: g["edges_scores"].fill_(torch.nan), "score nan"),
    "a size that is none": (lambda g: g["cfg"].update(n_layers=10**9), "1000000000 layers"),
    "no size": (lambda g: g.update(cfg=None), "n_layers and n_heads were expected"),
    "no scores": (lambda g: g.pop("edges_scores"), "none of a known graph"),
}
WRITTEN = {
    "an unknown node": (lambda g: g["nodes"].update(x={"in_graph": True}), "'x' is unknown"),
    "a node outside": (lambda g: g["nodes"].update({"a7.h0": {"in_graph": True}}), "outside"),
    "an unknown edge": (lambda g: g["edges"].update({"m0": {}}), "'m0' is unknown"),
    "an edge into a whole head": (lambda g: g["edges"].update({"input->a0.h0": {}}), "is unknown"),
    "a score of text": (lambda g: g["edges"].update({"input->m0": {"score": "1"}}), "input->m0"),
}


@pytest.mark.parametrize("case", PICKLED | WRITTEN)
def test_a_file_of_edges_that_makes_no_sense_is_refused(tmp_path, case):
    change, told = (PICKLED | WRITTEN)[case]
    given = matrices() if case in PICKLED else samples.eap()
    change(given)
    path = tmp_path / "a.pt"
    if case in PICKLED:
        torch.save(given, path)
    else:
        samples.write(path, given)
    with pytest.raises(GraphError, match=told):
        mt.read_graph(path)


def test_features_are_no_components(tmp_path):
    circuit = mt.read_graph(samples.write(tmp_path / "a.json", samples.current()))
    for name in ("eap", "eap-pt", "auto-circuit", "acdc", "acdc-edges"):
        with pytest.raises(GraphError, match=r"heads, MLPs.*has a feature.*attribution graph"):
            mt.write_graph(tmp_path / "b", circuit, name)
    assert not (tmp_path / "b").exists()
    with pytest.raises(InputError, match=r"no graph format 'dot'.*eap-pt"):
        mt.write_graph(tmp_path / "b.json", circuit, "dot")
    with pytest.raises(InputError, match="ends like no graph file"):
        mt.write_graph(tmp_path / "b.dot", circuit)
