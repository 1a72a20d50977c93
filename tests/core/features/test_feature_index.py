"""An index of a text through a dictionary, against loops over single runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_text_features import CONTEXT, small_dictionary, some_text

import microtome as mt
from microtome.errors import Cancelled, CorpusError, DictionaryMismatch, InputError
from microtome.features.dictionary import Dictionary
from microtome.features.effects import alike
from microtome.features.indexing import feature_indexes
from microtome.features.kept import KeptCodes
from microtome.features.neurons import Neurons
from microtome.features.strongest import Strongest
from microtome.jobs import Job, Progress
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.feature_index import BIN_EDGES, index_analysis, index_of, table_of

NEAR, EXAMPLES = 2, 4


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return some_text(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return small_dictionary()


@pytest.fixture(scope="module")
def index(embedded: Callable, text: Path, dictionary: Dictionary) -> mt.FeatureIndex:
    return mt.feature_index(
        embedded("words-4l"), dictionary, text, examples=EXAMPLES, near=NEAR, context=CONTEXT
    )


@pytest.fixture(scope="module")
def plain(
    embedded: Callable, dictionary: Dictionary, index: mt.FeatureIndex
) -> dict[int, np.ndarray]:
    """The codes of each row of tokens, from a run of its own; 0 at special tokens."""
    words, rows = embedded("words-4l"), {}
    for row, ids in enumerate(index.array("tokens")):
        run = mt.trace(words, [int(each) for each in ids], sites=["resid_post.1"])
        stream = torch.from_numpy(run.activations["resid_post"].layer(1).copy())
        codes = dictionary.encode(stream).numpy()
        codes[np.isin(ids, words.lexicon.special_tokens)] = 0
        rows[row] = codes
    return rows


def test_figures_of_all_features_are_those_of_single_runs(
    index: mt.FeatureIndex, plain: dict[int, np.ndarray]
) -> None:
    codes = np.stack(list(plain.values())).reshape(-1, 30)
    assert index.array("count").tolist() == (codes > 0).sum(0).tolist()
    assert index.array("count")[3] == 0
    assert index.array("total") == pytest.approx(codes.sum(0), rel=1e-4)
    assert index.array("peak") == pytest.approx(codes.max(0), rel=1e-4)
    for feature in (0, 3, 7):
        on = codes[:, feature][codes[:, feature] > 0]
        wanted, _ = np.histogram(on, [0, *BIN_EDGES, np.inf])
        assert np.abs(index.array("histogram")[feature] - wanted).sum() <= 2  # at a bin's border
    table = table_of(index)
    positions = (index.array("tokens") != 0).sum()
    assert index.n_positions == positions
    assert table["rate"][0] == pytest.approx((codes[:, 0] > 0).mean() * len(codes) / positions)
    assert np.isnan(table["purity"][3])


def test_one_pass_over_a_text_for_several_dictionaries_finds_what_each_finds_alone(
    embedded: Callable, text: Path, dictionary: Dictionary, index: mt.FeatureIndex
) -> None:
    words, neurons = embedded("words-4l"), Neurons(embedded("words-4l"), 3)
    settings = {"examples": EXAMPLES, "near": NEAR, "context": CONTEXT}
    both = feature_indexes(words, (dictionary, neurons), text, **settings)
    alone = index, mt.feature_index(words, neurons, text, **settings)
    for one, wanted in zip(both, alone, strict=True):
        assert one.params == wanted.params
        for name in wanted.arrays:
            held = wanted.array(name)
            if held.dtype.kind in "iuU":
                np.testing.assert_array_equal(one.array(name), held)
            else:
                np.testing.assert_allclose(one.array(name), held, rtol=1e-5, atol=1e-6)


def test_examples_are_the_strongest_places_with_what_is_around(
    index: mt.FeatureIndex, plain: dict[int, np.ndarray]
) -> None:
    for feature in range(0, 30, 4):
        all_on = sorted(
            ((codes[at, feature], row, at) for row, codes in plain.items()
             for at in range(CONTEXT) if codes[at, feature] > 0), reverse=True,
        )  # fmt: skip
        got = index.array("top_value")[feature]
        wanted = [value for value, _, _ in all_on[:EXAMPLES]]
        assert got[: len(wanted)] == pytest.approx(wanted, rel=1e-4)
        for slot in range(len(wanted)):
            place = int(index.array("top_place")[feature, slot])
            row, at = divmod(place, CONTEXT)
            assert plain[row][at, feature] == pytest.approx(got[slot], rel=1e-4)
            window = index.array("top_window")[feature, slot]
            for near, value in zip(range(at - NEAR, at + NEAR + 1), window, strict=True):
                inside = 0 <= near < CONTEXT
                wanted_value = plain[row][near, feature] if inside else -1
                assert value == pytest.approx(wanted_value, rel=1e-4, abs=1e-5)
        sampled = index.array("some_place")[feature]
        assert set(sampled[sampled >= 0].tolist()) <= {row * CONTEXT + at for _, row, at in all_on}


def test_tokens_and_partners_are_those_of_counting(
    index: mt.FeatureIndex, plain: dict[int, np.ndarray], embedded: Callable
) -> None:
    tokens = index.array("tokens")
    for feature in (0, 11):
        sums: dict[int, float] = defaultdict(float)
        for row, codes in plain.items():
            for at in range(CONTEXT):
                sums[int(tokens[row, at])] += codes[at, feature]
        best = sorted(sums, key=lambda token: -sums[token])
        assert index.array("token")[feature, 0] == best[0]
        share = sums[best[0]] / sum(sums.values())
        assert index.array("token_share")[feature, 0] == pytest.approx(share, rel=1e-3)
        shares = np.array([each for each in sums.values() if each > 0]) / sum(sums.values())
        spread = np.exp(-(shares * np.log(shares)).sum())
        assert table_of(index)["words"][feature] == pytest.approx(spread, rel=1e-4)
        on = np.stack(list(plain.values())).reshape(-1, 30) > 0
        either = (on | on[:, [feature]]).sum(0)
        jaccard = (on & on[:, [feature]]).sum(0) / np.maximum(either, 1)
        jaccard[feature] = -1
        share_got = index.array("together_share")[feature]
        assert share_got == pytest.approx(np.sort(jaccard)[::-1][:10])
        partner = int(index.array("together")[feature, 0])
        assert jaccard[partner] == pytest.approx(jaccard.max())
    assert index.array("vocabulary")[best[0]] == embedded("words-4l").token_text(best[0])


def test_words_and_likeness_follow_from_directions(
    index: mt.FeatureIndex, dictionary: Dictionary, embedded: Callable
) -> None:
    held = dictionary.directions.double().numpy()
    unit = held / np.linalg.norm(held, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    assert np.array_equal(index.array("alike")[:, 0], cosines.argmax(1))
    assert index.array("alike_cosine")[:, 0] == pytest.approx(cosines.max(1), abs=1e-5)
    anatomy = embedded("words-4l").anatomy
    centred = held - held.mean(1, keepdims=True)
    logits = (centred * anatomy.final_norm.weight.double().numpy()) @ (
        anatomy.unembedding.double().numpy().T
    )
    logits -= logits.mean(1, keepdims=True)
    assert np.array_equal(index.array("raised")[:, 0], logits.argmax(1))
    assert index.array("lowered_by")[:, 0] == pytest.approx(logits.min(1), rel=1e-3)


def test_copies_of_a_direction_are_alike_and_none_is_its_own() -> None:
    numbers, cosines = alike(torch.ones(15, 4), 10, Job())
    assert not (numbers == np.arange(15)[:, None]).any()
    assert all(len(set(row)) == 10 for row in numbers.tolist())
    assert np.allclose(cosines, 1)


def test_likeness_over_many_blocks_is_that_of_the_whole_table() -> None:
    directions = torch.randn(2_300, 6, generator=torch.Generator().manual_seed(0))
    directions[2_200] = directions[3]
    numbers, cosines = alike(directions, 10, Job())
    unit = directions.double().numpy()
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    table = unit @ unit.T
    np.fill_diagonal(table, -2)
    best = -np.sort(np.partition(-table, 10, axis=1)[:, :10], axis=1)
    np.testing.assert_allclose(cosines, best, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(table, numbers, 1), cosines, atol=1e-6)
    assert numbers[3, 0] == 2_200


def test_likeness_can_be_cancelled_between_blocks() -> None:
    told: list[str] = []

    def hear(progress: Progress) -> None:
        told.append(progress.title)
        job.cancel()

    job = Job(hear)
    with pytest.raises(Cancelled):
        alike(torch.randn(4_500, 6), 10, job)
    assert len(told) == 1


def test_neurons_have_the_same_index(embedded: Callable, text: Path) -> None:
    words = embedded("words-4l")
    index = mt.feature_index(words, Neurons(words, 2), text, context=CONTEXT, limit=60)
    assert index.n_features == words.identity.d_mlp
    ids = index.array("tokens")[0]
    run = mt.trace(words, [int(each) for each in ids], sites=["mlp_post.2"])
    counted = ~np.isin(ids, words.lexicon.special_tokens)
    top = run.activations["mlp_post"].layer(2)[counted].max(0)
    assert (index.array("peak") >= top - 1e-5).all()
    with pytest.raises(DictionaryMismatch, match="no neurons in layer 9"):
        Neurons(words, 9)


def test_an_index_comes_back_from_its_analysis(index: mt.FeatureIndex) -> None:
    again = index_of(index_analysis(index))
    assert np.array_equal(again.row("top_window", 5), index.array("top_window")[5])
    assert again.n_positions == index.n_positions


def test_the_strongest_are_kept_as_sorting_would() -> None:
    random, size = np.random.default_rng(0), 3
    kept = Strongest(5, size, {"place": np.empty(0, np.int64)})
    seen: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for turn in range(20):
        groups = random.integers(0, 4, 12)
        keys = random.random(12).astype(np.float32)
        places = np.arange(12) + 12 * turn
        for group, key, place in zip(groups, keys, places, strict=True):
            seen[int(group)].append((float(key), int(place)))
        worth = kept.worth(groups, keys)
        kept.add(groups[worth], keys[worth], {"place": places[worth]})
    for group, entries in seen.items():
        best = [place for _, place in sorted(entries, reverse=True)[:size]]
        assert kept.columns["place"][group].tolist() == best
    assert (kept.columns["place"][4] == -1).all()


def test_what_does_not_fit_is_refused_and_a_stop_stops(
    embedded: Callable, text: Path, dictionary: Dictionary, tmp_path: Path
) -> None:
    words = embedded("words-4l")
    other = dictionary.named(DictionaryIdentity("x", "", 0, 0, 0, "mlp_post.1", "mlp_post.1"))
    with pytest.raises(DictionaryMismatch, match="is for 128 numbers"):
        mt.feature_index(words, other, text)
    with pytest.raises(InputError, match="examples is 0"):
        mt.feature_index(words, dictionary, text, examples=0)
    for wrong in ({"near": -1}, {"seed": -1}, {"limit": 1}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            mt.feature_index(words, dictionary, text, **wrong)
    (tmp_path / "none.txt").write_text(" ")
    with pytest.raises(CorpusError, match="holds no text"):
        mt.feature_index(words, dictionary, tmp_path / "none.txt")
    job = Job(on_progress=lambda progress: job.cancel())
    with pytest.raises(Cancelled):
        mt.feature_index(words, dictionary, text, job=job)


def test_what_does_not_fit_is_left_out_and_the_rest_is_counted_exactly() -> None:
    random = np.random.default_rng(1)
    on = random.random((60, 40)) < np.linspace(0.02, 0.9, 40)
    kept = KeptCodes(40, most=int(on[:50].sum()))
    for start in range(0, 60, 10):
        at, feature = np.nonzero(on[start : start + 10])
        words = np.arange(start, start + 10, dtype=np.int32) % 7
        kept.add(at, feature, np.ones(len(at), np.float32), words)
    assert kept.positions == 50
    both = on[:50].T.astype(int) @ on[:50]
    share = both / np.maximum(both.diagonal()[:, None] + both.diagonal() - both, 1)
    np.fill_diagonal(share, 0)
    partners = kept.partners(5, Job())
    assert partners.share == pytest.approx(np.sort(share, 1)[:, ::-1][:, :5], abs=1e-6)
    assert (kept.words(5)[0].share[:, 0] <= 1).all()


def test_a_feature_of_many_tokens_counts_all_of_them() -> None:
    kept = KeptCodes(2)
    at = np.arange(40, dtype=np.int64)
    words = np.arange(40, dtype=np.int32)
    kept.add(at, np.zeros(40, np.int64), np.full(40, 0.5, np.float32), words)
    best, spread = kept.words(10)  # ten are named
    assert best.share[0] == pytest.approx([1 / 40] * 10)
    assert spread == pytest.approx([40, 1])
