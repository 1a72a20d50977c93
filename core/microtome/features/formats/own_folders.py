"""Which folders a dictionary may be saved in: new ones, empty ones, and those of dictionaries.

Without torch, so that the window can tell while a name is typed.
"""

from __future__ import annotations

from pathlib import Path

from microtome.features.formats.example_files import FOLDER
from microtome.features.formats.whole_folder import expect_replaceable
from microtome.session.storage import storing

_OURS = ("cfg.json", "sae_weights", "sparsity", "config.yaml", "layer_", "W_enc_", "W_dec_")
_OF_EXAMPLES = ("index.json", "layer_")


def ours(folder: Path) -> tuple[str, ...]:
    """How names begin that may be replaced in a folder; with them examples, and nothing beside."""
    held = folder / FOLDER
    if held.is_dir() and all(one.name.startswith(_OF_EXAMPLES) for one in held.iterdir()):
        return (*_OURS, FOLDER)
    return _OURS


def expect_own_folder(folder: Path) -> bool:
    """Whether saving there would replace a dictionary.

    Raises StorageError where nothing can be saved: no parent, a file, or something else in it.
    """
    with storing(folder):
        expect_replaceable(folder, ours(folder))
        return folder.is_dir() and any(folder.iterdir())
