"""What a model can do without, against plain runs and a plain CKA."""

from __future__ import annotations

import csv
import json
import tracemalloc

import numpy as np
import pytest

import microtome as mt
from microtome import cli
from microtome.analysis.answering import Asked
from microtome.errors import Cancelled, InputError, MetricError, UnknownArchitecture
from microtome.jobs import Job
from microtome.models.family import part as part_of
from microtome.models.model import Model
from microtome.records.redundancy import redundancy_of
from microtome.records.removal import Part, removal_specs
from microtome.records.session import Session
from microtome.records.suite_result import suite_of
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome.suites import masked, similarity
from microtome.suites.costs import cost_of, whole_cost
from microtome.suites.estimates import estimate_redundancy, estimate_suite
from microtome.suites.masked import Masked
from microtome.suites.similarity import layer_similarity


def right_suite(model, lengths, seed=0):
    """Random prompts whose answers are what the model says; every second has a wrong answer."""
    random = np.random.default_rng(seed)
    cases = []
    for at, length in enumerate(lengths):
        ids = tuple(random.integers(4, 60, length).tolist())
        run = mt.trace(model, ids, sites=[])
        answer = int(run.top_ids[model.read_at(run.token_ids), 0])
        cases.append(mt.Case(ids, answer, (answer + 7) % 60 if at % 2 else None))
    return mt.Suite("right", cases)


def plainly(model, suite, parts, how):
    """Pass rate and metric with some parts out, one prompt at a time."""
    edits = [
        mt.Ablate(spec.site, spec.action, over=spec.prompts or None)
        for spec in removal_specs(parts, how, suite.prompts)
    ]
    passed, differences = [], []
    for case in suite.cases:
        run = mt.trace(model, case.prompt, sites=[], edits=edits)
        logits = run.logits[model.read_at(run.token_ids)].astype(np.float64)
        others = np.delete(logits, case.answer).max()
        against = others if case.wrong is None else logits[case.wrong]
        passed.append(logits[case.answer] > against)
        differences.append(logits[case.answer] - against)
    return np.mean(passed), np.mean(differences)


@pytest.mark.parametrize(
    ("variant", "how", "criterion"),
    [("gpt2", "zero", "pass rate"), ("bert", "mean", "metric")],
)
def test_the_curve_is_that_of_plain_runs_and_effects_are_those_of_parts_alone(
    tiny_model, variant, how, criterion
):
    model = tiny_model(variant)
    suite = right_suite(model, [5, 7])
    found = redundancy_of(mt.redundancy(model, suite, how=how, criterion=criterion, candidates=100))
    whole = plainly(model, suite, [], how)
    assert whole[0] == 1.0
    for name in ("a1.h0", "m0", "l1"):
        effect = found.effect[found.parts.index(name)]
        assert effect == pytest.approx(plainly(model, suite, [name], how)[1] - whole[1], abs=1e-4)
    assert sorted(found.order) == sorted(name for name in found.parts if name[0] != "l")
    for step in (0, 1, 3):
        expected = plainly(model, suite, found.order[:step], how)
        assert (found.rate[step], found.metric[step]) == pytest.approx(expected, abs=1e-4)
    # With all parts as candidates each step takes the best of all that are left.
    column = 0 if criterion == "pass rate" else 1
    gone = list(found.order[:2])
    left = [name for name in found.order if name not in gone]
    rivals = {name: plainly(model, suite, [*gone, name], how)[column] for name in left}
    assert rivals[found.order[2]] == pytest.approx(max(rivals.values()), abs=1e-4)
    assert found.kept[len(found.recommended)] >= 0.95
    assert np.all(found.kept[len(found.recommended) + 1 :] < 0.95)


def test_batches_of_runs_keep_to_their_bytes_of_logits(tiny_model, monkeypatch):
    model = tiny_model("gpt2")
    suite = right_suite(model, [5, 9, 5, 7])
    asked = asked_of(model, suite)
    removals = [frozenset(), frozenset({Part("mlps", 0)}), frozenset({Part("heads", 1, 0)})]
    whole = Masked(model, asked, "zero", (), Job()).measured(removals)
    made, forward = [], Model.forward

    def counted(self, ids, *args, **options):
        logits = forward(self, ids, *args, **options)
        made.append(logits.numel() * 4)
        return logits

    limit = 2 * 9 * model.identity.vocabulary * 4  # two runs of the longest prompt
    monkeypatch.setattr(masked, "_LOGITS", limit)
    monkeypatch.setattr(Model, "forward", counted)
    found = Masked(model, asked, "zero", (), Job()).measured(removals)
    # Logits near 10 are numbers of float32, a millionth apart: another batch may round elsewhere.
    np.testing.assert_allclose(found, whole, atol=3e-6)
    assert max(made) <= limit


def asked_of(model, suite):
    """The cases as they are run."""
    return [
        Asked(model.tokenize(case.prompt), case.answer, case.wrong, at)
        for at, case in enumerate(suite.cases)
    ]


@pytest.mark.parametrize(
    ("variant", "how"),
    [("gpt2", "zero"), ("gpt_neox", "mean"), ("bert", "zero"), ("mixtral", "zero")],
)
def test_layers_below_what_differs_are_run_once_and_nothing_changes(
    tiny_model, monkeypatch, variant, how
):
    model = tiny_model(variant)
    suite = right_suite(model, [5, 9, 5, 7])
    first, last = Part("mlps", 0), Part("heads", model.identity.n_layers - 1, 1)
    middle, late = Part("heads", 1, 0), Part("heads", model.identity.n_layers - 1, 0)
    gone, rounds = frozenset[Part](), []
    for part in (last, first, middle):  # a change above, at the bottom, and between
        rounds.append((gone, [gone, *(gone | {one} for one in (first, middle, late))]))
        gone |= {part}
    shared = Masked(model, asked_of(model, suite), how, suite.prompts, Job())
    plain = Masked(model, asked_of(model, suite), how, suite.prompts, Job())
    shared.measured([frozenset()])  # what a block gives is seen in a whole run
    seen = []
    blocks = part_of(model.module, model.family.blocks, model.family.title)
    hook = blocks[0].register_forward_pre_hook(lambda *_: seen.append("forward" in vars(blocks[0])))
    for parts, removals in rounds:
        np.testing.assert_allclose(
            shared.measured(removals, parts), plain.measured(removals), atol=1e-5
        )
    hook.remove()
    assert True in seen  # some runs went on from a layer above
    assert not any("forward" in vars(block) for block in blocks)
    monkeypatch.setattr(masked, "_STREAMS", 0)
    alone = Masked(model, asked_of(model, suite), how, suite.prompts, Job())
    for parts, removals in rounds[-1:]:
        np.testing.assert_array_equal(alone.measured(removals, parts), plain.measured(removals))


def plain_cka(first, second):
    first, second = (each - each.mean(0) for each in (first, second))
    own = np.linalg.norm(first.T @ first) * np.linalg.norm(second.T @ second)
    return np.linalg.norm(second.T @ first) ** 2 / own


def test_similarity_is_the_plain_cka_also_when_its_pairs_come_in_turns(tiny_model, monkeypatch):
    model = tiny_model("gpt2")
    prompts = right_suite(model, [5, 7, 9, 6, 5, 8]).prompts
    runs = [mt.trace(model, ids, sites=["resid_pre", "resid_post"]) for ids in prompts]
    layers = range(model.identity.n_layers)
    sites = [mt.Site("resid_pre", 0), *(mt.Site("resid_post", layer) for layer in layers)]
    held = [np.concatenate([run.activation(site) for run in runs]).astype(float) for site in sites]
    expected = [[plain_cka(one, other) for other in held] for one in held]
    found = layer_similarity(model, prompts)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[0, -1] < 0.999
    monkeypatch.setattr(similarity, "_BUDGET", 1)
    np.testing.assert_array_equal(layer_similarity(model, prompts), found)


def test_similarity_keeps_no_more_sums_than_its_limit(tiny_model, monkeypatch):
    """All pairs of five points take 7.5 MB, those of one point with all others 2.5."""
    model = tiny_model("gpt2", n_layer=4, n_embd=256)
    prompts = right_suite(model, [5]).prompts
    found = layer_similarity(model, prompts)
    monkeypatch.setattr(similarity, "_BUDGET", 1 << 20)  # two products of 256 x 256
    tracemalloc.start()
    try:
        again = layer_similarity(model, prompts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(again, found)
    assert peak < 3 << 20  # beside the sums one product more and activations


@pytest.mark.parametrize("variant", ["gpt2", "mistral", "mixtral"])
def test_layers_and_embeddings_are_all_parameters(tiny_model, variant):
    model = tiny_model(variant)
    found = redundancy_of(mt.redundancy(model, right_suite(model, [5]), parts=["layers"]))
    costs = {name: int(cost) for name, cost in zip(found.parts, found.parameters, strict=True)}
    layers = sum(costs[f"l{layer}"] for layer in range(model.identity.n_layers))
    blocks = sum(
        weight.numel() for name, weight in model.module.named_parameters()
        if ".layers." in name or ".h." in name
    )  # fmt: skip
    norms = sum(
        weight.numel() for name, weight in model.module.named_parameters()
        if (".layers." in name or ".h." in name) and ("norm" in name or "ln_" in name)
    )  # fmt: skip
    assert layers == blocks - norms
    heads = sum(costs[f"a0.h{head}"] for head in range(model.identity.n_heads))
    bias = model.anatomy.blocks[0].attention.b_o
    assert costs["l0"] == heads + costs["m0"] + (0 if bias is None else bias.numel())
    assert found.saved(1)[0] == costs[found.order[0]]
    assert whole_cost(model.anatomy, 0, 5).flops > found.flops[-1] > 0


def test_parts_come_one_by_one_and_a_file_holds_the_result(tiny_model, tmp_path):
    model = tiny_model("gpt2")
    suite, seen = right_suite(model, [5, 6]), []
    job = Job(on_partial=lambda name, part: seen.append(part) if name == "redundancy" else None)
    made = mt.redundancy(model, suite, job=job)
    steps = [len(redundancy_of(part).order) for part in seen]
    assert steps == list(range(1, len(redundancy_of(made).order)))
    assert not redundancy_of(seen[-1]).complete
    stopped = Job(on_partial=lambda *_: stopped.cancel())
    with pytest.raises(Cancelled):
        mt.redundancy(model, suite, job=stopped)
    session = Session(
        model=model, traces=[mt.trace(model, suite.prompts[0])], analyses={made.id: made}
    )
    held = open_session(save_session(tmp_path / "parts.h5", session)).analyses[made.id]
    assert redundancy_of(held).rows() == redundancy_of(made).rows()
    assert held.params == made.params


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"parts": ["neurons"]}, InputError, "neurons"),
        ({"parts": ["layers", "heads"]}, InputError, "beside their own"),
        ({"how": "resample"}, InputError, "resample"),
        ({"criterion": "loss"}, InputError, "loss"),
        ({"threshold": 2.0}, InputError, "threshold"),
        ({"candidates": 0}, InputError, "candidates"),
    ],
)
def test_what_cannot_be_asked_is_named(tiny_model, given, error, told):
    model = tiny_model("gpt2")
    with pytest.raises(error, match=told):
        mt.redundancy(model, right_suite(model, [5]), **given)


def test_models_and_suites_that_have_nothing_to_keep_are_refused(tiny_model):
    model = tiny_model("gpt2")
    right = right_suite(model, [5]).cases[0]
    wrong = mt.Suite("wrong", [mt.Case(right.prompt, (right.answer + 1) % 60, right.answer)])
    with pytest.raises(MetricError, match="nothing to keep"):
        mt.redundancy(model, wrong)
    with pytest.raises(UnknownArchitecture, match="T5"):
        mt.redundancy(tiny_model("t5"), wrong)


def test_the_command_names_what_can_go_and_removing_it_keeps_the_suite(tmp_path, capsys):
    given = ["redundancy", "--model", "words-4l", "--suite", "pronoun", "--limit", "4"]
    given += ["--candidates", "1", "--csv", str(tmp_path / "parts.csv")]
    assert cli.main([*given, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["recommended"]) > 3
    with (tmp_path / "parts.csv").open() as file:
        rows = list(csv.DictReader(file))
    chosen = [row["part"] for row in rows if row["recommended"] == "True"]
    assert chosen == told["recommended"]
    model = mt.load_model("words-4l")
    suite = mt.load_suite("pronoun", limit=4)
    found = suite_of(mt.run_suite(model, suite, remove=chosen))
    assert found.rate[0, 1] == pytest.approx(told["rate"][len(chosen)])
    assert found.rate[0, 1] >= 0.95
    assert cli.main(given) == 0
    assert f"{len(chosen)} parts can go" in capsys.readouterr().out


def test_the_estimate_counts_the_runs_that_a_search_makes(tiny_model):
    """Every run of a prompt is counted: the whole model, each part alone, four a round."""
    model = tiny_model("gpt2")
    suite = right_suite(model, (5, 5, 6))
    told = estimate_redundancy(model, suite)
    parts = model.identity.n_layers * (model.identity.n_heads + 1)
    alone = parts + model.identity.n_layers
    rounds = sum(min(4, left) for left in range(1, parts + 1))
    assert told.runs == 3 * (1 + alone + rounds)
    assert 0 < told.seconds < 60
    assert estimate_suite(model, suite, sides=2).runs == 6
    layers = estimate_redundancy(model, suite, parts=["layers"])
    assert layers.runs < told.runs


def test_operations_of_a_head_are_those_counted_by_hand(embedded):
    """Projections are multiplied and added once a weight; scores and their mean once a position."""
    model = embedded("words-4l")
    anatomy, length = model.anatomy, 15
    weights = anatomy.blocks[1].attention
    _, d_head, d_model = weights.w_q.shape
    by_hand = 4 * 2 * d_head * d_model + 2 * d_head * length + 2 * d_head * length
    biases = sum(b is not None for b in (weights.b_q, weights.b_k, weights.b_v)) * 2 * d_head
    assert cost_of(anatomy, Part("heads", 1, 2), length).flops == by_hand + biases
