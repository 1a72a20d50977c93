"""Feature-example files of circuit-tracer's page: ``index.json.gz`` and one binary file a layer.

The index has for each layer a file name and offsets; feature f lies between offsets f and f + 1
as four bytes of length (little-endian) and so many bytes of deflated JSON. A feature without
examples takes no bytes. Source: the page's ``feature_examples/init-feature-examples.js``.
"""

from __future__ import annotations

import gzip
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from microtome.errors import DictionaryError, UnsafeDictionary
from microtome.features.formats.whole_folder import whole_folder
from microtome.jobs import Job, job_or_default
from microtome.records.feature_examples import Example, ExampleQuantile, FeatureExamples

FOLDER, _INDEX = "features", "index.json.gz"
_MAX_INDEX, _MAX_RECORD = 1 << 28, 1 << 26
_AGAIN = "Build the examples again."
_LENGTH = struct.Struct("<I")


def write_examples(
    folder: str | os.PathLike[str],
    layers: Mapping[int, Iterable[FeatureExamples]],
    n_features: int,
    *,
    job: Job | None = None,
) -> None:
    """Write examples into ``features`` of a folder of transcoders, whole or not at all.

    ``layers`` gives for each layer its features in rising order, one at a time, so that they need
    not all be in memory; ``n_features`` is how many a layer has. Raises DictionaryError for
    features out of order, StorageError when the disk refuses.
    """
    job, target = job_or_default(job), Path(folder).expanduser() / FOLDER
    index: dict[str, Any] = {}
    with whole_folder(target, 0, ("index.json", "layer_")) as fresh:
        for done, (layer, features) in enumerate(sorted(layers.items())):
            name, report = f"layer_{layer}.bin", partial(_report, job, done, len(layers))
            offsets = _write_layer(fresh / name, features, n_features, report)
            index[str(layer)] = {"filename": name, "offsets": offsets}
        (fresh / _INDEX).write_bytes(gzip.compress(json.dumps(index).encode(), mtime=0))


def _report(job: Job, before: int, layers: int, share: float) -> None:
    job.progress("Writing examples", before + share, layers)


def _write_layer(
    path: Path,
    features: Iterable[FeatureExamples],
    n_features: int,
    report: Callable[[float], None],
) -> list[int]:
    offsets = [0]
    with path.open("wb") as out:
        for one in features:
            report(one.feature / max(n_features, 1))
            if not len(offsets) - 1 <= one.feature < n_features:
                raise DictionaryError(
                    f"Feature {one.feature} came after {len(offsets) - 2}, of {n_features}.",
                    "Give the features of a layer in rising order.",
                )
            offsets += [offsets[-1]] * (one.feature + 1 - len(offsets))
            packed = zlib.compress(json.dumps(_record(one), ensure_ascii=False).encode())
            out.write(_LENGTH.pack(len(packed)) + packed)
            offsets.append(offsets[-1] + _LENGTH.size + len(packed))
    return offsets + [offsets[-1]] * (n_features + 1 - len(offsets))


@dataclass(frozen=True, slots=True)
class ExampleFiles:
    """The examples of a folder: its index in memory, each feature read when it is asked for."""

    folder: Path
    index: Mapping[int, tuple[str, tuple[int, ...]]]  # layer → file name, offsets

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers with examples, in order."""
        return tuple(sorted(self.index))

    def features(self, layer: int) -> tuple[int, ...]:
        """Features of a layer that have examples."""
        _, offsets = self._of(layer)
        return tuple(f for f in range(len(offsets) - 1) if offsets[f + 1] > offsets[f])

    def feature(self, layer: int, feature: int) -> FeatureExamples | None:
        """The examples of a feature, None when it has none.

        Raises DictionaryError for a layer or feature that is not there or damaged.
        """
        name, offsets = self._of(layer)
        if not 0 <= feature < len(offsets) - 1:
            raise DictionaryError(f"Layer {layer} has {len(offsets) - 1} features, not {feature}.")
        start, end = offsets[feature : feature + 2]
        if start == end:
            return None
        place = f"Feature {feature} of layer {layer}"
        try:
            with (self.folder / name).open("rb") as file:
                file.seek(start)
                data = file.read(end - start)
        except OSError as error:
            raise DictionaryError(f"{name} cannot be read ({error.strerror}).", _AGAIN) from error
        return _feature(_inflated(data, place), feature, place)

    def _of(self, layer: int) -> tuple[str, tuple[int, ...]]:
        if layer not in self.index:
            raise DictionaryError(f"There are no examples of layer {layer}, only {self.layers}.")
        return self.index[layer]


def open_examples(folder: str | os.PathLike[str]) -> ExampleFiles:
    """The examples beside a folder of transcoders, or in a folder of examples itself.

    Raises DictionaryError for an index that is missing, damaged or contradicts its files,
    UnsafeDictionary for one that leads out of its folder or would fill the memory.
    """
    path = Path(folder).expanduser()
    path = path / FOLDER if (path / FOLDER / _INDEX).is_file() else path
    value = _read_index(path / _INDEX)
    entries = enumerate(value) if isinstance(value, list) else dict(value).items()
    try:
        held = {int(layer): _entry(path, entry) for layer, entry in entries if entry}
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise DictionaryError(f"{_INDEX} is no index of examples: {error!r}.", _AGAIN) from error
    return ExampleFiles(path, held)


def _read_index(path: Path) -> list[Any] | dict[str, Any]:
    try:
        with gzip.open(path) as file:
            text = file.read(_MAX_INDEX + 1)
        if len(text) > _MAX_INDEX:
            raise UnsafeDictionary(f"{_INDEX} inflates to over {_MAX_INDEX >> 20} MB.", _AGAIN)
        value = json.loads(text)
    except FileNotFoundError as error:
        raise DictionaryError(f"{path.parent.name} has no {_INDEX}.", _AGAIN) from error
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise DictionaryError(f"{_INDEX} is damaged: {str(error)[:80]}.", _AGAIN) from error
    if not isinstance(value, list | dict):
        raise DictionaryError(f"{_INDEX} holds {type(value).__name__}, not layers.", _AGAIN)
    return value


def _entry(folder: Path, entry: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    name, offsets = str(entry["filename"]), tuple(int(each) for each in entry["offsets"])
    path = folder / name
    if Path(name).name != name or not path.resolve().is_relative_to(folder.resolve()):
        raise UnsafeDictionary(f"{_INDEX} names {name[:60]!r}, which is not in its folder.", _AGAIN)
    if not path.is_file():
        raise DictionaryError(f"{_INDEX} names {name[:60]}, which is not there.", _AGAIN)
    pairs = pairwise(offsets)
    if offsets[:1] < (0,) or any(after < before for before, after in pairs):
        raise DictionaryError(f"{_INDEX} has offsets of {name} that go back.", _AGAIN)
    if offsets and offsets[-1] > path.stat().st_size:
        raise DictionaryError(
            f"{name} has {path.stat().st_size:,} bytes, but its index ends at {offsets[-1]:,}.",
            _AGAIN,
        )
    return name, offsets


def _inflated(data: bytes, place: str) -> Any:
    if len(data) < _LENGTH.size or _LENGTH.unpack_from(data)[0] > len(data) - _LENGTH.size:
        raise DictionaryError(f"{place} is cut short.", _AGAIN)
    packed = data[_LENGTH.size :][: _LENGTH.unpack_from(data)[0]]
    try:
        machine = zlib.decompressobj()
        text = machine.decompress(packed, _MAX_RECORD)
        if machine.unconsumed_tail:
            raise UnsafeDictionary(f"{place} inflates to over {_MAX_RECORD >> 20} MB.", _AGAIN)
        return json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise DictionaryError(f"{place} is damaged: {str(error)[:80]}.", _AGAIN) from error


def _record(one: FeatureExamples) -> dict[str, Any]:
    return {
        "transcoder_id": one.source,
        "index": one.feature,
        "examples_quantiles": [
            {"quantile_name": held.name, "examples": [_written(each) for each in held.examples]}
            for held in one.quantiles
        ],
        "top_logits": list(one.top_logits),
        "bottom_logits": list(one.bottom_logits),
        "act_min": one.minimum,
        "act_max": one.maximum,
        "quantile_values": list(one.quantile_values),
        "histogram": list(one.histogram),
        "activation_frequency": one.frequency,
    }


def _written(example: Example) -> dict[str, Any]:
    return {
        "tokens_acts_list": list(example.activations),
        "train_token_ind": example.peak,
        "is_repeated_datapoint": example.repeated,
        "tokens": list(example.tokens),
    }


def _feature(held: Any, feature: int, place: str) -> FeatureExamples:
    """A record as ours; only its examples must be there. Raises DictionaryError for another."""
    try:
        return FeatureExamples(
            feature,
            tuple(
                ExampleQuantile(
                    str(one["quantile_name"]), tuple(_example(each) for each in one["examples"])
                )
                for one in held["examples_quantiles"]
            ),
            _texts(held.get("top_logits")),
            _texts(held.get("bottom_logits")),
            _numbers(held.get("histogram")),
            _numbers(held.get("quantile_values")),
            float(held.get("act_min") or 0),
            float(held.get("act_max") or 0),
            float(held.get("activation_frequency") or 0),
            str(held.get("transcoder_id") or ""),
        )
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise DictionaryError(f"{place} is no record of examples: {error!r}.", _AGAIN) from error


def _example(held: Mapping[str, Any]) -> Example:
    tokens, values = _texts(held["tokens"]), _numbers(held["tokens_acts_list"])
    if len(tokens) != len(values):
        raise ValueError(f"{len(tokens)} tokens with {len(values)} activations")
    peak = int(held.get("train_token_ind") or 0)
    return Example(tokens, values, peak, bool(held.get("is_repeated_datapoint", False)))


def _texts(held: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in held or ())


def _numbers(held: Any) -> tuple[float, ...]:
    return tuple(float(each) for each in held or ())
