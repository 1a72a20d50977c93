"""The lines of Python that repeat what the Features panel shows."""

from __future__ import annotations

import re

import microtome_resources as resources
from microtome.records.analysis import Analysis
from microtome.records.neuron_prints import layer_of_neurons
from microtome.records.session import Session
from microtome_desktop.presenters.as_python import Lines, lines_of, loading
from microtome_desktop.presenters.space import projection_of


def feature_lines(session: Session, analysis: Analysis, feature: int | None) -> Lines:
    """``table`` holds a column a figure; ``values`` the numbers of one feature, or all rates."""
    told = analysis.params
    text, limit = str(told.get("text") or told["corpus"]), told.get("limit", 1_000_000)
    imports, read = read_line(text)
    values = "values = table['rate']"
    if feature is not None:
        values = f"values = np.array([table[name][{feature}] for name in ('rate', 'mean', 'peak')])"
    return (
        "import microtome as mt",
        *imports,
        "import numpy as np",
        "from microtome.records.feature_index import table_of",
        "",
        loading(session)[0],
        dictionary_line(str(told.get("fingerprint", "")), str(told["dictionary"])),
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
    method, seed = found.params.get("method", "pca"), found.params.get("seed", 0)
    way = "" if method == "pca" else f", method={method!r}, seed={seed}"
    return (
        "import microtome as mt",
        "from microtome.analysis.directions import direction_space",
        "",
        loading(session)[0],
        dictionary_line(str(found.params["features"]), str(found.params["dictionary"])),
        f'values = direction_space(dictionary{way}).array("points")',
    )


def activation_lines(session: Session, feature: tuple[str, int] | None) -> Lines | str:
    """``values`` [position]: how strongly a feature is on at each token of the prompt."""
    if feature is None:
        return "Select a feature first."
    name = _name_of(session, feature[0])
    if session.question is None or not name:
        return "The session does not say which dictionary the feature is of."
    return lines_of(
        session,
        dictionary_line(feature[0], name),
        "run = mt.trace(model, question.prompt)",
        f"values = codes_of_run(model, dictionary, run).of({feature[1]})",
        also=("from microtome.features.reading import codes_of_run",),
    )


def _name_of(session: Session, fingerprint: str) -> str:
    """What a dictionary was loaded as, by what the session holds of it; empty where nothing is."""
    if layer_of_neurons(fingerprint) is not None:
        return fingerprint
    for analysis in session.analyses.values():
        told = analysis.params
        if fingerprint in {told.get("fingerprint"), told.get("features")}:
            return str(told.get("dictionary", ""))
    told = {} if session.circuit is None else session.circuit.metadata
    prints = list(told.get("transcoders_fingerprints", ()))
    at = prints.index(fingerprint) if fingerprint in prints else -1
    return f"{told.get('transcoders')}, layer {at}" if at >= 0 else ""


def read_line(text: str) -> tuple[Lines, str]:
    """What is to be imported to read a text, and what names it: embedded ones by their names."""
    if text in resources.text_names():
        return ("import microtome_resources as resources",), f"resources.text_path({text!r})"
    return (), repr(text)


def dictionary_line(fingerprint: str, name: str) -> str:
    """The line that loads a dictionary as it was opened, or takes a layer's neurons."""
    layer = layer_of_neurons(fingerprint)
    if layer is not None:
        return f"dictionary = mt.Neurons(model, {layer})"
    # One of a set of transcoders is called after the set and its layer.
    of_set = re.fullmatch(r"(.*), layer (\d+)", name)
    given = f"{of_set[1]!r}, layer={of_set[2]}" if of_set else repr(name)
    return f"dictionary = mt.load_dictionary({given})"
