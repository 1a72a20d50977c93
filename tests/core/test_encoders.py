"""Encoders: masked prompts, norms on the stream, heads that look both ways, classes of tokens."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
import transformers
from random_anatomy import asked_of, random_anatomy

from microtome.activations.capture import trace
from microtome.analysis.direct import direct_logit_attribution
from microtome.analysis.heads import BOTH_WAYS, detect, head_scores, named_detectors
from microtome.analysis.lens import logit_lens
from microtome.circuits.ablated import AblatedRuns
from microtome.circuits.carried import Carried
from microtome.circuits.coefficients import Rule
from microtome.circuits.component import component_graph, linearised
from microtome.errors import AnswerError, PromptError, UnknownArchitecture
from microtome.examining import examine
from microtome.jobs import Job
from microtome.metrics import LogitDifference, LogitOverMean
from microtome.models.arithmetic import run
from microtome.models.loading import load_model
from microtome.prompts import Question
from microtome.records.checks import Verdict
from microtome.records.circuit import EdgeKind
from microtome.selfcheck.suite import self_check
from microtome.session.reader import open_session
from microtome.session.writer import save_session

TEXT = "The [MASK] sat on the mats."
READ = ("[CLS]", "the", "[MASK]", "sat", "on", "the", "mat", "##s", ".", "[SEP]")


@pytest.fixture(scope="module")
def masked(tiny_folder, tmp_path_factory):
    """A tiny BERT with a tokenizer of word pieces."""
    folder = Path(shutil.copytree(tiny_folder("bert"), tmp_path_factory.mktemp("masked") / "bert"))
    tiny_models.save_masked_tokenizer(folder)
    return load_model(folder)


# ------------------------------------------------------------------- masked prompts


def test_a_text_becomes_what_the_tokenizer_makes_of_it(masked):
    tokens = masked.tokenize(TEXT)
    theirs = transformers.AutoTokenizer.from_pretrained(masked.tokenizer.name_or_path)
    assert tokens.ids.tolist() == theirs(TEXT)["input_ids"]
    assert tokens.texts == READ
    assert not tokens.unknown


@pytest.mark.parametrize(
    ("text", "place"),
    [(TEXT, 2), ("a cat sat on [MASK] . the [MASK] ran", 5), ("the cat sat", -1)],
)
def test_a_prompt_is_explained_at_its_first_mask(masked, text, place):
    session = examine(masked, Question(text, answer="cat"))
    ids = masked.tokenize(text).ids
    with torch.inference_mode():
        logits = masked.module(torch.tensor([ids.tolist()])).logits[0, place].double()
    expected = float(logits[6] - logits.mean())
    metric, circuit = session.metric, session.circuit
    assert metric["value"] == pytest.approx(expected, abs=1e-5)
    assert metric["position"] == place
    assert metric["in_place"]
    assert metric["read_at"] == ("the first masked token" if place >= 0 else "the last token")
    assert circuit.metadata["metric_value"] == pytest.approx(expected, abs=1e-4)
    assert circuit.node_position[circuit.row("OUT")] == place % len(ids)
    said = f"in the place of {masked.tokenize(text).texts[place]}, position {place % len(ids)}"
    assert any(said in note for note in circuit.metadata["notes"])
    direct = session.analyses["direct-attribution"]
    assert direct.params["position"] == place % len(ids)
    share = session.analyses["reproduced-share"]
    assert share.params["base"] == pytest.approx(expected, abs=1e-4)


def test_without_a_metric_the_circuit_and_its_ablations_read_the_mask(masked):
    circuit = component_graph(masked, TEXT)
    runs = AblatedRuns(masked, TEXT, None, Job())
    assert circuit.metadata["position"] == runs.metric.position == 2
    assert circuit.metadata["metric_value"] == pytest.approx(runs.base, abs=1e-4)
    last = component_graph(masked, TEXT, LogitOverMean("cat"))
    assert last.metadata["position"] == len(READ) - 1


def test_a_causal_model_knows_no_masked_position(tiny_folder, tmp_path):
    folder = Path(shutil.copytree(tiny_folder("gpt2"), tmp_path / "gpt2"))
    tiny_models.save_masked_tokenizer(folder)
    model = load_model(folder)
    assert model.read_at(model.tokenize(TEXT).ids) == -1
    assert "in_place" not in examine(model, Question(TEXT)).metric


def test_a_session_of_an_encoder_is_kept_whole(masked, tmp_path):
    session = examine(masked, Question(TEXT, "The [MASK] ran on the mats.", "cat", "dog"))
    kept = open_session(save_session(tmp_path / "masked.h5", session))
    assert kept.metric == session.metric
    assert kept.clean.tokens == READ
    np.testing.assert_array_equal(kept.circuit.edge_weight, session.circuit.edge_weight)
    pattern = np.asarray(kept.clean.activation("pattern"))
    assert np.triu(pattern, 1).max() > 0.1


def test_the_lens_of_the_last_layer_is_the_model_s_own_answer(masked):
    ran = trace(masked, TEXT)
    np.testing.assert_allclose(logit_lens(ran, normalise=False)[-1], ran.logits, atol=2e-5)


# ------------------------------------------------------------------- positions of RoBERTa


def test_positions_begin_behind_the_row_of_padding(tiny_model):
    model = tiny_model("roberta")
    assert model.identity.context == tiny_models.CONTEXT
    ids = [5, 9, 1, 7, 1, 3]  # 1 is padding, here a token like any other
    expected = run(model.anatomy, torch.tensor(ids)).logits()
    np.testing.assert_allclose(trace(model, ids).logits, expected, atol=3e-5)
    longest = [3 + at % 50 for at in range(tiny_models.CONTEXT)]
    assert np.isfinite(trace(model, longest).logits).all()
    with pytest.raises(PromptError, match="reads at most 48"):
        trace(model, [*longest, 4])


# ------------------------------------------------------------------- heads that look both ways


def looked_at(ids, kind: str) -> set[tuple[int, int]]:
    pairs = set()
    for query, token in enumerate(ids):
        for key, other in enumerate(ids):
            rules = {
                "previous token": key == query - 1,
                "next token": key == query + 1,
                "same token": other == token and key != query,
                "behind the same token": key != query
                and key - 1 in range(len(ids))
                and ids[key - 1] == token
                and key - 1 != query,
            }
            if rules[kind]:
                pairs.add((query, key))
    return pairs


@pytest.mark.parametrize("detector", BOTH_WAYS, ids=lambda detector: detector.name)
def test_keys_to_both_sides_are_those_of_the_plain_description(detector):
    ids = np.random.default_rng(3).integers(0, 4, size=15)
    found = {(int(query), int(key)) for query, key in np.argwhere(detector.keys(ids))}
    assert found == looked_at(ids, detector.name)


def test_heads_of_an_encoder_are_measured_to_both_sides(masked):
    scores = head_scores(masked, batch=1, length=6)
    assert scores.params["detectors"] == [detector.name for detector in BOTH_WAYS]
    session = examine(masked, Question(TEXT))
    own = session.analyses["head-scores"]
    detectors = named_detectors(own.params["detectors"])
    expected = detect(session.clean.activation("pattern"), session.clean.token_ids, detectors)
    np.testing.assert_array_equal(own.array("on_prompt"), expected)
    assert own.params["on_prompt_applies"] == [True] * 4


# ------------------------------------------------------------------- norms on the stream


def test_outputs_are_carried_alike_from_any_side_and_few_are_kept():
    anatomy = random_anatomy(post=True)
    anatomy = replace(anatomy, blocks=anatomy.blocks * 6)
    asked = asked_of(anatomy, [3, 17, 4, 4, 30])
    gradient, outputs = linearised(asked, Rule.SINGLE)
    frozen = gradient.coefficients
    norms = [frozen.stream_norm]
    for attention, mlp in zip(frozen.attention, frozen.mlp, strict=True):
        norms += [attention.sum_norm, mlp.sum_norm]
    carried, most = Carried(frozen, outputs), 0
    for layer in reversed(range(18)):
        for found, passed in (
            (carried.middle(layer), 2 * layer + 2),
            (carried.before(layer), 2 * layer + 1),
        ):
            most = max(most, len(carried._held))
            # Each output passes the norms behind its own place only, one after another.
            for row in (0, 1, len(found) // 2, len(found) - 1):
                component = row - 2
                written = 0 if component < 0 else 1 + 2 * (component // 5) + (component % 5 == 4)
                value = outputs[row]
                for norm in norms[written:passed]:
                    value = norm.apply(value)
                torch.testing.assert_close(found[row], value, rtol=1e-12, atol=1e-12)
    assert most <= 15 < len(norms)


# ------------------------------------------------------------------- classes as answers


@pytest.fixture(scope="module")
def compiled(test_data):
    """``compiled(name)``: a program as weights of BERT, and what its parts are."""

    def load(name):
        folder = test_data / "models" / f"tracr-{name}"
        return load_model(folder), json.loads((folder / "ground_truth.json").read_text())

    return load


def test_a_compiled_histogram_counts_and_its_parts_do_what_they_were_compiled_for(compiled):
    model, truth = compiled("hist")
    assert model.vocabulary_words() == tuple(truth["labels"])
    letters = "abaacba"
    ids = (truth["enc"]["BOS"], *(truth["enc"][letter] for letter in letters))
    ran = trace(model, ids)
    for place, letter in enumerate(letters, start=1):
        counts = ran.logits[place][[truth["labels"].index(f"hist_14:{n}") for n in range(9)]]
        expected = [float(n == letters.count(letter)) for n in range(9)]
        np.testing.assert_allclose(counts, expected, atol=1e-5)
    # The width of the selection comes from the head, the count from the MLP, all else is read in.
    parts = {
        name: direct_logit_attribution(ran, LogitDifference(name, "hist_14:8"))
        for name in ("hist_14:4", "hist_14_selector_width_attn_output", "tokens:a", "indices:6")
    }
    found = [
        [p.embedding, p.position_embedding, p.heads[0, 0], p.mlp_layers[0], p.bias]
        for p in parts.values()
    ]
    expected = [
        [0, 0, 0, 1, 0], [0, 0, 0.2, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0],
    ]  # fmt: skip
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_compiled_reversal_reads_the_letter_from_the_other_end(compiled):
    model, truth = compiled("reverse")
    letters = "abdacbd"
    ids = (truth["enc"]["BOS"], *(truth["enc"][letter] for letter in letters))
    session = examine(model, Question(ids, answer="reverse_4:a", wrong="reverse_4:d"))
    ran = session.clean
    for place, letter in enumerate(reversed(letters), start=1):
        classes = [model.answer_token(f"reverse_4:{one}") for one in "abcd"]
        assert "abcd"[int(ran.logits[place][classes].argmax())] == letter
    assert session.metric["value"] == pytest.approx(1.0, abs=1e-3)
    assert session.metric["answer"] == "reverse_4:a"
    # Its last head copies the first letter to the last place: all of the answer goes that way.
    circuit = session.circuit
    into = circuit.row(f"L3H0@{len(letters)}")
    values = (circuit.edge_target == into) & (circuit.edge_kind == EdgeKind.VALUE)
    best = circuit.edge_source[values][np.abs(circuit.edge_weight[values]).argmax()]
    assert circuit.node_position[best] == 1
    assert ran.attention(3)[0, len(letters)].argmax() == 1


LABELS = {0: "noun", 1: "verb", 2: "name"}


@pytest.mark.parametrize("name", tiny_models.MASKED)
def test_every_encoder_may_say_the_class_of_every_token(tmp_path, plain, name):
    folder = tiny_models.save_classifier(name, tmp_path / "tags", LABELS)
    model, ids = load_model(folder), [5, 60, 7, 9, 5]
    theirs = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    with torch.inference_mode():
        logits = theirs(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(trace(model, ids).logits, logits, atol=1e-5)
    np.testing.assert_allclose(plain.logits(model.anatomy, ids), logits, atol=1e-5)
    assert model.vocabulary_words() == ("noun", "verb", "name")


def test_a_head_that_says_one_thing_of_a_whole_text_is_refused(tmp_path):
    folder = tiny_models.save_classifier("roberta", tmp_path / "mood", LABELS, "Sequence")
    with pytest.raises(UnknownArchitecture, match="the head of RobertaForSequenceClassification"):
        load_model(folder)


def test_a_session_with_classes_for_answers_is_kept(tmp_path):
    folder = tiny_models.save_classifier("bert", tmp_path / "tags", LABELS)
    model = load_model(folder)
    session = examine(model, Question((5, 60, 7, 9), answer="verb", wrong="noun"))
    assert (model.identity.vocabulary, model.identity.reads) == (3, tiny_models.VOCABULARY)
    with torch.inference_mode():
        logits = model.module(torch.tensor([[5, 60, 7, 9]])).logits[0, -1]
    assert session.metric["value"] == pytest.approx(float(logits[1] - logits[0]), abs=1e-5)
    assert session.metric["name"] == "logit(verb) \N{MINUS SIGN} logit(noun)"
    assert set(session.clean.top_tokens[0]) == set(LABELS.values())
    path = save_session(tmp_path / "tags.h5", session, include=("logits",))
    kept = open_session(path)
    assert kept.model.reads == tiny_models.VOCABULARY
    np.testing.assert_array_equal(np.asarray(kept.clean.logits[...]), session.clean.logits)
    assert kept.clean.tokens == ("<5>", "<60>", "<7>", "<9>")
    checks = self_check(model)
    left = {row.number: row.verdict for row in checks.results if row.verdict is not Verdict.PASS}
    assert left == {11: Verdict.SKIPPED}  # there is no other device
    with pytest.raises(AnswerError, match=r"'vreb' is no class of .*verb"):
        model.answer_token("vreb")
    with pytest.raises(AnswerError, match=r"has no class 3.*0 to 2"):
        model.answer_token(3)
