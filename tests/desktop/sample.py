"""A session as a run would give it, made from numpy alone: random parts that add up."""

from __future__ import annotations

import numpy as np

from microtome.prompts import Question
from microtome.records.analysis import Analysis, Labelled
from microtome.records.checks import CheckReport, CheckResult, Verdict
from microtome.records.circuit import (
    HEAD,
    MLP,
    OUTPUT,
    POSITION,
    TOKEN,
    Circuit,
    EdgeKind,
    component_id,
)
from microtome.records.hypothesis import Hypothesis
from microtome.records.model import ModelIdentity
from microtome.records.scrubbed import Scrubbed, Wire, scrubbed_analysis
from microtome.records.session import Session
from microtome.records.sweep import Sweep
from microtome.records.trace import Activation, Trace
from microtome_desktop.jobs.sweep_requests import analysis_for
from microtome_desktop.state.sweeps import Wish

LAYERS, HEADS, D_MODEL, D_HEAD, D_MLP = 4, 4, 32, 8, 64
TOKENS = (
    "<bos>", "When", "Mary", "and", "John", "went", "to", "the", "store", ",",
    "John", "gave", "a", "drink", "to",
)  # fmt: skip
CORRUPT = tuple("Mary" if position == 10 else token for position, token in enumerate(TOKENS))
WORDS = (
    *dict.fromkeys(TOKENS),
    *[
        "Anna",
        "Tom",
        "she",
        "he",
        "it",
        "them",
        "her",
        "him",
        "bag",
        "ball",
        "book",
        "park",
        ".",
        "?",
    ],
)
VOCABULARY = (*WORDS, *(f"word{number}" for number in range(60 - len(WORDS))))
METRIC = "logit(Mary) \N{MINUS SIGN} logit(John)"
N = len(TOKENS)


def identity() -> ModelIdentity:
    return ModelIdentity(
        name="words-4l", architecture="gpt2", fingerprint="0f" * 32, n_layers=LAYERS,
        n_heads=HEADS, n_kv_heads=HEADS, d_model=D_MODEL, d_head=D_HEAD, d_mlp=D_MLP,
        vocabulary=len(VOCABULARY), context=64, n_parameters=873_088,
    )  # fmt: skip


def session() -> Session:
    """Four layers, four heads, fifteen tokens: a pair of runs, a circuit, all analyses."""
    clean = _trace(identity(), TOKENS, "Mary", seed=1)
    corrupt = _trace(identity(), CORRUPT, "John", seed=2)
    circuit = _circuit(seed=3)
    found = [
        _lens(clean), _direct(circuit, seed=4), _head_scores(seed=5), _projection(seed=6),
        _attention_sources(circuit, seed=7), _verification(circuit), _reproduced(circuit),
    ]  # fmt: skip
    return Session(
        model=identity(),
        traces=(clean, corrupt),
        circuit=circuit,
        analyses={analysis.id: analysis for analysis in found},
        question=Question(_text(TOKENS), _text(CORRUPT), "Mary", "John"),
        metric={"name": METRIC, "kind": "logit-difference", "answer": "Mary", "wrong": "John",
                "value": circuit.metadata["metric_value"]},
        checks=_checks(),
        uuid="3b1f0c1e-0000-4000-8000-000000000001",
        created="2026-01-01T12:00:00+00:00",
        versions={"microtome": "0.1.0"},
    )  # fmt: skip


def sweep(session: Session) -> Analysis:
    """A sweep of the residual stream of the sample's pair, as the engine would hand it over."""
    effects = np.random.default_rng(8).normal(0, 0.3, (LAYERS, N)).astype(np.float32)
    wish = Wish(session.question)
    found = Sweep(
        "resid_pre", ("layer", "position"), effects * 4, effects, 3.2, -1.1, METRIC,
        tokens=CORRUPT, source_tokens=TOKENS, skipped=9, seconds=0.25,
        params={"id": "sweep-0123456789ab"},
    )  # fmt: skip
    return analysis_for(wish, found)


def _text(tokens: tuple[str, ...]) -> str:
    return " ".join(tokens[1:]).replace(" ,", ",")


def _softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _trace(identity, tokens, answer, *, seed) -> Trace:
    """Random parts that add up: each residual stream is the one before plus what was written."""
    draw = np.random.default_rng(seed)

    def normal(*shape):
        return draw.standard_normal(shape).astype(np.float32)

    scores = 2 * normal(LAYERS, HEADS, N, N)
    scores += 4 * np.eye(N, k=-1, dtype=np.float32)  # looks like previous-token heads
    pattern = _softmax(np.where(np.tri(N, dtype=bool), scores, -np.inf)).astype(np.float32)
    attention, mlp = 0.5 * normal(LAYERS, N, D_MODEL), 0.7 * normal(LAYERS, N, D_MODEL)
    embed, position = normal(N, D_MODEL), 0.3 * normal(N, D_MODEL)
    written = np.stack([attention, mlp], axis=1).reshape(2 * LAYERS, N, D_MODEL)
    stream = embed + position + np.cumsum(np.concatenate([np.zeros_like(written[:1]), written]), 0)
    mlp_pre = normal(LAYERS, N, D_MLP)
    layers = tuple(range(LAYERS))
    per_layer = {
        "pattern": pattern, "attn_out": attention, "mlp_out": mlp,
        "resid_pre": stream[0:-1:2], "resid_mid": stream[1::2], "resid_post": stream[2::2],
        "mlp_pre": mlp_pre, "mlp_post": np.maximum(mlp_pre, 0.1 * mlp_pre),
        **{name: normal(LAYERS, N, HEADS, D_HEAD) for name in ("q", "k", "v", "z")},
    }  # fmt: skip
    logits = 1.5 * normal(N, len(VOCABULARY))
    logits[-1, VOCABULARY.index(answer)] = 8.0
    probabilities = _softmax(logits)
    order = np.argsort(-logits, axis=-1)[:, :20].astype(np.int32)
    return Trace(
        model=identity,
        prompt=_text(tokens),
        token_ids=np.array([VOCABULARY.index(token) for token in tokens], dtype=np.int32),
        tokens=tokens,
        top_ids=order,
        top_logits=np.take_along_axis(logits, order, -1),
        top_probabilities=np.take_along_axis(probabilities, order, -1),
        top_tokens=tuple(tuple(VOCABULARY[i] for i in row) for row in order),
        logits=logits,
        activations={
            "embed": Activation(embed),
            "pos_embed": Activation(position),
            **{name: Activation(values, layers) for name, values in per_layer.items()},
        },
        seconds=0.02,
    )


def _circuit(*, seed) -> Circuit:
    """Columns of random nodes and the edges among them; nodes that feed nothing are left out."""
    draw = np.random.default_rng(seed)
    rows = _nodes(draw)
    edges, score, influence = _edges(draw, rows)
    links = zip(*edges, strict=True)
    source, target, through = (np.array(column, dtype=np.int32) for column in links)
    weight = np.array(list(edges.values()), dtype=np.float32)
    inflow = np.bincount(target, np.abs(weight), len(rows))
    passed = influence[target] * np.abs(weight) / inflow[target]
    columns = [np.array(c, dtype=np.int32) for c in zip(*(row[1:] for row in rows), strict=True)]
    everything = Circuit(
        node_id=tuple(component_id(*row) for row in rows),
        node_kind=tuple(row[0] for row in rows),
        node_layer=columns[0],
        node_position=columns[1],
        node_head=columns[2],
        node_feature=np.full(len(rows), -1, dtype=np.int32),
        node_label=tuple(_label(*row) for row in rows),
        node_score=score.astype(np.float32),
        node_influence=influence.astype(np.float32),
        node_bias=np.zeros(len(rows), dtype=np.float32),
        edge_source=source,
        edge_target=target,
        edge_kind=through,
        edge_weight=weight,
        edge_influence=passed.astype(np.float32),
        metadata={
            "method": "component-graph", "rule": "two-point", "values_only": False,
            "metric": METRIC, "metric_value": 6.2, "metric_value_corrupt": -5.9,
            "cancellation": 1.8, "unexplored": 0.031, "tau": 3e-4, "tokens": list(TOKENS),
            "prompt": _text(TOKENS), "corrupt": _text(CORRUPT), "seconds": 0.024,
            "n_layers": LAYERS, "n_heads": HEADS, "notes": [],
        },
    )  # fmt: skip
    return everything.select(influence > 0, np.ones(len(weight), dtype=bool))


def _edges(draw, rows):
    """Edges (source, target, kind) -> weight; a node's score is the sum of those that leave it."""
    depth = np.array([2 * layer + (kind == MLP) for kind, layer, _, _ in rows])
    position = np.array([place for _, _, place, _ in rows])
    edges: dict[tuple[int, int, int], float] = {}
    score, influence = np.zeros(len(rows)), np.zeros(len(rows))
    score[0], influence[0] = 6.2, 1.0
    for target in np.argsort(-depth, kind="stable"):  # what feeds it is shallower
        kind = rows[target][0]
        if kind in (TOKEN, POSITION) or influence[target] == 0:
            continue
        same = position == position[target]
        visible = same if kind in (MLP, OUTPUT) else position <= position[target]
        sources = np.flatnonzero(visible & (depth < depth[target]))
        count = min(len(sources), 24 if kind == OUTPUT else 11)
        chosen = draw.choice(sources, count, replace=False)
        strength = draw.exponential(size=count) * draw.choice([1, 1, 1, -1], count)
        strength *= score[target] / strength.sum() if abs(strength.sum()) > 0.5 else 0.2
        shares = np.abs(strength) / np.abs(strength).sum()
        for source, weight, share in zip(chosen, strength, shares, strict=True):
            through = _edge_kind(draw, kind, same[source])
            edges[int(source), int(target), through] = float(weight)
            score[source] += weight
            influence[source] += share * influence[target]
    return edges, score, influence


def _nodes(draw):
    """Rows (kind, layer, position, head): the output, every embedding, most heads and MLPs."""
    rows = [(OUTPUT, LAYERS, N - 1, -1)]
    rows += [(kind, -1, place, -1) for kind in (TOKEN, POSITION) for place in range(N)]
    cells = [(layer, place) for layer in range(LAYERS) for place in range(1, N)]
    parts = [(HEAD, layer, place, head) for layer, place in cells for head in range(HEADS)]
    parts += [(MLP, layer, place, -1) for layer, place in cells]
    # The last position leads to the output, so that everything there belongs to the circuit.
    chance = np.array([3.0 if row[2] == N - 1 else 0.5 for row in parts])
    kept = draw.choice(len(parts), 105, replace=False, p=chance / chance.sum())
    return rows + [parts[i] for i in sorted(kept)]


def _edge_kind(draw, kind, same):
    if kind == OUTPUT:
        return int(EdgeKind.OUT)
    if kind == MLP:
        return int(EdgeKind.MLP)
    kinds = [EdgeKind.VALUE, EdgeKind.VALUE, EdgeKind.KEY] + [EdgeKind.QUERY] * int(same)
    return int(draw.choice(kinds))


def _label(kind, layer, position, head):
    names = {
        OUTPUT: METRIC,
        TOKEN: TOKENS[position],
        POSITION: f"position {position}",
        HEAD: f"L{layer}H{head}",
        MLP: f"M{layer}",
    }
    return names[kind]


def _lens(trace) -> Analysis:
    draw = np.random.default_rng(11)
    logits = draw.standard_normal((LAYERS + 1, N, len(VOCABULARY))).astype(np.float32)
    answer = VOCABULARY.index("Mary")
    logits[:, -1, answer] += np.linspace(-1, 7, LAYERS + 1)
    logits[-1] = trace.logits
    probability, top = _softmax(logits), logits.argmax(-1)
    rank = (logits > logits[..., answer : answer + 1]).sum(-1)
    grid = ("stage", "position")
    return Analysis("logit-lens", "logit-lens", "Logit lens", {
        "probability": Labelled(grid, probability[..., answer]),
        "logit": Labelled(grid, logits[..., answer]),
        "rank": Labelled(grid, rank.astype(np.int32)),
        "top_token": Labelled(grid, np.array(VOCABULARY)[top]),
        "top_probability": Labelled(grid, probability.max(-1)),
    }, {"answer": answer, "answer_text": "Mary", "metric": METRIC})  # fmt: skip


def _direct(circuit, *, seed) -> Analysis:
    """Contributions at the last position that sum to the metric."""
    draw = np.random.default_rng(seed)
    attention, mlp = (draw.standard_normal((LAYERS, N)).astype(np.float32) for _ in range(2))
    heads = draw.standard_normal((LAYERS, HEADS)).astype(np.float32)
    heads += (attention[:, -1] - heads.sum(1))[:, None] / HEADS
    embedding, places = np.float32([0.4]), np.float32([-0.1])
    total = circuit.metadata["metric_value"]
    bias = np.float32([total - attention[:, -1].sum() - mlp[:, -1].sum() - 0.3])
    order = np.argsort(-np.abs(draw.standard_normal((LAYERS, D_MLP))), axis=None)[:20]
    layer, index = np.unravel_index(order, (LAYERS, D_MLP))
    grid, each = ("layer", "position"), ("neuron",)
    return Analysis("direct-attribution", "direct-attribution", "Direct logit attribution", {
        "attention": Labelled(grid, attention), "mlp": Labelled(grid, mlp),
        "heads": Labelled(("layer", "head"), heads),
        "attention_layers": Labelled(("layer",), attention[:, -1]),
        "mlp_layers": Labelled(("layer",), mlp[:, -1]),
        "embedding": Labelled(("one",), embedding),
        "position_embedding": Labelled(("one",), places), "bias": Labelled(("one",), bias),
        "neuron_layer": Labelled(each, layer.astype(np.int32)),
        "neuron_index": Labelled(each, index.astype(np.int32)),
        "neuron_value": Labelled(each, np.linspace(1, 0.1, 20, dtype=np.float32)),
    }, {"metric": METRIC, "metric_value": total, "position": N - 1})  # fmt: skip


def _head_scores(*, seed) -> Analysis:
    draw = np.random.default_rng(seed)
    score = (0.1 * draw.random((3, LAYERS, HEADS))).astype(np.float32)
    score[0, 0, 1], score[1, 0, 3], score[2, 2, 2] = 0.97, 0.83, 0.91
    dims = ("detector", "layer", "head")
    return Analysis("head-scores", "head-scores", "Head detectors", {
        "score": Labelled(dims, score), "on_prompt": Labelled(dims, 0.8 * score),
    }, {"detectors": ["previous token", "duplicate token", "induction"], "seed": 0})  # fmt: skip


def _projection(*, seed) -> Analysis:
    draw = np.random.default_rng(seed)
    tasks = ("name", "agreement", "induction")
    prompts, task = 30, np.repeat(np.array(tasks), 10)
    centre = 4 * draw.standard_normal((3, 3))
    points = np.concatenate(
        [centre[i // 10] + draw.standard_normal((N, 3)) for i in range(prompts)]
    ).astype(np.float32)
    axes = np.linalg.qr(draw.standard_normal((D_MODEL, 3)))[0].T.astype(np.float32)
    each = ("point",)
    return Analysis("projection/resid_post.2", "projection", "PCA of resid_post, layer 2", {
        "points": Labelled(("point", "component"), points),
        "components": Labelled(("component", "d_model"), axes),
        "mean": Labelled(("d_model",), np.zeros(D_MODEL, dtype=np.float32)),
        "explained_variance_ratio": Labelled(("component",), np.float32([0.41, 0.22, 0.09])),
        "point_prompt": Labelled(each, np.repeat(np.arange(prompts, dtype=np.int32), N)),
        "point_position": Labelled(each, np.tile(np.arange(N, dtype=np.int32), prompts)),
        "point_layer": Labelled(each, np.full(prompts * N, 2, dtype=np.int32)),
        "point_token": Labelled(each, np.tile(np.array(TOKENS), prompts)),
        "point_task": Labelled(each, np.repeat(task, N)),
    }, {"site": "resid_post", "layer": 2, "prompts": prompts, "n": prompts * N,
        "sign_rule": "largest loading positive"})  # fmt: skip


def _strongest_head(circuit) -> int:
    heads = [i for i, kind in enumerate(circuit.node_kind) if kind == HEAD]
    return max(heads, key=lambda row: float(circuit.node_influence[row]))


def _attention_sources(circuit, *, seed) -> Analysis:
    draw = np.random.default_rng(seed)
    row = _strongest_head(circuit)
    node, layer = circuit.node_id[row], int(circuit.node_layer[row])
    sources = np.array(["embedding", "position", *(f"M{i}" for i in range(layer)), "bias"])
    table = draw.standard_normal((len(sources), len(sources))).astype(np.float32)
    return Analysis(f"why/{node}", "attention-sources", f"Why {node} looks there", {
        "score": Labelled(("query_source", "key_source"), table),
        "query_source": Labelled(("query_source",), sources),
        "key_source": Labelled(("key_source",), sources),
    }, {"layer": layer, "head": int(circuit.node_head[row]),
        "query": int(circuit.node_position[row]), "key": 2})  # fmt: skip


def _verification(circuit) -> Analysis:
    row = _strongest_head(circuit)
    node, score = circuit.node_id[row], float(circuit.node_score[row])
    base = circuit.metadata["metric_value"]
    params = {"how": "corrupt", "metric": METRIC, "base": base, "ablated": base - 0.93 * score}
    return Analysis(f"verification/{node}", "verification", f"Ablating {node}", {
        "predicted": Labelled(("one",), np.float32([score])),
        "true": Labelled(("one",), np.float32([0.93 * score])),
    }, params)  # fmt: skip


def _reproduced(circuit) -> Analysis:
    nodes = list(circuit.node_id[:40])
    params = {"share": 0.92, "nodes": nodes, "how": "others from the corrupt run", "metric": METRIC}
    return Analysis("reproduced-share", "reproduced-share", "These nodes alone", {}, params)


def _checks() -> CheckReport:
    return CheckReport("words-4l", "float32", (
        CheckResult(1, "Residual stream adds up", Verdict.PASS, 2e-7, 1e-5),
        CheckResult(2, "Attention rows sum to one", Verdict.PASS, 1e-7, 1e-5),
        CheckResult(8, "Soft cap", Verdict.SKIPPED, reason="The model has no soft cap."),
    ), seconds=0.4)  # fmt: skip


def scrubbed(of: Hypothesis) -> Analysis:
    """A test of one box on two inputs of one token."""
    record = Scrubbed(
        of, 0.5, np.array([0.4, 0.6]), np.ones(2), np.zeros(2),
        np.full((1, 2), 0.5), ("a", "b"), (Wire("", "logits", "input", "all"),),
        np.array([[[1], [0]]]), np.array([["a"], ["b"]]), np.zeros((1, 2, 1), np.int64), ("a",),
        "p", {"id": "scrubbed-1", "draws": 1, "prompts": ["a", "b"], "seed": 0},
    )  # fmt: skip
    return scrubbed_analysis(record)
