"""Reading files of labels: tables as CSV here, what other tools write by the engine."""

from __future__ import annotations

import csv
from pathlib import Path

from microtome.errors import InputError
from microtome.features import label_files
from microtome.records.feature_labels import LabelSet

_MOST_BYTES = 256 << 20
_WAY_OUT = 'Give a CSV with the columns "feature" and "label", or a JSON object {number: text}.'


def labels_of_file(path: Path, fingerprint: str, n_features: int, reads: str = "") -> LabelSet:
    """The labels of a file for a dictionary that reads a site.

    Raises InputError for what is no such file, or belongs to another layer.
    """
    if path.suffix.lower() not in {".csv", ".tsv"}:
        return label_files.read_labels(path, fingerprint, n_features=n_features, reads=reads)
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path.name} is too large for a table of labels.", _WAY_OUT)
    try:
        with path.open(encoding="utf-8-sig", newline="") as held:
            tabs = path.suffix.lower() == ".tsv"
            rows = list(csv.DictReader(held, delimiter="\t" if tabs else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read as a table ({error}).", _WAY_OUT) from error
    found = {
        int(row["feature"]): " ".join(row["label"].split())
        for row in rows
        if (row.get("feature") or "").isdecimal() and row.get("label")
    }
    if not found:
        raise InputError(f"{path.name} holds no labels.", _WAY_OUT)
    if max(found) >= n_features:
        raise InputError(
            f"{path.name} labels feature {max(found)}, but the dictionary has {n_features}.",
            "Choose the labels of this dictionary.",
        )
    return LabelSet.of(fingerprint, path.name, found)
