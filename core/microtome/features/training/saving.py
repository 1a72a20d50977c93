"""What a training has made, written as other tools read it."""

from __future__ import annotations

from pathlib import Path

from microtome.features.dictionary import Dictionary
from microtome.features.formats.saving import save_dictionary, save_transcoders
from microtome.features.transcoders import Transcoders


def save_trained(made: Dictionary | Transcoders, folder: Path) -> None:
    """A dictionary as SAELens' folder, transcoders as circuit-tracer's; raises what those do."""
    if isinstance(made, Dictionary):
        save_dictionary(made, folder)
    else:
        save_transcoders(made, folder)
