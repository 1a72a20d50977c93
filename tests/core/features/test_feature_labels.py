"""Labels of features: by token statistics, from published files, proposed and scored, in a file."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plain_text_features import CONTEXT, small_dictionary, some_text

import microtome as mt
from microtome.errors import InputError
from microtome.features.dictionary import Dictionary
from microtome.records.feature_card import FeatureCard, Word
from microtome.records.feature_examples import Example, joined
from microtome.records.feature_labels import label_texts, labels_analysis, labels_of, with_label
from microtome.records.label_score import score_of
from microtome.records.marks import Marks
from microtome.records.session import Session

FEATURE, PAIRS = 4, 5


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return small_dictionary()


@pytest.fixture(scope="module")
def index(
    embedded: Callable, dictionary: Dictionary, tmp_path_factory: pytest.TempPathFactory
) -> mt.FeatureIndex:
    text = some_text(tmp_path_factory.mktemp("labels"))
    return mt.feature_index(
        embedded("words-4l"), dictionary, text, context=CONTEXT, near=1, examples=3
    )


class OfTokens:
    """A labeller that knows a feature by one token, for which a label stands."""

    def propose(self, card: FeatureCard) -> str:
        return card.tokens[0].text

    def detect(self, label: str, texts: Sequence[str]) -> np.ndarray:
        return np.array([float(label in text) for text in texts])


def test_scores_are_those_of_counting_and_sameness_is_chance() -> None:
    random = np.random.default_rng(0)
    fires = np.arange(12) % 2 == 0
    sure = random.random(12)
    found = score_of(fires, sure)
    best = set(np.argsort(-sure)[:6].tolist())
    assert found.accuracy == sum((at in best) == fires[at] for at in range(12)) / 12
    pairs = [(sure[a] > sure[b]) for a in range(0, 12, 2) for b in range(1, 12, 2)]
    assert found.auc == pytest.approx(np.mean(pairs))
    same = score_of(fires, np.ones(12))
    assert (same.accuracy, same.auc, same.chance, same.n) == (0.5, 0.5, 0.5, 12)
    assert score_of(fires, fires.astype(float)).accuracy == 1


def test_texts_to_tell_apart_are_half_with_the_feature_and_half_without(
    embedded: Callable, dictionary: Dictionary, index: mt.FeatureIndex
) -> None:
    words = embedded("words-4l")
    held = mt.label_detection(words, dictionary, index, FEATURE, pairs=PAIRS)
    assert held.fires.sum() == PAIRS
    assert len(set(held.texts)) == 2 * PAIRS
    again = mt.label_detection(words, dictionary, index, FEATURE, pairs=PAIRS)
    assert again.texts == held.texts
    special = [words.token_text(token) for token in words.lexicon.special_tokens]
    assert not any(token in text for text in held.texts for token in special)
    shown = [joined(one.tokens) for one in mt.feature_card(index, FEATURE).examples]
    assert any(" " in text for text in held.texts)
    for text, fires in zip(held.texts, held.fires, strict=True):
        if fires:
            assert any(text in one for one in shown)
    found = mt.score_label(OfTokens(), "no such word", held)
    assert (found.accuracy, found.chance) == (0.5, 0.5)
    with pytest.raises(InputError, match="Ask for fewer pairs"):
        mt.label_detection(words, dictionary, index, FEATURE, pairs=400)


def test_a_local_model_proposes_and_detects_by_its_own_probabilities(
    embedded: Callable, index: mt.FeatureIndex
) -> None:
    words = embedded("words-4l")
    labeller = mt.LocalLabeller(words)
    assert isinstance(labeller, mt.Labeller)
    assert labeller.propose(mt.feature_card(index, FEATURE))
    (sure,) = labeller.detect("the store", ["Mary went"])
    asked = "Text: Mary went\nIn one phrase, it has:"
    run = mt.trace(words, asked + " the store", sites=[])
    start = len(mt.trace(words, asked, sites=[]).tokens)
    logits = run.logits[start - 1 : -1].astype(np.float64)
    shares = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    wanted = shares[np.arange(len(shares)), run.token_ids[start:]].mean()
    assert sure == pytest.approx(wanted, abs=1e-4)


def test_token_statistics_name_what_carries_a_feature(index: mt.FeatureIndex) -> None:
    card = mt.feature_card(index, FEATURE)
    example = Example((" went", " to", " the"), (0.0, 3.0, 0.0), 1)
    pure = replace(card, tokens=(Word(1, " to", 0.9),), purity=0.9)
    alone = tuple(replace(example, tokens=(f" {n}", " to", " the")) for n in range(5))
    quantile = replace(card.quantiles[0], examples=(example,) * 5)
    assert mt.propose_label(replace(pure, quantiles=(quantile,))) == "“to” after “went”"
    assert mt.propose_label(replace(pure, quantiles=(replace(quantile, examples=alone),))) == "“to”"
    shares = (Word(1, "Mary", 0.5), Word(2, "John", 0.4), Word(3, "a", 0.1))
    few = replace(card, tokens=shares, purity=0.5, quantiles=())
    assert mt.propose_label(few) == "“Mary”, “John”"
    assert mt.propose_label(mt.feature_card(index, 3)) == ""
    every = mt.propose_labels(index).as_mapping()
    assert 3 not in every
    assert every[FEATURE] == mt.propose_label(card)


def test_published_labels_are_read_in_all_their_forms(tmp_path: Path) -> None:
    entries = [
        {"modelId": "gpt2-small", "layer": "6-res-jb", "index": "12", "description": " dates ",
         "explanationModelName": "gpt", "typeName": "oai_token-act-pair"},
        {"layer": "6-res-jb", "index": 3, "description": "names"},
        {"layer": "6-res-jb", "index": 3, "description": "second"},
    ]  # fmt: skip
    lines = "\n".join(json.dumps(one) for one in entries)
    folder = tmp_path / "explanations"
    folder.mkdir()
    (folder / "batch-0.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "api.json").write_text(json.dumps(entries))
    (tmp_path / "plain.json").write_text(json.dumps({"12": "dates", "3": "names"}))
    for name in ("explanations", "api.json", "plain.json"):
        found = mt.read_labels(tmp_path / name, "ab", n_features=20)
        assert found.as_mapping() == {3: "names", 12: "dates"}
        assert (found.dictionary, found.origin) == ("ab", name)
    with pytest.raises(InputError, match="labels feature 12, but the dictionary has 10"):
        mt.read_labels(tmp_path / "api.json", "ab", n_features=10)
    other = {"layer": "7-res-jb", "index": 1, "description": "x"}
    (tmp_path / "two.json").write_text(json.dumps([*entries, other]))
    with pytest.raises(InputError, match=r"6-res-jb, 7-res-jb.*layer="):
        mt.read_labels(tmp_path / "two.json", "ab")
    assert mt.read_labels(tmp_path / "two.json", "ab", layer="7-res-jb").as_mapping() == {1: "x"}


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 1', '[{"index": 1}]', "3", '{"x": "y"}'])
def test_other_files_are_no_labels(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(InputError, match=r"bad\.json"):
        mt.read_labels(tmp_path / "bad.json", "ab")
    with pytest.raises(InputError, match=r"none\.json cannot be read"):
        mt.read_labels(tmp_path / "none.json", "ab")


def test_typed_labels_dictionaries_and_sets_are_in_the_session_file(
    embedded: Callable, dictionary: Dictionary, index: mt.FeatureIndex, tmp_path: Path
) -> None:
    known = dictionary.identity.fingerprint
    typed = with_label((), mt.FeatureLabel(known, 2, "first"))
    typed = with_label(typed, mt.FeatureLabel(known, 2, "mine é"))
    scored = mt.propose_labels(index).scored({FEATURE: 0.75})
    analysis = labels_analysis(scored)
    session = Session(
        embedded("words-4l").identity, analyses={analysis.id: analysis},
        marks=Marks(labels=typed), dictionaries=(dictionary.identity,),
    )  # fmt: skip
    mt.save_session(tmp_path / "labels.h5", session)
    again = mt.open_session(tmp_path / "labels.h5")
    assert again.dictionaries == (dictionary.identity,)
    assert again.marks.labels == typed
    back = labels_of(again.analyses[analysis.id])
    assert back.as_mapping() == scored.as_mapping()
    assert back.score[back.feature.tolist().index(FEATURE)] == 0.75
    every = label_texts(known, again.analyses.values(), again.marks.labels)
    assert every[2] == "mine é"
    assert every[FEATURE] == scored.as_mapping()[FEATURE]
    assert with_label(typed, mt.FeatureLabel(known, 2, " ")) == ()
