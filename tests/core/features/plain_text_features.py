"""A short text, and a dictionary of random directions that reads it."""

from __future__ import annotations

from pathlib import Path

import torch

from microtome.features.dictionary import Dictionary
from microtome.features.rules import Settings, Weights
from microtome.records.dictionary import DictionaryIdentity

CONTEXT = 7
FEATURES, WIDTH = 30, 128


def some_text(folder: Path) -> Path:
    """Thirty-six sentences that differ in two words."""
    path = folder / "some.txt"
    names = ["Mary", "John", "Anna", "Paul", "the", "store"]
    path.write_text("\n".join(f"{one} went to {two}" for one in names for two in names))
    return path


def small_dictionary(seed: int = 0) -> Dictionary:
    """Thirty features of layer 1 of words-4l; number 3 is never on."""
    random = torch.Generator().manual_seed(seed)
    weights = Weights(
        w_enc=torch.randn(FEATURES, WIDTH, generator=random),
        w_dec=torch.randn(FEATURES, WIDTH, generator=random),
        b_enc=torch.full((FEATURES,), -5.0),
        b_dec=torch.zeros(WIDTH),
    )
    assert weights.b_enc is not None
    weights.b_enc[3] = -1e6
    identity = DictionaryIdentity("mine", "", 0, 0, 0, "resid_post.1", "resid_post.1")
    return Dictionary(weights, Settings("relu"), identity)
