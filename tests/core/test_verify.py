"""Real ablations: through the model, in its arithmetic, and plainly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from random_anatomy import asked_of

from microtome.circuits.carried import Carried
from microtome.circuits.coefficients import Rule
from microtome.circuits.component import component_graph, linearised
from microtome.circuits.edges import EdgeEnds, run_without_edge
from microtome.circuits.sources import Layout
from microtome.circuits.sweep import sweep
from microtome.circuits.verify import ablate_edge, ablate_node, reproduced_share
from microtome.errors import Cancelled, InputError
from microtome.jobs import Job
from microtome.metrics import LogitDifference
from microtome.models.arithmetic import anatomy_in, run
from microtome.models.operations import normalise
from microtome.prompts import PromptPair
from microtome.records.circuit import HEAD, MLP, OUTPUT, EdgeKind

IDS = (3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5)
CORRUPT = (3, 17, 4, 4, 60, 22, 9, 31, 44, 3, 17, 5)
METRIC = LogitDifference(5, 9)
SITES = {"token": "embed", "position": "pos_embed", HEAD: "z", MLP: "mlp_out"}


def value(analysis, name="true") -> float:
    (only,) = analysis.array(name)
    return float(only)


def metric_of(ran) -> float:
    logits = ran.logits(-1)
    return float(logits[5] - logits[9])


def written(ran, site: str, layer: int):
    """What the arithmetic has at a site, behind a norm on the branch."""
    if layer < 0:
        return ran.embedding if site == "embed" else ran.position_embedding
    block = ran.blocks[layer]
    if site == "z":
        return block.attention.z
    return normalise(ran.anatomy.blocks[layer].mlp_norm, block.mlp.out)


def arithmetic_effect(ran, kind, layer, position, head, other=None) -> float:
    """Metric before minus after one node is replaced in the arithmetic."""

    def edit(site, at, values):
        if site != SITES[kind] or at != layer:
            return values
        values = values.clone()
        place = (head, position) if kind == HEAD else position
        values[place] = 0 if other is None else written(other, site, layer)[place]
        return values

    return metric_of(ran) - metric_of(run(ran.anatomy, ran.ids, edit=edit))


def strongest_nodes(circuit, count=4):
    order = np.argsort(-circuit.node_influence)
    return [row for row in order if circuit.node_id[row] != "OUT"][:count]


def place(circuit, row):
    columns = (circuit.node_layer, circuit.node_position, circuit.node_head)
    return circuit.node_kind[row], *(int(column[row]) for column in columns)


def test_a_node_set_to_zero_in_the_model_and_in_the_arithmetic(tiny_model, family):
    model = tiny_model(family)
    circuit = component_graph(model, IDS, METRIC)
    ran = run(model.anatomy, torch.tensor(IDS))
    for row in strongest_nodes(circuit):
        found = ablate_node(model, IDS, circuit, circuit.node_id[row], METRIC)
        assert value(found) == pytest.approx(arithmetic_effect(ran, *place(circuit, row)), abs=2e-4)
        assert value(found, "predicted") == pytest.approx(float(circuit.node_score[row]))
        held = found.params
        assert held["base"] - held["ablated"] == pytest.approx(value(found))
        assert held["how"] == "set to zero"


def test_a_node_exchanged_between_the_runs_of_a_pair(tiny_model, paired):
    model = tiny_model(paired)
    pair = PromptPair(IDS, CORRUPT)
    circuit = component_graph(model, pair, METRIC)
    clean, corrupt = (run(model.anatomy, torch.tensor(ids)) for ids in (IDS, CORRUPT))
    for row in strongest_nodes(circuit, 3):
        found = ablate_node(model, pair, circuit, circuit.node_id[row], METRIC)
        noised = arithmetic_effect(clean, *place(circuit, row), corrupt)
        denoised = -arithmetic_effect(corrupt, *place(circuit, row), clean)
        assert value(found, "noised") == pytest.approx(noised, abs=2e-4)
        assert value(found, "denoised") == pytest.approx(denoised, abs=2e-4)
        assert value(found) == pytest.approx((noised + denoised) / 2, abs=2e-4)


def strongest_edges(circuit, kind, count=3):
    rows = np.flatnonzero(circuit.edge_kind == kind)
    rows = rows[np.argsort(-np.abs(circuit.edge_weight[rows]))][:count]
    ends = [(circuit.edge_source[row], circuit.edge_target[row]) for row in rows]
    return [(circuit.node_id[s], circuit.node_id[t], int(kind)) for s, t in ends]


def heads_plainly(block, streams, ran) -> torch.Tensor:
    """[head, query, d_head], query by query, from three residual streams (no rotation)."""
    a = block.attention
    reads = []
    for stream in streams:
        centred = stream - stream.mean(-1, keepdim=True)
        norm = block.norm1
        root = (centred.pow(2).mean(-1, keepdim=True) + norm.eps).sqrt()
        reads.append(centred / root * norm.weight + norm.bias)
    z = torch.zeros_like(ran.attention.z)
    for h in range(len(a.w_q)):
        q = reads[0] @ a.w_q[h].T + a.b_q[h]
        k = reads[1] @ a.w_k[h].T + a.b_k[h]
        v = reads[2] @ a.w_v[h].T + a.b_v[h]
        for at in range(len(q)):
            weights = torch.softmax(a.scale * (k[: at + 1] @ q[at]), 0)
            z[h, at] = weights @ v[: at + 1]
    return z


def adds(ran, kind, layer, position, head) -> torch.Tensor:
    """What a node adds to the residual stream (no norm on the branch)."""
    output = written(ran, SITES[kind], layer)
    if kind == HEAD:
        output = output[head] @ ran.anatomy.blocks[layer].attention.w_o[head].T
    return output[position]


def metric_without_edge(ran, circuit, edge, output) -> float:
    """The metric when one input of one head lacks ``output`` at the source's position."""
    source, target, kind = edge
    position = place(circuit, circuit.row(source))[2]
    _, layer, query, head = place(circuit, circuit.row(target))
    stream = ran.blocks[layer].resid_pre
    changed = stream.clone()
    changed[position] -= output
    order = (EdgeKind.QUERY, EdgeKind.KEY, EdgeKind.VALUE)
    streams = [changed if kind == one else stream for one in order]
    z = heads_plainly(ran.anatomy.blocks[layer], streams, ran.blocks[layer])[head, query]

    def edit(site, at, values):
        if (site, at) == ("z", layer):
            values = values.clone()
            values[head, query] = z
        return values

    return metric_of(run(ran.anatomy, ran.ids, edit=edit))


ATTENTION = pytest.mark.parametrize("kind", [EdgeKind.QUERY, EdgeKind.KEY, EdgeKind.VALUE])


@ATTENTION
def test_an_attention_edge_changes_one_input_of_one_head_only(tiny_model, kind):
    model = tiny_model("gpt2")
    circuit = component_graph(model, IDS, METRIC)
    ran = run(model.anatomy, torch.tensor(IDS))
    for edge in strongest_edges(circuit, kind):
        output = adds(ran, *place(circuit, circuit.row(edge[0])))
        expected = metric_of(ran) - metric_without_edge(ran, circuit, edge, output)
        found = ablate_edge(model, IDS, circuit, edge, METRIC)
        assert value(found) == pytest.approx(expected, abs=2e-4)
        assert abs(expected) > 1e-4
        assert found.id == f"verification/{edge[0]}>{edge[1]}/{int(kind)}"


@ATTENTION
def test_an_attention_edge_of_a_pair_is_exchanged_both_ways(tiny_model, kind):
    model = tiny_model("gpt2")
    pair = PromptPair(IDS, CORRUPT)
    circuit = component_graph(model, pair, METRIC)
    clean, corrupt = (run(model.anatomy, torch.tensor(ids)) for ids in (IDS, CORRUPT))
    for edge in strongest_edges(circuit, kind, 2):
        source = place(circuit, circuit.row(edge[0]))
        moved = adds(clean, *source) - adds(corrupt, *source)
        noised = metric_of(clean) - metric_without_edge(clean, circuit, edge, moved)
        denoised = metric_without_edge(corrupt, circuit, edge, -moved) - metric_of(corrupt)
        found = ablate_edge(model, pair, circuit, edge, METRIC)
        assert value(found, "noised") == pytest.approx(noised, abs=2e-4)
        assert value(found, "denoised") == pytest.approx(denoised, abs=2e-4)
        assert value(found) == pytest.approx((noised + denoised) / 2, abs=2e-4)


def test_an_edge_that_is_all_a_target_reads_acts_as_the_node(tiny_model):
    """Taking the token from every reader at its position is what ablating the token does."""
    model = tiny_model("gpt2")
    circuit = component_graph(model, IDS, METRIC, keep=10**6, tau=0)
    ran = run(model.anatomy, torch.tensor(IDS))
    out = ("M2@11", "OUT", int(EdgeKind.OUT))
    by_edge = value(ablate_edge(model, IDS, circuit, out, METRIC))
    # Nothing but the metric reads the last MLP, so its edge is its whole effect.
    by_node = value(ablate_node(model, IDS, circuit, "M2@11", METRIC))
    assert by_edge == pytest.approx(by_node, abs=2e-4)
    assert by_edge == pytest.approx(arithmetic_effect(ran, MLP, 2, 11, -1), abs=2e-4)
    pair = PromptPair(IDS, CORRUPT)
    found = ablate_edge(model, pair, component_graph(model, pair, METRIC), out, METRIC)
    both = ablate_node(model, pair, component_graph(model, pair, METRIC), "M2@11", METRIC)
    for name in ("noised", "denoised", "true"):
        assert value(found, name) == pytest.approx(value(both, name), abs=2e-4)


def test_an_edge_between_runs_that_hardly_differ_does_what_its_weight_says(tiny_model, paired):
    """There the two-point rule is the gradient, so prediction and truth must meet."""
    anatomy = anatomy_in(tiny_model(paired).anatomy, torch.float64)
    table = anatomy.embedding.clone()
    table[44] = table[8] + 1e-6 * torch.linspace(-1, 1, table.shape[1], dtype=torch.float64)
    asked = asked_of(replace(anatomy, embedding=table), list(IDS), list(CORRUPT))
    gradient, outputs = linearised(asked, Rule.TWO_POINT)
    found = sweep(gradient, outputs, tau=0.0, keep=10**6)
    carried = Carried(gradient.coefficients, outputs)
    layout, n = Layout.of(anatomy), len(IDS)
    for kind in list(EdgeKind)[:5]:
        rows = torch.nonzero(found.kind == kind)[:, 0]
        for row in rows[found.weight[rows].abs().topk(2).indices].tolist():
            start, position = divmod(int(found.source[row]), n)
            end, query = divmod(int(found.target[row]), n)
            into = layout.component(end) if kind != EdgeKind.OUT else (OUTPUT, 3, -1)
            place = query if kind != EdgeKind.OUT else asked.position
            ends = EdgeEnds(*layout.component(start), position, *into[1:], place, kind)
            assert ends.source_row(layout) == start
            read = ends.read_of(carried)[start, position]
            after = run_without_edge(asked.clean, ends, read)
            effect = asked.value - asked.of(after)
            assert effect == pytest.approx(float(found.weight[row]), rel=1e-3, abs=1e-12)


def test_all_nodes_reproduce_everything_and_none_only_the_embeddings(tiny_model, paired):
    model = tiny_model(paired)
    pair = PromptPair(IDS, CORRUPT)
    circuit = component_graph(model, pair, METRIC, tau=0, keep=10**6)
    names = [f"L{layer}H{head}@{p}" for layer in range(3) for head in range(4) for p in range(12)]
    names += [f"M{layer}@{p}" for layer in range(3) for p in range(12)]
    whole = reproduced_share(model, pair, names, METRIC)
    assert whole.params["share"] == pytest.approx(1.0, abs=1e-3)
    assert reproduced_share(model, IDS, names, METRIC).params["share"] == pytest.approx(1, abs=1e-3)
    assert set(whole.params["nodes"]) == set(names)
    direct = [*circuit.node_id]
    kept = [name for name in direct if name[0] in "TP"]
    alone = reproduced_share(model, pair, kept, METRIC).params
    # The answer's position holds the same token in both prompts, so nothing is left.
    assert alone["share"] == pytest.approx(0.0, abs=1e-3)
    assert alone["nodes"] == []


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "gemma2"])
def test_the_share_is_that_of_the_arithmetic_with_the_rest_replaced(tiny_model, name):
    model = tiny_model(name)
    kept = {"L0H1@11", "L1H2@11", "M0@11", "M1@8", "L1H0@8", "M2@11"}
    clean, corrupt = (run(model.anatomy, torch.tensor(ids)) for ids in (IDS, CORRUPT))

    def replaced(other):
        def edit(site, layer, values):
            if site not in ("z", "mlp_out"):
                return values
            new = torch.zeros_like(values) if other is None else written(other, site, layer).clone()
            for p in range(len(IDS)):
                if site == "mlp_out" and f"M{layer}@{p}" in kept:
                    new[p] = values[p]
                for h in range(4) if site == "z" else ():
                    if f"L{layer}H{h}@{p}" in kept:
                        new[h, p] = values[h, p]
            return new

        return metric_of(run(clean.anatomy, clean.ids, edit=edit))

    base, zero = metric_of(clean), metric_of(corrupt)
    pair = reproduced_share(model, PromptPair(IDS, CORRUPT), kept, METRIC).params
    assert pair["share"] == pytest.approx((replaced(corrupt) - zero) / (base - zero), abs=1e-3)
    single = reproduced_share(model, IDS, kept, METRIC).params
    assert single["share"] == pytest.approx(replaced(None) / base, abs=1e-3)


def test_means_over_references_leave_out_the_first_position(tiny_model):
    model = tiny_model("gpt2")
    references = [CORRUPT, (7, 7, 30), IDS[:5]]
    found = reproduced_share(model, IDS, (), METRIC, references=references)
    runs = [run(model.anatomy, torch.tensor(ids)) for ids in references]

    def edit(site, layer, values):
        if site not in ("z", "mlp_out"):
            return values
        rows = torch.cat([written(ran, site, layer)[..., 1:, :] for ran in runs], -2)
        return rows.mean(-2, keepdim=True).expand_as(values)

    after = metric_of(run(model.anatomy, torch.tensor(IDS), edit=edit))
    assert found.params["ablated"] == pytest.approx(after, abs=1e-4)
    assert found.params["how"] == "others replaced by their mean over 3 prompts"


def test_no_share_where_both_prompts_give_the_same(tiny_model):
    found = reproduced_share(tiny_model("gpt2"), PromptPair(IDS, IDS), (), METRIC)
    assert found.params["share"] is None


def test_what_is_not_in_the_circuit_is_refused_by_name(tiny_model):
    model = tiny_model("gpt2")
    circuit = component_graph(model, IDS, METRIC)
    with pytest.raises(InputError, match="no node L9H0@1"):
        ablate_node(model, IDS, circuit, "L9H0@1", METRIC)
    with pytest.raises(InputError, match="OUT is what is measured"):
        ablate_node(model, IDS, circuit, "OUT", METRIC)
    with pytest.raises(InputError, match="no edge of kind 3 from T@1 to OUT"):
        ablate_edge(model, IDS, circuit, ("T@1", "OUT", 3), METRIC)


def test_ablations_can_be_stopped_and_leave_the_model_as_it_was(tiny_model):
    model = tiny_model("gpt2")
    before = model.forward(torch.tensor([IDS]))
    circuit = component_graph(model, IDS, METRIC)
    job = Job()
    job.cancel()
    for act in (
        lambda: ablate_node(model, IDS, circuit, "M0@11", METRIC, job=job),
        lambda: ablate_edge(model, IDS, circuit, ("M2@11", "OUT", 4), METRIC, job=job),
        lambda: reproduced_share(model, IDS, (), METRIC, job=job),
    ):
        with pytest.raises(Cancelled):
            act()
    ablate_node(model, IDS, circuit, "M0@11", METRIC)
    torch.testing.assert_close(model.forward(torch.tensor([IDS])), before)
