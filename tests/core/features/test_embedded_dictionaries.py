"""The dictionaries of words-4l and its text: what is there, its size, and that cards are true."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import microtome_resources as resources
from microtome.corpora.reading import read_corpus
from microtome.features.evaluation import evaluate_dictionary, evaluate_transcoders, token_rows
from microtome.features.formats.files import load_dictionary, load_transcoders

LARGEST = 6_000_000
AUTOENCODERS = {
    "words-4l/resid_post.2-large": 1024,
    "words-4l/resid_post.2-small": 256,
    "words-4l/resid_post.3": 512,
}


def card(folder: Path, figure: str) -> float:
    """A figure of a card."""
    found = re.search(rf"\| {figure}[^|]*\| ([\d.]+)(%?)", (folder / "README.md").read_text())
    assert found
    return float(found[1]) / (100 if found[2] else 1)


def test_names_and_size() -> None:
    names = resources.dictionary_names()
    assert set(names) == {*AUTOENCODERS, "words-4l/transcoders"}
    assert resources.dictionary_names("words-4l@1500") == names
    assert resources.dictionary_names("induction-exact") == ()
    files = [path for name in names for path in resources.dictionary_path(name).rglob("*")]
    assert sum(path.stat().st_size for path in files) <= LARGEST
    with pytest.raises(ValueError, match=r"resid_post\.3"):
        resources.dictionary_path("words-4l/resid_post.9")
    with pytest.raises(ValueError, match="words-4l"):
        resources.text_path("words-5l")


def test_the_text_is_known_to_the_model_whole(embedded: Callable) -> None:
    path = resources.text_path("words-4l")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert path.stat().st_size <= 500_000
    assert len(lines) == len(set(lines)) > 5_000
    lexicon = embedded("words-4l").lexicon
    unknown = lexicon._tokenizer.unk_token_id
    assert not any(unknown in ids for ids in lexicon.documents(lines))


@pytest.fixture(scope="module")
def rows(embedded: Callable) -> object:
    return token_rows(
        embedded("words-4l"), read_corpus(resources.text_path("words-4l")), limit=2_048
    )


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_an_autoencoder_is_as_its_card_says(embedded: Callable, rows: object, name: str) -> None:
    folder = resources.dictionary_path(name)
    one = load_dictionary(name)
    assert one.identity.writes == name.split("/")[1].split("-", maxsplit=1)[0]
    assert one.d_sae == AUTOENCODERS[name]
    assert torch.allclose(one.weights.w_dec.norm(dim=1), torch.ones(one.d_sae), atol=1e-4)
    found = evaluate_dictionary(embedded("words-4l"), one, rows)
    # The card measures on held-out documents, fifteen times as many.
    told = card(folder, "explained variance")
    assert found.explained_variance == pytest.approx(told, abs=0.01)
    assert told > 0.97
    assert found.recovered == pytest.approx(card(folder, "cross-entropy recovered"), abs=0.005)
    assert found.dead < 0.2  # rare ones are not on in so few words


def test_the_transcoders_stand_for_the_mlps(embedded: Callable, rows: object) -> None:
    folder = resources.dictionary_path("words-4l/transcoders")
    found = evaluate_transcoders(
        embedded("words-4l"), load_transcoders("words-4l/transcoders"), rows
    )
    assert found.kl == pytest.approx(card(folder, "KL from"), abs=0.015)
    assert found.sure_agreement > 0.98
    assert min(found.explained_variance) > 0.97
    assert max(found.dead) < 0.2
    assert found.l0[0] > found.l0[1]
