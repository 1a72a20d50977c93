"""Cards of features against single runs, from a file without the model, and as example files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_text_features import CONTEXT, small_dictionary, some_text

import microtome as mt
from microtome.errors import Cancelled, DictionaryMismatch, InputError, SessionDamaged
from microtome.features.dictionary import Dictionary
from microtome.features.formats.example_files import open_examples
from microtome.jobs import Job, Progress
from microtome.records.feature_card import QUANTILES, TOP, as_examples
from microtome.records.feature_index import BIN_EDGES, index_analysis, index_of
from microtome.records.session import Session
from microtome.records.superposition import ToyModels, ToyPlan, toy_analysis, toys_of
from microtome.records.training import TrainingCurve, curve_analysis, curve_of

FEATURE = 7


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return small_dictionary()


@pytest.fixture(scope="module")
def index(
    embedded: Callable, dictionary: Dictionary, tmp_path_factory: pytest.TempPathFactory
) -> mt.FeatureIndex:
    text = some_text(tmp_path_factory.mktemp("cards"))
    return mt.feature_index(embedded("words-4l"), dictionary, text, context=CONTEXT, near=2)


def test_a_card_shows_examples_as_runs_of_their_rows_have_them(
    embedded: Callable, dictionary: Dictionary, index: mt.FeatureIndex
) -> None:
    words, card = embedded("words-4l"), mt.feature_card(index, FEATURE, labels={FEATURE: "mine"})
    assert card.label == "mine"
    assert card.quantiles[0].name == TOP
    assert 1 < len(card.quantiles) <= QUANTILES + 1
    place = int(index.array("top_place")[FEATURE, 0])
    row, position = divmod(place, CONTEXT)
    ids = [int(each) for each in index.array("tokens")[row]]
    fires = mt.where_it_fires(words, dictionary, ids)
    best = card.top[0]
    start = max(0, position - 2)
    assert best.tokens == tuple(fires.tokens[start : start + len(best.tokens)])
    counted = np.where(np.isin(ids, words.lexicon.special_tokens), 0, fires.of(FEATURE))
    near = counted[start : start + len(best.tokens)]
    assert best.activations == pytest.approx(near.tolist(), rel=1e-4, abs=1e-5)
    assert best.activations[best.peak] == pytest.approx(card.peak, rel=1e-6)
    assert fires.at(position)[0][1] == pytest.approx(max(v for _, v in fires.at(position)))
    strengths = [one.activations[one.peak] for one in card.top]
    assert strengths == sorted(strengths, reverse=True)


def test_a_card_has_the_figures_words_and_neighbours_of_its_row(index: mt.FeatureIndex) -> None:
    card, names = mt.feature_card(index, FEATURE, labels={1: "one"}), index.array("vocabulary")
    assert card.rate == pytest.approx(card.count / index.n_positions)
    assert card.histogram.sum() == card.count
    assert card.tokens[0].text == names[index.array("token")[FEATURE, 0]]
    assert card.purity == pytest.approx(card.tokens[0].value)
    assert card.raised[0].value == pytest.approx(index.array("raised_by")[FEATURE].max())
    assert card.alike[0].feature == index.array("alike")[FEATURE, 0]
    assert all(other.label == ("one" if other.feature == 1 else "") for other in card.fires_with)
    dead = mt.feature_card(index, 3)
    assert dead.dead
    assert dead.examples == ()
    assert np.isnan(dead.purity)
    with pytest.raises(InputError, match="no feature 30: the dictionary has 30"):
        mt.feature_card(index, 30)


def test_a_card_from_a_file_reads_its_rows_alone(
    embedded: Callable, index: mt.FeatureIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysis = index_analysis(index)
    held = Session(embedded("words-4l").identity, analyses={analysis.id: analysis})
    mt.save_session(tmp_path / "cards.h5", held)
    stored = mt.open_session(tmp_path / "cards.h5").analyses[analysis.id]
    source = stored.arrays["top_window"].values
    read: list[tuple[slice, ...]] = []
    reader = source.file.read

    def watched(path: str, chosen: tuple[slice, ...]) -> np.ndarray:
        read.append(chosen)
        return reader(path, chosen)

    monkeypatch.setattr(source.file, "read", watched)
    card, wanted = mt.feature_card(index_of(stored), FEATURE), mt.feature_card(index, FEATURE)
    assert card.quantiles == wanted.quantiles
    assert card.tokens == wanted.tokens
    assert (card.rate, card.spread, card.alike) == (wanted.rate, wanted.spread, wanted.alike)
    assert read
    assert all(rows[0].stop - rows[0].start == 1 for rows in read)


def test_examples_are_saved_with_their_dictionary_and_only_with_it(
    dictionary: Dictionary, index: mt.FeatureIndex, tmp_path: Path
) -> None:
    for _ in range(2):  # a second time takes the place of the first
        mt.save_dictionary(dictionary, tmp_path / "mine", examples=index)
    files = open_examples(tmp_path / "mine")
    assert files.layers == (1,)
    assert 3 not in files.features(1)
    again, card = files.feature(1, FEATURE), mt.feature_card(index, FEATURE)
    assert again == as_examples(card)
    assert again.quantiles[0].examples == card.top
    assert sum(again.histogram) == pytest.approx(card.count)
    other = replace(dictionary.weights, b_dec=torch.ones(128))
    with pytest.raises(DictionaryMismatch, match="examples of layer 1 are of mine"):
        mt.save_dictionary(
            Dictionary(other, dictionary.settings, dictionary.identity),
            tmp_path / "other",
            examples=index,
        )


def test_a_stop_while_examples_are_written_leaves_no_folder(
    dictionary: Dictionary, index: mt.FeatureIndex, tmp_path: Path
) -> None:
    seen: list[float] = []

    def stop(now: Progress) -> None:
        if now.title == "Writing examples":
            seen.append(now.fraction)
            job.cancel()

    job = Job(on_progress=stop)
    with pytest.raises(Cancelled):
        mt.save_dictionary(dictionary, tmp_path / "mine", examples=index, job=job)
    assert seen
    assert list(tmp_path.iterdir()) == []


def test_bars_of_equal_width_keep_what_the_bins_count(index: mt.FeatureIndex) -> None:
    card = mt.feature_card(index, FEATURE)
    shown, edges = as_examples(card), np.concatenate([[0], BIN_EDGES, [np.inf]])
    borders = np.linspace(shown.minimum, shown.maximum, len(shown.histogram) + 1)
    for at in (len(borders) // 4, len(borders) // 2):
        below = sum(shown.histogram[:at])
        sure = card.histogram[edges[1:] <= borders[at]].sum()
        possible = card.histogram[edges[:-1] < borders[at]].sum()
        assert sure - 1e-6 <= below <= possible + 1e-6


def test_an_index_whose_parts_contradict_one_another_is_refused(index: mt.FeatureIndex) -> None:
    analysis = index_analysis(index)
    short = replace(analysis.arrays["peak"], values=index.array("peak")[:-1])
    with pytest.raises(SessionDamaged, match=r"peak of the index .* has the shape \(29,\)"):
        index_of(replace(analysis, arrays={**analysis.arrays, "peak": short}))
    arrays = {name: held for name, held in analysis.arrays.items() if name != "tokens"}
    with pytest.raises(SessionDamaged, match="has no tokens"):
        index_of(replace(analysis, arrays=arrays))
    beyond = replace(analysis.arrays["top_place"], values=index.array("top_place") + 10**6)
    wrong = index_of(replace(analysis, arrays={**analysis.arrays, "top_place": beyond}))
    with pytest.raises(SessionDamaged, match="rows of text"):
        mt.feature_card(wrong, FEATURE)


def test_training_curves_and_toy_models_come_back_from_a_session(
    embedded: Callable, tmp_path: Path
) -> None:
    figures = ("loss", "l0", "explained_variance", "dead", "dense", "rate")
    points = [dict.fromkeys(figures, 0.5) | {"step": n, "recovered": np.nan} for n in (1, 2)]
    curve = TrainingCurve.of(points, {"name": "mine", "seed": 3})
    random, plan = np.random.default_rng(0), ToyPlan(sparsity=(0.0, 0.9))
    toys = ToyModels(
        plan, random.random((2, 2, 5)), random.random((2, 5)), np.arange(3), random.random((3, 2))
    )
    held = {one.id: one for one in (curve_analysis(curve), toy_analysis(toys))}
    mt.save_session(tmp_path / "t.h5", Session(embedded("words-4l").identity, analyses=held))
    assert mt.verify_session(tmp_path / "t.h5").good
    again = mt.open_session(tmp_path / "t.h5").analyses
    back = curve_of(again[curve_analysis(curve).id])
    assert back.step.tolist() == [1, 2]
    assert np.isnan(back.recovered).all()
    assert back.params == curve.params
    model = toys_of(again[toy_analysis(toys).id])
    assert model.plan == plan
    assert np.array_equal(model.weights, toys.weights)
