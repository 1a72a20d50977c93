"""A realistic session made from seeded numbers, for the tests of session files."""

from __future__ import annotations

import numpy as np
import pytest

from microtome.prompts import Question
from microtome.records.analysis import Analysis, Labelled
from microtome.records.checks import CheckReport, CheckResult, Verdict
from microtome.records.circuit import Circuit
from microtome.records.model import ModelIdentity
from microtome.records.session import Session
from microtome.records.trace import Activation, Source, Trace
from microtome.session.reader import open_session
from microtome.sites import SITES

WORDS = ("When", "Mary", "and", "John", "went", "to", "the", "store", ",", "café", "日本", "\ufffd")
LENGTHS = {"expert": 6, "d_model": 12, "d_mlp": 40, "head": 4, "kv_head": 2, "d_head": 3}


def identity(**changes):
    fields = {
        "name": "words-4l", "architecture": "gpt2", "fingerprint": "ab" * 32, "n_layers": 3,
        "n_heads": 4, "n_kv_heads": 2, "d_model": 12, "d_head": 3, "d_mlp": 40, "vocabulary": 97,
        "context": 64, "n_parameters": 12345, "tokenizer_fingerprint": "cd" * 32,
        "n_encoder_layers": 2,
        "config_json": '{"model_type": "gpt2",  "n_layer": 3}', "versions": {"torch": "2.13.0"},
    }  # fmt: skip
    return ModelIdentity(**{**fields, **changes})


def trace(model, n=13, k=5, seed=0, sites=tuple(SITES), layers=None, logits=True):
    rng = np.random.default_rng(seed)
    read = max(1, n - 4)  # what an encoder reads is shorter
    lengths = {
        **LENGTHS, "position": n, "query": n, "key": n, "source": read, "source_query": read,
    }  # fmt: skip
    activations = {}
    for name in sites:
        kind = SITES[name]
        shape = tuple(lengths[axis] for axis in kind.axes)
        count = model.n_encoder_layers if kind.in_encoder else model.n_layers
        held = tuple(at for at in (range(count) if layers is None else layers) if at < count)
        front = (len(held),) if kind.per_layer else ()
        values = rng.standard_normal((*front, *shape)).astype(np.float32)
        activations[name] = Activation(values, held if kind.per_layer else ())
    values = rng.standard_normal((n, model.vocabulary)).astype(np.float32)
    top = np.argsort(-values, axis=-1)[:, :k].astype(np.int32)
    weights = np.exp(values) / np.exp(values).sum(-1, keepdims=True)
    return Trace(
        model=model, prompt="When Mary and John\n went to the store, café 日本\0",
        token_ids=rng.integers(0, model.vocabulary, n).astype(np.int32),
        tokens=tuple(WORDS[i % len(WORDS)] for i in range(n)), top_ids=top,
        top_logits=np.take_along_axis(values, top, -1),
        top_probabilities=np.take_along_axis(weights, top, -1),
        top_tokens=tuple(tuple(WORDS[t % len(WORDS)] for t in row) for row in top.tolist()),
        logits=values if logits else None, activations=activations,
        edits=("ablate z.1.2 zero",), unknown=tuple(sorted({1, n - 1})), seconds=0.125,
        source=Source(
            rng.integers(0, model.vocabulary, read).astype(np.int32),
            tuple(WORDS[i % len(WORDS)] for i in range(read)), (0,),
        ),
    )  # fmt: skip


def circuit(seed=0, nodes=9, edges=20):
    rng = np.random.default_rng(seed)

    def ints(high, size):
        return rng.integers(0, high, size).astype(np.int32)

    def reals(size):
        return rng.standard_normal(size).astype(np.float32)

    return Circuit(
        node_id=tuple(f"L{i}H1@7" for i in range(nodes)), node_kind=("head",) * nodes,
        node_layer=ints(4, nodes) - 1, node_position=ints(13, nodes), node_head=ints(4, nodes) - 1,
        node_feature=np.full(nodes, -1, np.int32),
        node_label=tuple(f"logit(Mary) − logit({i})" for i in range(nodes)),
        node_score=reals(nodes), node_influence=reals(nodes), node_bias=reals(nodes),
        edge_source=ints(max(nodes, 1), edges), edge_target=ints(max(nodes, 1), edges),
        edge_kind=ints(5, edges).astype(np.int8), edge_weight=reals(edges),
        edge_influence=reals(edges),
        metadata={
            "method": "component-graph", "metric": "logit(Mary) − logit(John)", "tau": 3e-4,
            "metric_value": 4.25, "tokens": ["When", "Mary"], "source": {"links": [{"a": 1}]},
        },
    )  # fmt: skip


def analyses(n=13, n_layers=3, seed=0):
    rng = np.random.default_rng(seed)

    def reals(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    stage, at = ("stage", "position"), (n_layers + 1, n)
    words = np.array([[WORDS[(i + j) % 12] for j in range(n)] for i in range(n_layers + 1)])
    lens = {
        "probability": Labelled(stage, rng.random(at).astype(np.float32), "1", "probability"),
        "logit": Labelled(stage, reals(*at)), "rank": Labelled(stage, rng.integers(0, 97, at)),
        "top_token": Labelled(stage, words), "correct": Labelled(stage, rng.random(at) > 0.5),
    }  # fmt: skip
    points = 7
    space = {
        "points": Labelled(("point", "component"), reals(points, 3)),
        "components": Labelled(("component", "d"), reals(3, 12)),
        "mean": Labelled(("d",), rng.standard_normal(12)),
        "point_layer": Labelled(("point",), np.arange(points, dtype=np.int64)),
        "point_token": Labelled(("point",), np.array([WORDS[i] for i in range(points)])),
    }
    check = {"predicted": Labelled(("value",), reals(1)), "true": Labelled(("value",), reals(1))}
    odd = {
        "position": Labelled(("position", "layer"), reals(5, 2)), "scalar": Labelled((), reals()),
        "other": Labelled(("position", "layer"), reals(5, n_layers)),
        "pos": Labelled(("pos",), reals(n)), "none": Labelled(("nothing",), reals(0)),
        "wide": Labelled(("row", "column"), reals(700, 900)),
    }  # fmt: skip
    made = (
        Analysis("logit-lens", "logit-lens", "Logit lens of Mary", lens, {"answer": 3}),
        Analysis("projection/resid_post", "projection", "PCA", space, {"sign_rule": "largest"}),
        Analysis("verification/L2H1>M2/value", "verification", "é", check, created="2026-01-02"),
        Analysis("verification/L2H1<M2/value", "verification", "é", check, {"how": None}),
        Analysis("odd", "odd", "", odd),
    )
    return {analysis.id: analysis for analysis in made}


def checks():
    results = (
        CheckResult(1, "parts sum", Verdict.PASS, 0.0, 1e-6),
        CheckResult(7, "padding", Verdict.SKIPPED, reason="rotary positions"),
        CheckResult(8, "eager = sdpa", Verdict.FAIL, 0.5, 1e-4),
    )
    return CheckReport("words-4l", "float32", results, 0.5)


def full_session(**changes):
    model = changes.pop("model", identity())
    fields = {
        "model": model, "traces": (trace(model), trace(model, seed=1)), "circuit": circuit(),
        "analyses": analyses(), "checks": checks(),
        "question": Question("When Mary", (1, 2, 3), "Mary", 4, seed=3),
        "metric": {"name": "logit difference", "answer": 3, "value": 1.5}, "view": {"dock": [1, 2]},
        "uuid": "11111111-2222-3333-4444-555555555555", "created": "2026-01-02T03:04:05+00:00",
        "versions": {"microtome": "0.1.0"},
    }  # fmt: skip
    return Session(**{**fields, **changes})


def assert_same(found, expected, where="session"):
    """The two values agree in type, shape and every bit; lazy arrays are read."""
    if hasattr(expected, "shape"):
        values, wanted = found[...] if found.shape else found[()], np.asarray(expected[...])
        assert values.dtype == wanted.dtype, where
        np.testing.assert_array_equal(values, wanted, where, strict=False)
        assert values.shape == wanted.shape, where
        if wanted.dtype.kind == "f":
            assert values.tobytes() == wanted.tobytes(), where
    elif hasattr(expected, "items"):
        assert sorted(found) == sorted(expected), where
        for key in expected:
            assert_same(found[key], expected[key], f"{where}[{key!r}]")
    elif hasattr(expected, "__dataclass_fields__"):
        assert type(found) is type(expected), where
        for name in expected.__dataclass_fields__:
            assert_same(getattr(found, name), getattr(expected, name), f"{where}.{name}")
    elif isinstance(expected, tuple | list):
        assert type(found) is type(expected), where
        assert len(found) == len(expected), where
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{where}[{number}]")
    else:
        assert type(found) is type(expected), where
        assert found == expected, where


def refused(path, kind, reason):
    """Opening the file fails with exactly this kind of error, which names the reason."""
    with pytest.raises(kind, match=reason) as caught:
        open_session(path)
    assert type(caught.value) is kind
    return str(caught.value)
