"""From edits as the user wrote them down to edits that a run takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from microtome.activations.capture import Edit
from microtome.errors import EditError
from microtome.interventions.ablate import Ablate
from microtome.interventions.directions import direction_of
from microtome.interventions.patch import Patch
from microtome.interventions.steer import Steer
from microtome.interventions.units import OneUnit
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.records.edit_texts import describe, direction_text
from microtome.records.edits import ABLATIONS, STEERS, EditSpec

__all__ = ["describe", "edit_of", "edits_of"]


def edits_of(
    model: Model, specs: Sequence[EditSpec], *, job: Job | None = None
) -> tuple[Edit, ...]:
    """The edits that are on, in order, their directions found by running what prompts they need.

    Raises EditError for one that lacks its prompts or direction, SiteMissing for a site that the
    model does not have.
    """
    expect_model(model)
    job = job_or_default(job)
    return tuple(edit_of(model, spec, job) for spec in specs if spec.on)


def edit_of(model: Model, spec: EditSpec, job: Job) -> Edit:
    """One edit, whether it is on or not."""
    edit = _KINDS[spec.action](model, spec, job)
    return edit if spec.neuron is None else OneUnit(edit, spec.neuron)


def _ablate(_model: Model, spec: EditSpec, _job: Job) -> Edit:
    over = () if spec.action == "zero" else spec.prompts
    return Ablate(spec.site, spec.action, over, spec.positions, spec.seed)


def _patch(_model: Model, spec: EditSpec, _job: Job) -> Edit:
    if len(spec.prompts) != 1:
        raise EditError(
            f"The patch of {spec.site} needs one prompt to take values from, not "
            f"{len(spec.prompts)}.",
            "Give the prompt, for example the corrupt one.",
        )
    return Patch.from_prompt(
        spec.site, spec.prompts[0], spec.positions, spec.from_positions, spec.from_layer
    )


def _steer(model: Model, spec: EditSpec, job: Job) -> Edit:
    if spec.direction is None:
        raise EditError(
            f"Steering {spec.site} needs a direction.",
            "Choose a difference of means, a component, a word, or give numbers.",
        )
    return Steer(
        spec.site,
        direction_of(model, spec.site, spec.direction, job=job),
        spec.strength,
        spec.positions,
        project_out=spec.action == "project out",
        named=direction_text(spec.direction, model),
    )


_KINDS: dict[str, Callable[[Model, EditSpec, Job], Edit]] = {
    **dict.fromkeys(ABLATIONS, _ablate),
    "patch": _patch,
    **dict.fromkeys(STEERS, _steer),
}
