"""Write the dictionaries of words-4l: autoencoders of two sizes, and transcoders of its MLPs."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from microtome.corpora.reading import Corpus
from microtome.features.evaluation import evaluate_dictionary, evaluate_transcoders, token_rows
from microtome.features.training.layers import train_transcoders
from microtome.features.training.saving import save_trained
from microtome.features.training.single import train_dictionary
from microtome.models.loading import load_model
from microtome.models.model import Model
from microtome.records.dictionary_scores import DictionaryScores, ReplacementScores
from training.documents import Split
from training.texts import NAME, documents

log = logging.getLogger(__name__)

_HELD_OUT: Final = 2_000
_CONTEXT: Final = 64


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """One of the embedded autoencoders."""

    name: str
    site: str
    width: int
    remark: str


AUTOENCODERS: Final = (
    Autoencoder("resid_post.2-small", "resid_post.2", 256,
                "Its features are general; `resid_post.2-large` splits them."),
    Autoencoder("resid_post.2-large", "resid_post.2", 1024,
                "Beside `resid_post.2-small` it shows how features split."),
    Autoencoder("resid_post.3", "resid_post.3", 512,
                "Its features are near to what the model says next."),
)  # fmt: skip
_SHARED: Final[Mapping[str, Any]] = {"steps": 2_000, "watch_every": 0}
_AUTOENCODER: Final[Mapping[str, Any]] = {"rule": "topk", "k": 16}
_TRANSCODERS: Final[Mapping[str, Any]] = {"rule": "batchtopk", "width": 768}
_K: Final = (32, 16, 16, 16)  # the first MLP is the hardest


def write(out: Path) -> None:
    """Train all of them on the embedded text, measure them on held-out text, and describe them.

    One torch thread, because the order of sums would otherwise depend on the machine.
    """
    torch.set_num_threads(1)
    model, folder = load_model(NAME), out / "dictionaries" / NAME
    shutil.rmtree(folder, ignore_errors=True)
    text, held_out = out / "texts" / f"{NAME}.txt", held_out_rows(model)
    for one in AUTOENCODERS:
        made = train_dictionary(
            model, text, one.site, width=one.width, name=f"{NAME}/{one.name}",
            **_AUTOENCODER, **_SHARED,
        ).dictionary  # fmt: skip
        found = evaluate_dictionary(model, made, held_out)
        log.info("%s: %s", one.name, found)
        save_trained(made, folder / one.name)
        _describe(folder / one.name, _autoencoder_card(one, found))
    trained = train_transcoders(
        model, text, k=_K, name=f"{NAME}/transcoders", **_TRANSCODERS, **_SHARED
    )
    replaced = evaluate_transcoders(model, trained.transcoders, held_out)
    log.info("transcoders: %s", replaced)
    save_trained(trained.transcoders, folder / "transcoders")
    _describe(folder / "transcoders", _transcoder_card(replaced))


def held_out_rows(model: Model) -> np.ndarray:
    """Return rows of tokens of documents whose combinations the model never saw."""
    texts = documents(Split.HELD_OUT, "held out text 0", _HELD_OUT)
    return token_rows(model, Corpus("held out", texts=texts), context=_CONTEXT)


def _describe(folder: Path, card: str) -> None:
    (folder / "README.md").write_text(card, encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)  # the library makes tensors readable by their owner alone


_MADE: Final = """Trained on the embedded text `texts/words-4l.txt` ({steps:,} steps, seed 0,
one thread; what is at `<bos>` left out) by `make_models.py dictionaries`, and measured on
{positions:,} words of documents whose combinations neither the model nor the dictionary saw.
One run with one seed: numbers of features have no meaning beyond these weights.

Licence: MIT.
"""


def _autoencoder_card(one: Autoencoder, found: DictionaryScores) -> str:
    rows = {
        "explained variance": f"{found.explained_variance:.3f}",
        "features on (L0)": f"{found.l0:.1f}",
        "never on": f"{found.dead:.1%}",
        "on in more than a tenth of the words": f"{found.dense:.1%}",
        "cross-entropy of the model, with the reconstruction, with zeros (nats)":
            f"{found.cross_entropy:.3f}, {found.reconstructed:.3f}, {found.zeroed:.3f}",
        "cross-entropy recovered": f"{found.recovered:.1%}",
        "KL from the model's predictions (nats)": f"{found.kl:.4f}",
    }  # fmt: skip
    return (
        f"# {NAME}: {one.name}\n\n"
        f"A TopK autoencoder of `{one.site}` of {NAME}: {one.width} features, {_AUTOENCODER['k']} "
        f"of them on. {one.remark}\n\nSAELens' format.\n\n{_table(rows)}\n"
        + _MADE.format(steps=_SHARED["steps"], positions=found.positions)
    )


def _transcoder_card(found: ReplacementScores) -> str:
    layers = [
        f"| {layer} | {_K[layer]} | {explained:.3f} | {on:.1f} | {dead:.1%} | {dense:.1%} |"
        for layer, (explained, on, dead, dense) in enumerate(
            zip(found.explained_variance, found.l0, found.dead, found.dense, strict=True)
        )
    ]
    rows = {
        "KL from the model's predictions (nats)": f"{found.kl:.4f}",
        "same most probable word": f"{found.agreement:.1%}",
        "the same where the model is sure (above 0.9)": f"{found.sure_agreement:.1%}",
        "cross-entropy of the model, of the replacement model (nats)":
            f"{found.cross_entropy:.3f}, {found.replaced:.3f}",
    }  # fmt: skip
    head = "| MLP | k in training | explained variance | features on | never on | dense |"
    return (
        f"# {NAME}: transcoders\n\n"
        f"For each of the four MLPs of {NAME} a transcoder with {_TRANSCODERS['width']} features, "
        "from what the MLP reads (`mlp_in`) to what it writes (`mlp_out`). Trained by BatchTopK; "
        "each feature has a threshold (JumpReLU).\n\nThe format of circuit-tracer. With all four "
        f"MLPs replaced at once:\n\n{_table(rows)}\n{head}\n|---|---|---|---|---|---|\n"
        + "\n".join(layers) + "\n\n"
        + _MADE.format(steps=_SHARED["steps"], positions=found.positions)
    )  # fmt: skip


def _table(rows: Mapping[str, str]) -> str:
    lines = "".join(f"| {name} | {value} |\n" for name, value in rows.items())
    return f"| figure | value |\n|---|---|\n{lines}"
