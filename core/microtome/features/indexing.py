"""Reading a text through a dictionary once: figures, examples and words of all features.

The text is run row by row, in an order drawn by seed. Of every feature are kept the places where
it is strongest, a sample of the places where it is on (drawn evenly, for examples of every
strength), and what it does around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import microtome_resources as resources
from microtome.activations.shards import Harvest
from microtome.corpora.blocks import row_length, tokenise
from microtome.corpora.reading import Corpus, Source, read_corpus
from microtome.errors import CorpusError, expect, expect_count
from microtome.features.effects import alike, on_words
from microtome.features.fitting import expect_fit
from microtome.features.kept import KeptCodes
from microtome.features.neurons import Coder
from microtome.features.sites_read import read_sites
from microtome.features.strongest import Strongest
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.records.feature_index import BIN_EDGES, NONE, FeatureIndex
from microtome.sites import Site

_WORDS, _NEIGHBOURS, _SAMPLES = 10, 10, 40
# Tokens that the model reads at once, codes of all features that are in memory at once (but for
# those of a whole row of text), and codes that are on.
_TOKENS_AT_ONCE = 4_096
_SITES_AT_ONCE = 8  # of more, fewer tokens
_CODES_BYTES = 32 << 20
_ON_AT_ONCE = 1 << 20


def feature_index(  # noqa: PLR0913  # what an index is of
    model: Model,
    dictionary: Coder,
    source: Source | Harvest,
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
    ``limit`` tokens are read; an embedded text is given by its name, and of a harvest its text is
    taken. The tokenizer's own tokens do not count. Tokens and features that are on together are
    those of all positions up to 2^24 codes, else of as many positions, drawn evenly.
    Raises DictionaryMismatch for a dictionary that does not belong to the model, CorpusError.
    """
    expect_model(model)
    expect(dictionary, Coder, "dictionary", "a Dictionary or Neurons", "Load one first.")
    (found,) = feature_indexes(
        model, (dictionary,), source, examples=examples, near=near, context=context, limit=limit,
        seed=seed, job=job,
    )  # fmt: skip
    return found


def feature_indexes(  # noqa: PLR0913  # what an index is of
    model: Model,
    dictionaries: Sequence[Coder],
    source: Source | Harvest,
    *,
    examples: int = 20,
    near: int = 8,
    context: int | None = None,
    limit: int = 1_000_000,
    seed: int = 0,
    job: Job | None = None,
) -> tuple[FeatureIndex, ...]:
    """What a text shows of the features of several dictionaries, such as a set of transcoders.

    The model reads the text once for all of them; each index is that of ``feature_index``.
    Raises as ``feature_index``.
    """
    job = job_or_default(job)
    expect_model(model)
    for dictionary in dictionaries:
        expect_fit(dictionary.identity, model)
    for name, value, least in (
        ("examples", examples, 1), ("near", near, 0), ("limit", limit, 2), ("seed", seed, 0)
    ):  # fmt: skip
        expect_count(value, name, least)
    with TemporaryDirectory() as folder:
        tokens, named = text_rows(model, source, Path(folder), context, limit, job)
        passes = [_Pass(model, one, tokens, examples, near, seed) for one in dictionaries]
        _read(model, passes, tokens, job)
        return tuple(
            FeatureIndex(pass_.arrays(job) | _effects(model, one, job),
                         {**_told(model, one), "corpus": named, "positions": pass_.positions,
                          "seed": seed})
            for pass_, one in zip(passes, dictionaries, strict=True)
        )  # fmt: skip


def _told(model: Model, dictionary: Coder) -> dict[str, Any]:
    """What an index says of its dictionary and model."""
    known = dictionary.identity
    return {
        "dictionary": known.name,
        "architecture": known.architecture,
        "fingerprint": known.fingerprint,
        "reads": known.reads,
        "writes": known.writes,
        "model": model.identity.name,
        "model_fingerprint": model.identity.fingerprint,
    }


def text_rows(
    model: Model,
    source: Source | Harvest,
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
        if not source.readable(model.lexicon.mark):
            raise CorpusError(
                f"The patches in {source.folder.name} were named when the model was open before.",
                "Give the images again: read_corpus(load_image_set('shapes')).",
            )
        rows = max(1, limit // source.index.context)
        return np.array(source.tokens[:rows]), source.index.corpus
    if isinstance(source, str) and source in resources.text_names():
        source = str(resources.text_path(source))
    corpus = source if isinstance(source, Corpus) else read_corpus(source)
    long = row_length(model, context)
    mapped = tokenise(model, corpus, folder / "tokens", context=long, limit=limit, job=job)
    held = np.array(mapped)
    del mapped  # the file is removed with its folder, which Windows refuses while it is mapped
    return held, corpus.name


def _read(model: Model, passes: Sequence[_Pass], tokens: NDArray[np.int32], job: Job) -> None:
    """Run all rows, in the order that their seed gives; every pass sees them."""
    if not passes:
        return
    order, long = passes[0].order, tokens.shape[1]
    sites = tuple(dict.fromkeys(one.site for one in passes))
    size = max(1, _TOKENS_AT_ONCE // (long * (1 + len(sites) // _SITES_AT_ONCE)))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        counted = ~np.isin(tokens[rows], model.lexicon.special_tokens)
        seen = read_sites(model, tokens[rows], sites, job)
        for one in passes:
            one.see(rows, counted, seen[one.site], job)
        job.progress("Features in the text", min(start + size, len(order)) * long, tokens.size)


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
        self.order = self._random.permutation(len(tokens))
        self.site = Site.of(dictionary.identity.reads)
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
        self._kept = KeptCodes(features)

    def see(
        self, rows: NDArray[np.int64], counted: NDArray[np.bool_], seen: Tensor, job: Job
    ) -> None:
        """Some rows of tokens, and what the dictionary reads there: [row, position, d]."""
        for first, last, codes in self._coded(rows, counted, seen, job):
            self._see(rows[first:last], codes)
        self.positions += int(counted.sum())

    def _coded(
        self, rows: NDArray[np.int64], counted: NDArray[np.bool_], seen: Tensor, job: Job
    ) -> Iterator[tuple[int, int, _On]]:
        """The codes of some rows of tokens, as many rows at a time as fit: from, to, codes."""
        size = max(1, _CODES_BYTES // (4 * len(self._count) * seen.shape[1]))
        first, parts, held = 0, list[_On](), 0
        for start in range(0, len(rows), size):
            job.check()
            mask = torch.from_numpy(counted[start : start + size])[..., None]
            with torch.inference_mode():
                codes = self._dictionary.encode(seen[start : start + size]).cpu()
                parts.append(_on(codes.mul_(mask), (start - first) * seen.shape[1]))
            held += len(parts[-1].at)
            last = min(start + size, len(rows))
            if held > _ON_AT_ONCE or last == len(rows):
                yield first, last, _On(*map(np.concatenate, zip(*parts, strict=True)))
                first, parts, held = last, [], 0

    def _see(self, rows: NDArray[np.int64], codes: _On) -> None:
        long, features = self._tokens.shape[1], len(self._count)
        at, feature, value = codes
        self._count += np.bincount(feature, minlength=features)
        self._total += np.bincount(feature, value, minlength=features)
        np.maximum.at(self._peak, feature, value)
        np.add.at(self._histogram, (feature, np.searchsorted(BIN_EDGES, value)), 1)
        self._kept.add(at, feature, value, self._tokens[rows].reshape(-1))
        keys = self._random.random(len(at), np.float32)
        for strongest, key in ((self._top, value), (self._some, keys)):
            kept = strongest.worth(feature, key)
            columns = {
                "place": rows[at[kept] // long] * long + at[kept] % long,
                "value": value[kept],
                "window": self._windows(kept, codes),
            }
            strongest.add(feature[kept], key[kept], columns)

    def _windows(self, kept: NDArray[np.int64], codes: _On) -> NDArray[np.float32]:
        """Activations around some codes of a batch; -1 beyond the ends of a row."""
        long, features = self._tokens.shape[1], len(self._count)
        near = np.arange(-self._near, self._near + 1)
        every = codes.at * features + codes.feature  # rising
        wanted = every[kept][:, None] + near * features
        found = np.searchsorted(every, wanted).clip(0, len(every) - 1)
        held = np.where(every[found] == wanted, codes.value[found], np.float32(0))
        position = (codes.at[kept] % long)[:, None] + near
        inside = (position >= 0) & (position < long)
        return np.where(inside, held, np.float32(NONE))

    def arrays(self, job: Job) -> dict[str, NDArray[np.generic]]:
        """What the index holds of the text."""
        top, some = self._top.columns, self._some.columns
        lexicon = self._model.lexicon
        texts = [lexicon.token_text(token) for token in range(lexicon.size)]
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
        words, spread = self._kept.words(_WORDS)
        partners = self._kept.partners(_NEIGHBOURS, job)
        return held | {
            "token": words.number, "token_share": words.share, "token_spread": spread,
            "together": partners.number, "together_share": partners.share,
        }  # fmt: skip


class _On(NamedTuple):
    """Codes that are on: position in the batch, rising, feature, and how strongly."""

    at: NDArray[np.int64]
    feature: NDArray[np.int64]
    value: NDArray[np.float32]


def _on(codes: Tensor, offset: int) -> _On:
    """Those of codes [row, position, feature]."""
    flat = codes.flatten(0, 1)
    at, feature = torch.nonzero(flat > 0, as_tuple=True)
    return _On(at.numpy() + offset, feature.numpy(), flat[at, feature].numpy())


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
