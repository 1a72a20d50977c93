"""Directions to steer along: differences of means, principal components, rows of the unembedding.

Each is float64 with the axes of a site's vector, which is what ``Steer`` takes: [d_model];
[d_head] where the site names a head, [head, d_head] where it names none; with a layer in front
where a site of a layer names none. Their lengths are as they come; ``unit`` makes them 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from microtome.activations.principal import Axes, Covariance
from microtome.errors import EditError
from microtome.interventions.measured import Measured, mean_of, remembered, rows_of
from microtome.interventions.regions import axes_of, frozen_positions, position_axis_of
from microtome.jobs import Job, job_or_default
from microtome.metrics import Word
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.prompts import ImageInput, Prompt, as_prompt
from microtome.records.edits import DirectionSpec
from microtome.sites import Site

Prompts = Sequence[Prompt | Sequence[int]]


def difference_of_means(
    model: Model,
    site: Site | str,
    prompts: Prompts,
    others: Prompts,
    *,
    positions: Sequence[int] | None = None,
    job: Job | None = None,
) -> Float[np.ndarray, "*axes"]:
    """The mean of a site over ``prompts`` minus its mean over ``others``.

    Means are over all positions of all prompts, or over ``positions`` of each: [-1] for the
    last token alone.
    Raises EditError where there are no prompts, or where both means are the same.
    Source: Marks and Tegmark, "The geometry of truth" (2023); Rimsky et al., "Steering Llama 2
    via contrastive activation addition" (2023).
    """
    place, job = _place(model, site), job_or_default(job)
    at = frozen_positions(positions)
    one, other = (mean_of(model, place, _listed(side), job, at) for side in (prompts, others))
    axis = position_axis_of(place)
    difference = _stacked(place, {row: (one[row] - other[row]).squeeze(axis) for row in one})
    if not difference.any():
        raise EditError(
            f"Both sets of prompts have the same mean at {place}, so that there is no direction.",
            "Give prompts that differ in what is looked for.",
        )
    return difference


def principal_direction(
    model: Model,
    site: Site | str,
    prompts: Prompts,
    component: int = 0,
    *,
    positions: Sequence[int] | None = None,
    job: Job | None = None,
) -> Float[np.ndarray, "*axes"]:
    """A principal axis of a site over all positions of all prompts, 0 the one of most variance.

    It has length 1; its sign is that of ``microtome.activations.principal.SIGN_RULE``.
    Raises EditError for a component that the activations do not have, and for a site with heads
    that names none.
    """
    place, job = _place(model, site), job_or_default(job)
    if len(axes_of(place)) != 2:
        raise EditError(
            f"The site {place} does not hold one vector at each position.",
            "Name a head, for example z.2.1, or choose for example resid_post.2.",
        )
    rows = rows_of(model, place, _listed(prompts), job, frozen_positions(positions))
    return _stacked(place, {layer: _axis(held, component) for layer, held in rows.items()})


def _axis(rows: Sequence[NDArray[np.float64]], component: int) -> NDArray[np.float64]:
    count, width = sum(map(len, rows)), rows[0].shape[1]
    most = min(count - 1, width)
    axes = _axes(rows, component + 1) if 0 <= component < most else None
    if axes is None or axes.explained_variance[component] <= 0:
        raise EditError(
            f"There is no component {component} of {count} activations of {width} numbers.",
            f"Components are counted from 0; at most {max(0, most)} exist. Give more prompts.",
        )
    found: NDArray[np.float64] = axes.components[component]
    return found


def _axes(rows: Sequence[NDArray[np.float64]], components: int) -> Axes:
    covariance = Covariance(rows[0].shape[1])
    covariance.add(np.concatenate(rows))
    return covariance.axes(components)


def unembedding_direction(
    model: Model, token: Word, other: Word | None = None
) -> Float[np.ndarray, " d_model"]:
    """The row of the unembedding for a token or word, minus that of another if there is one.

    It is a direction of the residual stream after the last layer. Nothing is done about the
    final norm: neither its weights nor its centring are folded in, so that adding the row raises
    the logit by somewhat more or less than the product of both. A matrix between norm and
    unembedding is taken back into the stream.
    Raises AnswerError for a word that is not one token, EditError where what stands between the
    stream and the logits is no matrix, and for a token minus itself.
    """
    expect_model(model)
    anatomy = model.anatomy
    ids = [model.answer_token(word) for word in (token, other) if word is not None]
    rows = anatomy.unembedding[ids].cpu().double()  # MPS has no float64
    direction = rows[0]
    if len(ids) == 2:
        direction = direction - rows[1]
    between = anatomy.transform
    if between is not None:
        if between.activation is not None or between.norm is not None:
            raise EditError(
                f"Between the residual stream and the logits of {model.identity.name} stands more "
                "than a norm and a matrix, so that no row is a direction of the stream.",
                "Take a difference of means or a principal component.",
            )
        direction = direction @ between.weight.cpu().double()
    found: NDArray[np.float64] = direction.numpy()
    if not found.any():
        raise EditError(
            "The direction of the unembedding has the length 0.", "Give two different words."
        )
    return found


def unit(direction: Float[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
    """The direction at length 1; each head's and each layer's by itself.

    Raises EditError for a direction of length 0.
    """
    length = np.linalg.norm(direction, axis=-1, keepdims=True)
    if not length.any():
        raise EditError("The direction has the length 0.", "Give one that points somewhere.")
    return np.asarray(direction / np.where(length > 0, length, 1.0))


def mean_norm(
    model: Model, site: Site | str, prompts: Prompts, *, job: Job | None = None
) -> Float[np.ndarray, "*layer_head"]:
    """The mean length of a site's vectors over all positions of some prompts.

    One number where the site names layer and head; axes for those that it leaves open.
    """
    place, job = _place(model, site), job_or_default(job)
    listed = _listed(prompts)

    def measure() -> NDArray[np.float64]:
        rows = rows_of(model, place, listed, job)
        axis = position_axis_of(place)
        means = {
            layer: np.concatenate([np.linalg.norm(part, axis=-1) for part in held], axis).mean(axis)
            for layer, held in rows.items()
        }
        return _stacked(place, {layer: np.asarray(mean) for layer, mean in means.items()})

    return remembered(model, ("mean norm", place, listed), measure)


def direction_of(
    model: Model, site: Site | str, spec: DirectionSpec, *, job: Job | None = None
) -> Float[np.ndarray, "*axes"]:
    """The direction that a user wrote down, at length 1 if it says so.

    Raises EditError, or AnswerError for a token that is not there.
    """
    place, job = _place(model, site), job_or_default(job)
    found = remembered(
        model, ("direction", place, spec), lambda: _KINDS[spec.kind](model, place, spec, job)
    )
    return unit(found) if spec.unit else found


def _difference(model: Model, site: Site, spec: DirectionSpec, job: Job) -> NDArray[Any]:
    at = spec.positions
    return difference_of_means(model, site, spec.prompts, spec.others, positions=at, job=job)


def _component(model: Model, site: Site, spec: DirectionSpec, job: Job) -> NDArray[Any]:
    at = spec.positions
    return principal_direction(model, site, spec.prompts, spec.component, positions=at, job=job)


def _unembedding(model: Model, _site: Site, spec: DirectionSpec, _job: Job) -> NDArray[Any]:
    if spec.token is None:
        raise EditError("A direction of the unembedding needs a token.", "Name a word.")
    return unembedding_direction(model, spec.token, spec.other)


def _given(_model: Model, _site: Site, spec: DirectionSpec, _job: Job) -> NDArray[Any]:
    return np.array(spec.values)


# A further kind of direction, as a feature of a dictionary, is a further row.
_KINDS: dict[str, Callable[[Model, Site, DirectionSpec, Job], NDArray[Any]]] = {
    "difference": _difference,
    "component": _component,
    "unembedding": _unembedding,
    "values": _given,
}


def _place(model: Model, site: Site | str) -> Site:
    expect_model(model)
    return Site.of(site)


def _listed(prompts: Prompts) -> tuple[Prompt, ...]:
    if isinstance(prompts, str | ImageInput) or not len(prompts):
        raise EditError("A direction from prompts needs a list of them.", "Give them as […].")
    return tuple(as_prompt(prompt) for prompt in prompts)


def _stacked(site: Site, found: Measured) -> NDArray[np.float64]:
    """With a layer axis where the site leaves the layer open."""
    if site.kind.per_layer and site.layer is None:
        return np.stack(list(found.values()))
    return next(iter(found.values()))
