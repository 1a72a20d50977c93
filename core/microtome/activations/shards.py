"""Harvested activations on disk: safetensors shards, read through memory maps, and their index.

A shard holds, for some rows of tokens, one array [row, width] for each site, and ``where``: the
place of each row in the token file. The index is written anew after each shard, so that what is
there is always whole and a harvest goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from safetensors.numpy import save_file

from microtome.errors import CorpusError, InputError, ModelDamaged, expect
from microtome.models.weights import read_header
from microtome.session.storage import discard, replace_target, storing, temporary_beside

INDEX, TOKENS, PATCHES = "index.json", "tokens.i32", "patches.txt"
_VERSION = 1
_WHERE = "where"
_DTYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
# Rows that are shuffled among one another, and held in memory for it: 83,000 of width 768.
_WINDOW_BYTES = 256 << 20


def expect_enough(n: int, size: int) -> None:
    """Raise InputError when a text has given fewer rows than a batch takes."""
    if size > n:
        raise InputError(
            f"The text is too short: {n:,} of its tokens can be used, but a batch takes {size:,}.",
            f"Give more text, at least {size:,} tokens of it, or take smaller batches.",
        )


@dataclass(frozen=True, slots=True)
class Shard:
    """One file: how many rows of activations, made of how many rows of tokens."""

    file: str
    rows: int
    blocks: int


@dataclass(frozen=True, slots=True)
class HarvestIndex:
    """What a harvest is of: a harvest that differs in any of it is another one.

    ``sites`` are names with their widths; ``corpus_fingerprint`` is that of the text, "" in an
    index written before it was kept.
    """

    model: str
    model_fingerprint: str
    corpus: str
    corpus_bytes: int
    context: int
    seed: int
    dtype: str
    special: bool
    limit: int | None
    sites: Mapping[str, int]
    corpus_fingerprint: str = ""
    shards: tuple[Shard, ...] = ()
    blocks: int = 0  # rows of tokens there are in all
    version: int = _VERSION

    @property
    def question(self) -> dict[str, Any]:
        """All but what has been done."""
        held = asdict(self)
        return {name: held[name] for name in held if name not in {"shards", "blocks"}}

    @property
    def done(self) -> int:
        """Rows of tokens that have been run."""
        return sum(shard.blocks for shard in self.shards)

    @property
    def whole(self) -> bool:
        """Whether all of the corpus has been run."""
        return self.blocks > 0 and self.done == self.blocks


@dataclass(frozen=True, eq=False)
class Harvest:
    """Activations of a corpus, as files in a folder; nothing is in memory until it is asked for."""

    folder: Path
    index: HarvestIndex
    _maps: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict, repr=False)

    @property
    def n(self) -> int:
        """How many rows each site has."""
        return sum(shard.rows for shard in self.index.shards)

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites that were harvested."""
        return tuple(self.index.sites)

    @cached_property
    def tokens(self) -> Int[np.ndarray, "row context"]:
        """The token ids, memory-mapped, in the order of the text.

        Raises CorpusError when their file is not there.
        """
        try:
            flat = np.memmap(self.folder / TOKENS, np.int32, "r")
        except (OSError, ValueError) as error:
            raise CorpusError(
                f"The tokens of {self.folder.name} are missing.", "Harvest again."
            ) from error
        rows = max(1, len(flat) // self.index.context)
        return flat[: rows * self.index.context].reshape(rows, -1)

    def readable(self, mark: str) -> bool:
        """Whether its token ids mean what they meant when it was made.

        Ids of words always do. ``mark`` is a model's ``lexicon.mark``: patches of images have ids
        of their own each time that a model is opened.
        """
        if not mark:
            return True
        try:
            return (self.folder / PATCHES).read_text("utf-8") == mark
        except OSError:
            return False

    @cached_property
    def where(self) -> Int[np.ndarray, " n"]:
        """For each row of activations its place in the token file: row times context + position."""
        return np.concatenate([self._map(shard)[_WHERE] for shard in self.index.shards])

    def rows(self, site: str, rows: Int[np.ndarray, " some"]) -> Float[np.ndarray, "some d"]:
        """Some rows of a site, float32, in the order given.

        Raises InputError for a site that was not harvested, and for rows that there are none of.
        """
        self._expect(site)
        rows = np.asarray(rows, np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.n):
            raise InputError(
                f"Rows {rows.min():,} to {rows.max():,} were asked for, but there are {self.n:,}.",
                "Count from 0.",
            )
        taken = np.empty((len(rows), self.index.sites[site]), np.float32)
        start = 0
        for shard in self.index.shards:
            here = np.flatnonzero((rows >= start) & (rows < start + shard.rows))
            if len(here):
                # Memory maps are read from front to back.
                order = here[np.argsort(rows[here], kind="stable")]
                taken[order] = self._map(shard)[site][rows[order] - start]
            start += shard.rows
        return taken

    def pieces(self, site: str) -> Iterator[Float[np.ndarray, "some d"]]:
        """All rows of a site, a shard at a time, as they lie on the disk."""
        self._expect(site)
        for shard in self.index.shards:
            yield self._map(shard)[site]

    def batches(
        self, sites: Sequence[str], size: int, seed: int = 0, start: int = 0
    ) -> Iterator[tuple[Float[np.ndarray, "batch d"], ...]]:
        """Shuffled batches without end, the same rows of each site; ``start`` leaves some out.

        Rows are shuffled within windows that fit into memory, windows among one another. Each
        pass over the data has another order. The same seed gives the same batches.
        Raises InputError when a batch needs more rows than there are, or none.
        """
        for site in sites:
            self._expect(site)
        if size < 1:
            raise InputError(f"Batches of {size} rows were asked for.", "Give 1 or more.")
        expect_enough(self.n, size)
        width = 4 * sum(self.index.sites[site] for site in sites)
        window = max(size, _WINDOW_BYTES // width // size * size)
        each = self.n // size
        for turn in range(start // each, 1 << 62):
            skip = start - turn * each if turn == start // each else 0
            yield from self._one_pass(
                sites, size, window, np.random.default_rng((seed, turn)), skip
            )

    def _one_pass(
        self, sites: Sequence[str], size: int, window: int, random: np.random.Generator, skip: int
    ) -> Iterator[tuple[NDArray[np.float32], ...]]:
        # A pass starts somewhere else each time, so that the rest that fills no batch changes.
        order = (np.arange(self.n) + random.integers(self.n)) % self.n
        for begin in range(0, self.n, window):
            rows = random.permutation(order[begin : begin + window])
            batches = len(rows) // size
            if skip < batches:
                rows = rows[skip * size : batches * size]
                held = [self.rows(site, rows) for site in sites]
                for at in range(0, len(rows), size):
                    yield tuple(each[at : at + size] for each in held)
            skip = max(0, skip - batches)

    def _expect(self, site: str) -> None:
        if site not in self.index.sites:
            raise InputError(
                f"The site {site} was not harvested.", f"There are {', '.join(self.sites)}."
            )

    def _map(self, shard: Shard) -> dict[str, NDArray[Any]]:
        if shard.file not in self._maps:
            self._maps[shard.file] = mapped(self.folder / shard.file)
        return self._maps[shard.file]


def mapped(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file, memory-mapped.

    Raises CorpusError for one that is damaged.
    """
    try:
        header = read_header(path)
    except ModelDamaged as error:
        raise CorpusError(f"The shard {path.name} is damaged.", "Harvest again.") from error
    return {
        entry.name: np.memmap(
            path, _DTYPES[entry.dtype], "r", header.first + entry.start, entry.shape
        )
        for entry in header.entries
    }


def open_harvest(folder: Path | str) -> Harvest:
    """The harvest in a folder, whole or as far as it came.

    Raises CorpusError when there is none, or its index cannot be read.
    """
    expect(folder, (str, Path), "The folder", "a path", "Give the folder of a harvest.")
    path = Path(folder).expanduser()
    try:
        held = json.loads((path / INDEX).read_bytes())
        shards = tuple(Shard(**shard) for shard in held.pop("shards"))
        index = HarvestIndex(**held, shards=shards)
    except FileNotFoundError as error:
        raise CorpusError(f"{path.name} holds no harvest.", "Harvest into it first.") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorpusError(f"The index of {path.name} is damaged.", "Harvest again.") from error
    if any(Path(shard.file).name != shard.file for shard in shards):
        raise CorpusError(f"The index of {path.name} names a file outside its folder.")
    if index.version != _VERSION:
        raise CorpusError(f"{path.name} was written by another version of Microtome.")
    return Harvest(path, index)


def write_shard(
    folder: Path, index: HarvestIndex, arrays: Mapping[str, NDArray[Any]], blocks: int
) -> HarvestIndex:
    """Add a shard, and the index that names it. Raises StorageError; what was there stays."""
    name = f"shard-{len(index.shards):05d}.safetensors"
    _put(folder / name, lambda path: save_file(dict(arrays), path))
    shard = Shard(name, len(arrays[_WHERE]), blocks)
    after = replace(index, shards=(*index.shards, shard))
    write_index(folder, after)
    return after


def write_index(folder: Path, index: HarvestIndex) -> None:
    """Put an index in its place. Raises StorageError."""
    text = json.dumps(asdict(index), indent=1)
    _put(folder / INDEX, lambda path: path.write_text(text, encoding="utf-8"))


def _put(target: Path, write: Callable[[Path], object]) -> None:
    temporary = temporary_beside(target)
    try:
        with storing(target):
            write(temporary)
            replace_target(temporary, target)
    finally:
        discard(temporary)
