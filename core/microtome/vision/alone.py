"""The model itself, run with some units replaced: what one unit does, and what a circuit keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from microtome.circuits.asking import Subject
from microtome.circuits.verify import measured, verification
from microtome.errors import InputError
from microtome.jobs import Job
from microtome.metrics import LinearMetric
from microtome.models.model import Model
from microtome.models.vision.sight import Sight
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis
from microtome.records.circuit import UNIT_LAYERS, UNITS, Circuit
from microtome.records.units import Unit
from microtome.vision.circuit import Seen, circuit_layers
from microtome.vision.frozen import Checked

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
            return ZERO
        sums: dict[str, Tensor] = {}
        for start in range(0, len(images), _TOGETHER):
            some = images[start : start + _TOGETHER]
            for name, values in values_of(sight, layers, sight.pixels(some), job).items():
                total = values.sum(0, keepdim=True)
                sums[name] = sums[name] + total if name in sums else total
        means = {name: total / len(images) for name, total in sums.items()}
        return cls(f"replaced by their mean over {len(images)} images", means)

    @classmethod
    def for_seen(
        cls,
        seen: Seen,
        layers: Sequence[str],
        images: Sequence[ImageInput] = (),
        job: Job | None = None,
    ) -> Reference:
        """The other image's values of a pair; without one, ``of`` images."""
        if seen.corrupt_pixels is None:
            return cls.of(seen.sight, layers, images, job)
        return cls(_CORRUPT, values_of(seen.sight, layers, seen.corrupt_pixels, job))

    def changes(self, kept: Kept) -> dict[str, Replaced]:
        """What ``Sight.changing`` is given so that only some units stay."""
        return {name: Replaced(some, self.values.get(name)) for name, some in kept.items()}


_CORRUPT = "replaced by their values on the corrupt image"
ZERO = Reference("set to zero", {})


def values_of(
    sight: Sight,
    layers: Sequence[str],
    pixels: Float[Tensor, "image channel row column"],
    job: Job | None = None,
) -> dict[str, Tensor]:
    """What every unit of layers is on images: [image, unit, place…]."""
    with torch.inference_mode(), sight.reading(layers) as found, Checked(job):
        sight.logits(pixels)
    return found


def metric_with(
    seen: Seen,
    kept: Kept,
    reference: Reference,
    pixels: Float[Tensor, "one channel height width"] | None = None,
    job: Job | None = None,
) -> Float[np.ndarray, " row"]:
    """The metric when only some units stay, for each row of choices; of the image, or others."""
    pixels = seen.pixels if pixels is None else pixels
    rows = max(len(some) for some in kept.values())
    values = []
    for start in range(0, rows, _TOGETHER):
        part = {name: some[start : start + _TOGETHER] for name, some in kept.items()}
        count = max(len(some) for some in part.values())
        changed = seen.sight.changing(reference.changes(part))
        with torch.inference_mode(), changed, Checked(job):
            logits = seen.sight.logits(pixels.expand(count, -1, -1, -1))
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
    before minus after. For a pair ``noised`` is the effect of the corrupt image's values in the
    clean run, ``denoised`` that of the clean ones in the corrupt run, and ``true`` the mean of the
    two. Raises InputError for a node that is no unit of the circuit, and what ``channel_graph``
    raises for what cannot be asked.
    """
    unit = unit_of(circuit, node_id)
    seen = Seen.of(model, subject, metric, job)
    kept = {unit.layer: torch.ones(1, seen.sight.layer(unit.layer).n_units, dtype=torch.bool)}
    kept[unit.layer][0, seen.sight.unit(unit).index] = False
    reference = Reference.for_seen(seen, [unit.layer], job=job)
    after = float(metric_with(seen, kept, reference, job=job)[0])
    effects = {
        "predicted": float(circuit.node_score[circuit.row(node_id)]),
        "true": seen.value - after,
    }
    how = reference.how
    if seen.corrupt_pixels is not None and seen.corrupt_value is not None:
        how = "replaced by its values on the corrupt image"
        clean = Reference(how, values_of(seen.sight, [unit.layer], seen.pixels, job))
        back = float(metric_with(seen, kept, clean, seen.corrupt_pixels, job)[0])
        effects["denoised"] = back - seen.corrupt_value
    params = {"how": how, "metric": seen.name, "base": seen.value, "ablated": after}
    return verification(node_id, f"Ablating {node_id}", effects, params)


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

    All other units of ``layers`` (those of ``channel_graph`` where none are given) are replaced:
    for a pair by the corrupt image's values, else place by place by their mean over
    ``references``, or by zero without any; ``params["how"]`` says which. ``params["share"]`` is
    the metric left over the metric, for a pair of its difference between the images; None where
    there is nothing to share.
    Ids that are no units, such as the image's, are passed over. Raises what ``channel_graph``
    raises, and SiteMissing for a layer or unit that the model does not have.
    """
    seen = Seen.of(model, subject, metric, job)
    layers = tuple(layers) or circuit_layers(seen.sight)
    named = [node for node in node_ids if "/" in node]
    reference = Reference.for_seen(seen, layers, references, job)
    kept = kept_units(seen.sight, layers, [Unit.parse(node) for node in named])
    left, whole = float(metric_with(seen, kept, reference, job=job)[0]), seen.explained
    params = {
        "share": (left - seen.value + whole) / whole if whole else None,
        "nodes": named,
        "how": f"others {reference.how}",
        "metric": seen.name,
        "base": seen.value,
        "ablated": left,
    }
    return measured("reproduced-share", "reproduced-share", "These units alone", {}, params)


def layers_of(circuit: Circuit) -> tuple[str, ...]:
    """The layers whose units are nodes of a circuit of channels.

    Raises InputError for another circuit.
    """
    found = circuit.metadata.get(UNIT_LAYERS)
    if not found:
        raise InputError("The circuit is not one of channels.", "Make one with channel_graph.")
    return tuple(str(name) for name in found)
