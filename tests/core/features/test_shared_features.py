"""Features that share a neuron, against counting over single runs; meanings of examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_text_features import CONTEXT, small_dictionary, some_text

import microtome as mt
from microtome.errors import InputError
from microtome.records.feature_examples import Example
from microtome.records.shared_features import shared_analysis, shared_of
from microtome.records.shared_neurons import neurons_analysis, neurons_of_analysis

NEURON = (1, 5)


def test_features_go_with_a_neuron_as_single_runs_have_it(
    embedded: Callable, tmp_path: Path
) -> None:
    words, dictionary, text = embedded("words-4l"), small_dictionary(), some_text(tmp_path)
    found = mt.shared_features(words, NEURON, dictionary, text, context=CONTEXT)
    index = mt.feature_index(words, dictionary, text, context=CONTEXT)
    own, codes = [], []
    for row in index.array("tokens"):
        ids = [int(each) for each in row]
        run = mt.trace(words, ids, sites=["resid_post.1", "mlp_post.1"])
        kept = ~np.isin(ids, words.lexicon.special_tokens)
        own.append(run.activation("mlp_post.1")[kept, NEURON[1]].clip(min=0))
        stream = torch.from_numpy(run.activation("resid_post.1")[kept])
        codes.append(dictionary.encode(stream).numpy())
    activity, all_codes = np.concatenate(own).astype(float), np.concatenate(codes).astype(float)
    for feature in (0, 7, 11):
        wanted = np.corrcoef(activity, all_codes[:, feature])[0, 1]
        assert found.correlation[feature] == pytest.approx(wanted, abs=1e-4)
        at = activity[all_codes[:, feature] > 0].sum() / activity.sum()
        assert found.share[feature] == pytest.approx(at, abs=1e-4)
        out = words.anatomy.blocks[1].mlp.w_out[:, NEURON[1]].double().numpy()
        direction = dictionary.directions[feature].double().numpy()
        cosine = out @ direction / np.linalg.norm(out) / np.linalg.norm(direction)
        assert found.cosine[feature] == pytest.approx(cosine, abs=1e-5)
    assert found.correlation[3] == 0  # never on
    assert found.strongest(1) == (int(found.correlation.argmax()),)
    assert np.array_equal(shared_of(shared_analysis(found)).share, found.share)
    with pytest.raises(InputError, match="none of number 9999"):
        mt.shared_features(words, (1, 9999), dictionary, text)
    back = mt.shared_neurons(words, dictionary, 7, text, context=CONTEXT)
    assert back.layers == (0, 1)
    wanted = found.correlation[7]
    assert back.correlation_of(*NEURON) == pytest.approx(wanted, abs=1e-9)
    assert back.cosine[NEURON] == pytest.approx(found.cosine[7], abs=1e-6)
    at = all_codes[activity > 0, 7].sum() / all_codes[:, 7].sum()
    assert back.share[NEURON] == pytest.approx(at, abs=1e-4)
    first = back.strongest(1)[0]
    assert back.correlation_of(*first) == back.correlation.max()
    again = neurons_of_analysis(neurons_analysis(back))
    assert (again.feature, again.layers) == (7, (0, 1))
    assert np.array_equal(again.correlation, back.correlation)
    with pytest.raises(InputError, match="no feature 999"):
        mt.shared_neurons(words, dictionary, 999, text)


def test_a_neuron_of_two_meanings_has_two(embedded: Callable, tmp_path: Path) -> None:
    words = embedded("words-4l")
    index = mt.feature_index(words, mt.Neurons(words, 1), some_text(tmp_path), context=CONTEXT)
    card = mt.feature_card(index, NEURON[1])
    assert sum(one.share for one in mt.meanings(card)) == pytest.approx(1)

    def example(before: str, token: str, value: float, end: str) -> Example:
        return Example((before, token, end), (0.0, value, 0.0), 1)

    held = (
        example(" the", " cat", 3.0, "a"), example(" a", "cat", 1.0, "b"),
        example(" the", " cat", 3.0, "a"), example(" a", " Paris", 5.0, "c"),
    )  # fmt: skip
    made = replace(card, quantiles=(replace(card.quantiles[0], examples=held),))
    cat, paris = mt.meanings(made)
    assert (cat.name, cat.share, cat.mean) == ("cat", pytest.approx(2 / 3), 2.0)
    assert (paris.name, len(paris.examples)) == ("Paris", 1)
    assert [one.name for one in mt.meanings(made, by="before")] == ["a", "the"]
    with pytest.raises(InputError, match="Choose 'token' or 'before'"):
        mt.meanings(made, by="layer")
