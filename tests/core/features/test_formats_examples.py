"""Feature-example files: what is written is what circuit-tracer's page reads, byte by byte."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from pathlib import Path

import pytest

from microtome.errors import DictionaryError, UnsafeDictionary
from microtome.features.formats import example_files
from microtome.features.formats.example_files import open_examples, write_examples
from microtome.records.feature_examples import Example, ExampleQuantile, FeatureExamples

N_FEATURES = 5


def _feature(feature: int) -> FeatureExamples:
    shown = Example(("The", " keys", " é"), (0.0, 1.5, 0.25), peak=1)
    return FeatureExamples(
        feature, (ExampleQuantile("Top activations", (shown, shown)),), (" are",), (" is",),
        (3.0, 1.0), (0.5, 1.0), 0.0, 1.5, 0.01, "mine",
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    layers = {0: iter([_feature(1), _feature(3)]), 2: [_feature(0)]}
    write_examples(tmp_path, layers, N_FEATURES)
    return tmp_path / "features"


def test_what_was_written_comes_back(folder: Path) -> None:
    held = open_examples(folder.parent)
    assert held.layers == (0, 2)
    assert held.features(0) == (1, 3)
    assert held.feature(0, 3) == _feature(3)
    assert held.feature(2, 0) == open_examples(folder).feature(2, 0) == _feature(0)
    assert held.feature(0, 2) is None
    for layer, feature in ((1, 0), (0, N_FEATURES)):
        with pytest.raises(DictionaryError):
            held.feature(layer, feature)


def test_the_bytes_lie_where_the_page_looks(folder: Path) -> None:
    index = json.loads(gzip.decompress((folder / "index.json.gz").read_bytes()))
    for layer, feature in ((0, 1), (0, 3), (2, 0)):
        offsets = index[str(layer)]["offsets"]
        assert len(offsets) == N_FEATURES + 1
        data = (folder / index[str(layer)]["filename"]).read_bytes()
        part = data[offsets[feature] : offsets[feature + 1]]
        (length,) = struct.unpack("<I", part[:4])
        record = json.loads(zlib.decompress(part[4 : 4 + length]))
        assert record["index"] == feature
        assert record["examples_quantiles"][0]["examples"][0] == {
            "tokens": ["The", " keys", " é"], "tokens_acts_list": [0.0, 1.5, 0.25],
            "train_token_ind": 1, "is_repeated_datapoint": False,
        }  # fmt: skip
        assert record["activation_frequency"] == 0.01


def test_an_index_that_is_a_list_and_a_record_of_the_least_are_read(tmp_path: Path) -> None:
    record = zlib.compress(json.dumps({"index": 0, "examples_quantiles": []}).encode())
    (tmp_path / "a.bin").write_bytes(struct.pack("<I", len(record)) + record)
    index = [{"filename": "a.bin", "offsets": [0, len(record) + 4]}]
    (tmp_path / "index.json.gz").write_bytes(gzip.compress(json.dumps(index).encode()))
    assert open_examples(tmp_path).feature(0, 0) == FeatureExamples(0, ())


def test_features_out_of_order_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(DictionaryError, match="rising order"):
        write_examples(tmp_path, {0: [_feature(3), _feature(1)]}, N_FEATURES)
    assert not (tmp_path / "features").exists()


def _index(folder: Path, **entry: object) -> None:
    whole = {"filename": "layer_0.bin", "offsets": [0, 4]} | entry
    (folder / "index.json.gz").write_bytes(gzip.compress(json.dumps({"0": whole}).encode()))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"filename": "../layer_0.bin"}, "not in its folder"),
        ({"filename": "no.bin"}, "not there"),
        ({"offsets": [0, 10**9]}, "index ends at 1,000,000,000"),
        ({"offsets": [4, 0]}, "go back"),
        ({"offsets": "abc"}, "no index"),
    ],
)
def test_an_index_that_misleads_is_refused(folder: Path, entry: dict, told: str) -> None:
    _index(folder, **entry)
    with pytest.raises(DictionaryError, match=told):
        open_examples(folder)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"ab", "cut short"),
        (struct.pack("<I", 99) + b"x", "cut short"),
        (struct.pack("<I", 4) + b"none", "damaged"),
    ],
)
def test_a_record_that_is_damaged_is_refused(folder: Path, data: bytes, told: str) -> None:
    (folder / "layer_0.bin").write_bytes(data)
    _index(folder, offsets=[0, len(data)])
    with pytest.raises(DictionaryError, match=told):
        open_examples(folder).feature(0, 0)


def test_a_record_that_would_fill_the_memory_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example_files, "_MAX_RECORD", 1 << 20)
    packed = zlib.compress(b" " * (2 << 20))
    (folder / "layer_0.bin").write_bytes(struct.pack("<I", len(packed)) + packed)
    _index(folder, offsets=[0, len(packed) + 4])
    with pytest.raises(UnsafeDictionary, match="inflates to over 1 MB"):
        open_examples(folder).feature(0, 0)
