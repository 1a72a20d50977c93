"""Head detectors against loops that say in plain words what each kind of head looks at."""

import numpy as np
import pytest

from microtome.activations.capture import trace
from microtome.analysis.heads import (
    DETECTORS,
    applies,
    detect,
    duplicate_token_keys,
    head_scores,
    induction_keys,
    previous_token_keys,
    repeated_tokens,
)
from microtome.errors import Cancelled, InputError
from microtome.jobs import Job
from microtome.prompt_sets import load_prompt_set

SENTENCE = np.array([7, 3, 9, 3, 5, 7, 3, 3])


def looked_at(ids: np.ndarray, kind: str) -> set[tuple[int, int]]:
    pairs = set()
    for query, token in enumerate(ids):
        for key in range(query):
            if kind == "previous token" and key == query - 1:
                pairs.add((query, key))
            if kind == "duplicate token" and ids[key] == token:
                pairs.add((query, key))
            if kind == "induction" and key > 0 and ids[key - 1] == token:
                pairs.add((query, key))
    return pairs


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
@pytest.mark.parametrize("seed", range(3))
def test_keys_are_those_of_the_plain_description(detector, seed: int):
    ids = np.random.default_rng(seed).integers(0, 4, size=15) if seed else SENTENCE
    found = {(int(query), int(key)) for query, key in np.argwhere(detector.keys(ids))}
    assert found == looked_at(ids, detector.name)


def test_scores_are_attention_on_those_keys_over_queries_that_have_any():
    random = np.random.default_rng(1)
    patterns = np.tril(random.random((2, 3, 8, 8)))
    patterns /= patterns.sum(axis=-1, keepdims=True)
    found = detect(patterns, SENTENCE)
    for row, detector in enumerate(DETECTORS):
        pairs = looked_at(SENTENCE, detector.name)
        queries = {query for query, _ in pairs}
        for layer in range(2):
            for head in range(3):
                total = sum(patterns[layer, head, query, key] for query, key in pairs)
                assert found[row, layer, head] == pytest.approx(total / len(queries), rel=1e-5)


def test_perfect_heads_score_one_and_each_other_zero():
    ids = repeated_tokens(50, 6, 1, seed=0)[0]
    kinds = (previous_token_keys(ids), duplicate_token_keys(ids), induction_keys(ids))
    patterns = np.stack(kinds)[None].astype(np.float32)
    found = detect(patterns, ids)[:, 0]
    np.testing.assert_allclose(np.diag(found), [1, 1, 1], atol=1e-6)
    assert found[0, 1] == found[1, 0] == found[1, 2] == found[2, 1] == 0


def test_without_repetition_only_the_previous_token_applies():
    ids = np.arange(5)
    assert applies(ids).tolist() == [True, False, False]
    assert detect(np.ones((1, 1, 5, 5)), ids)[1:].tolist() == [[[0.0]], [[0.0]]]


def test_random_tokens_are_said_twice_seeded_and_without_doubles():
    ids = repeated_tokens(30, 12, 5, seed=4)
    assert ids.shape == (5, 24)
    np.testing.assert_array_equal(ids[:, :12], ids[:, 12:])
    assert all(len(set(row[:12])) == 12 for row in ids.tolist())
    np.testing.assert_array_equal(ids, repeated_tokens(30, 12, 5, seed=4))
    assert (ids != repeated_tokens(30, 12, 5, seed=5)).any()
    assert repeated_tokens(3, 12, 1, seed=0).max() < 3


@pytest.mark.parametrize(("length", "batch"), [(0, 1), (4, 0)])
def test_nothing_to_repeat_is_refused(length: int, batch: int):
    with pytest.raises(InputError, match="at least 1"):
        repeated_tokens(10, length, batch, seed=0)


def test_the_known_heads_of_the_exact_induction_model_are_found(embedded):
    found = head_scores(embedded("induction-exact"), batch=2)
    names = found.params["detectors"]
    score = found.array("score")
    assert found.id == found.kind == "head-scores"
    assert found.arrays["score"].dims == ("detector", "layer", "head")
    assert score[names.index("previous token"), 0, 0] > 0.95
    assert score[names.index("induction"), 1, 0] > 0.95
    assert score[names.index("induction"), 0, 0] < 0.2
    assert score[names.index("duplicate token"), 1, 0] < 0.2


def test_scores_are_the_mean_over_seeded_sequences(tiny_model):
    model = tiny_model("llama")
    found = head_scores(model, seed=3, length=7, batch=3)
    rows = repeated_tokens(model.identity.vocabulary, 7, 3, seed=3)
    runs = [trace(model, tuple(row.tolist())) for row in rows]
    expected = np.mean([detect(run.activation("pattern"), run.token_ids) for run in runs], axis=0)
    np.testing.assert_allclose(found.array("score"), expected, rtol=1e-6)
    assert found.params["seed"] == 3


def test_a_short_context_shortens_the_sequences(tiny_model):
    assert head_scores(tiny_model("gpt2"), length=100, batch=1).params["length"] == 24


def test_a_cancel_stops_between_sequences(tiny_model):
    job = Job(on_progress=lambda _: job.cancel())
    with pytest.raises(Cancelled):
        head_scores(tiny_model("gpt2"), job=job)


def test_the_embedded_model_has_induction_heads_on_its_own_kind_of_text(embedded):
    prompts = [pair.clean for pair in load_prompt_set("induction").pairs[:12]]
    scores = head_scores(embedded("words-4l"), prompts=prompts)
    assert scores.params["measured_on"] == "prompts"
    induction = scores.array("score")[scores.params["detectors"].index("induction")]
    assert induction.max() > 0.8
    assert induction[0].max() < 0.3  # a first layer cannot look for what followed
