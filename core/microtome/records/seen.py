"""Results about one image by name: what they are called, so that they are found again."""

from __future__ import annotations

import json
from dataclasses import dataclass

from microtome.records.model import ModelIdentity

IMAGE_MAPS = "image-maps"
UNIT_EVIDENCE = "unit-evidence"
ATTRIBUTION_MAP = "attribution-map"
CLASSES, PREPROCESSING = "classes", "preprocessing"  # in the configuration that sessions keep
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


def preprocessing_of(model: ModelIdentity) -> tuple[str, ...]:
    """The steps from an image to what the model read, in words; none where a file has none."""
    held = _settings(model).get(PREPROCESSING)
    return tuple(map(str, held)) if isinstance(held, list) else ()


def classes_of(model: ModelIdentity) -> tuple[str, ...]:
    """The names of the classes as the model's configuration tells them; none where it does not."""
    held = _settings(model)
    if isinstance(listed := held.get(CLASSES), list):
        return tuple(map(str, listed))
    named = held.get("id2label")
    if not isinstance(named, dict) or len(named) != model.vocabulary:
        return ()
    return tuple(str(named.get(str(at), f"class {at}")) for at in range(len(named)))


def _settings(model: ModelIdentity) -> dict[str, object]:
    """The configuration; empty for what is none, as the file may be a stranger's."""
    try:
        held = json.loads(model.config_json)
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}
