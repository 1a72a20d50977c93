"""Labels of features: by token statistics, from published files, proposed and scored, in a file."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plain_text_features import CONTEXT, small_dictionary, some_text

import microtome as mt
from microtome.analysis.labelled import read_labelled
from microtome.errors import InputError, MicrotomeError
from microtome.features.dictionary import Dictionary
from microtome.features.label_plugins import installed_labellers
from microtome.features.labellers import labeller_named
from microtome.features.token_labels import TokenLabeller, token_labels
from microtome.jobs import Job
from microtome.records.feature_card import FeatureCard, Word
from microtome.records.feature_examples import Example, joined
from microtome.records.feature_labels import (
    LabelSet,
    label_sets,
    label_texts,
    labels_analysis,
    labels_of,
    with_label,
)
from microtome.records.label_score import score_of
from microtome.records.marks import Marks, Note, feature_target
from microtome.records.neuron_prints import layer_of_neurons
from microtome.records.session import Session

FEATURE, OTHER, PAIRS = 4, 5, 5


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
    cards = [mt.feature_card(index, feature) for feature in range(index.n_features)]
    named = {card.feature: mt.propose_label(card) for card in cards}
    assert every == {feature: text for feature, text in named.items() if text} != {}


def test_columns_and_cards_find_the_same_token_before(index: mt.FeatureIndex) -> None:
    """Texts of few tokens: repetitions, ties, rows' ends and gaps all occur."""
    random, features, examples, near = np.random.default_rng(1), 300, 7, 2
    tokens = random.choice(6, (9, 12), p=[0.03, 0.05, 0.75, 0.1, 0.05, 0.02]).astype(np.int32)
    place = random.choice(tokens.size, (features, examples))
    at = place[..., None] % 12 + np.arange(-near, near + 1)
    window = np.where((at >= 0) & (at < 12), 1.0, -1.0).astype(np.float32)
    place[random.random(place.shape) < 0.2] = -1
    alike = random.choice([0.3, 9.0], features)[:, None]
    share = random.gamma(alike, size=(features, 6)).astype(np.float32)
    share /= share.sum(1, keepdims=True)
    held = {
        **index.arrays, "count": np.ones(features, np.int64), "tokens": tokens,
        "token": np.argsort(random.random((features, 6)), 1).astype(np.int32),
        "token_share": -np.sort(-share, axis=1), "top_place": place, "top_window": window,
        "vocabulary": np.array([" a", "a", " b", "", "\n", " c"]),
    }  # fmt: skip
    for name in (
        "total", "peak", "histogram", "top_value", "some_place", "some_value", "some_window",
        "raised", "raised_by", "lowered", "lowered_by", "alike", "alike_cosine", "together",
        "together_share", "token_spread",
    ):  # fmt: skip
        one = np.asarray(index.arrays[name])[:1] % 6
        held[name] = np.repeat(one, features, axis=0)
    held["top_value"] = np.ones((features, examples), np.float32)
    held["some_place"] = np.full_like(held["some_place"], -1)
    made = mt.FeatureIndex(held, index.params)
    every = token_labels(made)
    assert every == tuple(mt.propose_label(mt.feature_card(made, f)) for f in range(features))
    assert sum(" after " in text for text in every) > 3
    assert any(text.startswith("after") for text in every)


def test_token_statistics_tell_texts_by_the_tokens_that_they_quote() -> None:
    texts = ["he went to it", "to go he went", "a tomato", "none"]
    knows = TokenLabeller().detect
    assert knows("“to” after “went”", texts).tolist() == [1, 0, 0, 0]
    assert knows("“to”, “none”", texts).tolist() == [1, 1, 0.5, 1]
    assert knows("go tom", texts).tolist() == [0, 1, 0.5, 0]


def test_proposals_are_scored_one_by_one_and_handed_out_as_they_come(
    embedded: Callable, dictionary: Dictionary, index: mt.FeatureIndex,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("microtome.features.labelling._TOLD_EVERY", 0.0)
    words, parts = embedded("words-4l"), []
    job = Job(on_partial=lambda name, value: parts.append((name, value)))
    wanted = [FEATURE, 3, OTHER]
    found = mt.label_features(
        words, dictionary, index, OfTokens(), wanted, origin="mine", pairs=PAIRS, job=job
    )
    assert (found.origin, found.proposed) == ("mine", True)
    assert found.params["method"] == "detection of 10 texts"
    texts = {f: mt.feature_card(index, f).tokens[0].text.strip() for f in (FEATURE, OTHER)}
    assert found.as_mapping() == texts  # 3 is never on
    held = mt.label_detection(words, dictionary, index, FEATURE, pairs=PAIRS)
    alone = mt.score_label(OfTokens(), texts[FEATURE], held).accuracy
    assert found.scores()[FEATURE] == pytest.approx(alone)
    assert {name for name, _ in parts} == {"labels"}
    whole = parts[0][1]
    for _, part in parts[1:]:
        whole = whole.joined(part)
    assert whole.as_mapping() == found.as_mapping()
    assert whole.scores() == found.scores()
    few = mt.label_features(words, dictionary, index, OfTokens(), wanted, pairs=400)
    assert (few.scores(), few.origin) == ({}, "OfTokens")  # the text has not so many places
    analyses = [labels_analysis(found)]
    assert label_texts(found.dictionary, analyses, ()) == {}
    (back,) = label_sets(found.dictionary, analyses)
    assert back.proposed
    assert back.without([OTHER]).as_mapping() == {FEATURE: texts[FEATURE]}


def test_what_a_labeller_must_not_answer(
    embedded: Callable, dictionary: Dictionary, index: mt.FeatureIndex
) -> None:
    class Wrong(OfTokens):
        def propose(self, card: FeatureCard) -> str:
            return None  # type: ignore[return-value]

        def detect(self, label: str, texts: Sequence[str]) -> np.ndarray:
            return np.ones(3)

    words = embedded("words-4l")
    with pytest.raises(InputError, match=r"Wrong\.propose gave None for feature 4"):
        mt.label_features(words, dictionary, index, Wrong(), [FEATURE])
    held = mt.label_detection(words, dictionary, index, FEATURE, pairs=PAIRS)
    with pytest.raises(InputError, match="no finite number for each of the 10 texts"):
        mt.score_label(Wrong(), "x", held)


def test_an_installed_labeller_is_offered_by_name_and_made_when_it_is_chosen(
    embedded: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "mine-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(
        "[microtome.labellers]\nby-letters = letters_of_mine:Letters\n"
        "broken = letters_of_mine:Missing\nnone = letters_of_mine:nothing\n"
    )
    (tmp_path / "letters_of_mine.py").write_text(
        "class Letters:\n    def propose(self, card):\n        return 'x'\n"
        "    def detect(self, label, texts):\n        return [len(text) for text in texts]\n"
        "def nothing():\n    return 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = embedded("words-4l")
    assert {"by-letters", "broken", "none"} <= set(installed_labellers())
    named = labeller_named("by-letters", words)
    assert (named.name, named.labeller.propose(None)) == ("by-letters", "x")  # type: ignore[arg-type]
    for who, message in (
        ("broken", "cannot be made"),
        ("none", "Labeller"),
        ("no such", "no such"),
    ):
        with pytest.raises(MicrotomeError, match=message):
            labeller_named(who, words)
    assert labeller_named("tokens", words).name == "token statistics"
    assert labeller_named("itself", words).name == "words-4l"


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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are of Unix")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    for read in (lambda: mt.read_labels(tmp_path, "ab"),
                 lambda: mt.read_labels(tmp_path / "pipe.jsonl", "ab"),
                 lambda: read_labelled(tmp_path / "pipe.jsonl")):  # fmt: skip
        with pytest.raises(InputError, match=r"pipe\.jsonl cannot be read: it is no plain file"):
            read()


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


def test_neurons_are_those_of_one_model_and_sessions_of_before_keep_what_they_named(
    embedded: Callable, tmp_path: Path
) -> None:
    model, other = embedded("words-4l"), embedded("induction-exact-tiny")
    now = mt.Neurons(model, 1).identity.fingerprint
    assert now != mt.Neurons(other, 1).identity.fingerprint
    assert layer_of_neurons(now) == 1
    named = labels_analysis(LabelSet.of("neurons.1", "file", {7: "plurals"}))
    marks = Marks(
        labels=(mt.FeatureLabel("neurons.1", 3, "colours"),),
        notes=(Note(feature_target("neurons.1", 3), "often"), Note("token/1", "here")),
    )
    before = Session(model.identity, analyses={named.id: named}, marks=marks)
    mt.save_session(tmp_path / "before.h5", before)
    again = mt.open_session(tmp_path / "before.h5")
    kept = label_texts(now, again.analyses.values(), again.marks.labels)
    assert kept == {7: "plurals", 3: "colours"}
    assert [one.target for one in again.marks.notes] == [feature_target(now, 3), "token/1"]
