"""Features of a dictionary on images as rows, and one of them in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.records.feature_selectivity import FeatureSelectivity
from microtome.records.session import Session
from microtome_desktop.presenters.as_python import Lines, loading
from microtome_desktop.presenters.feature_python import dictionary_line
from microtome_desktop.state.exports import Table

NO_IMAGES = (
    "Choose a set of images and press Show: each feature is told by the classes that it answers "
    "to, and by its strongest images."
)
_NO_MAP = (
    "\nIts map is not kept: the session has room for 32 MB of them, the strongest images first."
)


def feature_columns(held: FeatureSelectivity) -> Mapping[str, NDArray[Any]]:
    """The columns of the table of features, by their keys; a silent one has no class."""
    features, silent = np.arange(len(held.rate)), held.rate == 0
    columns: dict[str, NDArray[Any]] = {"feature": features}
    for key, names, index in (
        ("class", held.classes, held.by_class), ("domain", held.domains, held.by_domain)
    ):  # fmt: skip
        best = np.nan_to_num(index, nan=-np.inf).argmax(axis=0)
        columns[key] = np.where(silent, "–", np.array(names)[best])
        columns[f"by_{key}"] = np.where(silent, np.nan, index[best, features])
    return columns | {"rate": held.rate, "peak": held.peak}


def features_export(held: FeatureSelectivity) -> Table:
    """A row for each feature, with the index of every class and domain."""
    shown = feature_columns(held)
    headers = (*shown, *(f"index {name}" for name in (*held.classes, *held.domains)))
    columns = [values.tolist() for values in shown.values()]
    columns += [row.tolist() for row in (*held.by_class, *held.by_domain)]
    return Table(headers, list(zip(*columns, strict=True)))


def feature_sentence(held: FeatureSelectivity, feature: int) -> str:
    """What one feature answers to, in a sentence."""
    if held.rate[feature] == 0:
        return f"Off on all {held.analysis.params['set_images']} images: nothing can be said of it."
    shown = feature_columns(held)
    said = f"Answers most to {shown['class'][feature]} (index {shown['by_class'][feature]:.2f})"
    if len(held.domains) > 1:
        said += f"; of the domains to {shown['domain'][feature]} "
        said += f"({shown['by_domain'][feature]:.2f})"
    return f"{said}. On at {held.rate[feature]:.1%} of all places."


def left_out(held: FeatureSelectivity) -> str:
    """What the session does not keep of the strongest images, empty where it keeps all."""
    maps, images = held.left_out
    if not maps:
        return ""
    there = int((held.number >= 0).sum())
    said = f" \N{MIDDLE DOT} maps of {there - maps:,} of {there:,} strongest images kept"
    return said + (f", {images:,} without their image" if images else "")


def example_tip(held: FeatureSelectivity, feature: int, kept: int, row: int) -> str:
    """What stands behind one of a feature's strongest images."""
    name = held.classes[int(held.label[row])]
    return (
        f"{name}, image {int(held.number[feature, kept])} of the set: "
        f"{float(held.strongest[feature, kept]):.3g} at its strongest place"
    ) + ("" if held.map_at[feature, kept] >= 0 else _NO_MAP)


def image_feature_lines(session: Session, held: FeatureSelectivity, images: str) -> Lines:
    """``values`` [class, feature]: the selectivity indices."""
    told = held.analysis.params
    return (
        "import microtome as mt",
        "",
        loading(session)[0],
        dictionary_line(str(told["fingerprint"]), str(told["dictionary"])),
        f"images = mt.load_image_set({images!r})",
        "found = mt.feature_selectivity(model, dictionary, images)",
        'values = found.array("by_class")',
    )
