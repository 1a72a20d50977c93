"""Attribution graphs: which features of transcoders carry an answer, and what they come from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from microtome.circuits.attribution.assembling import Found, assembled
from microtome.circuits.attribution.changed import changed_run, with_changes
from microtome.circuits.attribution.changes import FeatureChange, expect_changes
from microtome.circuits.attribution.explore import explored
from microtome.circuits.attribution.forward import constants_of
from microtome.circuits.attribution.reading import expect_transcoders
from microtome.circuits.attribution.replaced import Replaced, replaced
from microtome.circuits.attribution.rows import Rows
from microtome.circuits.attribution.targets import Logits, likely
from microtome.circuits.formats.rows import SIGN
from microtome.errors import InputError, ModelError, expect
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job, job_or_default
from microtome.models.arithmetic import anatomy_in
from microtome.models.given import expect_known, expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.models.tokens import Tokens
from microtome.prompts import Prompt, as_prompt
from microtome.records.circuit import Circuit
from microtome.records.feature_edit import GRAPH_METHOD
from microtome.records.made import Made

MAX_FEATURE_NODES = 7_500  # of circuit-tracer's command line
DEFAULT_BUDGET = 2 << 30
_FEW_EDGES = 300_000  # that a partial result is made of


@small_on_one_thread
def attribution_graph(  # noqa: PLR0913  the settings are named one by one
    model: Model,
    transcoders: Transcoders,
    prompt: Prompt,
    *,
    max_feature_nodes: int = MAX_FEATURE_NODES,
    probability: float = 0.95,
    max_logits: int = 10,
    changes: Sequence[FeatureChange] = (),
    budget: int | None = None,
    job: Job | None = None,
) -> Circuit:
    """The features that carry a model's answer to a prompt, and the direct effects between them.

    Nodes are active features of the transcoders, what these miss of each MLP's output (errors),
    tokens, and the fewest logits that together reach ``probability``, at most ``max_logits``;
    a logit counts beyond the mean of all. With attention patterns and norm scales held as they
    were, an edge is what its source adds to its target's activation, or to its logit before a
    soft cap. A feature's ``node_score`` is its activation and a logit's its value; in-edges and
    ``node_bias`` sum to it. Of more than ``max_feature_nodes`` features those with most influence
    are nodes, and what others add is in ``node_bias``. All is computed in float32.
    With ``changes`` it is the graph of the run in which these act and all behind them is computed
    anew; a changed feature comes from nothing, as it was set.
    ``prune_by_influence`` chooses what to look at. The metadata hold ``replacement_score``,
    ``completeness_score`` and ``unexplored`` (0 to 1; None where nothing flows). ``budget`` is
    for direct effects and the walks that find them, in bytes.
    The job is handed ``attribution``, the graph so far, when features are chosen in rounds.
    Raises DictionaryMismatch or DictionaryError for transcoders that do not fit, PromptError,
    MemoryExceeded before the walk, ModelError for a model that attends in both directions.
    Source: Ameisen et al., "Circuit Tracing" (2025).
    """
    job = job_or_default(job)
    started = time.perf_counter()
    budget = DEFAULT_BUDGET if budget is None else budget
    expect_settings(max_feature_nodes, probability, max_logits, budget)
    with torch.no_grad():
        tokens, held = replaced_model(model, transcoders, prompt, job, changes)
        logits = likely(held.run, held.frozen.position, probability, max_logits)
        making = _Making(model, transcoders, tokens, held, logits)
        most = max_feature_nodes
        rows = explored(held, logits, most, budget, job, making.part_to(job))
        circuit = making.circuit(rows, job)
    settings = {
        "max_feature_nodes": max_feature_nodes, "probability": probability,
        "max_logits": max_logits, "changes": [str(change) for change in changes],
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    told = circuit.metadata | settings
    return replace(circuit, metadata=told, made=Made.on(model.identity))


def replaced_model(
    model: Model,
    transcoders: Transcoders,
    prompt: Prompt,
    job: Job,
    changes: Sequence[FeatureChange] = (),
) -> tuple[Tokens, Replaced]:
    """The prompt's tokens, and its run in float32 with transcoders in the place of MLPs.

    Raises what ``attribution_graph`` raises for a model, transcoders or a prompt.
    """
    expect_model(model)
    expect_known(model, "A graph of features")
    if model.in_place:
        raise ModelError(
            f"{model.identity.name} attends in both directions; a graph of features is made for "
            "models that predict the next token.",
            "Its circuit of heads and MLPs can be had with component_graph.",
        )
    expect_transcoders(model, transcoders)
    tokens = model.tokenize(as_prompt(prompt))
    anatomy = anatomy_in(model.anatomy, torch.float32)
    expect_changes(transcoders, changes)
    acting, ids = tuple(changes), torch.as_tensor(tokens.ids)
    ran = changed_run(anatomy, ids, transcoders, acting, job)
    return tokens, with_changes(replaced(ran, transcoders, len(tokens) - 1, job), acting)


def expect_settings(features: int, probability: float, logits: int, budget: int) -> None:
    """Raise InputError for settings that make no graph, WrongKind for another type."""
    expect(features, int, "max_feature_nodes", "a whole number", "Write for example 7500.")
    expect(logits, int, "max_logits", "a whole number", "Write for example 10.")
    expect(probability, (int, float), "probability", "a number", "Write for example 0.95.")
    expect(budget, int, "budget", "a number of bytes", "Write for example 1 << 30.")
    if features < 1:
        raise InputError(
            f"A graph of {features} features was asked for.", "Ask for one feature or more."
        )
    if not 0 < probability <= 1 or logits < 1:
        raise InputError(
            f"{logits} logits and a probability of {probability} make no graph.",
            "Ask for one logit or more, and a probability over 0 and up to 1.",
        )


class _Making:
    """One graph while its rows are found."""

    def __init__(
        self,
        model: Model,
        transcoders: Transcoders,
        tokens: Tokens,
        held: Replaced,
        logits: Logits,
    ) -> None:
        self._tokens, self._held, self._logits = tokens, held, logits
        self._constants = constants_of(held, logits.words)
        self._constants = replace(self._constants, logits=self._constants.logits + logits.bias)
        self._words = tuple(model.token_text(token) for token in logits.ids.tolist())
        self._told = _told(model, transcoders, tokens, held)

    def part_to(self, job: Job) -> Any:
        """Hands the graph so far to a job that listens, while it is small."""

        def found(rows: Rows) -> None:
            if job.hears_partials and rows.n_bytes <= 4 * _FEW_EDGES:
                job.partial("attribution", self.circuit(rows, job))

        return found

    def circuit(self, rows: Rows, job: Job) -> Circuit:
        """The graph of the rows so far."""
        texts = tuple(self._tokens.texts)
        made = assembled(
            Found(self._held, self._logits, rows, self._constants, texts, self._words), job.check
        )
        best = made.node_label[-len(self._words)]
        nodes = int((rows.walked | rows.features.given).sum())
        told = {"metric": best, "features": nodes, "notes": _notes(self._held, nodes)}
        return replace(made, metadata={**self._told, **made.metadata, **told})


def _told(model: Model, transcoders: Transcoders, tokens: Tokens, held: Replaced) -> dict[str, Any]:
    return {
        "method": GRAPH_METHOD,
        "model": model.identity.name,
        "prompt": tokens.prompt,
        "tokens": list(tokens.texts),
        "token_ids": [int(token) for token in tokens.ids],
        "position": held.frozen.position,
        "n_layers": held.n_layers,
        "transcoders": transcoders.name,
        "transcoders_fingerprint": transcoders.layers[0].identity.fingerprint,
        "transcoders_fingerprints": [one.identity.fingerprint for one in transcoders.layers],
        "architecture": transcoders.layers[0].architecture,
        "crosses": transcoders.crosses,
        "active_features": held.n_features,
        "sign": SIGN,
        "cyclic": False,
    }


def _notes(held: Replaced, nodes: int) -> list[str]:
    notes = ["Attention patterns and norm scales are frozen; errors are constants."]
    if nodes < held.n_features:
        notes.append(
            f"{nodes:,} of {held.n_features:,} active features are nodes; what others add is in "
            "the biases."
        )
    if held.run.anatomy.soft_cap is not None:
        notes.append("Logits are those before the soft cap.")
    return notes
