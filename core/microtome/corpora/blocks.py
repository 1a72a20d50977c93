"""A corpus as rows of tokens, tokenised once.

Documents follow one another, each with the tokens that the tokenizer puts around a text, and are
cut into rows of one length: no padding, so that a pass wastes nothing. The last row, if it is
shorter, is left out unless it is the only one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from microtome.corpora.reading import Corpus
from microtome.errors import CorpusError, expect
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.session.storage import replace_target, storing, temporary_beside

# What a model that names no limit is given.
_CONTEXT = 1_024
_FLUSH = 1 << 18  # characters that are tokenised together: others wait so long at most


def row_length(model: Model, context: int | None = None) -> int:
    """How long rows are: as asked for, or what the model reads, at most 1,024; or one image.

    Raises CorpusError for more than the model reads, or fewer than 2, and for a convolutional net.
    """
    limit = model.identity.context
    if model.sight is not None:
        return _of_one_image(model, limit, context)
    if context is None:
        return min(limit or _CONTEXT, _CONTEXT)
    expect(context, int, "context", "a whole number", "Write for example context=64.")
    if context < 2 or (limit is not None and context > limit):
        raise CorpusError(
            f"Rows of {context} tokens were asked for, but {model.identity.name} reads 2 to "
            f"{limit or 'any number'}.",
        )
    return context


def _of_one_image(model: Model, limit: int | None, context: int | None) -> int:
    name = model.identity.name
    if limit is None:
        raise CorpusError(
            f"{name} reads an image whole, so that it has no patches to learn from.",
            "Choose a transformer that sees (ViT, DeiT, DINOv2, CLIP).",
        )
    if context not in (None, limit):
        raise CorpusError(
            f"Rows of {context} tokens were asked for, but {name} reads images of {limit}.",
            "Leave the length out.",
        )
    return limit


def tokenise(
    model: Model,
    corpus: Corpus,
    target: Path,
    *,
    context: int,
    limit: int | None = None,
    job: Job | None = None,
) -> Int[np.ndarray, "row context"]:
    """The rows of a corpus, kept in a file of int32 and memory-mapped; ``limit`` tokens of it.

    A file that is there already is taken as it is; of images it is written anew, since patches
    have other ids each time that a model is opened. Raises CorpusError for a corpus that cannot
    be read, StorageError when the disk refuses.
    """
    job = job_or_default(job)
    if corpus.images or not target.exists():
        temporary = temporary_beside(target)
        try:
            with storing(target), temporary.open("wb") as file:
                pieces = _patches if corpus.images else _pieces
                for piece in pieces(model, corpus, limit, job):
                    file.write(piece.tobytes())
            replace_target(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    n = target.stat().st_size // 4
    tokens: NDArray[np.int32] = np.memmap(target, np.int32, "r", shape=(n,))
    rows = max(1, n // context)
    return tokens[: rows * context].reshape(rows, -1)


def _pieces(
    model: Model, corpus: Corpus, limit: int | None, job: Job
) -> Iterator[NDArray[np.int32]]:
    """The tokens of many documents at a time; the tokenizer is quickest so."""
    left, texts, size = limit, list[str](), 0
    title = f"Tokens of {corpus.name}"
    for text, read in corpus.documents():
        texts.append(text)
        size += len(text)
        if size >= _FLUSH:
            job.progress(title, read, corpus.n_bytes, "B")
            job.give_way()
            piece = _joined(model, texts)[:left]
            yield piece
            left = None if left is None else left - len(piece)
            texts, size = [], 0
            if left == 0:
                return
    if texts:
        yield _joined(model, texts)[:left]
    job.progress(title, corpus.n_bytes, corpus.n_bytes, "B")


def _patches(
    model: Model, corpus: Corpus, limit: int | None, job: Job
) -> Iterator[NDArray[np.int32]]:
    """The patches of one image at a time."""
    length, count = model.identity.context or 1, len(corpus.images)
    count = count if limit is None else max(1, min(count, limit // length))
    for done, image in enumerate(corpus.images[:count]):
        job.progress(f"Patches of {corpus.name}", done, count)
        job.give_way()
        yield model.tokenize(image).ids
    job.progress(f"Patches of {corpus.name}", count, count)


def _joined(model: Model, texts: list[str]) -> NDArray[np.int32]:
    return np.concatenate([np.array(ids, np.int32) for ids in model.lexicon.documents(texts)])
