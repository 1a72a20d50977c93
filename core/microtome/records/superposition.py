"""Toy models of superposition, and how directions share a space: measures without a model.

Source: Elhage et al., "Toy Models of Superposition" (2022): section 3 for norms and interference,
section 5 for the dimensions of a feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from microtome.records.analysis import Analysis, Labelled

TOY, PHASES, SHARING = "toy-superposition", "superposition-phases", "directions-sharing"
# Rows of the table of all products that are in memory at once.
_ROWS = 2_048
# A feature with a shorter direction than this is not represented.
REPRESENTED = 0.5


@dataclass(frozen=True, slots=True)
class ToyPlan:
    """What a toy model is trained on.

    ``features`` numbers, each 0 with a probability of ``sparsity`` and uniform from 0 to 1
    otherwise, go through ``dimensions`` and back; the squared error of feature i counts
    ``importance`` to the power i. For each sparsity ``starts`` models are trained from elsewhere,
    and the one with the smallest loss counts: a single run often ends in an arrangement that is not
    the best. The defaults give the arrangements of the paper: a dimension for each of as many
    features as there are, antipodal pairs, and a pentagon.
    """

    features: int = 5
    dimensions: int = 2
    sparsity: tuple[float, ...] = (0.0, 0.7, 0.9)
    importance: float = 0.85
    steps: int = 1_000
    batch: int = 128
    rate: float = 3e-2
    seed: int = 0
    starts: int = 6


@dataclass(frozen=True, slots=True, eq=False)
class ToyModels:
    """Toy models after some steps, one for each sparsity: ``x' = relu(Wᵀ W x + b)``.

    ``loss`` is the importance-weighted mean squared error of the last batches.
    """

    plan: ToyPlan
    weights: Float[np.ndarray, "model dimension feature"]
    bias: Float[np.ndarray, "model feature"]
    step: Int[np.ndarray, " point"]
    loss: Float[np.ndarray, "point model"]

    def geometry(self, model: int) -> Geometry:
        """How the directions of one model's features share its dimensions."""
        return geometry(self.weights[model].T)


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """How directions share a space.

    ``norm`` is the length of each, ``interference`` the sum of squared products of its unit
    vector with all other directions, ``dimensionality`` its share of a dimension: 1 for a
    feature alone in one, 1/2 for one of an antipodal pair, 2/5 in a pentagon.
    """

    norm: Float[np.ndarray, " feature"]
    interference: Float[np.ndarray, " feature"]
    dimensionality: Float[np.ndarray, " feature"]
    width: int

    @property
    def represented(self) -> int:
        """How many features have a direction of some length, beside the longest."""
        return int((self.norm > REPRESENTED * self.norm.max(initial=0)).sum())

    @property
    def share(self) -> float:
        """The mean share of a dimension of the represented features; 0 without any.

        Of all features it would be the width by their number, however they lie.
        """
        held = self.norm > REPRESENTED * self.norm.max(initial=0)
        return float(self.dimensionality[held].mean()) if held.any() else 0.0

    @property
    def dimensions_per_feature(self) -> float:
        """The width shared by the squared lengths of all directions; NaN without any."""
        total = float(np.square(self.norm).sum())
        return self.width / total if total > 0 else float("nan")


def geometry(directions: Float[np.ndarray, "feature d"]) -> Geometry:
    """The measures of any directions: of a toy model, a dictionary's decoder, a layer's neurons.

    Products of all pairs are taken some rows at a time, in float64.
    """
    held = directions.astype(np.float64)
    norm = np.linalg.norm(held, axis=1)
    unit = held / np.where(norm > 0, norm, 1)[:, None]
    squares = np.empty(len(held))
    for start in range(0, len(held), _ROWS):
        products = unit[start : start + _ROWS] @ held.T
        squares[start : start + _ROWS] = np.square(products).sum(axis=1)
    own = np.square(norm)
    share = np.divide(own, squares, out=np.zeros_like(own), where=squares > 0)
    return Geometry(norm, np.maximum(squares - own, 0), share, held.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class PhaseDiagram:
    """What becomes of the last feature, by its importance beside the others and by density.

    ``norm`` is the length of its direction, ``interference`` what others put on it: long and
    alone it has a dimension, long with interference it is in superposition, short it is lost.
    """

    density: Float[np.ndarray, " density"]
    importance: Float[np.ndarray, " importance"]
    norm: Float[np.ndarray, "importance density"]
    interference: Float[np.ndarray, "importance density"]
    features: int
    dimensions: int
    steps: int
    seed: int
    done: int = 0  # of these steps; all of them in a whole diagram


def toy_analysis(toys: ToyModels) -> Analysis:
    """Toy models as labelled arrays, for panels, files and exports."""
    plan = toys.plan
    measured = [toys.geometry(model) for model in range(len(plan.sparsity))]
    arrays = {
        "sparsity": Labelled(("model",), np.array(plan.sparsity), long_name="share of zeros"),
        "weights": Labelled(("model", "dimension", "feature"), toys.weights),
        "bias": Labelled(("model", "feature"), toys.bias),
        "step": Labelled(("point",), toys.step, long_name="steps done"),
        "loss": Labelled(("point", "model"), toys.loss, long_name="weighted squared error"),
    }
    for name in ("norm", "interference", "dimensionality"):
        values: NDArray[np.float64] = np.array([getattr(each, name) for each in measured])
        arrays[name] = Labelled(("model", "feature"), values, long_name=f"{name} of each feature")
    params = {
        "features": plan.features, "dimensions": plan.dimensions, "importance": plan.importance,
        "steps": plan.steps, "batch": plan.batch, "rate": plan.rate, "seed": plan.seed,
        "starts": plan.starts,
        "source": "Elhage et al. 2022", "method": "toy model of superposition, Adam",
    }  # fmt: skip
    return Analysis(TOY, TOY, "Toy models of superposition", arrays, params)


def toys_of(analysis: Analysis) -> ToyModels:
    """The toy models that an analysis holds, also one from a file."""
    held = analysis.params
    plan = ToyPlan(
        sparsity=tuple(float(each) for each in analysis.array("sparsity")),
        **{name: held[name] for name in (
            "features", "dimensions", "importance", "steps", "batch", "rate", "seed")},
        starts=held.get("starts", 1),  # those of earlier builds are of one
    )  # fmt: skip
    arrays = {name: analysis.array(name) for name in ("weights", "bias", "step", "loss")}
    return ToyModels(plan, **arrays)


def phase_analysis(phases: PhaseDiagram) -> Analysis:
    """A phase diagram as labelled arrays."""
    grid = ("importance", "density")
    arrays = {
        "density": Labelled(("density",), phases.density, long_name="probability of a feature"),
        "importance": Labelled(("importance",), phases.importance, long_name="beside the others"),
        "norm": Labelled(grid, phases.norm, long_name="length of the last feature's direction"),
        "interference": Labelled(grid, phases.interference, long_name="what others put on it"),
    }
    names = ("features", "dimensions", "steps", "seed", "done")
    params = {name: getattr(phases, name) for name in names} | {"source": "Elhage et al. 2022"}
    return Analysis(PHASES, PHASES, "Phases of superposition", arrays, params)


def phases_of(analysis: Analysis) -> PhaseDiagram:
    """The phase diagram that an analysis holds, also one from a file."""
    density, importance, norm, shared = (
        analysis.array(name) for name in ("density", "importance", "norm", "interference")
    )
    told = {name: analysis.params[name] for name in ("features", "dimensions", "steps", "seed")}
    done = analysis.params.get("done", told["steps"])
    return PhaseDiagram(density, importance, norm, shared, **told, done=done)


_SHARED = ("norm", "interference", "dimensionality")


def geometry_analysis(found: Geometry, of: str, **params: object) -> Analysis:
    """How directions share a space as labelled arrays; ``of`` says whose directions they are."""
    arrays = {
        name: Labelled(("feature",), getattr(found, name), long_name=f"{name} of each direction")
        for name in _SHARED
    }
    held = {"of": of, "width": found.width, "source": "Elhage et al. 2022", **params}
    return Analysis(f"{SHARING}-{of}", SHARING, f"How {of} share a space", arrays, held)


def geometry_of(analysis: Analysis) -> Geometry:
    """The measures that an analysis holds, also one from a file."""
    held = {name: analysis.array(name) for name in _SHARED}
    return Geometry(**held, width=analysis.params["width"])
