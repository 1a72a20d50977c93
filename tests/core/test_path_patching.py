"""Path patching is what a plain pass for each step gives, and says what is wrong with a path."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_edges import PlainEdges

import microtome as mt
from microtome.cli.commands import main
from microtome.errors import InputError
from microtome.records.edges import Edges
from microtome.records.paths import Path, paths_analysis, paths_between, paths_found

# Learned positions; grouped heads; parallel blocks; norms behind branches.
MODELS = {
    "gpt2": {"n_layer": 3, "n_head": 2},
    "llama": {"num_hidden_layers": 3},
    "gpt_neox": {"num_hidden_layers": 3, "num_attention_heads": 2},
    "gemma2": {"num_hidden_layers": 3},
}
CLEAN, CORRUPT = (5, 17, 3, 29, 17, 11), (5, 8, 3, 33, 17, 2)
OVER = ((7, 30, 2, 44, 19, 8), (12, 5, 58, 3, 3, 41))
METRIC = mt.LogitDifference(4, 9)
PATHS = (
    "input->logits",
    "input->a0.h1<v>->a1.h0<k>->logits",
    "input->a0.h0->m1->a2.h1<qv>->logits",
    "m0->a1.h1<q>->m2->logits",
    "a0.h1->a1.h0<k>",  # from here on the model goes on freely
    "input@1->a0.h0<k>@4->m1@4->a2.h0<v>@-1->logits",
)


def plain_value(plain, ids, other, path):
    """A whole plain pass for every step, in which one node reads what the last one brings."""
    clean = plain.written(ids)
    sender, *rest = path.steps
    node, step = sender.node, other[sender.node] - clean[sender.node]

    def only(change, at):
        kept = torch.zeros_like(change)
        kept[slice(None) if at is None else at] = change[slice(None) if at is None else at]
        return kept

    step = only(step, sender.at)
    for each in rest:
        if each.node == "logits":
            logits, _ = plain.run(ids, {(node, "logits"): 1.0}, step={node: step})
            return float(logits[-1, 4] - logits[-1, 9])
        names = [f"{each.node}<{side}>" for side in each.sides or "qkv"]
        names = names if each.node.startswith("a") else [each.node]
        _, written = plain.run(ids, {(node, name): 1.0 for name in names}, step={node: step})
        node, step = each.node, only(written[each.node] - clean[each.node], each.at)
    readers = [edge for edge in plain.edges if edge[0] == node]
    logits, _ = plain.run(ids, dict.fromkeys(readers, 1.0), step={node: step})
    return float(logits[-1, 4] - logits[-1, 9])


@pytest.mark.parametrize(
    ("kind", "ablation"),
    [("gpt2", "resample"), ("llama", "zero"), ("gpt_neox", "mean"), ("gemma2", "resample")],
)
def test_it_is_a_plain_pass_for_each_step(tiny_model, kind, ablation):
    model = tiny_model(kind, dtype="float64", **MODELS[kind])
    plain = PlainEdges(model.anatomy)
    clean = plain.written(CLEAN)
    if ablation == "resample":
        other, data, over = plain.written(CORRUPT), mt.PromptPair(CLEAN, CORRUPT), ()
    elif ablation == "zero":
        other, data, over = {n: torch.zeros_like(v) for n, v in clean.items()}, [CLEAN], ()
    else:
        mean = plain.mean(OVER)
        other = {name: mean[name].expand_as(value) for name, value in clean.items()}
        data, over = [CLEAN], OVER
    found = mt.path_patching(model, data, PATHS, METRIC, ablation=ablation, over=over)
    wanted = [plain_value(plain, CLEAN, other, Path.of(text)) for text in PATHS]
    np.testing.assert_allclose(found.values[:, 0], wanted, rtol=1e-9, atol=1e-11)
    assert np.abs(found.effect).min() > 1e-7
    everything, _ = plain.run(CLEAN, dict.fromkeys(plain.edges, 1.0), other=other)
    assert found.none[0] == pytest.approx(float(everything[-1, 4] - everything[-1, 9]))
    np.testing.assert_allclose(found.share, found.effect / (found.whole[0] - found.none[0]))
    assert found.band is None


def test_the_known_circuit_is_one_path_for_each_side(embedded, tmp_path):
    model = embedded("induction-exact")
    pairs = [
        mt.PromptPair("mole jay gnu owl mole jay gnu", "mole jay kiwi owl mole jay gnu"),
        mt.PromptPair("ant bee cat dog ant bee cat", "ant bee pig dog ant bee cat"),
    ]
    metrics = [mt.LogitDifference("owl", "dog"), mt.LogitDifference("dog", "owl")]
    true = "input->a0.h0<v>->a1.h0<k>->logits"
    paths = [str(path) for path in paths_between(Edges.of(model.anatomy), "input", through=2)]
    assert true in paths
    found = mt.path_patching(model, pairs, paths, metrics)
    share = dict(zip(found.paths, found.share, strict=True))
    assert share[true] == pytest.approx(1.0, abs=1e-3)
    assert max(abs(value) for path, value in share.items() if path != true) < 1e-3
    low, high = found.band[:, found.paths.index(true)]
    assert low <= share[true] <= high
    analysis = paths_analysis(found)
    session = mt.Session(model.identity, analyses={analysis.id: analysis})
    opened = mt.open_session(mt.save_session(tmp_path / "paths.h5", session))
    back = paths_found(opened.analyses[analysis.id])
    assert back.paths == found.paths
    np.testing.assert_allclose(back.share, found.share, rtol=1e-6)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("input", "one node"),
        ("a9.h0->logits", "'a9.h0', which the model does not have"),
        ("m1->a0.h0<q>->logits", "no edge: m1 does not stand before a0.h0<q>"),
        ("a0.h0->a0.h1->logits", "no edge"),
        ("input->m0<q>->logits", "by q, k or v"),
        ("input->logits->m0", "at its end alone"),
        ("input->a0 h0->logits", "cannot be read"),
        ("input@9->logits", "position 9, but an example has 8 tokens"),
        ([], "Write for example"),
    ],
)
def test_a_wrong_path_is_named(embedded, path, told):
    pair = mt.PromptPair("mole jay gnu owl mole jay gnu", "mole jay kiwi owl mole jay gnu")
    with pytest.raises(InputError) as error:
        mt.path_patching(embedded("induction-exact"), pair, path, mt.LogitDifference("owl", "dog"))
    assert told in f"{error.value} {error.value.way_out}"


def test_an_effect_too_small_to_share_out_is_refused_as_by_faithfulness(embedded):
    pair = mt.PromptPair("mole jay gnu owl mole jay gnu", "mole jay kiwi owl mole jay gnu")
    flat = mt.CustomMetric(lambda logits: 1e-9 * logits.std(-1))
    model = embedded("induction-exact")
    with pytest.raises(InputError, match="nothing to share out"):
        mt.path_patching(model, pair, "input->logits", flat)


def test_the_command_line_lists_paths_and_keeps_them(capsys, tmp_path):
    about = [
        "path", "--model", "induction-exact", "--prompt", "mole jay gnu owl mole jay gnu",
        "--corrupt", "mole jay kiwi owl mole jay gnu", "--answer", "owl", "--wrong", "dog",
    ]  # fmt: skip
    files = ["--csv", str(tmp_path / "paths.csv"), "--out", str(tmp_path / "paths.h5")]
    assert main([*about, "--from", "a0.h0", "--through", "1", "--json", *files]) == 0
    told = json.loads(capsys.readouterr().out)
    best = told["patched"][0]
    assert best["path"] == "a0.h0->a1.h0<k>->logits"
    assert best["share"] == pytest.approx(1.0, abs=1e-3)
    assert (tmp_path / "paths.csv").read_text().splitlines()[0] == "path,effect,share"
    held = mt.open_session(tmp_path / "paths.h5").analyses.values()
    assert "path-patching" in [one.kind for one in held]
    assert main([*about, "--path", "m1->a0.h0->logits"]) == 2
    assert "no edge" in capsys.readouterr().err


def test_paths_read_back_as_they_are_written():
    for text in PATHS:
        assert str(Path.of(text)) == text
    assert Path.of("input \N{RIGHTWARDS ARROW} m0") == Path.of("input->m0")
    edges = Edges(2, 2, False)
    assert [str(p) for p in paths_between(edges, "a0.h0", "m0")] == ["a0.h0->m0"]
    short = paths_between(edges, "a0.h0", "m1", through=1)
    assert {str(p) for p in short} == {
        "a0.h0->m1", "a0.h0->m0->m1",
        *(f"a0.h0->a1.h{h}<{s}>->m1" for h in (0, 1) for s in "qkv"),
    }  # fmt: skip
    with pytest.raises(InputError, match="4096"):
        paths_between(replace(edges, n_layers=8, n_heads=8), "input", through=3)
