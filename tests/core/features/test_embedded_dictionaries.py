"""The dictionaries of words-4l and its text: what is there, its size, and that cards are true."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import microtome_resources as resources
from microtome.corpora.reading import read_corpus
from microtome.features.dictionary import Dictionary
from microtome.features.evaluation import evaluate_dictionary, evaluate_transcoders, token_rows
from microtome.features.rules import Settings, Weights
from microtome.features.transcoders import Transcoders
from microtome.records.dictionary import DictionaryIdentity

LARGEST = 6_000_000
AUTOENCODERS = {
    "words-4l/resid_post.2-large": 1024,
    "words-4l/resid_post.2-small": 256,
    "words-4l/resid_post.3": 512,
}
_NAMES = {"W_enc": "w_enc", "W_dec": "w_dec", "activation_function.threshold": "threshold"}


def card(folder: Path, figure: str) -> float:
    """A figure of a card."""
    found = re.search(rf"\| {figure}[^|]*\| ([\d.]+)(%?)", (folder / "README.md").read_text())
    assert found
    return float(found[1]) / (100 if found[2] else 1)


def held(path: Path, *, turned: bool) -> Weights:
    tensors = {_NAMES.get(name, name): each for name, each in load_file(path).items()}
    if turned:
        tensors["w_enc"] = tensors["w_enc"].T.contiguous()
    return Weights(**tensors)


def autoencoder(folder: Path) -> Dictionary:
    cfg = json.loads((folder / "cfg.json").read_text())
    own = cfg["metadata"]["microtome"]
    identity = DictionaryIdentity(
        folder.name, "", 0, 0, 0, own["reads"], own["writes"], "words-4l", own["model_fingerprint"]
    )
    settings = Settings("topk", k=cfg["k"], centred=cfg["apply_b_dec_to_input"])
    return Dictionary(held(folder / "sae_weights.safetensors", turned=True), settings, identity)


def transcoders(folder: Path) -> Transcoders:
    layers = []
    for at in range(4):
        identity = DictionaryIdentity("", "", 0, 0, 0, f"mlp_in.{at}", f"mlp_out.{at}", "words-4l")
        weights = held(folder / f"layer_{at}.safetensors", turned=False)
        layers.append(Dictionary(weights, Settings("jumprelu", centred=False), identity))
    return Transcoders(tuple(layers))


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
    one = autoencoder(folder)
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
    found = evaluate_transcoders(embedded("words-4l"), transcoders(folder), rows)
    assert found.kl == pytest.approx(card(folder, "KL from"), abs=0.015)
    assert found.sure_agreement > 0.98
    assert min(found.explained_variance) > 0.97
    assert max(found.dead) < 0.2
    assert found.l0[0] > found.l0[1]
