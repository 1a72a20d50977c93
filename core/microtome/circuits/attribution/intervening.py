"""What becomes of an answer when features are changed: by the graph, or in the model itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.activations.capture import trace
from microtome.circuits.attribution.changes import (
    FeatureChange,
    FeatureEdit,
    differences,
    expect_changes,
    written_by,
)
from microtome.circuits.attribution.forward import carried
from microtome.circuits.attribution.graph import replaced_model
from microtome.circuits.attribution.replaced import Replaced
from microtome.errors import InputError, expect_count
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.operations import soft_cap
from microtome.models.small import small_on_one_thread
from microtome.prompts import Prompt
from microtome.records.trace import Trace
from microtome.sites import Site

MODES = ("frozen", "free")


@dataclass(frozen=True, slots=True, eq=False)
class FeatureIntervention:
    """A prompt without and with changes of features; rows are features active in either.

    ``before`` and ``after`` are activations: in the mode ``frozen`` what arrives at a feature
    that was active, which may be below 0. ``logits_before`` and ``logits_after`` are those behind
    the prompt; ``words`` are the most probable tokens of either.
    """

    mode: str
    changes: tuple[FeatureChange, ...]
    tokens: tuple[str, ...]
    layer: Int[np.ndarray, " feature"]
    position: Int[np.ndarray, " feature"]
    feature: Int[np.ndarray, " feature"]
    before: Float[np.ndarray, " feature"]
    after: Float[np.ndarray, " feature"]
    logits_before: Float[np.ndarray, " vocabulary"]
    logits_after: Float[np.ndarray, " vocabulary"]
    words: tuple[tuple[int, str], ...]

    @property
    def predictions(self) -> tuple[tuple[str, float, float], ...]:
        """Each word with its probability before and after."""
        before, after = _softmax(self.logits_before), _softmax(self.logits_after)
        return tuple((text, float(before[id_]), float(after[id_])) for id_, text in self.words)


def _softmax(logits: Float[np.ndarray, " vocabulary"]) -> Float[np.ndarray, " vocabulary"]:
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(powers / powers.sum())


@small_on_one_thread
def feature_intervention(
    model: Model,
    transcoders: Transcoders,
    prompt: Prompt,
    changes: Sequence[FeatureChange],
    *,
    mode: str = "frozen",
    top_k: int = 10,
    job: Job | None = None,
) -> FeatureIntervention:
    """What features and predictions become when some features are ablated, scaled, set or steered.

    ``frozen`` holds attention patterns, norm scales and all other features and errors as they
    were: direct effects alone, each feature and logit moves by exactly what the edges of
    ``attribution_graph`` say. ``free`` runs the model with the changes (``FeatureEdit``), and
    everything behind them is computed anew; there a change is one of the activation that the run
    has at that point. Several changes act together: they are a supernode.
    Raises what ``attribution_graph`` raises, EditError for features or positions that are not
    there, InputError for another mode.
    """
    expect_model(model)
    job = job_or_default(job)
    if mode not in MODES:
        raise InputError(f"There is no mode {mode!r}.", f"Choose {' or '.join(MODES)}.")
    expect_count(top_k, "top_k")
    with torch.no_grad():
        tokens, held = replaced_model(model, transcoders, prompt, job)
        expect_changes(transcoders, changes)
        changes = tuple(changes)
        if mode == "frozen":
            columns = _frozen(held, changes)
        else:
            columns = _free(model, transcoders, prompt, changes, job)
    top = min(top_k, len(columns["logits_before"]))
    ids = [np.argsort(-columns[name])[:top].tolist() for name in ("logits_before", "logits_after")]
    words = tuple((id_, model.token_text(id_)) for id_ in dict.fromkeys([*ids[0], *ids[1]]))
    return FeatureIntervention(mode, changes, tuple(tokens.texts), **columns, words=words)


_Codes = list[Float[Tensor, "position feature"]]


def _frozen(held: Replaced, changes: tuple[FeatureChange, ...]) -> dict[str, Any]:
    """Direct effects, carried upward through the frozen model."""
    before, added = _codes(held), {}
    for layer, codes in enumerate(before):
        own = [change for change in changes if change.layer == layer]
        if own:
            added[layer] = differences(own, codes, held.transcoders.silent)
    arriving = carried(held.frozen, torch.zeros_like(held.run.embedding), _written(held, added))
    after = []
    for layer, (codes, one) in enumerate(zip(before, held.features, strict=True)):
        read = arriving.reads[layer][one.position]
        moved = codes.clone()
        direct = torch.einsum("fd,fd->f", held.reading(layer)[0], read)
        moved[one.position, one.number] += direct
        for feature, amount in added.get(layer, {}).items():
            moved[:, feature] = torch.where(
                amount != 0, codes[:, feature] + amount, moved[:, feature]
            )
        after.append(moved)
    raw, cap = held.run.raw_logits(held.frozen.position), held.frozen.anatomy.soft_cap
    ends = soft_cap(raw, cap), soft_cap(raw + _moved_logits(held, arriving.final), cap)
    return _columns(before, after, *ends)


def _codes(held: Replaced) -> _Codes:
    """Codes of all features, active or not."""
    found = []
    for one, dictionary in zip(held.features, held.dictionaries, strict=True):
        codes = held.run.embedding.new_zeros(held.n_positions, dictionary.d_sae)
        codes[one.position, one.number] = one.activation
        found.append(codes)
    return found


def _written(held: Replaced, added: dict[int, dict[int, Tensor]]) -> dict[int, Tensor]:
    """What changed codes add to MLP outputs, by layer."""
    written: dict[int, Tensor] = {}
    for layer, some in added.items():
        for to in range(layer, held.n_layers if held.transcoders.crosses else layer + 1):
            own = written_by(held.transcoders, layer, to, some)
            written[to] = written[to] + own if to in written else own
    return written


def _moved_logits(
    held: Replaced, stream: Float[Tensor, "position d_model"]
) -> Float[Tensor, " vocabulary"]:
    """What a change of the last stream adds to the logits."""
    frozen, at = held.frozen, held.frozen.position
    behind = frozen.final.at(slice(at, at + 1)).apply(stream[at : at + 1])
    return frozen.transform.apply(behind)[0] @ frozen.anatomy.unembedding.T


def _free(
    model: Model,
    transcoders: Transcoders,
    prompt: Prompt,
    changes: tuple[FeatureChange, ...],
    job: Job,
) -> dict[str, Any]:
    """Two runs of the model itself."""
    sites = [Site.of(one.identity.reads) for one in transcoders.layers]
    edit = FeatureEdit(transcoders, changes)
    runs = [trace(model, prompt, sites=sites, edits=edits, job=job) for edits in ((), (edit,))]
    before, after = ([_encoded(transcoders, run, site) for site in sites] for run in runs)
    for layer, codes in enumerate(after):
        own = [change for change in changes if change.layer == layer]
        for feature, amount in differences(own, codes, transcoders.silent).items():
            codes[:, feature] += amount
    ends = [torch.from_numpy(np.asarray(run.logits[-1])) for run in runs]  # type: ignore[index]
    return _columns(before, after, *ends)


def _encoded(transcoders: Transcoders, run: Trace, site: Site) -> Float[Tensor, "position feature"]:
    read = torch.from_numpy(np.asarray(run.activation(site)))
    layer = site.layer or 0
    return transcoders.encode(layer, read.to(transcoders.layers[layer].weights.w_dec)).float()


def _columns(before: _Codes, after: _Codes, end: Tensor, other_end: Tensor) -> dict[str, Any]:
    rows = []
    for layer, (one, other) in enumerate(zip(before, after, strict=True)):
        position, feature = ((one != 0) | (other != 0)).nonzero(as_tuple=True)
        values = one[position, feature], other[position, feature]
        rows.append((torch.full_like(position, layer), position, feature, *values))
    names = ("layer", "position", "feature", "before", "after")
    columns = zip(names, zip(*rows, strict=True), strict=True)
    joined = {name: torch.cat(parts).cpu().numpy() for name, parts in columns}
    ends = {"logits_before": end.cpu().numpy(), "logits_after": other_end.cpu().numpy()}
    return joined | ends
