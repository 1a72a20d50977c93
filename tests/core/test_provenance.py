"""What produced a figure, and which figures are not compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import microtome as mt
from microtome.circuits.attribution.edited import edited_graph
from microtome.cli.commands import main
from microtome.errors import InputError
from microtome.examining import prompt_sets_of
from microtome.features.dictionary import Dictionary
from microtome.records.analysis import Analysis
from microtome.records.checks import CheckReport, CheckResult, Verdict
from microtome.records.made import NOT_TOLD, Made
from microtome.session.reader import open_session
from microtome.session.writer import save_session

OLD = Path(__file__).with_name("samples") / "words-1.2.h5"


@pytest.fixture(scope="module")
def model():
    return mt.load_model("induction-exact-tiny")


@pytest.fixture(scope="module")
def session(model):
    pair = prompt_sets_of(model)[0].pairs[0]
    return mt.examine(model, mt.Question(pair.clean, pair.corrupt))


@pytest.fixture(scope="module")
def lens(session):
    return mt.provenance(session.analyses["logit-lens"], session)


def test_all_that_a_session_holds_tells_what_made_it(model, session):
    for figure in (session.clean, session.circuit, *session.analyses.values()):
        told = mt.provenance(figure, session)
        assert told.made.fingerprint == model.identity.fingerprint
        assert (told.made.dtype, told.made.device) == ("float32", "cpu")
        assert told.made.versions["microtome"] == mt.__version__
        assert told.method
        assert model.identity.fingerprint in told.text
        json.dumps(told.told_plainly(), allow_nan=False)


def test_each_tells_its_own_method_metric_path_seed_and_settings(session, lens):
    circuit = mt.provenance(session.circuit, session)
    assert (circuit.method, circuit.path) == ("component-graph", "two-point")
    assert circuit.metric == session.metric["name"]
    assert circuit.metric_kind == lens.metric_kind == "LogitDifference"
    assert circuit.settings["keep"] == 32
    heads = mt.provenance(session.analyses["head-scores"], session)
    assert heads.seed == 0
    assert heads.settings["detectors"] == ["previous token", "duplicate token", "induction"]
    share = mt.provenance(session.analyses["reproduced-share"], session)
    assert "others replaced" in share.path
    assert dict(share.rows)["seed"] == "none"


def test_stamps_come_back_from_a_file_bit_by_bit(session, tmp_path):
    again = open_session(save_session(tmp_path / "one.h5", session))
    for name, analysis in session.analyses.items():
        assert again.analyses[name].made == analysis.made
    assert again.circuit.made == session.circuit.made
    assert again.model.threads == session.model.threads
    assert mt.provenance(again.clean, again).made == mt.provenance(session.clean, session).made


def test_a_stamp_is_given_once(model, session):
    other = replace(model.identity, fingerprint="f" * 64, dtype="bfloat16")
    moved = replace(session, model=other)
    assert moved.circuit.made == session.circuit.made
    (lens,) = (each for each in moved.analyses.values() if each.kind == "logit-lens")
    assert lens is session.analyses["logit-lens"]
    fresh = replace(moved, analyses={lens.id: replace(lens, made=None)})
    assert fresh.analyses[lens.id].made == Made.on(other)


def test_what_an_old_file_holds_is_not_told_and_warns(session, lens, tmp_path):
    old = open_session(OLD)
    told = mt.provenance(old.analyses["logit-lens"], old)
    assert told.made == NOT_TOLD
    assert dict(told.rows)["model"] == dict(told.rows)["path taken"] == "not told"
    found = mt.differs(told, replace(lens, method="another"))
    assert not found.reasons
    assert "not told by both" in found.remarks[0]
    assert "methods differ" in found.remarks[1]
    # It stays so when it is saved again by a program that would stamp what is new.
    kept = open_session(save_session(tmp_path / "again.h5", old))
    assert kept.circuit.made == kept.analyses["logit-lens"].made == NOT_TOLD


def changed(told, **fields):
    return replace(told, made=replace(told.made, **fields))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: changed(one, fingerprint="0" * 64, tokenizer="other"), "Other models"),
        (lambda one: changed(one, fingerprint="0" * 64, model="else"), "Other models"),
        (lambda one: changed(one, fingerprint="0" * 64), "Other models"),
        (lambda one: changed(one, dtype="bfloat16"), "number formats differ: float32, and bf"),
        (lambda one: replace(one, metric_kind="Probability"), "kinds of metric differ"),
        (lambda one: replace(one, method="exact"), "methods differ: logit-lens, and exact"),
        (lambda one: replace(one, path="estimate"), "paths taken differ: exact, and estimate"),
        (lambda one: replace(one, edits=("zero L0H0",)), "Other edits act: none, and zero L0H0"),
        (lambda one: replace(one, seed=1), "other seeds: 0, and 1"),
        (lambda one: replace(one, dictionaries=("a", "c")), "features: b, and c at place 2 of 2"),
        (lambda one: replace(one, dictionaries=("a",)), "Other dictionaries made the features: 2"),
    ],
)
def test_what_matters_is_a_reason_not_to_compare(lens, change, reason):
    one = replace(lens, path="exact", seed=0, dictionaries=("a", "b"))
    found = mt.differs(one, change(one))
    assert [reason in text for text in found.reasons] == [True]
    assert not mt.differs(one, one).text


def test_checkpoints_and_machines_are_remarked_with_the_tolerance(lens):
    row = CheckResult(7, "a padded prompt", Verdict.PASS, 2e-6, 1e-4)
    checks = CheckReport("m", "float32", (row, replace(row, number=11, allowed=1e-3)))
    then = changed(lens, fingerprint="0" * 64, model=f"{lens.made.model}@50")
    found = mt.differs(lens, then)
    assert not found.reasons
    assert "Two checkpoints are compared" in found.text
    threads = mt.differs(lens, changed(lens, threads=99), checks)
    assert not threads.reasons
    assert "99 threads: the last digits may differ (self-check 7 allows 0.0001" in threads.text
    device = mt.differs(lens, changed(lens, device="cuda:0"), checks)
    assert "cuda:0 (self-check 11 allows 0.001 of a logit, 2e-06 was measured)" in device.text
    assert "torch 1 and 2" in mt.differs(
        changed(lens, versions={"torch": "1"}), changed(lens, versions={"torch": "2"})
    ).text  # fmt: skip


def test_circuits_of_other_models_or_rules_are_not_joined(model, session):
    pair = prompt_sets_of(model)[0].pairs[0]
    alone = mt.component_graph(model, pair.clean)
    with pytest.raises(InputError, match=r"paths taken differ.*across=True"):
        mt.graph_difference(session.circuit, alone)
    other = mt.load_model("induction-exact")
    theirs = mt.component_graph(other, mt.PromptPair(pair.clean, pair.corrupt))
    with pytest.raises(InputError, match="Other models made them: induction-exact-tiny"):
        mt.graph_consensus([session.circuit, theirs])
    assert len(mt.graph_consensus([session.circuit, theirs], across=True).names) == 2
    assert len(mt.graph_difference(session.circuit, replace(theirs, made=NOT_TOLD)).names) == 2


def test_features_of_other_dictionaries_are_not_joined(embedded):
    model, whole = embedded("words-4l"), mt.load_transcoders("words-4l/transcoders")
    first, *others = whole.layers
    weights = replace(first.weights, b_dec=first.weights.b_dec + 0.01)
    altered = Dictionary(weights, first.settings, first.identity)
    changed_set = replace(whole, layers=(altered, *others))
    prompt = prompt_sets_of(model)[0].pairs[0].clean
    few = {"max_feature_nodes": 50}
    one, same = (mt.attribution_graph(model, whole, prompt, **few) for _ in range(2))
    other = mt.attribution_graph(model, changed_set, prompt, **few)
    told = mt.provenance(one)
    assert told.dictionaries == tuple(each.identity.fingerprint for each in whole.layers)
    assert told.told_plainly()["dictionaries"] == list(told.dictionaries)
    assert told.dictionaries[0][:12] in dict(told.rows)["dictionaries"]
    assert told.settings.keys() == {
        "prompt",
        "position",
        "n_layers",
        "transcoders",
        "architecture",
        "crosses",
        "sign",
        "cyclic",
        "max_feature_nodes",
        "probability",
        "max_logits",
    }  # no scores, which came out
    mt.graph_consensus([one, same])
    with pytest.raises(InputError, match=r"Other dictionaries .* at place 1 of 4"):
        mt.graph_consensus([one, other])
    row = one.node_kind.index("feature")
    change = mt.FeatureChange(int(one.node_layer[row]), int(one.node_feature[row]))
    edited = mt.attribution_graph(model, whole, prompt, changes=[change], **few)
    assert mt.provenance(edited).edits == (str(change),)
    assert "Other edits act: none, and" in mt.differs(told, mt.provenance(edited)).reasons[0]
    after = mt.provenance(edited_graph(model, whole, prompt, one, [change]))
    assert (after.edits, after.dictionaries) == ((str(change),), told.dictionaries)


@pytest.mark.parametrize(
    ("params", "prints"),
    [
        ({"dictionary": "sae", "fingerprint": "ab"}, ("ab",)),
        ({"fingerprint": "ab"}, ()),  # of the model
        ({"dictionary": "ab", "origin": "hand"}, ("ab",)),
        ({"dictionary": "", "fingerprint": ""}, ()),
        ({"small_fingerprint": "ab", "large_fingerprint": "cd"}, ("ab", "cd")),
        ({"dictionary": "neurons", "fingerprint": "neurons.2.ef"}, ("neurons.2",)),
    ],
)
def test_an_analysis_of_features_names_its_dictionaries(params, prints):
    assert mt.provenance(Analysis("one", "feature-index", "", {}, params)).dictionaries == prints


def test_info_tells_what_made_each_result(session, tmp_path, capsys):
    path = save_session(tmp_path / "one.h5", session)
    assert main(["info", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"]["device"] == "cpu"
    assert found["circuit"]["made"]["path"] == "two-point"
    by_id = {each["id"]: each["made"] for each in found["analyses"]}
    assert by_id["head-scores"]["seed"] == 0
    assert by_id["logit-lens"]["fingerprint"] == session.model.fingerprint
    assert main(["info", str(OLD), "--json"]) == 0
    old = json.loads(capsys.readouterr().out)
    assert old["circuit"]["made"] is None
    assert all(each["made"] is None for each in old["analyses"])


def test_small_models_give_the_same_bits_on_any_number_of_threads(model):
    import torch

    pair = prompt_sets_of(model)[0].pairs[0]
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(mt.examine(model, mt.Question(pair.clean, pair.corrupt)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    one, other = found
    assert one.model.threads == other.model.threads == 1
    for name, held in one.clean.activations.items():
        assert np.array_equal(held.values, other.clean.activations[name].values)
    assert np.array_equal(one.circuit.edge_weight, other.circuit.edge_weight)
