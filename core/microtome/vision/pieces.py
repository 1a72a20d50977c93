"""A frozen run, cut at every layer of units: what each piece makes of those before.

In front of a cut stands what the module makes (``made``), behind it the same values as the next
pieces read them (``read``), so that a gradient from the one to the other follows direct paths
alone: those through no other unit. What is explained is how the values differ from ``other`` ones:
those of the other image of a pair, or zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.errors import UnknownArchitecture
from microtome.jobs import Job
from microtome.models.vision.sight import Sight
from microtome.records.circuit import IMAGE
from microtome.vision.edges import Way, rows
from microtome.vision.frozen import Checked, Frozen

_EXACT = 1e-4  # of the largest score: more is no rounding

Values = Float[Tensor, "one unit *place"]


@dataclass(slots=True)
class _Cut:
    """A change of a layer that ends one piece and begins the next."""

    name: str
    pieces: Pieces

    def __call__(self, values: Values) -> Tensor:
        ways = self.pieces.frozen.ways
        self.pieces.told(len(self.pieces.made))
        self.pieces.made[self.name], self.pieces.ways[self.name] = values, ways.of(values)
        read = self.pieces.read[self.name] = values.detach().clone().requires_grad_()
        # A copy goes on, so that the module may add to it in place.
        return ways.begin(read.clone(), self.name, self.pieces.change(self.name))


@dataclass(frozen=True, slots=True)
class _Given:
    """A change that writes down what a layer would be, and goes on with values of its own."""

    name: str
    given: Tensor
    found: dict[str, Tensor]

    def __call__(self, values: Values) -> Tensor:
        self.found[self.name] = values
        return self.given


@dataclass(slots=True, eq=False)
class Pieces:
    """The pieces of a run, with what every value is worth to a metric.

    ``layers`` are those that the run met, in its order; ``ways[layer]`` are its short cuts.
    ``other[layer]`` [one, unit, place…] are the values of the pair's other image, zeros without
    one, and ``other_value`` its metric. ``worth[layer]``, of the same shape, is the gradient of
    the metric by all ways. ``constants[layer]`` is by how much a layer would differ from the
    other values if all that it reads were those; ``constant`` the same of the metric.
    """

    sight: Sight
    weights: Float[Tensor, " class"]
    frozen: Frozen = field(default_factory=Frozen)
    count: int = 0  # of layers that it is cut at, as far as is known before
    layers: list[str] = field(default_factory=list)
    other: dict[str, Tensor] = field(default_factory=dict)
    other_value: float = 0.0
    made: dict[str, Tensor] = field(default_factory=dict)
    ways: dict[str, tuple[Way, ...] | None] = field(default_factory=dict)
    read: dict[str, Tensor] = field(default_factory=dict)
    worth: dict[str, Tensor] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)
    metric: Tensor = field(default_factory=lambda: torch.zeros(()))
    constant: float = 0.0

    @classmethod
    def of(
        cls,
        sight: Sight,
        pixels: Float[Tensor, "one channel row column"],
        weights: Float[Tensor, " class"],
        names: Sequence[str],
        other: Float[Tensor, "one channel row column"] | None = None,
        job: Job | None = None,
    ) -> Pieces:
        """Run an image once and freeze it, cut at the layers of these names.

        ``other`` are the pixels of the pair's other image, through whose run the frozen steps go.
        Raises UnknownArchitecture for a module whose steps cannot be frozen, and Cancelled.
        """
        pieces = cls(sight, weights, Frozen(job), len(names))
        pieces.read[IMAGE] = pixels.detach().clone().requires_grad_()
        if other is not None:
            pieces._note(other, names)
        with torch.inference_mode(), Checked(job):
            plain = float(sight.logits(pixels)[0] @ weights)
        cuts = {name: _Cut(name, pieces) for name in names}
        image, change = pieces.read[IMAGE], pieces.change(IMAGE)
        with torch.enable_grad(), sight.changing(cuts), pieces.frozen.record():
            logits = sight.logits(pieces.frozen.ways.begin(image, IMAGE, change))
        pieces.layers = list(pieces.made)
        pieces.metric = logits[0] @ weights
        pieces._weigh()
        found, value = pieces.replayed({})
        pieces.constants = {name: found[name] - pieces.start(name) for name in pieces.layers}
        pieces.constant = value - pieces.other_value
        pieces._expect_affine(plain)
        return pieces

    def told(self, done: int) -> None:
        """Report how many layers have been met, and then weighed."""
        self.frozen.job.progress("Freezing the run", done, 2 * max(1, self.count))

    def _note(self, other: Float[Tensor, "one channel row column"], names: Sequence[str]) -> None:
        """Run the pair's other image."""
        with torch.no_grad(), self.sight.reading(names) as found, self.frozen.note():
            logits = self.sight.logits(other)
        self.other = {IMAGE: other, **found}
        self.other_value = float(logits[0] @ self.weights)

    def start(self, name: str) -> Float[Tensor, "one unit *place"]:
        """What a layer (or the image) is compared with: the other image's values, or zeros."""
        other = self.other.get(name)
        return torch.zeros_like(self.read[name]) if other is None else other

    def change(self, name: str) -> Float[Tensor, "one unit *place"]:
        """By how much a layer (or the image) differs from what it is compared with."""
        other, read = self.other.get(name), self.read[name].detach()
        return read if other is None else read - other

    def _weigh(self) -> None:
        names = [IMAGE, *self.layers]
        self.worth = {name: torch.zeros_like(self.read[name]) for name in names}
        self._pass(self.metric, None, names)
        for at in range(len(self.layers) - 1, -1, -1):
            self.told(self.count + len(self.layers) - 1 - at)
            self.frozen.job.check()
            layer = self.layers[at]
            self._pass(self.made[layer], self.worth[layer], names[: at + 1])

    def _pass(self, made: Tensor, worth: Tensor | None, names: Sequence[str]) -> None:
        for name, part in self.direct(made, worth, names).items():
            self.worth[name] += part

    def direct(
        self,
        made: Tensor,
        worth: Tensor | None,
        names: Sequence[str],
        *,
        together: bool = False,
    ) -> dict[str, Tensor]:
        """What values of layers are worth to something made, by direct paths; those it reads.

        ``together`` says that ``worth`` has a row a target, and so have the results.
        """
        if not made.requires_grad:
            return {}
        sources = [self.read[name] for name in names]
        found = torch.autograd.grad(
            made, sources, worth, retain_graph=True, allow_unused=True, is_grads_batched=together
        )
        parts: Sequence[Tensor | None] = found
        return {name: p for name, p in zip(names, parts, strict=True) if p is not None}

    def rows(
        self, layer: str, chosen: Int[Tensor, " target"]
    ) -> dict[str, Float[Tensor, "target _"]] | None:
        """What every unit gives chosen units of a layer, by short cuts; None where there is none.

        The sources are in the order of the run.
        """
        ways = self.ways[layer]
        if ways is None:
            return None
        found = rows(self.made[layer], self.worth[layer], ways, chosen, self.frozen.job)
        return {name: found[name] for name in (IMAGE, *self.layers) if name in found}

    def replayed(self, given: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], float]:
        """Every layer as the frozen map makes it, and the metric, where ``given`` values are read.

        Of a layer (or the image) that is not given the other values are read.
        """
        found: dict[str, Tensor] = {}
        with torch.no_grad():
            held = {name: given.get(name, self.start(name)) for name in (IMAGE, *self.layers)}
            changes = {name: _Given(name, held[name], found) for name in self.layers}
            with self.sight.changing(changes), self.frozen.replay():
                logits = self.sight.logits(held[IMAGE])
        return found, float(logits[0] @ self.weights)

    def score(self, name: str) -> Float[Tensor, " unit"]:
        """The contribution of each unit of a layer to the metric; of the image as one unit."""
        found = by_unit(self.change(name) * self.worth[name])[0]
        return found.sum()[None] if name == IMAGE else found

    def bias(self, layer: str) -> Float[Tensor, " unit"]:
        """The part of each unit's score that constants explain."""
        return by_unit(self.constants[layer] * self.worth[layer])[0]

    def _expect_affine(self, plain: float) -> None:
        """Image and constants must add up to the metric, and freezing must not change it.

        Of a pair it is the difference of the metric, and no constant may be left.
        """
        value = float(self.metric.detach())
        parts = [self.bias(layer) for layer in self.layers]
        scores = [value, *(float(self.score(layer).abs().max()) for layer in self.layers)]
        left = self.constant + sum(float(part.sum()) for part in parts)
        total = float(self.score(IMAGE).sum()) + left
        room = _EXACT * max(1.0, *(abs(score) for score in scores))
        rest = (total - value + self.other_value, plain - value, left if self.other else 0.0)
        if all(abs(each) <= room for each in rest):
            return
        raise UnknownArchitecture(
            f"{self.sight.title} has a step that is not linear and that Microtome cannot freeze: "
            f"image and constants give {total:.4g} of {value - self.other_value:.4g}.",
            "Its maps, unit cards and lesions need no frozen run.",
        )


def by_unit(values: Float[Tensor, "row unit *place"]) -> Float[Tensor, "row unit"]:
    """The sum over all places of each unit."""
    return values.reshape(*values.shape[:2], -1).sum(2)
