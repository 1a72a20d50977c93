"""Every method scores edges as a plain pass does that changes one edge at a time."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from plain_edges import PlainEdges, named_edges

import microtome as mt
from microtome.circuits.discovery.batches import batches
from microtome.circuits.discovery.measuring import measure
from microtome.circuits.discovery.task import Task
from microtome.jobs import Job

# Learned positions; grouped heads; parallel blocks; norms behind branches, caps and a window;
# norms of queries and keys; a bias of the scores; norms on the stream. Two layers of each.
_SMALL = {"num_hidden_layers": 2, "num_attention_heads": 2}
MODELS = {
    "gpt2": {"n_layer": 2, "n_head": 2},
    "llama": {"num_hidden_layers": 2},
    "gpt_neox": _SMALL,
    "gemma2": {"num_hidden_layers": 2},
    "qwen3": {"num_hidden_layers": 2},
    "bloom": {"n_layer": 2, "n_head": 2},
    "bert": _SMALL,
}
FAMILIES = tuple(MODELS)
CLEAN, CORRUPT = (5, 17, 3, 29, 17, 11), (5, 8, 3, 33, 17, 2)
SHORT, OTHER = (6, 40, 22, 9), (6, 13, 22, 51)
OVER = ((7, 30, 2, 44, 19, 8), (12, 5, 58, 3, 3, 41))
STEPS = 3


def plain_difference(logits):
    return logits[-1, 4] - logits[-1, 9]


@pytest.fixture(scope="module")
def case(tiny_model):
    """``case(kind)``: a float64 model of two layers and its plain edges."""
    made = {}

    def of(kind):
        if kind not in made:
            model = tiny_model(kind, dtype="float64", **MODELS[kind])
            made[kind] = SimpleNamespace(model=model, plain=PlainEdges(model.anatomy))
        return made[kind]

    return of


def in_place(plain, ablation, clean=CLEAN, corrupt=CORRUPT):
    """What the plain pass puts in the place of what writers add."""
    own = plain.written(clean)
    if ablation == "resample":
        return plain.written(corrupt)
    if ablation == "zero":
        return {name: torch.zeros_like(value) for name, value in own.items()}
    mean = plain.mean([*OVER, SHORT] if ablation == "mean" else OVER, by_position="pos" in ablation)
    return {name: mean[name].expand_as(value) for name, value in own.items()}


def asked(ablation):
    over = {"mean": (*OVER, SHORT), "position mean": OVER}.get(ablation, ())
    return {"ablation": ablation, "over": over}


def data(ablation, clean=CLEAN, corrupt=CORRUPT):
    return mt.PromptPair(clean, corrupt) if ablation == "resample" else [clean]


def expect_same(found, wanted, *, close=1e-7):
    """Equal edge by edge: circuits hold float32, which keeps 6e-8 of a number."""
    assert found.keys() == wanted.keys()
    numbers = [[of[edge] for edge in wanted] for of in (found, wanted)]
    largest = np.abs(numbers[1]).max()
    assert largest > 0.01
    assert np.isfinite(numbers[0]).all()
    np.testing.assert_allclose(*numbers, rtol=close, atol=0.1 * close * largest)


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_plain_pass_is_the_models(case, kind):
    one = case(kind)
    logits = np.asarray(one.model.run(one.model.tokenize(CLEAN)))
    np.testing.assert_allclose(one.plain.run(CLEAN)[0], logits, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "ablation"),
    [
        *((kind, "resample") for kind in FAMILIES),
        ("gpt2", "zero"),
        ("llama", "zero"),
        ("gpt_neox", "mean"),
        ("gemma2", "position mean"),
        ("bert", "mean"),
    ],
)
def test_gradient_methods_score_each_edge_by_its_own_slope(case, kind, ablation):
    one = case(kind)
    other = in_place(one.plain, ablation)
    wanted = {
        "eap": one.plain.eap(CLEAN, other, plain_difference),
        "eap-ig": one.plain.eap_ig(CLEAN, other, plain_difference, STEPS),
    }
    if kind not in ("qwen3", "bloom") and ablation in ("resample", "mean"):
        wanted["eap-ig-activations"] = one.plain.eap_ig_activations(
            CLEAN, other, plain_difference, 2
        )
    for method, scores in wanted.items():
        steps = 2 if "activations" in method else STEPS
        circuit = mt.discover_circuit(
            one.model, data(ablation), mt.LogitDifference(4, 9), method,
            steps=steps, **asked(ablation),
        )  # fmt: skip
        expect_same(named_edges(circuit), scores)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gpt_neox"])
def test_examples_of_several_lengths_count_alike_with_any_smooth_metric(case, kind):
    one = case(kind)
    pairs = [mt.PromptPair(CLEAN, CORRUPT), mt.PromptPair(SHORT, OTHER)]
    metrics = [mt.LogProbability(4, position=3), mt.Probability(9, position=1)]
    parts = []
    for clean, corrupt, read in (
        (CLEAN, CORRUPT, lambda logits: logits[3].log_softmax(-1)[4]),
        (SHORT, OTHER, lambda logits: logits[1].softmax(-1)[9]),
    ):
        other = one.plain.written(corrupt)
        own = one.plain.written(clean)
        step = {name: own[name] - other[name] for name in own}
        ends = [one.plain.slopes(ids, step, read) for ids in (clean, corrupt)]
        both = {edge: float(ends[0][edge] + ends[1][edge]) / 2 for edge in ends[0]}
        found = {
            "eap": one.plain.eap(clean, other, read),
            "eap-ig": one.plain.eap_ig(clean, other, read, STEPS),
            "clean-corrupt": both,
            "exact": one.plain.exact(clean, other, read) if kind == "gpt2" else None,
        }
        parts.append(found)
    for method, first in parts[0].items():
        if first is not None:
            circuit = mt.discover_circuit(one.model, pairs, metrics, method, steps=STEPS)
            mean = {edge: (first[edge] + parts[1][method][edge]) / 2 for edge in first}
            expect_same(named_edges(circuit), mean)


def test_single_precision_agrees_to_a_ten_thousandth(case, tiny_model):
    for kind in ("gpt2", "llama", "gpt_neox"):
        plain = case(kind).plain
        model = tiny_model(kind, **MODELS[kind])
        other = plain.written(CORRUPT)
        for method, wanted in (
            ("eap", plain.eap(CLEAN, other, plain_difference)),
            ("eap-ig", plain.eap_ig(CLEAN, other, plain_difference, STEPS)),
        ):
            circuit = mt.discover_circuit(
                model, data("resample"), mt.LogitDifference(4, 9), method, steps=STEPS
            )
            largest = max(abs(score) for score in wanted.values())
            found = named_edges(circuit)
            assert max(abs(found[edge] - wanted[edge]) for edge in wanted) < 1e-4 * largest


@pytest.mark.parametrize(
    ("kind", "ablation"),
    [
        ("gpt2", "resample"),
        ("llama", "zero"),
        ("gpt_neox", "mean"),
        ("gemma2", "position mean"),
        ("bert", "resample"),
        ("bert", "zero"),
    ],
)
def test_exact_patching_takes_one_edge_away_at_a_time(case, kind, ablation):
    one = case(kind)
    with torch.no_grad():
        wanted = one.plain.exact(CLEAN, in_place(one.plain, ablation), plain_difference)
    circuit = mt.discover_circuit(
        one.model, data(ablation), mt.LogitDifference(4, 9), "exact", **asked(ablation)
    )
    expect_same(named_edges(circuit), wanted)


@pytest.mark.parametrize(
    ("kind", "ablation", "tau"),
    [("gpt2", "resample", 0.05), ("gpt_neox", "zero", 0.05), ("bert", "resample", 0.002)],
)
def test_acdc_is_the_search_edge_by_edge(case, kind, ablation, tau):
    one = case(kind)
    prompts = [(CLEAN, CORRUPT), (SHORT, OTHER)]
    tasks = []
    for clean, corrupt in prompts:
        known = one.plain.run(clean)[0][-1].log_softmax(-1).detach()
        tasks.append((
            clean,
            in_place(one.plain, ablation, clean, corrupt),
            lambda logits, known=known: (known.exp() * (known - logits[-1].log_softmax(-1))).sum(),
        ))  # fmt: skip
    with torch.no_grad():
        kept, tried = one.plain.acdc(tasks, tau)
        value = one.plain.value(tasks, set(one.plain.edges) - set(kept))
    pairs = [mt.PromptPair(*pair) for pair in prompts]
    listed = pairs if ablation == "resample" else [pair.clean for pair in pairs]
    circuit = mt.discover_circuit(one.model, listed, mt.KL(), "acdc", ablation=ablation, tau=tau)
    found = named_edges(circuit)
    assert {edge for edge, score in found.items() if score} == set(kept)
    assert 5 < len(kept) < 0.8 * len(found)
    for edge, rise in kept.items():
        assert found[edge] == pytest.approx(rise, abs=1e-6)
    assert circuit.metadata["kept"] == len(kept)
    assert circuit.metadata["tried"] == tried
    assert circuit.metadata["value"] == pytest.approx(value, abs=1e-6)


def test_the_two_point_rule_shares_the_whole_difference_out(case):
    for kind in FAMILIES:
        one = case(kind)
        if one.model.anatomy.soft_cap is None:
            ends = [plain_difference(one.plain.run(ids)[0]) for ids in (CLEAN, CORRUPT)]
            pair = data("resample")
            found = named_edges(mt.discover_circuit(one.model, pair, mt.LogitDifference(4, 9)))
            into, out = {}, {}
            for (writer, reader), score in found.items():
                node = reader.split("<")[0]
                into[node], out[writer] = into.get(node, 0) + score, out.get(writer, 0) + score
            difference = float(ends[0] - ends[1])
            assert into["logits"] == pytest.approx(difference, abs=1e-6)
            for node, total in out.items():
                if node != "input":
                    assert into[node] == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gpt_neox"])
def test_routes_are_shares_of_what_is_read(case, kind):
    one = case(kind)
    wanted = [one.plain.routes(ids) for ids in (CLEAN, SHORT)]
    circuit = mt.discover_circuit(one.model, [CLEAN, SHORT], None, "routes", ablation="zero")
    expect_same(named_edges(circuit), {e: (wanted[0][e] + wanted[1][e]) / 2 for e in wanted[0]})


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen3", "gpt_neox", "bloom", "gemma2", "bert"])
def test_what_nobody_reads_may_be_left_out(tiny_model, kind):
    """The same with heads and MLPs skipped as with all computed; heads of a group among them."""
    model, generator = tiny_model(kind), np.random.default_rng(3)
    clean, corrupt = (tuple(generator.integers(5, 50, 6).tolist()) for _ in range(2))
    task = Task.of(model, mt.PromptPair(clean, corrupt), mt.LogitDifference(7, 9))
    edges, (batch,) = task.edges, batches(task, Job())
    for _ in range(6):
        # Some writers are read by nobody, each time others.
        silent = generator.random(edges.n_writers) < 0.5
        removed = edges.exists & (silent[:, None] | (generator.random(edges.exists.shape) < 0.3))
        some, whole = (measure(batch, [removed], Job(), whole=each) for each in (False, True))
        np.testing.assert_allclose(some, whole, rtol=1e-4, atol=1e-5)
