"""The model itself, run with some units replaced: what one unit does, and what a circuit keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from microtome.circuits.asking import Subject
from microtome.errors import InputError
from microtome.jobs import Job, job_or_default
from microtome.metrics import LinearMetric
from microtome.models.model import Model
from microtome.models.vision.sight import Sight
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis, Labelled
from microtome.records.circuit import UNIT_LAYERS, UNITS, Circuit
from microtome.records.units import Unit
from microtome.vision.circuit import Seen, circuit_layers

_TOGETHER = 32  # images in one run

# By layer, which units stay as they are, in each row of a batch.
Kept = Mapping[str, Bool[Tensor, "row unit"]]


@dataclass(frozen=True, slots=True)
class Replaced:
    """A change of a layer: units that are not kept have the reference's values.

    Where there is no ``reference`` they are zero.
    """

    kept: Bool[Tensor, "row unit"]
    reference: Float[Tensor, "one unit *place"] | None = None

    def __call__(self, values: Float[Tensor, "row unit *place"]) -> Tensor:
        """The values that the model goes on with."""
        kept = self.kept.reshape(*self.kept.shape, *[1] * (values.dim() - 2))
        other = torch.zeros_like(values) if self.reference is None else self.reference
        return torch.where(kept, values, other)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What takes the place of a unit, and how that is called."""

    how: str
    values: Mapping[str, Float[Tensor, "one unit *place"]]

    @classmethod
    def of(
        cls,
        sight: Sight,
        layers: Sequence[str],
        images: Sequence[ImageInput] = (),
        job: Job | None = None,
    ) -> Reference:
        """The mean of every unit at every place over images; zero without images."""
        if not images:
            return cls("set to zero", {})
        job = job_or_default(job)
        sums: dict[str, Tensor] = {}
        for start in range(0, len(images), _TOGETHER):
            job.check()
            some = images[start : start + _TOGETHER]
            with torch.inference_mode(), sight.reading(layers) as found:
                sight.logits(sight.pixels(some))
            for name, values in found.items():
                total = values.sum(0, keepdim=True)
                sums[name] = sums[name] + total if name in sums else total
        means = {name: total / len(images) for name, total in sums.items()}
        return cls(f"replaced by their mean over {len(images)} images", means)

    def changes(self, kept: Kept) -> dict[str, Replaced]:
        """What ``Sight.changing`` is given so that only some units stay."""
        return {name: Replaced(some, self.values.get(name)) for name, some in kept.items()}


def metric_with(seen: Seen, kept: Kept, reference: Reference) -> Float[np.ndarray, " row"]:
    """The metric when only some units stay, for each row of choices."""
    rows = max(len(some) for some in kept.values())
    values = []
    for start in range(0, rows, _TOGETHER):
        part = {name: some[start : start + _TOGETHER] for name, some in kept.items()}
        count = max(len(some) for some in part.values())
        with torch.inference_mode(), seen.sight.changing(reference.changes(part)):
            logits = seen.sight.logits(seen.pixels.expand(count, -1, -1, -1))
        values.append((logits @ seen.weights).double().cpu().numpy())
    return np.concatenate(values)


def kept_units(sight: Sight, layers: Sequence[str], units: Collection[Unit]) -> dict[str, Tensor]:
    """One row of choices: the named units of some layers stay, all others go."""
    kept = {name: torch.zeros(1, sight.layer(name).n_units, dtype=torch.bool) for name in layers}
    for unit in units:
        if unit.layer in kept:
            kept[unit.layer][0, sight.unit(unit).index] = True
    return kept


def unit_of(circuit: Circuit, node_id: str) -> Unit:
    """The unit that a node is.

    Raises InputError for a node that the circuit does not have, and for image and metric.
    """
    if node_id not in circuit.node_id:
        raise InputError(f"The circuit has no node {node_id}.", "Choose one that is drawn.")
    if circuit.node_kind[circuit.row(node_id)] not in UNITS:
        raise InputError(f"{node_id} is no unit.", "Ablate a unit between image and metric.")
    return Unit.parse(node_id)


def ablate_unit(
    model: Model,
    subject: Subject,
    circuit: Circuit,
    node_id: str,
    metric: LinearMetric | None = None,
    *,
    job: Job | None = None,
) -> Analysis:
    """The effect of one unit on the metric of an image: predicted by the circuit, and true.

    The model itself runs with the unit set to zero at all its places; ``true`` is the metric
    before minus after. Raises InputError for a node that is no unit of the circuit, and what
    ``channel_graph`` raises for what cannot be asked.
    """
    unit = unit_of(circuit, node_id)
    job_or_default(job).check()
    seen = Seen.of(model, subject, metric)
    kept = {unit.layer: torch.ones(1, seen.sight.layer(unit.layer).n_units, dtype=torch.bool)}
    kept[unit.layer][0, seen.sight.unit(unit).index] = False
    after = float(metric_with(seen, kept, Reference("set to zero", {}))[0])
    effects = {
        "predicted": float(circuit.node_score[circuit.row(node_id)]),
        "true": seen.value - after,
    }
    arrays = {key: Labelled(("one",), np.array([value])) for key, value in effects.items()}
    params = {"how": "set to zero", "metric": seen.name, "base": seen.value, "ablated": after}
    return _analysis(
        f"verification/{node_id}", "verification", f"Ablating {node_id}", arrays, params
    )


def channels_alone(
    model: Model,
    subject: Subject,
    node_ids: Collection[str],
    metric: LinearMetric | None = None,
    *,
    layers: Sequence[str] = (),
    references: Sequence[ImageInput] = (),
    job: Job | None = None,
) -> Analysis:
    """How much of the metric of an image some units reproduce alone, in one real run.

    All other units of ``layers`` (those of ``channel_graph`` where none are given) are replaced
    by their mean over ``references``, place by place, or by zero without any; ``params["how"]``
    says which. ``params["share"]`` is the metric left over the metric, None where that is zero.
    Ids that are no units, such as the image's, are passed over. Raises what ``channel_graph``
    raises, and SiteMissing for a layer or unit that the model does not have.
    """
    seen = Seen.of(model, subject, metric)
    layers = tuple(layers) or circuit_layers(seen.sight)
    named = [node for node in node_ids if "/" in node]
    reference = Reference.of(seen.sight, layers, references, job)
    kept = kept_units(seen.sight, layers, [Unit.parse(node) for node in named])
    left = float(metric_with(seen, kept, reference)[0])
    params = {
        "share": left / seen.value if seen.value else None,
        "nodes": named,
        "how": f"others {reference.how}",
        "metric": seen.name,
        "base": seen.value,
        "ablated": left,
    }
    return _analysis("reproduced-share", "reproduced-share", "These units alone", {}, params)


def layers_of(circuit: Circuit) -> tuple[str, ...]:
    """The layers whose units are nodes of a circuit of channels.

    Raises InputError for another circuit.
    """
    found = circuit.metadata.get(UNIT_LAYERS)
    if not found:
        raise InputError("The circuit is not one of channels.", "Make one with channel_graph.")
    return tuple(str(name) for name in found)


def _analysis(
    name: str, kind: str, title: str, arrays: Mapping[str, Labelled], params: dict[str, Any]
) -> Analysis:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Analysis(name, kind, title, arrays, params, created)
