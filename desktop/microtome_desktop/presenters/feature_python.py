"""The lines of Python that repeat what the Features panel shows."""

from __future__ import annotations

import re

import microtome_resources as resources
from microtome.records.analysis import Analysis
from microtome.records.neuron_prints import layer_of_neurons
from microtome.records.session import Session
from microtome_desktop.presenters.as_python import Lines, loading
from microtome_desktop.presenters.space import projection_of


def feature_lines(session: Session, analysis: Analysis, feature: int | None) -> Lines:
    """``table`` holds a column a figure; ``values`` the numbers of one feature, or all rates."""
    told = analysis.params
    text, limit = str(told.get("text") or told["corpus"]), told.get("limit", 1_000_000)
    embedded = text in resources.text_names()
    read = f"resources.text_path({text!r})" if embedded else repr(text)
    values = "values = table['rate']"
    if feature is not None:
        values = f"values = np.array([table[name][{feature}] for name in ('rate', 'mean', 'peak')])"
    return (
        "import microtome as mt",
        *(("import microtome_resources as resources",) if embedded else ()),
        "import numpy as np",
        "from microtome.records.feature_index import table_of",
        "",
        loading(session)[0],
        _made(str(told.get("fingerprint", "")), str(told["dictionary"])),
        f"index = mt.feature_index(model, dictionary, {read}, limit={limit})",
        "table = table_of(index)",
        values,
    )


def directions_of(session: Session | None, site: str) -> Analysis | None:
    """The directions of features that the feature space calls so, None for a site."""
    found = projection_of(session, site)
    return found if found is not None and found.params.get("features") else None


def direction_lines(session: Session, site: str) -> Lines | str:
    """``values`` [feature, component]."""
    found = directions_of(session, site)
    if found is None:
        return "The directions were not projected yet."
    return (
        "import microtome as mt",
        "from microtome.analysis.directions import direction_space",
        "",
        loading(session)[0],
        _made(str(found.params["features"]), str(found.params["dictionary"])),
        'values = direction_space(dictionary).array("points")',
    )


def _made(fingerprint: str, name: str) -> str:
    layer = layer_of_neurons(fingerprint)
    if layer is not None:
        return f"dictionary = mt.Neurons(model, {layer})"
    # One of a set of transcoders is called after the set and its layer.
    of_set = re.fullmatch(r"(.*), layer (\d+)", name)
    given = f"{of_set[1]!r}, layer={of_set[2]}" if of_set else repr(name)
    return f"dictionary = mt.load_dictionary({given})"
