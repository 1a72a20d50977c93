"""What a training has made, written as other tools read it."""

from __future__ import annotations

from pathlib import Path

from microtome.errors import DictionaryError
from microtome.features.dictionary import Dictionary
from microtome.features.formats.saelens import ARCHITECTURES
from microtome.features.formats.saving import save_dictionary, save_transcoders
from microtome.features.training.methods import METHODS
from microtome.features.transcoders import Transcoders


def expect_form(rule: str, *, transcodes: bool, skip: bool = False) -> None:
    """Raise DictionaryError for a rule of training whose one dictionary could not be saved."""
    forms = {(row.rule, row.across, row.skip) for row in ARCHITECTURES.values()}
    able = [name for name, row in METHODS.items() if (row.rule, transcodes, skip) in forms]
    if rule not in able:
        raise DictionaryError(
            f"A transcoder of the rule {rule} has no file format.",
            f"Train it by {', '.join(able)}.",
        )


def save_trained(made: Dictionary | Transcoders, folder: Path) -> None:
    """A dictionary as SAELens' folder, transcoders as circuit-tracer's; raises what those do."""
    if isinstance(made, Dictionary):
        save_dictionary(made, folder)
    else:
        save_transcoders(made, folder)
