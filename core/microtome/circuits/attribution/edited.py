"""What edits of features do to a prompt: predictions, text, and the graph before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from microtome.circuits.attribution.changes import FeatureChange, FeatureEdit
from microtome.circuits.attribution.graph import attribution_graph
from microtome.circuits.attribution.intervening import FeatureIntervention, feature_intervention
from microtome.errors import InputError, expect
from microtome.features.transcoders import Transcoders
from microtome.interventions.generation import generate
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.prompts import Prompt
from microtome.records.analysis import Analysis, Labelled
from microtome.records.circuit import FEATURE, OUTPUT, Circuit
from microtome.records.feature_edit import FEATURE_EDIT, FEATURE_TEXT, FeatureEditSpec
from microtome.records.generation import generation_analysis


def change_of(spec: FeatureEditSpec) -> FeatureChange:
    """What an edit that was written down does."""
    return FeatureChange(spec.layer, spec.feature, spec.action, spec.amount, spec.positions)


def edited_graph(
    model: Model,
    transcoders: Transcoders,
    prompt: Prompt,
    circuit: Circuit,
    changes: Sequence[FeatureChange],
    *,
    mode: str = "free",
    job: Job | None = None,
) -> Analysis:
    """Predictions, nodes and edges of a prompt's attribution graph without and with changes.

    ``after`` [node] are activations and logit values with the changes, ``change`` [edge] what they
    add to the weight of each edge of ``circuit``; NaN where nothing is known of it. In the mode
    ``frozen`` edges out of changed features grow as these do and all others stay. In the mode
    ``free`` the graph is made anew; what is not in it any more is 0. ``probability_before`` and
    ``probability_after`` [word] are those of ``word``.
    Raises what ``feature_intervention`` raises, InputError for a circuit that is no graph of
    the prompt's features.
    """
    expect(circuit, Circuit, "circuit", "a Circuit", "Make one with attribution_graph.")
    job = job_or_default(job)
    if FEATURE not in circuit.node_kind or "max_feature_nodes" not in circuit.metadata:
        raise InputError("The circuit is no graph of features.", "Make one with attribution_graph.")
    found = feature_intervention(model, transcoders, prompt, changes, mode=mode, job=job)
    if mode == "frozen":
        after = _after(circuit, found)
        change = _direct(circuit, after, found.changes)
        made: Mapping[str, Any] = {}
    else:
        names = ("max_feature_nodes", "probability", "max_logits")
        asked = {name: circuit.metadata[name] for name in names}
        graph = attribution_graph(model, transcoders, prompt, changes=changes, job=job, **asked)
        after, change = _by_name(circuit, graph)
        made = {name: graph.metadata[name] for name in _SCORES}
    return _analysis(circuit, found, after, change, made)


_SCORES = ("replacement_score", "completeness_score", "active_features")


def _after(circuit: Circuit, found: FeatureIntervention) -> Float[np.ndarray, " node"]:
    """Activations and logits as direct effects alone move them."""
    places = zip(found.layer.tolist(), found.feature.tolist(), found.position.tolist(), strict=True)
    new = dict(zip(places, found.after.tolist(), strict=True))
    moved = found.logits_after.astype(np.float64) - found.logits_before
    moved -= moved.mean()  # a logit counts beyond the mean of all
    after = circuit.node_score.astype(np.float64)
    for row, kind in enumerate(circuit.node_kind):
        layer, number, at = (
            int(column[row])
            for column in (circuit.node_layer, circuit.node_feature, circuit.node_position)
        )
        if kind == FEATURE:
            after[row] = new.get((layer, number, at), 0.0)
        elif kind == OUTPUT:
            after[row] += moved[number]
    return after


def _direct(
    circuit: Circuit, after: Float[np.ndarray, " node"], changes: Sequence[FeatureChange]
) -> Float[np.ndarray, " edge"]:
    """Edges out of features that were changed, in proportion; no other source writes otherwise."""
    changed = np.zeros(circuit.n_nodes, bool)
    features = np.array(circuit.node_kind) == FEATURE
    length = len(circuit.metadata["tokens"])
    for each in changes:
        own = features & (circuit.node_layer == each.layer)
        own &= circuit.node_feature == each.feature
        if each.positions is not None:
            own &= np.isin(circuit.node_position, [at % length for at in each.positions])
        changed |= own
    before = circuit.node_score.astype(np.float64)
    growth = np.zeros(circuit.n_nodes)
    set_ = changed & (before != 0)
    growth[set_] = after[set_] / before[set_] - 1
    return np.asarray(circuit.edge_weight * growth[circuit.edge_source])


def _by_name(
    circuit: Circuit, graph: Circuit
) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " edge"]]:
    """What another graph has for the nodes and edges of this one."""
    rows = {name: row for row, name in enumerate(graph.node_id)}
    there = np.array([rows.get(name, -1) for name in circuit.node_id])
    known = there >= 0
    after = np.where(known, graph.node_score[there], 0.0).astype(np.float64)
    lost = ~known & (np.array(circuit.node_kind) == OUTPUT)  # not likely any more: no node
    after[lost] = np.nan
    keys = graph.edge_target.astype(np.int64) * graph.n_nodes + graph.edge_source
    order = np.argsort(keys)
    source, target = there[circuit.edge_source], there[circuit.edge_target]
    wanted = target.astype(np.int64) * graph.n_nodes + source
    found = np.searchsorted(keys[order], wanted).clip(max=max(len(keys) - 1, 0))
    held = (source >= 0) & (target >= 0)
    held &= keys[order][found] == wanted if len(keys) else False
    weight = np.where(held, graph.edge_weight[order][found], 0.0) if len(keys) else 0.0
    change = weight - circuit.edge_weight.astype(np.float64)
    change[lost[circuit.edge_target]] = np.nan
    return after, change


def _analysis(
    circuit: Circuit,
    found: FeatureIntervention,
    after: NDArray[Any],
    change: NDArray[Any],
    scores: Mapping[str, Any],
) -> Analysis:
    words, before, then = zip(*found.predictions, strict=True)
    arrays = {
        "before": Labelled(("node",), circuit.node_score.astype(np.float32)),
        "after": Labelled(("node",), after.astype(np.float32)),
        "change": Labelled(("edge",), change.astype(np.float32)),
        "word": Labelled(("word",), np.array(words, dtype=np.str_)),
        "word_id": Labelled(("word",), np.array([id_ for id_, _ in found.words], np.int64)),
        "probability_before": Labelled(("word",), np.array(before, np.float64)),
        "probability_after": Labelled(("word",), np.array(then, np.float64)),
    }
    params: dict[str, Any] = {
        "method": "feature intervention", "mode": found.mode,
        "changes": [str(change) for change in found.changes],
        "transcoders": circuit.metadata.get("transcoders", ""),
        "transcoders_fingerprints": circuit.metadata.get("transcoders_fingerprints", []), **scores,
    }  # fmt: skip
    title = f"Edits of features ({found.mode})"
    return Analysis(FEATURE_EDIT, FEATURE_EDIT, title, arrays, params)


def edited_text(
    model: Model,
    transcoders: Transcoders,
    prompt: Prompt,
    changes: Sequence[FeatureChange],
    *,
    sampling: Mapping[str, Any] | None = None,
    job: Job | None = None,
) -> Analysis:
    """How the model goes on from a prompt without and with changes of features.

    ``sampling`` are settings of ``generate``. Changes with positions stay there
    while the text grows; those without act everywhere.
    Raises what ``generate`` raises, EditError for features that the transcoders do not have.
    """
    edit = FeatureEdit(transcoders, tuple(changes))
    texts = [
        generate(model, prompt, edits=edits, job=job, **(sampling or {}))
        for edits in (((), (edit,)) if changes else ((),))
    ]
    return replace(generation_analysis(*texts), id=FEATURE_TEXT)
