"""Harvest: what a model makes of a corpus, at some sites, kept on disk.

Rows of tokens are run in an order shuffled by seed. A pass ends at the last site that was asked
for, and no logits are made, so that it is no slower than plain passes. The values go from the
hook straight into the memory of the next shard.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microtome.activations.budget import shape_of
from microtome.activations.shards import (
    INDEX,
    PATCHES,
    TOKENS,
    Harvest,
    HarvestIndex,
    open_harvest,
    write_index,
    write_shard,
)
from microtome.corpora.blocks import row_length, tokenise
from microtome.corpora.reading import Corpus, Source, read_corpus
from microtome.errors import (
    CorpusError,
    InputError,
    SiteMissing,
    StorageError,
    expect,
    megabytes,
)
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.hooks import SeenError, expect_head, layers_of, until_seen
from microtome.models.model import Model
from microtome.session.storage import storing
from microtome.sites import SITES, Site, expect_names

_SHARD_BYTES = 64 << 20
_TOKENS_A_PASS = 2_048
_DTYPES = {"float32": np.float32, "float16": np.float16}
# Characters a token has in English with a vocabulary of 50,000; small vocabularies have fewer.
_BYTES_A_TOKEN = 3.0


@dataclass(frozen=True, slots=True)
class HarvestEstimate:
    """What a harvest will take, told before it starts; rows are estimated from the text's size."""

    rows: int
    n_bytes: int
    free: int


def estimate_harvest(
    model: Model,
    source: Source,
    sites: Iterable[Site | str],
    folder: Path | str,
    *,
    limit: int | None = None,
    dtype: str = "float32",
) -> HarvestEstimate:
    """How many rows and bytes a harvest will have at most, and how many are free there.

    Raises CorpusError and SiteMissing as ``harvest`` does.
    """
    expect_model(model)
    corpus = source if isinstance(source, Corpus) else read_corpus(source)
    widths = _widths(model, sites)
    sample = _sample(model, corpus)
    rows = int(corpus.n_bytes / sample) if limit is None else limit
    size = rows * (sum(widths.values()) * _itemsize(dtype) + 12)
    return HarvestEstimate(rows, size, _free(Path(folder).expanduser()))


def harvest(  # noqa: PLR0913  # what a harvest is of
    model: Model,
    source: Source,
    sites: Iterable[Site | str],
    folder: Path | str,
    *,
    context: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    special: bool = False,
    dtype: str = "float32",
    job: Job | None = None,
) -> Harvest:
    """Activations of a corpus at some sites, in a folder; goes on where it stopped before.

    ``context`` tokens are run at a time (by default what the model reads, at most 1,024) and
    ``limit`` tokens at most. What is at the tokenizer's own tokens (``<bos>`` …) is left out
    unless ``special``: it is large, and always the same. ``dtype`` is float32 or float16.
    Raises CorpusError for text that cannot be read, or a folder that holds another harvest;
    SiteMissing; StorageError when the disk refuses, which loses no shard that was written.
    """
    job = job_or_default(job)
    expect_model(model)
    _expect_numbers(limit, seed)
    widths = _widths(model, sites)
    corpus = source if isinstance(source, Corpus) else read_corpus(source)
    if model.has_encoder:
        raise CorpusError(f"{model.identity.name} has an encoder, whose text is not harvested yet.")
    path = Path(folder).expanduser()
    index = HarvestIndex(
        model=model.identity.name,
        model_fingerprint=model.identity.fingerprint,
        corpus=corpus.name,
        corpus_bytes=corpus.n_bytes,
        context=row_length(model, context),
        seed=seed,
        dtype=_known(dtype),
        special=special,
        limit=limit,
        sites=widths,
        corpus_fingerprint=corpus.fingerprint(),
    )
    index = _begun(path, index)
    tokens = tokenise(model, corpus, path / TOKENS, context=index.context, limit=limit, job=job)
    if corpus.images:
        with storing(path):
            (path / PATCHES).write_text(model.lexicon.mark, "utf-8")
    if not index.blocks:
        index = _counted(path, index, len(tokens))
    return _run(model, path, index, tokens, job)


def _expect_numbers(limit: int | None, seed: int) -> None:
    for name, value, least in (("limit", 1 if limit is None else limit, 1), ("seed", seed, 0)):
        expect(value, int, name, "a whole number", f"Write for example {name}=1000.")
        if value < least:
            raise InputError(f"{name} is {value}.", f"Give {least} or more.")


def _known(dtype: str) -> str:
    if dtype not in _DTYPES:
        raise InputError(f"The type {dtype!r} is not kept.", f"Choose {' or '.join(_DTYPES)}.")
    return dtype


def _itemsize(dtype: str) -> int:
    return np.dtype(_DTYPES[_known(dtype)]).itemsize


def _widths(model: Model, sites: Iterable[Site | str]) -> dict[str, int]:
    """The width of each place: a site without a layer stands for all layers."""
    expect_names(sites, "sites")
    widths: dict[str, int] = {}
    for given in sites:
        site = Site.of(given)
        if SITES[site.name].axes[0] != "position":
            raise SiteMissing(
                f"{site.name} is not of one position, so that it cannot be harvested.",
                "Choose for example resid_post, mlp_out or z.",
            )
        expect_head(model, site)
        for layer in layers_of(model, site):
            shape = shape_of(model, site.name, 1)[1:]
            if site.head is not None:
                shape = shape[1:]
            widths[str(Site(site.name, layer, site.head))] = prod(shape)
    if not widths:
        raise InputError("No site was given.", "Write for example sites=['resid_post.2'].")
    return widths


def _sample(model: Model, corpus: Corpus) -> float:
    """Bytes a token of the first documents, or of images."""
    if corpus.images:
        return corpus.n_bytes / (len(corpus.images) * row_length(model))
    size = tokens = 0
    for text, _ in corpus.documents():
        tokens += len(model.lexicon.documents([text])[0])
        size += len(text.encode())
        if size > 1 << 16:
            break
    return size / tokens if tokens else _BYTES_A_TOKEN


def _free(folder: Path) -> int:
    there = next((each for each in (folder, *folder.parents) if each.exists()), Path())
    with storing(folder):
        return shutil.disk_usage(there).free


def _begun(folder: Path, index: HarvestIndex) -> HarvestIndex:
    """The index of what is there already, or the new one."""
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if not (folder / INDEX).exists():
        # Tokens without an index are of a harvest that never began, perhaps of another text.
        with storing(folder):
            (folder / TOKENS).unlink(missing_ok=True)
        return index
    held = open_harvest(folder).index
    one, other = held.question, index.question
    unlike = [name for name, value in other.items() if one[name] != value]
    if unlike == ["corpus_fingerprint"]:
        raise CorpusError(
            f"{folder.name} holds a harvest of another text: {index.corpus} has changed since."
            if held.corpus_fingerprint
            else f"{folder.name} holds a harvest that does not tell which text it is of.",
            "Harvest again: choose another folder, or delete that one.",
        )
    if unlike:
        name = unlike[0]
        raise CorpusError(
            f"{folder.name} holds a harvest with {name} {one[name]}, not {other[name]}.",
            "Choose another folder, or delete that one.",
        )
    return held


def _counted(folder: Path, index: HarvestIndex, blocks: int) -> HarvestIndex:
    """The index with the number of rows of tokens, after the disk was found large enough."""
    row = sum(index.sites.values()) * _itemsize(index.dtype) + 8
    size, free = blocks * index.context * row, _free(folder)
    if size + _SHARD_BYTES > free:
        raise StorageError(
            f"The harvest needs {megabytes(size)}, but {megabytes(free)} are free.",
            "Take less text with limit=…, fewer sites, dtype='float16', or another disk.",
        )
    index = replace(index, blocks=blocks)
    write_index(folder, index)
    return index


def _run(
    model: Model, folder: Path, index: HarvestIndex, tokens: NDArray[np.int32], job: Job
) -> Harvest:
    order = np.random.default_rng(index.seed).permutation(index.blocks)
    row = sum(index.sites.values()) * _itemsize(index.dtype)
    blocks = max(1, _SHARD_BYTES // (row * index.context))
    title = f"Activations of {index.corpus}"
    while not index.whole:
        chosen = order[index.done : index.done + blocks]
        shard = _Shard(model, index, tokens, chosen)
        for done in shard.run(job):
            job.progress(title, (index.done + done) * index.context, len(order) * index.context)
            job.give_way()
        index = write_shard(folder, index, shard.arrays(), len(chosen))
        job.partial("harvest", Harvest(folder, index))
    return Harvest(folder, index)


class _Shard:
    """The memory of one shard, and the taps that fill it."""

    def __init__(
        self,
        model: Model,
        index: HarvestIndex,
        tokens: NDArray[np.int32],
        chosen: NDArray[np.int64],
    ) -> None:
        self._model, self._tokens, self._chosen = model, tokens, chosen
        self._context = tokens.shape[1]
        rows = len(chosen) * self._context
        kind = _DTYPES[index.dtype]
        self._arrays = {name: np.empty((rows, d), kind) for name, d in index.sites.items()}
        self._kept = np.ones(rows, bool)
        if not index.special:
            special = model.lexicon.special_tokens
            self._kept = ~np.isin(tokens[chosen].reshape(-1), special)
        self._at = 0
        self._seen: set[str] = set()

    def run(self, job: Job) -> Iterator[int]:
        """Fill the shard, pass by pass; how many rows of tokens are done."""
        size = max(1, _TOKENS_A_PASS // self._context)
        taps = {Site.of(name): [partial(self._keep, name)] for name in self._arrays}
        for start in range(0, len(self._chosen), size):
            ids = torch.from_numpy(np.array(self._tokens[self._chosen[start : start + size]]))
            self._at, self._seen = start * self._context, set()
            with until_seen(self._model, taps, job.check):
                self._model.forward(ids)
            yield min(start + size, len(self._chosen))

    def _keep(self, name: str, values: Tensor) -> Tensor:
        site, target = Site.of(name), self._arrays[name]
        kept = values if site.head is None else values[:, :, site.head]
        flat = kept.reshape(-1, target.shape[1])
        torch.from_numpy(target)[self._at : self._at + len(flat)].copy_(flat)
        self._seen.add(name)
        if len(self._seen) == len(self._arrays):
            raise SeenError
        return values

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What goes into the file: rows that are kept, and where they come from."""
        where = self._chosen[:, None] * self._context + np.arange(self._context)
        held: dict[str, NDArray[np.generic]] = {"where": where.reshape(-1)[self._kept]}
        whole = bool(self._kept.all())
        return held | {
            name: array if whole else array[self._kept] for name, array in self._arrays.items()
        }
