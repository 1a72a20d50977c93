"""Training on text, measuring with a dictionary in a model's place, saving, the command line."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import microtome as mt
import microtome_resources as resources
from microtome.cli import main
from microtome.errors import (
    CorpusError,
    DictionaryMismatch,
    InputError,
    MemoryExceeded,
    SiteMissing,
)
from microtome.features.dictionary import Dictionary
from microtome.features.evaluation import evaluate_dictionary, evaluate_transcoders
from microtome.features.formats.files import load_dictionary, load_transcoders
from microtome.features.rules import Settings, Weights
from microtome.features.training.checkpoints import read_checkpoint
from microtome.features.training.layers import train_transcoders
from microtome.features.training.saving import save_trained
from microtome.features.training.single import train_dictionary
from microtome.features.training.trainer import Trainer
from microtome.features.transcoders import Transcoders
from microtome.models.model import Model
from microtome.records.dictionary import DictionaryIdentity

SHORT = {"width": 48, "k": 8, "steps": 30, "batch": 64, "every": 10, "watch_every": 0}


@pytest.fixture(scope="module")
def model(embedded: Callable) -> Model:
    return embedded("words-4l")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "few.txt"
    lines = resources.text_path("words-4l").read_text(encoding="utf-8").splitlines()[:60]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def rows(model: Model, text: Path) -> np.ndarray:
    texts = text.read_text(encoding="utf-8").splitlines()
    ids = [token for ids in model.lexicon.documents(texts[:20]) for token in ids]
    return np.array(ids[: len(ids) // 32 * 32], np.int32).reshape(-1, 32)


def whole(model: Model, reads: str, writes: str, size: float = 1.0) -> Dictionary:
    """A dictionary that gives back what it reads, times ``size``: two features a direction."""
    eye = torch.eye(128)
    both = torch.cat([eye, -eye])
    weights = Weights(both * size, torch.zeros(128), both, torch.zeros(256))
    identity = DictionaryIdentity(
        "whole", "", 0, 0, 0, reads, writes, "words-4l", model.identity.fingerprint
    )
    return Dictionary(weights, Settings("relu", centred=False), identity)


def test_a_dictionary_that_gives_all_back_recovers_all(model: Model, rows: np.ndarray) -> None:
    found = evaluate_dictionary(model, whole(model, "resid_post.2", "resid_post.2"), rows)
    assert found.explained_variance == pytest.approx(1, abs=1e-6)
    assert found.recovered == pytest.approx(1, abs=1e-5)
    assert found.kl == pytest.approx(0, abs=1e-6)
    assert found.l0 == pytest.approx(128, abs=0.5)
    assert found.zeroed > found.cross_entropy + 1


def test_cross_entropy_is_that_of_a_plain_run(model: Model, rows: np.ndarray) -> None:
    found = evaluate_dictionary(model, whole(model, "mlp_out.1", "mlp_out.1", 0.0), rows)
    assert found.reconstructed == pytest.approx(found.zeroed, abs=1e-6)
    logits = model.forward(torch.from_numpy(rows.astype(np.int64))).double().log_softmax(-1)
    losses = [
        -float(logits[row, at, ids[at + 1]])
        for row, ids in enumerate(rows)
        for at in range(31)
        if ids[at] not in model.lexicon.special_tokens
    ]
    assert found.cross_entropy == pytest.approx(np.mean(losses), abs=1e-5)
    traces = [mt.trace(model, tuple(map(int, ids)), sites=["mlp_out.1"]) for ids in rows]
    held = np.concatenate([run.activation("mlp_out.1") for run in traces]).astype(np.float64)
    held = held[~np.isin(rows.reshape(-1), model.lexicon.special_tokens)]
    # What is zero explains less than the mean does.
    plain = 1 - np.square(held).sum() / np.square(held - held.mean(0)).sum()
    assert plain < -0.01
    assert found.explained_variance == pytest.approx(plain, rel=1e-4)


def test_what_holds_no_text_is_not_measured(model: Model) -> None:
    one = whole(model, "mlp_out.1", "mlp_out.1")
    for tokens in (np.zeros((2, 8), np.int32), np.zeros((0, 8), np.int32)):
        with pytest.raises(CorpusError, match="no text"):
            evaluate_dictionary(model, one, tokens)


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (np.ones((1, 5_000), np.int32), "Rows have 5000 tokens"),
        (np.full((2, 8), 99_999), "are 99999 to 99999"),
        (np.full((2, 8), -1), "reads 0 to"),
    ],
)
def test_rows_that_the_model_cannot_read_are_refused(
    model: Model, tokens: np.ndarray, told: str
) -> None:
    sets = Transcoders(tuple(whole(model, f"mlp_in.{at}", f"mlp_out.{at}") for at in range(4)))
    with pytest.raises(InputError, match=told):
        evaluate_dictionary(model, whole(model, "mlp_out.1", "mlp_out.1"), tokens)
    with pytest.raises(InputError, match=told):
        evaluate_transcoders(model, sets, tokens)
    with pytest.raises(InputError, match=r"layer 9.*0 to 3"):
        sets.encode(9, torch.zeros(2, 128))


def test_transcoders_that_write_nothing_are_mlps_taken_out(model: Model, rows: np.ndarray) -> None:
    layers = [whole(model, f"mlp_in.{at}", f"mlp_out.{at}", 0.0) for at in range(4)]
    found = evaluate_transcoders(model, Transcoders(tuple(layers)), rows)
    assert found.agreement < 0.5
    assert found.replaced > found.cross_entropy + 1
    assert found.recovered == pytest.approx(0, abs=1e-5)
    assert all(share < 0.1 for share in found.explained_variance)
    foreign = layers[0].named(replace(layers[0].identity, model="words-5l", model_fingerprint="0"))
    with pytest.raises(DictionaryMismatch, match="words-5l"):
        evaluate_transcoders(model, Transcoders((foreign, *layers[1:])), rows)


def test_the_same_call_goes_on_from_what_its_folder_holds(
    model: Model, text: Path, tmp_path: Path
) -> None:
    first = train_dictionary(model, text, "resid_post.2", folder=tmp_path, **SHORT)
    again = train_dictionary(model, text, "resid_post.2", folder=tmp_path, **SHORT)
    assert torch.equal(first.dictionary.weights.w_enc, again.dictionary.weights.w_enc)
    other = train_dictionary(model, text, "resid_post.2", **SHORT)
    assert torch.equal(first.dictionary.weights.w_enc, other.dictionary.weights.w_enc)
    identity = first.dictionary.identity
    assert (identity.reads, identity.model) == ("resid_post.2", "words-4l")
    assert first.curve.step.tolist() == [10, 20, 30]


def test_cross_entropy_is_watched_as_a_training_goes_on(model: Model, text: Path) -> None:
    asked = {**SHORT, "watch_every": 20}
    curve = train_dictionary(model, text, "resid_post.2", **asked).curve
    assert np.isnan(curve.recovered).tolist() == [True, False, False]
    assert 0 < curve.recovered[-1] < 1


@pytest.mark.parametrize("kind", ["per-layer", "cross-layer"])
def test_transcoders_of_all_mlps(
    model: Model, text: Path, rows: np.ndarray, tmp_path: Path, kind: str
) -> None:
    asked = {**SHORT, "rule": "batchtopk", "k": [8, 4, 4, 4]}
    made = train_transcoders(model, text, kind, **asked)
    held = made.transcoders
    assert held.crosses == (kind == "cross-layer")
    assert [one.identity.reads for one in held.layers] == [f"mlp_in.{at}" for at in range(4)]
    assert len(made.curves) == (1 if held.crosses else 4)
    save_trained(held, tmp_path / "set")
    again = load_transcoders(tmp_path / "set")
    for layer, one in enumerate(held.layers):
        assert torch.equal(again.decoder(layer), held.decoder(layer))
        assert torch.equal(again.layers[layer].weights.threshold, one.weights.threshold)
    scores = evaluate_transcoders(model, again, rows)
    assert scores.kl == evaluate_transcoders(model, held, rows).kl


@pytest.mark.parametrize(
    ("site", "more", "error", "told"),
    [
        ("resid_post.9", {}, SiteMissing, "no layer 9"),
        ("resid_post", {}, InputError, "4 places"),
        ("resid_post.1", {"rule": "magic"}, InputError, "'magic'"),
        ("resid_post.1", {"widht": 3}, InputError, "'widht'"),
        ("resid_post.1", {"watch_every": "5"}, InputError, "watch_every"),
        ("resid_post.1", {"watch_every": -5}, InputError, "watch_every is -5"),
        ("resid_post.1", {"name": 5}, InputError, "name"),
        ("resid_post.1", {"width": 10**9}, MemoryExceeded, r"about \d.*smaller width \(at most"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    model: Model, text: Path, site: str, more: dict, error: type, told: str
) -> None:
    with pytest.raises(error, match=told):
        train_dictionary(model, text, site, **{**SHORT, **more})
    with pytest.raises(InputError, match="4 layers"):
        train_transcoders(model, text, **{**SHORT, "k": [3]})
    with pytest.raises(MemoryExceeded, match="smaller width"):
        train_transcoders(model, text, "cross-layer", **{**SHORT, "width": 10**8})


def test_ctrl_c_ends_the_command_between_two_steps(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Trainer._figure

    def figure(self: Trainer, variance: float) -> None:
        signal.raise_signal(signal.SIGINT)
        usual(self, variance)

    monkeypatch.setattr(Trainer, "_figure", figure)
    asked = ["train", "--model", "words-4l", "--text", str(text), "--site", "resid_post.2"]
    more = ["--width", "48", "--k", "8", "--steps", "90", "--batch", "64"]
    kept = ["--checkpoints", str(tmp_path / "kept"), "--out", str(tmp_path / "never")]
    before = signal.getsignal(signal.SIGINT)
    assert main([*asked, *more, *kept]) == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert read_checkpoint(tmp_path / "kept").told["step"] == 25
    assert not (tmp_path / "never").exists()


def test_the_command_writes_a_folder_and_tells_figures(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "NaN"  # a name that is text, and stays as it is
    asked = ["train", "--model", "words-4l", "--text", str(text), "--site", "resid_post.2"]
    more = ["--width", "48", "--k", "8", "--steps", "30", "--batch", "64", "--out", str(out)]
    assert main([*asked, *more, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(out)
    assert told["curves"][0]["step"] == 30
    assert "NaN" not in (tmp_path / "NaN.json").read_text()
    assert told["scores"]["l0"] == pytest.approx(8, abs=0.5)
    one = load_dictionary(out)
    assert (one.architecture, one.settings.k, one.d_sae) == ("topk sae", 8, 48)
    assert one.identity.reads == "resid_post.2"
    assert one.identity.source["metadata"]["training"]["steps"] == 30
    assert len(json.loads((tmp_path / "NaN.json").read_text())[0]) == 2
    assert main([*asked, *more]) == 2
    assert "not an empty folder" in capsys.readouterr().err
    assert (
        main([*asked, "--writes", "mlp_out.2", "--rule", "topk", "--out", str(tmp_path / "x")]) == 2
    )
    assert "no file format" in capsys.readouterr().err
    many = ["train", "--model", "words-4l", "--text", str(text), "--out", str(tmp_path / "x")]
    assert main([*many, "--transcoders", "per-layer", "--rule", "gated"]) == 2
    assert "set of transcoders of the rule gated" in capsys.readouterr().err
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"text": "the tree"}\n')
    other = ["--transcoders", "per-layer", "--text", str(lines), "--field", "body"]
    assert main([*many, *other]) == 2
    assert "no text in 'body'; it has text" in capsys.readouterr().err
    assert main([*many, "--transcoders", "cross-layer", "--skip"]) == 2
    assert "Leave the skip out" in capsys.readouterr().err
