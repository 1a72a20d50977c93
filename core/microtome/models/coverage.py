"""Which sites and analyses a model has, said before anything is run on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.outline import Outline
from microtome.records.coverage import Coverage, Possible
from microtome.records.model import AS_THEY_ARE
from microtome.sites import SITES


@dataclass(frozen=True, slots=True)
class _Analysis:
    """A row: what an analysis needs. ``weights`` means the place of every weight."""

    name: str
    title: str
    sites: tuple[str, ...] = ()
    weights: bool = False
    lens: bool = False
    whole_mlps: bool = False


_ANALYSES = (
    _Analysis("predictions", "tokens, logits and predictions"),
    _Analysis("stream", "heat maps, feature space and patches of the residual stream",
              ("resid_pre", "resid_post")),
    _Analysis("branches", "what attention and MLP write", ("attn_out", "mlp_out")),
    _Analysis("lens", "logit lens", lens=True),
    _Analysis("attention", "attention patterns and head types", ("pattern",)),
    _Analysis("neurons", "neurons", ("mlp_post",)),
    _Analysis("direct", "direct logit attribution", weights=True),
    _Analysis("circuit", "circuit of a prompt", weights=True),
    _Analysis("pair", "circuit of a pair", weights=True, whole_mlps=True),
)  # fmt: skip

# Why a model of a known family lacks a site; the row of docs/families.md says the same.
_WHY_NOT = {
    "pos_embed": "positions are not embedded",
    "resid_mid": "attention and MLP both read the layer's input",
    "norm1": "no norm stands before attention",
    "norm1_scale": "no norm stands before attention",
    "norm2": "no norm of its own stands before the MLP",
    "norm2_scale": "no norm of its own stands before the MLP",
    "mlp_pre": "a mixture of experts is in the MLP's place",
    "mlp_post": "a mixture of experts is in the MLP's place",
    "router": "there are no experts",
    "final_norm": "no norm stands before the unembedding",
    "final_norm_scale": "no norm stands before the unembedding",
}
_NOT_FOUND = "its place in {} is not known"
_ONE_IMAGE = "a circuit of channels explains one image: name an answer and a wrong answer"
_PAIR = "between two prompts the router may choose other experts, which no linear map does"
# What a model that sees has of its units, where its weights' places are not known.
_OF_UNITS = {"circuit": "", "pair": _ONE_IMAGE}


def coverage(model: Model) -> Coverage:
    """What of a loaded model can be seen and changed, and what cannot, each with the reason."""
    expect_model(model)
    sites = tuple(
        Possible(name, kind.title, "" if name in model.ports else _why_not(model, name))
        for name, kind in SITES.items()
        if model.has_encoder or not kind.of_pair
    )
    row = model.family
    notes = row.notes if isinstance(row, Outline) else ()
    if model.identity.weights != AS_THEY_ARE:
        notes = (*notes, f"its weights are {model.identity.weights}")
    nets = model.sight is not None and not model.known
    title = row.title if model.sight is None else model.sight.title
    return Coverage(
        model.identity.name, title, model.known, sites, tuple(_analyses(model)), notes, nets
    )


def _why_not(model: Model, site: str) -> str:
    row, absent = model.family, _NOT_FOUND.format(model.family.title)
    if isinstance(row, Outline):
        return row.absent.get(site, absent)
    return _WHY_NOT.get(site, absent)


def _analyses(model: Model) -> Iterator[Possible]:
    row = model.family
    for needs in _ANALYSES:
        reason = next((_why_not(model, s) for s in needs.sites if s not in model.ports), "")
        if model.sight is not None and not model.whole and needs.name in _OF_UNITS:
            reason = _OF_UNITS[needs.name]
        elif needs.weights and not model.known:
            reason = f"where {row.title} keeps its heads, norms and MLPs is not known"
        elif needs.weights and not model.whole:
            reason = model.anatomy.leaves_out
        elif needs.lens and isinstance(row, Outline):
            reason = row.absent.get("lens", "")
        elif needs.whole_mlps and model.n_experts:
            reason = _PAIR
        yield Possible(needs.name, needs.title, reason)
