"""Harvests: the same values as single runs, whole after any stop, batches that repeat."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import microtome as mt
from microtome.activations import harvest as harvesting
from microtome.errors import Cancelled, CorpusError, InputError, SiteMissing, StorageError
from microtome.jobs import Job

SITES = ["resid_post.1", "z.2", "z.0.1", "mlp_post.1"]
WIDTHS = {"resid_post.1": 128, "z.2": 128, "z.0.1": 32, "mlp_post.1": 512}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "some.txt"
    names = ["Mary", "John", "Anna", "Paul"]
    path.write_text("\n".join(f"{name} went to the store" for name in names * 12))
    return path


@pytest.fixture(scope="module")
def small(monkeypatch_module: pytest.MonkeyPatch) -> None:
    monkeypatch_module.setattr(harvesting, "_SHARD_BYTES", 100_000)


@pytest.fixture(scope="module")
def monkeypatch_module() -> pytest.MonkeyPatch:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def whole(
    embedded: Callable, text: Path, tmp_path_factory: pytest.TempPathFactory, small: None
) -> mt.Harvest:
    return mt.harvest(embedded("words-4l"), text, SITES, tmp_path_factory.mktemp("h"), context=9)


def test_rows_are_what_single_runs_give(embedded: Callable, whole: mt.Harvest) -> None:
    words = embedded("words-4l")
    assert dict(whole.index.sites) == WIDTHS
    assert len(whole.index.shards) > 1
    bos = words.lexicon.special_tokens[0]
    flat = whole.tokens.reshape(-1)
    assert sorted(whole.where) == np.flatnonzero(flat != bos).tolist()
    for block in (0, 7, len(whole.tokens) - 1):
        trace = mt.trace(words, [int(each) for each in whole.tokens[block]], sites=SITES)
        rows = np.flatnonzero(whole.where // 9 == block)
        at = whole.where[rows] % 9
        plain = {
            "resid_post.1": trace.activations["resid_post"].values[...][0],
            "z.2": trace.activations["z"].values[...][-1].reshape(9, -1),
            "z.0.1": trace.activations["z"].values[...][0][:, 1],
            "mlp_post.1": trace.activations["mlp_post"].values[...][0],
        }
        for site, values in plain.items():
            assert np.abs(whole.rows(site, rows) - values[at]).max() < 2e-5, site


def test_pieces_are_all_rows_in_order(whole: mt.Harvest) -> None:
    together = np.concatenate(list(whole.pieces("z.2")))
    assert np.array_equal(together, whole.rows("z.2", np.arange(whole.n)))


def test_batches_are_shuffled_whole_and_repeat(
    whole: mt.Harvest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microtome.activations.shards._WINDOW_BYTES", 4 * 160 * 64)
    size, sites = 16, ["resid_post.1", "z.0.1"]
    each = whole.n // size
    first = list(islice(whole.batches(sites, size, seed=3), 2 * each + 1))
    again = list(islice(whole.batches(sites, size, seed=3, start=each - 1), 3))
    for one, other in zip(first[each - 1 :], again, strict=False):
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])
    whole_pass = np.concatenate([one[0] for one in first[:each]])
    rows = {row.tobytes() for row in whole.rows("resid_post.1", np.arange(whole.n))}
    assert {row.tobytes() for row in whole_pass} <= rows
    assert len(whole_pass) == each * size
    assert not np.array_equal(first[0][0], first[each][0])
    for wrong, told in ((9_999, "a batch takes 9,999"), (0, "of 0 rows"), (-1, "of -1 rows")):
        with pytest.raises(InputError, match=told):
            next(whole.batches(sites, wrong))
    for beyond in (-1, whole.n):
        with pytest.raises(InputError, match=f"there are {whole.n:,}"):
            whole.rows("z.2", np.array([0, beyond]))


def test_a_harvest_goes_on_where_it_was_stopped(
    embedded: Callable, text: Path, tmp_path: Path, whole: mt.Harvest
) -> None:
    words = embedded("words-4l")
    job = Job(on_partial=lambda _name, _value: job.cancel())
    with pytest.raises(Cancelled):
        mt.harvest(words, text, SITES, tmp_path, context=9, job=job)
    part = mt.open_harvest(tmp_path)
    assert 0 < part.index.done < part.index.blocks
    rest = mt.harvest(words, text, SITES, tmp_path, context=9)
    assert rest.index.whole
    assert np.array_equal(rest.where, whole.where)
    assert np.array_equal(rest.rows("z.2", np.arange(9)), whole.rows("z.2", np.arange(9)))
    with pytest.raises(CorpusError, match="seed 0, not 1"):
        mt.harvest(words, text, SITES, tmp_path, context=9, seed=1)


def test_a_full_disk_loses_nothing(
    embedded: Callable, text: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, shards = embedded("words-4l"), "microtome.activations.shards.save_file"
    from microtome.activations import shards as module

    save, calls = module.save_file, []

    def fills(arrays: object, path: Path) -> None:
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        save(arrays, path)

    monkeypatch.setattr(shards, fills)
    with pytest.raises(StorageError, match="disk is full"):
        mt.harvest(words, text, SITES, tmp_path, context=9)
    assert len(mt.open_harvest(tmp_path).index.shards) == 1
    assert not list(tmp_path.glob(".*"))
    assert mt.harvest(words, text, SITES, tmp_path, context=9).index.whole


def test_the_size_is_told_before_and_what_does_not_fit_is_refused(
    embedded: Callable, text: Path, tmp_path: Path, whole: mt.Harvest, small: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    words = embedded("words-4l")
    told = mt.estimate_harvest(words, text, SITES, tmp_path)
    size = sum((whole.folder / shard.file).stat().st_size for shard in whole.index.shards)
    assert 0.9 < told.n_bytes / size < 1.4
    with monkeypatch.context() as full:
        full.setattr(harvesting, "_free", lambda _folder: 1_000)
        with pytest.raises(StorageError, match="are free"):
            mt.harvest(words, text, SITES, tmp_path, context=9)
    # The way out that was told works in the same folder: no token of the first is left.
    less = mt.harvest(words, text, SITES, tmp_path, context=9, limit=36)
    assert less.tokens.shape == (4, 9)
    other = tmp_path / "other" / "tokens.i32"
    other.parent.mkdir()
    np.zeros(18, np.int32).tofile(other)
    again = mt.harvest(words, text, SITES, other.parent, context=9, limit=36)
    assert np.array_equal(again.tokens, whole.tokens[:4])


def test_activations_of_a_text_that_was_edited_are_not_used_again(
    embedded: Callable, tmp_path: Path
) -> None:
    words, path, kept = embedded("words-4l"), tmp_path / "a.txt", tmp_path / "kept"
    path.write_text("Mary went to the store")
    mt.harvest(words, path, ["z.1"], kept)
    time = path.stat().st_mtime_ns
    path.write_text("John went to the store")  # of the same size, and looks as old
    os.utime(path, ns=(time, time))
    with pytest.raises(CorpusError, match=r"a\.txt has changed since.*Harvest again"):
        mt.harvest(words, path, ["z.1"], kept)
    path.write_text("Mary went to the store")
    assert mt.harvest(words, path, ["z.1"], kept).index.whole
    index = json.loads((kept / "index.json").read_text())
    del index["corpus_fingerprint"]  # as older ones are
    (kept / "index.json").write_text(json.dumps(index))
    assert mt.open_harvest(kept).index.whole
    with pytest.raises(CorpusError, match="does not tell which text"):
        mt.harvest(words, path, ["z.1"], kept)


def test_long_files_are_known_by_their_ends_and_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microtome.corpora.reading._KNOWN_WHOLE", 100_000)
    path = tmp_path / "a.txt"

    def told(middle: str, time: int) -> str:
        path.write_text("a" * 70_000 + middle + "b" * 70_000)
        os.utime(path, ns=(time, time))
        return mt.read_corpus(path).fingerprint()

    assert told("c", 10**18) == told("c", 10**18)
    assert told("c", 10**18) != told("d", 2 * 10**18)


@pytest.mark.parametrize(("given", "told"), [({"limit": 0}, "limit is 0"), ({"seed": -1}, "seed")])
def test_numbers_that_make_no_sense_are_refused(
    embedded: Callable, text: Path, tmp_path: Path, given: dict, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        mt.harvest(embedded("words-4l"), text, SITES, tmp_path, **given)


def test_special_tokens_and_half_precision_are_choices(
    embedded: Callable, text: Path, tmp_path: Path, whole: mt.Harvest
) -> None:
    words = embedded("words-4l")
    kept = mt.harvest(
        words, text, ["z.2"], tmp_path, context=9, special=True, dtype="float16", limit=90
    )
    assert kept.n == 90
    rows = np.argsort(kept.where)[[1, 2, 3]]
    same = [int(np.flatnonzero(whole.where == kept.where[row])[0]) for row in rows]
    assert np.abs(kept.rows("z.2", rows) - whole.rows("z.2", np.array(same))).max() < 2e-2


@pytest.mark.parametrize(
    ("sites", "error", "told"),
    [
        (["pattern.1"], SiteMissing, "not of one position"),
        (["resid_post.9"], SiteMissing, "no layer 9"),
        (["z.1.7"], SiteMissing, "no head 7. Its heads are 0 to 3"),
        ([], InputError, "No site was given"),
    ],
)
def test_sites_that_cannot_be_harvested_are_named(
    embedded: Callable, text: Path, tmp_path: Path, sites: list[str], error: type, told: str
) -> None:
    with pytest.raises(error, match=told):
        mt.harvest(embedded("words-4l"), text, sites, tmp_path)


def test_a_damaged_index_is_told(tmp_path: Path, whole: mt.Harvest) -> None:
    with pytest.raises(CorpusError, match="holds no harvest"):
        mt.open_harvest(tmp_path)
    held = json.loads((whole.folder / "index.json").read_text())
    for broken, told in [("{", "damaged"), ("[]", "damaged"), ({"seed": 1}, "damaged")]:
        (tmp_path / "index.json").write_text(broken if isinstance(broken, str) else "{}")
        with pytest.raises(CorpusError, match=told):
            mt.open_harvest(tmp_path)
    held["shards"][0]["file"] = "../x.safetensors"
    (tmp_path / "index.json").write_text(json.dumps(held))
    with pytest.raises(CorpusError, match="outside its folder"):
        mt.open_harvest(tmp_path)
