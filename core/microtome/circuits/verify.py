"""Predicted beside true: nodes and edges ablated for real, and how much the rest reproduces."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from microtome.circuits.ablated import AblatedRuns, site_of
from microtome.circuits.asking import Subject, ask
from microtome.circuits.carried import Carried
from microtome.circuits.coefficients import Rule, coefficients
from microtome.circuits.edges import EdgeEnds, run_without_edge
from microtome.circuits.sources import Layout, node_outputs
from microtome.errors import InputError
from microtome.interventions.edits import Ablate, Patch
from microtome.jobs import Job, job_or_default
from microtome.metrics import LinearMetric
from microtome.models.model import Model
from microtome.prompts import Prompt
from microtome.records.analysis import Analysis, Labelled
from microtome.records.circuit import HEAD, MLP, Circuit, component_id
from microtome.sites import Site


def ablate_node(
    model: Model,
    subject: Subject,
    circuit: Circuit,
    node_id: str,
    metric: LinearMetric | None = None,
    *,
    job: Job | None = None,
) -> Analysis:
    """The effect of one node on the metric: predicted by the circuit, and true.

    The model itself runs with the node's output set to zero, and ``true`` is the metric before
    minus after. For a pair ``noised`` is the effect of the corrupt run's output in the clean run,
    ``denoised`` that of the clean output in the corrupt run, and ``true`` the mean of the two,
    which is what the two-point rule predicts.
    Raises InputError for a node that the circuit does not have, or for the metric.
    """
    site, position = site_of(circuit, node_id)
    runs = AblatedRuns(model, subject, metric, job_or_default(job))
    effects, how = {}, "set to zero"
    if runs.corrupt is None or runs.corrupt_base is None:
        ablated = runs.after([Ablate(site, "zero", positions=[position])])
    else:
        how = "replaced by its value in the corrupt run"
        ablated = runs.after([Patch(site, runs.corrupt.activation(site), [position])])
        back = runs.after([Patch(site, runs.clean.activation(site), [position])], corrupt=True)
        effects["denoised"] = back - runs.corrupt_base
    effects["predicted"] = float(circuit.node_score[circuit.row(node_id)])
    effects["true"] = runs.base - ablated
    params = {"how": how, "metric": runs.name, "base": runs.base, "ablated": ablated}
    return verification(node_id, f"Ablating {node_id}", effects, params)


def ablate_edge(
    model: Model,
    subject: Subject,
    circuit: Circuit,
    edge: tuple[str, str, int],
    metric: LinearMetric | None = None,
    *,
    job: Job | None = None,
) -> Analysis:
    """The effect of one edge (source id, target id, kind) on the metric: predicted and true.

    Only what the target reads of the source is taken away, or for a pair exchanged for the other
    run's; norm and softmax act on the changed input, and all that follows is free. Arrays are
    those of ``ablate_node``. Raises InputError for an edge that the circuit does not have.
    """
    source, target, kind = edge
    predicted = _weight(circuit, edge)
    ends = EdgeEnds.of(circuit, source, target, kind)
    with torch.no_grad():
        asked = ask(model, subject, metric, job=job)
        rule = Rule.SINGLE if asked.corrupt is None else Rule.TWO_POINT
        frozen = coefficients(asked.clean, asked.corrupt, rule, asked.position)
        carried = Carried(frozen, node_outputs(frozen, asked.clean, asked.corrupt))
        output = ends.read_of(carried)[ends.source_row(Layout.of(asked.anatomy))]
        output = output[ends.source_position]
        ablated = asked.of(run_without_edge(asked.clean, ends, output))
        effects = {"predicted": predicted, "true": asked.value - ablated}
        how = "what the target reads of it set to zero"
        if asked.corrupt is not None and asked.corrupt_value is not None:
            how = "what the target reads of it replaced by the corrupt run's"
            back = asked.of(run_without_edge(asked.corrupt, ends, -output))
            effects["denoised"] = back - asked.corrupt_value
    params = {"how": how, "metric": asked.metric_name, "base": asked.value, "ablated": ablated}
    name = f"{source}>{target}/{kind}"
    return verification(name, f"Ablating {source} → {target}", effects, params)


def _weight(circuit: Circuit, edge: tuple[str, str, int]) -> float:
    source, target, kind = edge
    if source in circuit.node_id and target in circuit.node_id:
        found = np.flatnonzero(
            (circuit.edge_source == circuit.row(source))
            & (circuit.edge_target == circuit.row(target))
            & (circuit.edge_kind == kind)
        )
        if len(found):
            return float(circuit.edge_weight[found[0]])
    raise InputError(
        f"The circuit has no edge of kind {kind} from {source} to {target}.",
        "Choose one that is drawn.",
    )


def verification(
    name: str, title: str, effects: Mapping[str, float], params: dict[str, Any]
) -> Analysis:
    """Predicted and true effect as an analysis; ``true`` is the mean with ``denoised`` if given."""
    values = dict(effects)
    if "denoised" in values:
        values["noised"] = values["true"]
        values["true"] = (values["noised"] + values["denoised"]) / 2
        params = {**params, "how": f"{params['how']}; the effect is the mean with the reverse"}
    arrays = {key: Labelled(("one",), np.array([value])) for key, value in values.items()}
    return measured(f"verification/{name}", "verification", title, arrays, params)


def measured(
    name: str, kind: str, title: str, arrays: Mapping[str, Labelled], params: dict[str, Any]
) -> Analysis:
    """An analysis that was made now."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Analysis(name, kind, title, arrays, params, created)


def reproduced_share(
    model: Model,
    subject: Subject,
    node_ids: Collection[str],
    metric: LinearMetric | None = None,
    *,
    references: Sequence[Prompt] = (),
    job: Job | None = None,
) -> Analysis:
    """How much of the metric some nodes of a component graph reproduce alone, in one real run.

    Heads and MLPs that are not named are replaced: for a pair by the corrupt run's, else by
    their mean over ``references`` (all positions but the first), else by zero. Embeddings stay.
    ``params["share"]`` is the metric left, for a pair of its difference between the runs; None
    where there is nothing to share.
    """
    runs = AblatedRuns(model, subject, metric, job_or_default(job))
    how, values = _replacement(runs, references)
    kept = set(node_ids)
    ablated = runs.after(_patches(model, runs, kept, values))
    zero = runs.corrupt_base or 0.0
    share = (ablated - zero) / (runs.base - zero) if runs.base != zero else None
    nodes = [name for name in node_ids if name[0] in "LM"]
    params = {
        "share": share,
        "nodes": nodes,
        "how": how,
        "metric": runs.name,
        "base": runs.base,
        "ablated": ablated,
    }
    return measured("reproduced-share", "reproduced-share", "These nodes alone", {}, params)


def _replacement(
    runs: AblatedRuns, references: Sequence[Prompt]
) -> tuple[str, dict[str, NDArray[Any]]]:
    """What takes the place of a node, in words and as ``z`` and ``mlp_out`` by layer, position."""
    names = ("z", "mlp_out")
    if runs.corrupt is not None:
        values = {name: runs.corrupt.activation(name) for name in names}
        return "others replaced by their values in the corrupt run", values
    if references:
        means = runs.means(references)
        values = {name: np.repeat(means[name][:, None], runs.n_positions, axis=1) for name in names}
        return f"others replaced by their mean over {len(references)} prompts", values
    zeros = {name: np.zeros_like(runs.clean.activation(name)) for name in names}
    return "others set to zero", zeros


def _patches(
    model: Model, runs: AblatedRuns, kept: set[str], values: Mapping[str, NDArray[Any]]
) -> list[Patch]:
    n_layers, n_heads = model.identity.n_layers, model.identity.n_heads
    everywhere = range(runs.n_positions)
    patches = []
    for layer in range(n_layers):
        for head in range(n_heads):
            where = [p for p in everywhere if component_id(HEAD, layer, p, head) not in kept]
            if where:
                patches.append(Patch(Site("z", layer, head), values["z"][layer, :, head], where))
        where = [p for p in everywhere if component_id(MLP, layer, p) not in kept]
        if where:
            patches.append(Patch(Site("mlp_out", layer), values["mlp_out"][layer], where))
    return patches
