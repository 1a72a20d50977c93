"""What is left of a behaviour when only some edges stay, and how scores find a known circuit."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from plain_edges import PlainEdges, named_edges

import microtome as mt
from microtome.circuits.discovery.comparing import node_auc
from microtome.errors import InputError, PromptError
from microtome.records.edges import Edges, edge_names
from microtome.records.faithfulness import faithfulness_analysis, faithfulness_of

PAIRS = (
    mt.PromptPair((5, 17, 3, 29, 17, 11), (5, 8, 3, 33, 17, 2)),
    mt.PromptPair((6, 40, 22, 9), (6, 13, 22, 51)),
    mt.PromptPair((30, 2, 44, 19, 8, 7), (12, 2, 58, 3, 8, 41)),
)
METRIC = mt.LogitDifference(4, 9)
SIZES = (0.05, 0.2, 0.5, 0.8, 1.0)
SMALL = {"num_hidden_layers": 2, "num_attention_heads": 2}
TRUE = (
    "input->a0.h0<q>", "input->a0.h0<k>", "input->a0.h0<v>", "a0.h0->a1.h0<k>",
    "input->a1.h0<q>", "input->a1.h0<v>", "a1.h0->logits",
)  # fmt: skip


def read(logits):
    return logits[-1, 4] - logits[-1, 9]


@pytest.fixture(scope="module")
def gpt2(tiny_model):
    model = tiny_model("gpt2", dtype="float64", n_layer=2, n_head=2)
    return SimpleNamespace(model=model, plain=PlainEdges(model.anatomy))


@pytest.fixture(scope="module")
def scored(gpt2):
    return mt.discover_circuit(gpt2.model, PAIRS, METRIC, "eap")


@pytest.fixture(scope="module")
def curve(gpt2, scored):
    return mt.faithfulness(gpt2.model, scored, PAIRS, METRIC, sizes=SIZES)


def plain_connected(edges):
    """What can be walked from the input and on to the logits, edge by edge."""

    def walk(start, steps):
        seen, todo = {start}, [start]
        while todo:
            here = todo.pop()
            for before, after in steps:
                if before == here and after not in seen:
                    seen.add(after)
                    todo.append(after)
        return seen

    steps = [(writer, reader.split("<")[0]) for writer, reader in edges]
    fed, heard = walk("input", steps), walk("logits", [step[::-1] for step in steps])
    kept = zip(edges, steps, strict=True)
    return {edge for edge, (writer, node) in kept if writer in fed and node in heard}


def plain_best(scores, share, *, signed):
    rank = scores.get if signed else lambda edge: abs(scores[edge])
    best = sorted(scores, key=rank, reverse=True)[: int(share * len(scores) + 1e-9)]
    return plain_connected(best)


def trapezoids(heights, sizes):
    steps = zip(pairwise(heights), pairwise(sizes), strict=True)
    return sum((far - near) * (a + b) / 2 for (a, b), (near, far) in steps)


# ------------------------------------------------------------------- against the plain pass


@pytest.mark.parametrize(
    ("kind", "ablation"),
    [("gpt2", "resample"), ("gpt2", "mean"), ("gpt_neox", "zero"), ("bert", "resample")],
)
def test_the_curve_is_that_of_plain_passes(tiny_model, kind, ablation):
    changes = {"n_layer": 2, "n_head": 2} if kind == "gpt2" else SMALL
    model = tiny_model(kind, dtype="float64", **changes)
    plain = PlainEdges(model.anatomy)
    over = [pair.corrupt for pair in PAIRS] if ablation == "mean" else ()
    data = PAIRS if ablation == "resample" else [pair.clean for pair in PAIRS]
    asked = {"ablation": ablation, "over": over}
    circuit = mt.discover_circuit(model, data, METRIC, "eap", **asked)
    found = mt.faithfulness(model, circuit, data, METRIC, sizes=SIZES, **asked)

    scores = named_edges(circuit)
    tasks = [(pair.clean, plain_place(plain, pair, ablation, over), read) for pair in PAIRS]
    with torch.no_grad():
        values = {
            signed: [
                plain_values(plain, tasks, plain_best(scores, size, signed=signed))
                for size in SIZES
            ]
            for signed in (True, False)
        }
        none, whole = plain_values(plain, tasks, ()), plain_values(plain, tasks, plain.edges)
    lost = np.mean(whole) - np.mean(none)
    curves = {
        signed: [(np.mean(kept) - np.mean(none)) / lost for kept in rows]
        for signed, rows in values.items()
    }
    np.testing.assert_allclose(found.values, values[True], atol=1e-6)
    np.testing.assert_allclose(found.whole, whole, atol=1e-6)
    np.testing.assert_allclose(found.none, none, atol=1e-6)
    np.testing.assert_allclose(found.faithfulness, curves[True], atol=1e-5)
    np.testing.assert_allclose(found.by_magnitude, curves[False], atol=1e-5)
    assert list(found.counts) == [len(plain_best(scores, s, signed=True)) for s in SIZES]
    assert found.cpr == pytest.approx(trapezoids(curves[True], SIZES), abs=1e-5)
    distance = [abs(1 - height) for height in curves[False]]
    assert found.cmd == pytest.approx(trapezoids(distance, SIZES), abs=1e-5)
    assert len({round(height, 3) for height in curves[True]}) > 2


def plain_place(plain, pair, ablation, over):
    own = plain.written(pair.clean)
    if ablation == "resample":
        return plain.written(pair.corrupt)
    if ablation == "zero":
        return {name: torch.zeros_like(value) for name, value in own.items()}
    mean = plain.mean(over)
    return {name: mean[name].expand_as(value) for name, value in own.items()}


def plain_values(plain, tasks, kept):
    gone = [edge for edge in plain.edges if edge not in set(kept)]
    return [plain.value([task], gone) for task in tasks]


def test_all_edges_are_the_clean_run_and_none_the_corrupt_one(gpt2, curve):
    for number, pair in enumerate(PAIRS):
        clean, corrupt = (float(read(gpt2.plain.run(ids)[0])) for ids in (pair.clean, pair.corrupt))
        assert curve.whole[number] == pytest.approx(clean, abs=1e-6)
        assert curve.none[number] == pytest.approx(corrupt, abs=1e-6)
    assert curve.faithfulness[-1] == curve.by_magnitude[-1] == pytest.approx(1.0, abs=1e-9)


def test_too_few_edges_to_reach_the_logits_keep_nothing(gpt2, scored):
    """The best edge alone leads nowhere, so that it is dropped."""
    without = replace(scored, edge_weight=np.where(
        np.arange(len(scored.edge_weight)) == len(scored.edge_weight) - 1, 1, 0
    ).astype(np.float32))  # fmt: skip
    found = mt.faithfulness(gpt2.model, without, PAIRS, METRIC, sizes=(1 / 46, 1.0))
    assert list(found.counts) == [0, 46]
    assert found.faithfulness == pytest.approx([0.0, 1.0], abs=1e-9)


# ------------------------------------------------------------------- known circuits


def test_the_known_circuit_alone_keeps_the_behaviour(embedded):
    """All of it from seven edges on, nothing with fewer: so that both areas are known."""
    model = embedded("induction-exact")
    prompts = [(3, 5, 7, 9, 3, 5), (8, 2, 11, 4, 6, 8), (12, 9, 10, 2, 14, 9, 10)]
    metrics = [mt.Probability(token) for token in (7, 2, 2)]
    circuit = mt.discover_circuit(model, prompts, metrics, "exact", ablation="zero")
    count = len(circuit.edge_weight)
    sizes = [edges / count for edges in (1, 6, 7, 14, count)]
    found = mt.faithfulness(model, circuit, prompts, metrics, ablation="zero", sizes=sizes)
    assert list(found.counts[1:3]) == [0, 7]
    assert found.faithfulness == pytest.approx([0, 0, 1, 1, 1], abs=0.01)
    assert found.by_magnitude == pytest.approx([0, 0, 1, 1, 1], abs=0.01)
    assert found.smallest == pytest.approx(7 / count)
    assert found.cpr == pytest.approx((0.5 + count - 7) / count, abs=0.01)
    assert found.cmd == pytest.approx((5 + 0.5) / count, abs=0.01)
    assert mt.edge_auc(circuit, TRUE) == node_auc(circuit, TRUE) == 1.0


def test_areas_under_the_roc_count_ties_as_halves(scored):
    names = [f"{writer}->{reader}" for writer, reader in named_edges(scored)]
    weight = np.zeros(len(names), dtype=np.float32)
    known = names[:4]
    assert mt.edge_auc(replace(scored, edge_weight=weight), known) == 0.5
    weight[[0, 1]], weight[2] = -3.0, 1.0  # the size counts, whatever the sign
    weight[10], weight[11] = 2.0, 1.0
    others = len(names) - 4
    wins = [others, others, others - 2 + 0.5, (others - 2) / 2]
    found = mt.edge_auc(replace(scored, edge_weight=weight), known)
    assert found == pytest.approx(sum(wins) / 4 / others)


def test_areas_of_many_edges_take_no_table_of_known_by_other_edges():
    edges = Edges(6, 8)
    circuit = edges.as_circuit(np.zeros(edges.exists.shape), {"aggregated": True})
    known = edge_names(circuit)[::2]
    circuit = replace(circuit, edge_weight=np.arange(edges.count) // 2 % 50.0)  # many ties
    tracemalloc.start()
    try:
        found = mt.edge_auc(circuit, known)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == pytest.approx(0.5, abs=0.01)
    assert peak < edges.count**2 / 4  # bytes: a table has eight for each quarter of these


def test_edges_that_were_not_tried_count_as_zero(scored):
    names = edge_names(scored)
    weight = np.arange(len(names), dtype=np.float32)
    weight[:9] = 0.0
    untried = weight.copy()
    untried[:9] = np.nan
    for area in (mt.edge_auc, node_auc):
        found, wanted = (
            area(replace(scored, edge_weight=w), names[4:20:3]) for w in (untried, weight)
        )
        assert found == wanted


def test_known_edges_that_are_none_are_refused_by_name(scored):
    for area in (mt.edge_auc, node_auc):
        with pytest.raises(InputError, match=r"no edge input->a7.h0<q>"):
            area(scored, ["input->a7.h0<q>"])
        with pytest.raises(InputError, match=r"no edge m0->a0.h0<q>"):
            area(scored, ["m0->a0.h0<q>"])
        with pytest.raises(InputError, match="all edges or none"):
            area(scored, [])


# ------------------------------------------------------------------- edges that lead somewhere


def test_only_edges_on_a_way_from_input_to_logits_are_connected():
    edges = Edges(3, 1)
    way = {"input->a0.h0<v>", "a0.h0->m1", "m1->a2.h0<k>", "a2.h0->logits"}
    nowhere = {"input->m0", "a0.h0->m0", "m1->a2.h0<q>", "m2->logits", "a1.h0->m2"}
    found = edges.connected(edges.mask(way | nowhere))
    assert set(names(edges, found)) == {*way, "m1->a2.h0<q>"}
    assert not edges.connected(edges.mask(nowhere)).any()
    assert (edges.connected(edges.exists) == edges.exists).all()
    draw = np.random.default_rng(1)
    for _ in range(20):
        chosen = edges.exists & (draw.random(edges.exists.shape) < 0.25)
        listed = [tuple(name.split("->")) for name in names(edges, chosen)]
        plain = {"->".join(edge) for edge in plain_connected(listed)}
        assert set(names(edges, edges.connected(chosen))) == plain


def names(edges, mask):
    rows = zip(*np.nonzero(mask), strict=True)
    return [f"{edges.writer_names[w]}->{edges.reader_names[r]}" for w, r in rows]


def test_parallel_blocks_have_no_edge_from_heads_to_their_mlp():
    serial, parallel = Edges(2, 3), Edges(2, 3, parallel=True)
    gone = set(names(serial, serial.exists)) - set(names(parallel, parallel.exists))
    assert gone == {f"a{layer}.h{head}->m{layer}" for layer in range(2) for head in range(3)}


# ------------------------------------------------------------------- the band


def test_the_band_is_the_bootstrap_over_examples(gpt2, scored, curve):
    assert curve.band.shape == (2, len(SIZES))
    low, high = curve.band
    assert (low <= curve.faithfulness + 1e-6).all()
    assert (high >= curve.faithfulness - 1e-6).all()
    draw, shares = np.random.default_rng(99), []
    for _ in range(4000):
        rows = draw.integers(0, len(PAIRS), len(PAIRS))
        none, whole = curve.none[rows].mean(), curve.whole[rows].mean()
        shares.append((curve.values[:, rows].mean(1) - none) / (whole - none))
    plain = np.percentile(shares, [2.5, 97.5], axis=0)
    width = np.maximum(plain[1] - plain[0], 1e-6)
    assert (np.abs(curve.band - plain) < 0.1 * width).all()
    again = mt.faithfulness(gpt2.model, scored, PAIRS, METRIC, sizes=SIZES)
    np.testing.assert_array_equal(again.band, curve.band)
    other = mt.faithfulness(gpt2.model, scored, PAIRS, METRIC, sizes=SIZES, seed=5)
    assert other.params["id"] != again.params["id"] == curve.params["id"]
    alone = mt.faithfulness(gpt2.model, scored, PAIRS[0], METRIC, sizes=SIZES)
    assert alone.band is None


# ------------------------------------------------------------------- what is refused


def test_what_cannot_be_tested_is_refused(gpt2, scored, tiny_model):
    model = gpt2.model
    for sizes in ((), (0.0, 1.0), (0.5, 0.5), (0.5, 0.2), (0.5, 1.5), (float("nan"),)):
        with pytest.raises(InputError, match="Give rising shares of all edges"):
            mt.faithfulness(model, scored, PAIRS, METRIC, sizes=sizes)
    with pytest.raises(InputError, match="of 2 layers and 2 heads, and this one has 3 and 4"):
        mt.faithfulness(tiny_model("gpt2"), scored, PAIRS, METRIC)
    serial = tiny_model("gpt_neox_serial", dtype="float64", **SMALL)
    parallel = tiny_model("gpt_neox", dtype="float64", **SMALL)
    circuit = mt.discover_circuit(serial, PAIRS, METRIC, "eap")
    with pytest.raises(InputError, match="parallel"):
        mt.faithfulness(parallel, circuit, PAIRS, METRIC)
    by_position = mt.component_graph(model, PAIRS[0], METRIC)
    with pytest.raises(InputError, match="by position"):
        mt.faithfulness(model, by_position, PAIRS, METRIC)
    with pytest.raises(InputError, match="by position"):
        mt.edge_auc(by_position, ["input->m0"])
    same = mt.PromptPair(PAIRS[0].clean, PAIRS[0].clean)
    with pytest.raises(InputError, match="same value"):
        mt.faithfulness(model, scored, same, METRIC)
    with pytest.raises(PromptError, match="a corrupt prompt of 4"):
        mt.faithfulness(model, scored, mt.PromptPair(PAIRS[0].clean, PAIRS[1].corrupt), METRIC)


# ------------------------------------------------------------------- the record


def test_the_record_is_the_same_after_a_round_trip(curve):
    analysis = faithfulness_analysis(curve, "names")
    assert (analysis.id, analysis.kind, analysis.title) == (
        curve.params["id"],
        "faithfulness",
        "names",
    )
    told = json.loads(json.dumps(analysis.params))
    again = faithfulness_of(replace(analysis, params=told))
    for name in (
        "sizes",
        "counts",
        "faithfulness",
        "by_magnitude",
        "values",
        "whole",
        "none",
        "band",
    ):
        np.testing.assert_array_equal(getattr(again, name), getattr(curve, name))
    assert (again.cpr, again.cmd, again.metric) == (curve.cpr, curve.cmd, curve.metric)
    assert again.params == curve.params
    assert again.params["method"] == "eap"
    assert again.params["ablation"] == "resample"
    assert len(again.params["prompts"]) == len(PAIRS)
    without = faithfulness_of(faithfulness_analysis(replace(curve, band=None)))
    assert without.band is None
