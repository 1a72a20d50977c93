"""Reading a text through a dictionary once: figures, examples and words of all features.

The text is run row by row, in an order drawn by seed. Of every feature are kept the places where
it is strongest, a sample of the places where it is on (drawn evenly, for examples of every
strength), and what it does around them.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microtome.activations.shards import Harvest
from microtome.corpora.blocks import row_length, tokenise
from microtome.corpora.reading import Corpus, read_corpus
from microtome.errors import CorpusError, InputError, expect
from microtome.features.effects import alike, on_words
from microtome.features.fitting import expect_fit
from microtome.features.neurons import Coder
from microtome.features.strongest import Strongest
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.hooks import tapping
from microtome.models.model import Model
from microtome.prompt_sets import PromptSet
from microtome.records.feature_index import BIN_EDGES, NONE, FeatureIndex
from microtome.sites import Site

_WORDS, _NEIGHBOURS, _SAMPLES = 10, 10, 40
# Positions whose codes of all features are in memory at once.
_CODES_BYTES = 64 << 20
# Co-firing needs a table of all pairs: beyond so many features it is left out.
_PAIRS = 8_192
# Summed activation by feature and token needs a table too.
_TOKEN_NUMBERS = 1 << 27


class _SeenError(Exception):
    """The site has been seen: the rest of the pass is not needed."""


def feature_index(  # noqa: PLR0913  # what an index is of
    model: Model,
    dictionary: Coder,
    source: Corpus | Path | str | PromptSet | Harvest,
    *,
    examples: int = 20,
    near: int = 8,
    context: int | None = None,
    limit: int = 1_000_000,
    seed: int = 0,
    job: Job | None = None,
) -> FeatureIndex:
    """What a text shows of every feature: see ``microtome.records.feature_index``.

    ``examples`` places are kept where a feature is strongest, with ``near`` tokens to each side.
    ``limit`` tokens are read. Of a harvest its text is taken. The tokenizer's own tokens do not
    count. Beyond 8,192 features those that are on together are left out, and beyond 2^27 pairs of
    feature and token the tokens.
    Raises DictionaryMismatch for a dictionary that does not belong to the model, CorpusError.
    """
    job = job_or_default(job)
    expect_model(model)
    expect(dictionary, Coder, "dictionary", "a Dictionary or Neurons", "Load one first.")
    expect_fit(dictionary.identity, model)
    if examples < 1 or near < 0 or limit < 2:
        raise InputError(
            f"{examples} examples, {near} tokens near and {limit} tokens make no sense."
        )
    with TemporaryDirectory() as folder:
        tokens, named = _text(model, source, Path(folder), context, limit, job)
        pass_ = _Pass(model, dictionary, tokens, examples, near, seed)
        pass_.read(job)
        params = {
            "dictionary": dictionary.identity.name,
            "architecture": dictionary.identity.architecture,
            "fingerprint": dictionary.identity.fingerprint,
            "reads": dictionary.identity.reads,
            "writes": dictionary.identity.writes,
            "model": model.identity.name,
            "model_fingerprint": model.identity.fingerprint,
            "corpus": named,
            "positions": pass_.positions,
            "seed": seed,
        }
        arrays = pass_.arrays() | _effects(model, dictionary, job)
    return FeatureIndex(arrays, params)


def _text(
    model: Model,
    source: Corpus | Path | str | PromptSet | Harvest,
    folder: Path,
    context: int | None,
    limit: int,
    job: Job,
) -> tuple[NDArray[np.int32], str]:
    """The rows of tokens, in memory, and what they are called."""
    if isinstance(source, Harvest):
        if source.index.model_fingerprint != model.identity.fingerprint:
            raise CorpusError(
                f"The harvest was made with {source.index.model}, not {model.identity.name}."
            )
        rows = max(1, limit // source.index.context)
        return np.array(source.tokens[:rows]), source.index.corpus
    corpus = source if isinstance(source, Corpus) else read_corpus(source)
    long = row_length(model, context)
    mapped = tokenise(model, corpus, folder / "tokens", context=long, limit=limit, job=job)
    held = np.array(mapped)
    del mapped  # the file is removed with its folder, which Windows refuses while it is mapped
    return held, corpus.name


class _Pass:
    """One pass over a text, and what it has seen so far."""

    def __init__(
        self,
        model: Model,
        dictionary: Coder,
        tokens: NDArray[np.int32],
        examples: int,
        near: int,
        seed: int,
    ) -> None:
        self._model, self._dictionary, self._tokens, self._near = model, dictionary, tokens, near
        self._random = np.random.default_rng(seed)
        self._order = self._random.permutation(len(tokens))
        features = dictionary.identity.d_sae
        self.positions = 0
        self._count = np.zeros(features, np.int64)
        self._total = np.zeros(features, np.float64)
        self._peak = np.zeros(features, np.float32)
        self._histogram = np.zeros((features, len(BIN_EDGES) + 1), np.int64)
        columns: dict[str, NDArray[np.generic]] = {
            "place": np.empty(0, np.int64),
            "value": np.empty(0, np.float32),
            "window": np.empty((0, 2 * near + 1), np.float32),
        }
        self._top = Strongest(features, examples, columns)
        self._some = Strongest(features, _SAMPLES, columns)
        self._pairs = np.zeros((features, features), np.int32) if features <= _PAIRS else None
        self._words = np.unique(tokens)
        numbers = features * len(self._words)
        self._by_word = (
            np.zeros((features, len(self._words)), np.float32)
            if numbers <= _TOKEN_NUMBERS
            else None
        )

    def read(self, job: Job) -> None:
        """Run all rows, in their order."""
        long, special = self._tokens.shape[1], self._model.lexicon.special_tokens
        size = max(1, min(2_048, _CODES_BYTES // (4 * len(self._count))) // long)
        title = "Features in the text"
        for start in range(0, len(self._order), size):
            rows = self._order[start : start + size]
            ids = self._tokens[rows]
            counted = ~np.isin(ids, special)
            codes = self._codes(ids, job) * torch.from_numpy(counted)[..., None]
            self._see(rows, ids, codes)
            self.positions += int(counted.sum())
            job.progress(title, min(start + size, len(self._order)) * long, self._tokens.size)

    def _codes(self, ids: NDArray[np.int32], job: Job) -> Tensor:
        """Codes [row, position, feature] of some rows of tokens."""
        seen: list[Tensor] = []
        site = Site.of(self._dictionary.identity.reads)
        try:
            with tapping(self._model, {site: [partial(_keep, seen, site.head)]}, job.check):
                self._model.forward(torch.from_numpy(ids))
        except _SeenError:
            pass
        with torch.inference_mode():
            return self._dictionary.encode(seen[0]).cpu()

    def _see(self, rows: NDArray[np.int64], ids: NDArray[np.int32], codes: Tensor) -> None:
        long, features = ids.shape[1], codes.shape[-1]
        flat = codes.reshape(-1, features)
        at, feature = (each.numpy() for each in torch.nonzero(flat > 0, as_tuple=True))
        value = flat[at, feature].numpy()
        self._count += np.bincount(feature, minlength=features)
        self._total += np.bincount(feature, value, minlength=features)
        np.maximum(self._peak, flat.amax(0).numpy(), out=self._peak)
        binned = np.searchsorted(BIN_EDGES, value)
        both = feature * self._histogram.shape[1] + binned
        self._histogram += np.bincount(both, minlength=self._histogram.size).reshape(
            self._histogram.shape
        )
        if self._pairs is not None:
            on = (flat > 0).float()
            self._pairs += (on.T @ on).numpy().astype(np.int32)
        if self._by_word is not None:
            word = np.searchsorted(self._words, ids.reshape(-1))[at]
            np.add.at(self._by_word, (feature, word), value)
        place = rows[at // long] * long + at % long
        keys = self._random.random(len(at), np.float32)
        self._keep(self._top, feature, value, (place, value, at), codes)
        self._keep(self._some, feature, keys, (place, value, at), codes)

    def _keep(
        self,
        strongest: Strongest,
        feature: NDArray[np.int64],
        keys: NDArray[np.float32],
        entries: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
        codes: Tensor,
    ) -> None:
        kept = strongest.worth(feature, keys)
        place, value, at = (each[kept] for each in entries)
        columns = {
            "place": place,
            "value": value,
            "window": self._windows(feature[kept], at, codes),
        }
        strongest.add(feature[kept], keys[kept], columns)

    def _windows(
        self, feature: NDArray[np.int64], at: NDArray[np.int64], codes: Tensor
    ) -> NDArray[np.float32]:
        """Activations around some positions of a batch; -1 beyond the ends of a row."""
        long = codes.shape[1]
        near = np.arange(-self._near, self._near + 1)
        position = (at % long)[:, None] + near
        inside = (position >= 0) & (position < long)
        held = codes[
            torch.from_numpy(at // long)[:, None],
            torch.from_numpy(position.clip(0, long - 1)),
            torch.from_numpy(feature)[:, None],
        ].numpy()
        return np.where(inside, held, np.float32(NONE))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What the index holds of the text."""
        top, some = self._top.columns, self._some.columns
        texts = [self._model.token_text(token) for token in range(self._model.identity.reads)]
        held: dict[str, NDArray[np.generic]] = {
            "count": self._count,
            "total": self._total,
            "peak": self._peak,
            "histogram": self._histogram,
            "tokens": self._tokens,
            "vocabulary": np.array(texts),
        }
        for name, columns in (("top", top), ("some", some)):
            held |= {f"{name}_{column}": values for column, values in columns.items()}
        return held | self._word_columns() | self._partners()

    def _word_columns(self) -> dict[str, NDArray[np.generic]]:
        features = len(self._count)
        token = np.full((features, _WORDS), NONE, np.int32)
        share = np.zeros((features, _WORDS), np.float32)
        if self._by_word is not None:
            count = min(_WORDS, len(self._words))
            best = np.argsort(-self._by_word, axis=1, kind="stable")[:, :count]
            sums = np.take_along_axis(self._by_word, best, axis=1)
            total = np.maximum(self._total, 1e-30)[:, None]
            token[:, :count] = np.where(sums > 0, self._words[best], NONE)
            share[:, :count] = sums / total
        return {"token": token, "token_share": share}

    def _partners(self) -> dict[str, NDArray[np.generic]]:
        features = len(self._count)
        together = np.full((features, _NEIGHBOURS), NONE, np.int32)
        share = np.zeros((features, _NEIGHBOURS), np.float32)
        if self._pairs is not None:
            either = self._count[:, None] + self._count[None, :] - self._pairs
            jaccard = self._pairs / np.maximum(either, 1)
            np.fill_diagonal(jaccard, -1)
            count = min(_NEIGHBOURS, features)
            best = np.argsort(-jaccard, axis=1, kind="stable")[:, :count]
            value = np.take_along_axis(jaccard, best, axis=1)
            together[:, :count] = np.where(value > 0, best, NONE)
            share[:, :count] = np.maximum(value, 0)
        return {"together": together, "together_share": share}


def _keep(seen: list[Tensor], head: int | None, values: Tensor) -> Tensor:
    kept = values if head is None else values[:, :, head]
    seen.append(kept.reshape(*kept.shape[:2], -1).float().cpu())
    raise _SeenError


def _effects(model: Model, dictionary: Coder, job: Job) -> dict[str, NDArray[np.generic]]:
    directions = dictionary.directions.detach().float()
    numbers, cosines = alike(directions, _NEIGHBOURS, job)
    held: dict[str, NDArray[np.generic]] = {"alike": numbers, "alike_cosine": cosines}
    words = on_words(model, dictionary.identity.writes, directions, _WORDS, job)
    if words is None:
        none = np.full((len(directions), _WORDS), NONE, np.int32)
        zero = np.zeros((len(directions), _WORDS), np.float32)
        return held | {"raised": none, "raised_by": zero, "lowered": none, "lowered_by": zero}
    return held | {
        "raised": words.largest, "raised_by": words.largest_by,
        "lowered": words.smallest, "lowered_by": words.smallest_by,
    }  # fmt: skip
