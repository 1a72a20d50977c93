"""How good dictionaries are on text: what they explain, and what a model says with them in place.

What is at the tokenizer's own tokens stays the model's: dictionaries are not trained on it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from microtome.corpora.blocks import row_length, tokenise
from microtome.corpora.reading import Corpus, read_corpus
from microtome.errors import CorpusError, InputError, expect
from microtome.features.dictionary import Dictionary
from microtome.features.fitting import expect_fit
from microtome.features.tallies import Said, Seen
from microtome.features.transcoders import Transcoders
from microtome.features.unit_rows import images_of, unit_layer
from microtome.features.unit_scores import evaluate_on_images
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.hooks import Tap, tapping
from microtome.models.model import Model
from microtome.records.dictionary_scores import DictionaryScores, ReplacementScores
from microtome.records.image_set import ImageSet
from microtome.sites import Site

_TOKENS_A_PASS = 2_048

TokenRows = Int[np.ndarray, "row context"]


def token_rows(
    model: Model, corpus: Corpus, *, context: int | None = None, limit: int | None = None
) -> TokenRows:
    """The tokens of a text, to measure on; ``limit`` of them at most.

    Raises CorpusError for text that cannot be read.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        target = Path(folder) / "tokens"
        length = row_length(model, context)
        return np.array(tokenise(model, corpus, target, context=length, limit=limit))


def evaluate_dictionary(
    model: Model, dictionary: Dictionary, tokens: TokenRows | ImageSet, *, job: Job | None = None
) -> DictionaryScores:
    """Figures of a dictionary on rows of tokens; of a layer of units on the places of images.

    Raises DictionaryMismatch for a dictionary of another model, CorpusError for rows without text.
    """
    expect_model(model)
    expect(dictionary, Dictionary, "dictionary", "a Dictionary", "Load or train one.")
    job, identity = job_or_default(job), dictionary.identity
    expect_fit(identity, model)
    if (layer := unit_layer(model, identity.reads)) is not None:
        return evaluate_on_images(model, dictionary, layer, images_of(tokens), job)
    if isinstance(tokens, ImageSet):
        tokens = token_rows(model, read_corpus(tokens))
    reads, writes = Site.of(identity.reads), Site.of(identity.writes)
    seen = Seen.of(dictionary.d_sae, dictionary.d_out)
    said = Said(own_answers=model.labels is not None)
    for ids, kept in _passes(model, tokens, job, "Measuring a dictionary"):
        own = _logits(model, ids, {}, job)
        held: dict[str, Tensor] = {}
        taps = {reads: _keeping("x", reads, held), writes: _keeping("y", writes, held)}
        if reads == writes:
            taps = {reads: partial(_both, held, reads)}
        _logits(model, ids, taps, job)
        codes, written = dictionary.both(held["x"][kept])
        seen.add(codes, written, held["y"][kept])
        whole = held["y"].clone()
        whole[kept] = written
        put = _logits(model, ids, {writes: _putting(writes, whole)}, job)
        whole[kept] = 0
        zeroed = _logits(model, ids, {writes: _putting(writes, whole)}, job)
        said.add(ids, kept, own, put, zeroed)
    return DictionaryScores(
        **seen.told(), cross_entropy=said.mean("own"), reconstructed=said.mean("put"),
        zeroed=said.mean("zeroed"), kl=said.mean("kl"), positions=seen.count,
    )  # fmt: skip


def evaluate_transcoders(
    model: Model, transcoders: Transcoders, tokens: TokenRows, *, job: Job | None = None
) -> ReplacementScores:
    """Figures of the model whose MLPs are replaced, each layer reading what those before made.

    What the transcoders explain is measured on what the model's own MLPs read.
    Raises DictionaryMismatch for transcoders of another model.
    """
    expect_model(model)
    expect(transcoders, Transcoders, "transcoders", "Transcoders", "Load or train them.")
    job = job_or_default(job)
    for one in transcoders.layers:
        expect_fit(one.identity, model)
    seen = [Seen.of(one.d_sae, one.d_out) for one in transcoders.layers]
    said = Said(own_answers=model.labels is not None)
    for ids, kept in _passes(model, tokens, job, "Measuring transcoders"):
        held: dict[str, Tensor] = {}
        taps = {
            Site.of(name): _keeping(name, Site.of(name), held)
            for one in transcoders.layers
            for name in (one.identity.reads, one.identity.writes)
        }
        own = _logits(model, ids, taps, job)
        _explain(transcoders, held, kept, seen)
        put = _logits(model, ids, replacing(transcoders, kept), job)
        nothing = [Site.of(one.identity.writes) for one in transcoders.layers]
        zeroed = _logits(model, ids, {site: partial(_zero, kept) for site in nothing}, job)
        said.add(ids, kept, own, put, zeroed)
    each = [one.told() for one in seen]
    columns = {name: tuple(one[name] for one in each) for name in each[0]}
    return ReplacementScores(
        kl=said.mean("kl"), agreement=said.mean("same"), sure_agreement=said.mean("sure"),
        cross_entropy=said.mean("own"), replaced=said.mean("put"), zeroed=said.mean("zeroed"),
        **columns,
        positions=seen[0].count,
    )  # fmt: skip


def replacing(
    transcoders: Transcoders, kept: Bool[Tensor, "row position"] | None = None
) -> dict[Site, Tap]:
    """Taps that put what transcoders write in the place of what the MLPs write, where ``kept``."""
    running = _Running(transcoders, kept)
    taps: dict[Site, Tap] = {}
    for layer, one in enumerate(transcoders.layers):
        taps[Site.of(one.identity.reads)] = partial(running.read, layer)
        taps[Site.of(one.identity.writes)] = partial(running.write, layer)
    return taps


@dataclass(slots=True, eq=False)
class _Running:
    """Transcoders within one pass: what they read at each layer, and their codes."""

    transcoders: Transcoders
    kept: Tensor | None
    inputs: list[Tensor] = field(default_factory=list)
    codes: list[Tensor] = field(default_factory=list)

    def read(self, layer: int, values: Tensor) -> Tensor:
        """Take what a layer's MLP reads; layer 0 begins a pass."""
        if layer == 0:
            self.inputs, self.codes = [], []
        x = values.flatten(0, 1).float()
        self.inputs.append(x)
        self.codes.append(self.transcoders.layers[layer].encode(x))
        return values

    def write(self, layer: int, values: Tensor) -> Tensor:
        """Give what the transcoders write."""
        written = self.transcoders.output(layer, self.inputs, self.codes).to(values.dtype)
        written = written.unflatten(0, values.shape[:2])
        return written if self.kept is None else torch.where(self.kept[..., None], written, values)


def _explain(
    transcoders: Transcoders, held: Mapping[str, Tensor], kept: Tensor, seen: Sequence[Seen]
) -> None:
    """What each layer's output is explained by, on the model's own activations."""
    layers = transcoders.layers
    inputs = [held[one.identity.reads][kept] for one in layers]
    codes = [one.encode(x) for one, x in zip(layers, inputs, strict=True)]
    for layer, one in enumerate(layers):
        written = transcoders.output(layer, inputs, codes)
        seen[layer].add(codes[layer], written, held[one.identity.writes][kept])


# ------------------------------------------------------------------ passes


def _passes(
    model: Model, tokens: TokenRows, job: Job, title: str
) -> Iterator[tuple[Tensor, Bool[Tensor, "row position"]]]:
    """Rows of tokens, some at a time, and at which positions there is text."""
    _expect_rows(model, tokens)
    if np.isin(tokens, model.lexicon.special_tokens).all():
        raise CorpusError("The tokens hold no text to measure on.", "Make them with token_rows.")
    size = max(1, _TOKENS_A_PASS // tokens.shape[1])
    special = torch.tensor(model.lexicon.special_tokens, dtype=torch.int64)
    for at in range(0, len(tokens), size):
        job.progress(title, at, len(tokens))
        ids = torch.from_numpy(np.array(tokens[at : at + size], np.int64))
        yield ids, ~torch.isin(ids, special)


def _expect_rows(model: Model, tokens: TokenRows) -> None:
    """Raise WrongKind or InputError for rows of tokens that a model cannot read."""
    way = "Make them with token_rows."
    expect(tokens, np.ndarray, "tokens", "an array of rows of tokens", way)
    name, context, known = model.identity.name, model.identity.context, model.lexicon.size
    if tokens.ndim != 2 or not np.issubdtype(tokens.dtype, np.integer):
        raise InputError(
            f"tokens are an array of {tokens.ndim} axes of {tokens.dtype}, not rows of ids.", way
        )
    if context is not None and tokens.shape[1] > context:
        raise InputError(f"Rows have {tokens.shape[1]} tokens, but {name} reads {context}.", way)
    if tokens.size and not (tokens.min() >= 0 and tokens.max() < known):
        raise InputError(
            f"Tokens are {tokens.min()} to {tokens.max()}, but {name} reads 0 to {known - 1}.", way
        )


def _logits(model: Model, ids: Tensor, taps: Mapping[Site, Tap], job: Job) -> Tensor:
    with tapping(model, {site: [tap] for site, tap in taps.items()}, job.check):
        return model.forward(ids).float().cpu()


def _flat(values: Tensor, site: Site) -> Tensor:
    own = values if site.head is None else values[:, :, site.head]
    return own.flatten(2)


def _keeping(name: str, site: Site, held: dict[str, Tensor]) -> Tap:
    return partial(_keep, held, name, site)


def _keep(held: dict[str, Tensor], name: str, site: Site, values: Tensor) -> Tensor:
    # Copied at once: the model may go on to write into the same memory.
    held[name] = _flat(values, site).to("cpu", torch.float32, copy=True)
    return values


def _both(held: dict[str, Tensor], site: Site, values: Tensor) -> Tensor:
    _keep(held, "x", site, values)
    held["y"] = held["x"]
    return values


def _putting(site: Site, whole: Float[Tensor, "row position width"]) -> Tap:
    return partial(_put, whole, site)


def _put(whole: Tensor, site: Site, values: Tensor) -> Tensor:
    new = values.clone()
    own = new if site.head is None else new[:, :, site.head]
    own.copy_(whole.to(values.dtype).view_as(own))
    return new


def _zero(kept: Tensor, values: Tensor) -> Tensor:
    return values.masked_fill(kept[..., None], 0)
