"""Circuits that are known: models compiled by hand, with zero ablation."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import microtome as mt
from microtome.prompt_sets import load_prompt_set

TRUE = {
    "induction-exact": (
        "input->a0.h0<q> input->a0.h0<k> input->a0.h0<v> a0.h0->a1.h0<k> input->a1.h0<q> "
        "input->a1.h0<v> a1.h0->logits"
    ),
    "tracr-hist": (
        "input->a0.h0<q> input->a0.h0<k> input->a0.h0<v> input->m0 a0.h0->m0 m0->logits"
    ),
    "tracr-reverse": (
        "input->a0.h0<v> input->m0 a0.h0->m0 input->m1 m0->m1 m1->m2 m2->a3.h0<q> "
        "input->a3.h0<k> input->a3.h0<v> a3.h0->logits"
    ),
}
OUTPUTS = {"tracr-hist": "hist_14:", "tracr-reverse": "reverse_4:"}
TAU = 1e-3


def induction_task(model):
    """Segments that begin again, and the probability of the token that comes next."""
    draw = np.random.default_rng(3)
    prompts, metrics = [], []
    for length in (4, 5, 6, 5, 7, 4):
        segment = [int(t) for t in draw.choice(np.arange(2, 18), length, replace=False)]
        again = int(draw.integers(1, length - 1))
        prompts.append((*segment, *segment[: again + 1]))
        metrics.append(mt.Probability(segment[again + 1]))
    return prompts, metrics


def compiled_task(model, folder, name):
    """Random inputs behind BOS, and how far the labelled outputs are from those of the model."""
    labels = json.loads((folder / "config.json").read_text())["id2label"]
    read = [int(token) for token, label in labels.items() if label.startswith(OUTPUTS[name])]
    codes = json.loads((folder / "ground_truth.json").read_text())["enc"]
    letters = [code for word, code in codes.items() if word not in ("BOS", "compiler_pad")]
    draw = np.random.default_rng(0)
    lengths = (5, 6, 4, 6, 5, 4) if name == "tracr-hist" else (5, 4, 5, 4, 5, 5)
    prompts = [
        (codes["BOS"], *(int(t) for t in draw.choice(letters, length))) for length in lengths
    ]
    metrics = []
    for prompt in prompts:
        right = torch.as_tensor(np.asarray(model.run(model.tokenize(prompt))))[1:, read]
        metrics.append(mt.CustomMetric(
            lambda logits, right=right: -((logits[..., 1:, read] - right) ** 2).sum((-1, -2)),
            everywhere=True,
        ))  # fmt: skip
    return prompts, metrics


def risen(metrics):
    """The same metrics, small where the model is right."""
    return [
        mt.CustomMetric(lambda logits, own=own: -own(logits), everywhere=hasattr(own, "everywhere")
                        and own.everywhere)
        for own in metrics
    ]  # fmt: skip


@pytest.fixture(scope="module", params=tuple(TRUE))
def known(request, embedded):
    """A compiled model with its task and its true edges."""
    name = request.param
    if name == "induction-exact":
        model = embedded(name)
        return model, *induction_task(model), TRUE[name].split()
    folder = request.getfixturevalue("test_data") / "models" / name
    if not folder.is_dir():
        pytest.skip(f"MICROTOME_TEST_DATA has no models/{name}")
    model = mt.load_model(folder)
    return model, *compiled_task(model, folder, name), TRUE[name].split()


def test_exact_patching_ranks_all_true_edges_above_all_others(known):
    model, prompts, metrics, true = known
    circuit = mt.discover_circuit(model, prompts, metrics, "exact", ablation="zero")
    assert mt.edge_auc(circuit, true) == 1.0
    assert np.isfinite(circuit.edge_weight).all()


def test_acdc_keeps_the_true_edges_and_no_other(known):
    model, prompts, metrics, true = known
    circuit = mt.discover_circuit(
        model, prompts, risen(metrics), "acdc", ablation="zero", tau=TAU
    )  # fmt: skip
    assert mt.edge_auc(circuit, true) == 1.0
    assert circuit.metadata["kept"] == len(true) == np.count_nonzero(circuit.edge_weight)
    assert circuit.metadata["tried"] <= len(circuit.edge_weight)


@pytest.mark.parametrize("name", ["name", "agreement", "induction"])
def test_a_tenth_of_the_edges_keeps_a_trained_behaviour(embedded, name):
    model = embedded("words-4l")
    held = [
        each
        for each in load_prompt_set(name).pairs
        if len(model.tokenize(each.clean)) == len(model.tokenize(each.corrupt))
    ][:16]
    assert len(held) == 16
    pairs = [each.pair for each in held]
    metrics = [mt.LogitDifference(each.answer, each.wrong) for each in held]
    circuit = mt.discover_circuit(model, pairs, metrics, "two-point")
    found = mt.faithfulness(model, circuit, pairs, metrics, sizes=(0.05, 0.1))
    assert found.smallest is not None
    assert found.smallest <= 0.1


def test_resampling_is_blind_to_edges_that_carry_positions_alone(embedded):
    model = embedded("induction-exact")
    prompts, metrics = induction_task(model)
    other = [tuple((token - 2 + 5) % 16 + 2 for token in prompt) for prompt in prompts]
    pairs = [mt.PromptPair(*pair) for pair in zip(prompts, other, strict=True)]
    circuit = mt.discover_circuit(model, pairs, metrics, "exact")
    found = dict(
        zip(
            ((circuit.node_id[s], circuit.node_id[t], int(k)) for s, t, k in zip(
                circuit.edge_source, circuit.edge_target, circuit.edge_kind, strict=True)),
            circuit.edge_weight, strict=True,
        )
    )  # fmt: skip
    blind = [score for (w, r, kind), score in found.items() if (w, r) == ("input", "a0.h0")]
    assert sorted(np.abs(blind) > 0.5) == [False, False, True]  # its value alone carries tokens
    assert mt.edge_auc(circuit, TRUE["induction-exact"].split()) < 1.0
