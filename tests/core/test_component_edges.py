"""The lazy sweep against all edges made plainly with explicit matrices."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch
from dense_graph import Dense, dense_graph
from random_anatomy import asked_of, random_anatomy

from microtome.circuits.coefficients import Rule
from microtome.circuits.component import linearised
from microtome.circuits.sources import Layout, node_scores
from microtome.circuits.sweep import OUT_ROW, Explored, sweep
from microtome.models.arithmetic import anatomy_in
from microtome.records.circuit import EdgeKind

IDS = [3, 17, 4, 4, 30, 22, 9, 3, 17]
CORRUPT = [3, 17, 4, 6, 30, 22, 12, 3, 17]
RULES = {"single": Rule.SINGLE, "two-point": Rule.TWO_POINT}


def asked(anatomy, rule: Rule):
    return asked_of(anatomy, IDS, CORRUPT if rule.needs_pair else None)


def all_edges(graph: Dense) -> dict[tuple[int, int, int], float]:
    """Weight by (source, target, kind), nodes as component * n_positions + position."""
    n, n_heads = graph.outputs.shape[1], len(graph.value[0])
    found = {(u * n + n - 1, OUT_ROW, EdgeKind.OUT): w for u, w in enumerate(graph.out.tolist())}

    def add(kind: EdgeKind, weight: torch.Tensor, source, target) -> None:
        columns = (np.broadcast_to(x, weight.shape).ravel().tolist() for x in (source, target))
        pairs = zip(*columns, weight.flatten().tolist(), strict=True)
        found.update({(int(s), int(t), kind): w for s, t, w in pairs})

    first = len(graph.outputs) - len(graph.mlp) * (n_heads + 1)
    for layer, row in enumerate(range(first, len(graph.outputs), n_heads + 1)):
        q, u = np.indices(graph.mlp[layer].shape)
        add(EdgeKind.MLP, graph.mlp[layer], u * n + q, (row + n_heads) * n + q)
        h, q, u, p = np.indices(graph.value[layer].shape)
        add(EdgeKind.VALUE, graph.value[layer], u * n + p, (row + h) * n + q)
        add(EdgeKind.KEY, graph.key[layer], u * n + p, (row + h) * n + q)
        h, q, u = np.indices(graph.query[layer].shape)
        add(EdgeKind.QUERY, graph.query[layer], u * n + q, (row + h) * n + q)
    return found


def swept_edges(explored: Explored) -> dict[tuple[int, int, int], float]:
    columns = (explored.source, explored.target, explored.kind, explored.weight)
    return {(s, t, k): w for s, t, k, w in zip(*(c.tolist() for c in columns), strict=True)}


def compare(anatomy, rule: Rule) -> None:
    question = asked(anatomy, rule)
    plain = dense_graph(question.clean, question.corrupt, question.weights, question.position)
    gradient, outputs = linearised(question, rule)
    torch.testing.assert_close(outputs, plain.outputs, atol=1e-11, rtol=0)
    torch.testing.assert_close(node_scores(outputs, gradient), plain.scores, atol=1e-10, rtol=0)
    expected = all_edges(plain)
    found = swept_edges(sweep(gradient, outputs, tau=0.0, keep=10**6))
    assert set(found) <= set(expected)
    worst = max(abs(weight - found.get(edge, 0.0)) for edge, weight in expected.items())
    assert worst < 1e-10 * max(1.0, float(plain.scores.abs().max()))


@pytest.mark.parametrize("rule", RULES)
def test_every_edge_of_every_family_is_the_plain_one(tiny_model, paired, rule):
    compare(anatomy_in(tiny_model(paired).anatomy, torch.float64), RULES[rule])


@pytest.mark.parametrize("name", tiny_models.ROUTED)
def test_every_edge_through_a_mixture_of_experts_is_the_plain_one(tiny_model, name):
    compare(anatomy_in(tiny_model(name).anatomy, torch.float64), Rule.SINGLE)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("order", [{}, {"parallel": True}, {"post": True}], ids=str)
def test_every_edge_of_combined_parts_is_the_plain_one(order, rule):
    compare(random_anatomy(**order), RULES[rule])


def plain_influence(edges: dict, n_rows: int, n: int, tau: float, keep: int):
    """Influence and kept edges target by target, from the metric down."""
    influence = {OUT_ROW: 1.0}
    by_target: dict[int, list] = {}
    for (source, target, kind), weight in edges.items():
        if weight != 0:
            by_target.setdefault(target, []).append((abs(weight), source, int(kind)))
    kept = set()
    for target in [OUT_ROW, *range(n_rows * n - 1, -1, -1)]:
        if influence.get(target, 0.0) < tau or target not in by_target:
            continue
        total = sum(size for size, _, _ in by_target[target])
        for at, (size, source, kind) in enumerate(sorted(by_target[target], reverse=True)):
            influence[source] = influence.get(source, 0.0) + influence[target] * size / total
            if at < keep:
                kept.add((source, target, kind))
    return influence, kept


@pytest.mark.parametrize("block", [1 << 23, 900], ids=["one block", "many blocks"])
@pytest.mark.parametrize(("tau", "keep"), [(0.0, 10**6), (1e-2, 5)])
def test_influence_flows_as_it_does_target_by_target(monkeypatch, tau, keep, block):
    monkeypatch.setattr("microtome.circuits.sweep._BLOCK", block)
    question = asked(random_anatomy(), Rule.SINGLE)
    plain = dense_graph(question.clean, None, question.weights, question.position)
    n = len(IDS)
    influence, kept = plain_influence(all_edges(plain), len(plain.outputs), n, tau, keep)
    gradient, outputs = linearised(question, Rule.SINGLE)
    explored = sweep(gradient, outputs, tau=tau, keep=keep)
    for node, flow in enumerate(explored.influence.flatten().tolist()):
        assert flow == pytest.approx(influence.get(node, 0.0), abs=1e-10)
    assert set(swept_edges(explored)) == kept
    assert len(kept) > 30
    through = dict(zip(swept_edges(explored), explored.edge_influence.tolist(), strict=True))
    out = {source: flow for (source, target, _), flow in through.items() if target == OUT_ROW}
    total = sum(abs(w) for w in plain.out.tolist())
    for source, flow in out.items():
        assert flow == pytest.approx(abs(float(plain.out[source // n])) / total, abs=1e-12)


def test_all_influence_reaches_the_embeddings_when_everything_is_expanded():
    question = asked(random_anatomy(), Rule.SINGLE)
    gradient, outputs = linearised(question, Rule.SINGLE)
    layout = Layout.of(question.anatomy)
    whole = sweep(gradient, outputs, tau=0.0).influence[: layout.n_embeddings].sum()
    lazy = sweep(gradient, outputs, tau=0.02).influence[: layout.n_embeddings].sum()
    assert float(whole) == pytest.approx(1.0, abs=1e-12)
    assert 0.1 < float(lazy) < 0.99
