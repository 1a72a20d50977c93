"""What a window has to know of a model that sees before it asks for anything."""

from __future__ import annotations

from microtome.models.model import Model
from microtome.records.seen import LayerOutline, SightOutline
from microtome.vision.activity import sight_of


def sight_outline(model: Model) -> SightOutline:
    """Layers of units, classes and preprocessing. Raises ModelError for one that reads text."""
    sight = sight_of(model)
    layers = tuple(
        LayerOutline(layer.name, layer.kind, layer.n_units, layer.grid)
        for layer in sight.layers.values()
    )
    return SightOutline(layers, sight.classes, sight.preprocessing.lines())
