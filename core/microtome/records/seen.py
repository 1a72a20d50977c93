"""Results about one image by name: what they are called, so that they are found again."""

from __future__ import annotations

from dataclasses import dataclass

IMAGE_MAPS = "image-maps"
UNIT_EVIDENCE = "unit-evidence"
ATTRIBUTION_MAP = "attribution-map"
_SHOWN = 12  # letters of the image's checksum


def maps_id(digest: str, layers: str) -> str:
    """Activation maps of layers over the image of a checksum."""
    return f"{IMAGE_MAPS}-{digest[:_SHOWN]}-{layers}"


def evidence_id(digest: str, answer: int, wrong: int | None) -> str:
    """Evidence for a class, or for one over another."""
    return f"{UNIT_EVIDENCE}-{digest[:_SHOWN]}-{answer}-{wrong}"


def attribution_id(digest: str, method: str, answer: int, wrong: int | None) -> str:
    """The attribution map of a method."""
    return f"{ATTRIBUTION_MAP}-{digest[:_SHOWN]}-{method}-{answer}-{wrong}"


@dataclass(frozen=True, slots=True)
class LayerOutline:
    """A layer of units in words: its kind (channel, head, neuron, dimension), and how many."""

    name: str
    kind: str
    n_units: int
    grid: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class SightOutline:
    """What a window knows of a model that sees: layers of units, classes, and preprocessing."""

    layers: tuple[LayerOutline, ...]
    classes: tuple[str, ...]
    steps: tuple[str, ...]
    nbytes: int = 4096  # about

    def layer(self, name: str) -> LayerOutline | None:
        """The layer of a name, None where there is none."""
        return next((one for one in self.layers if one.name == name), None)

    @property
    def mapped(self) -> tuple[LayerOutline, ...]:
        """Layers with places in the image."""
        return tuple(one for one in self.layers if one.grid is not None)
