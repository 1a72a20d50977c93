"""What callers give as a model, looked at before it is used."""

from __future__ import annotations

from microtome.errors import expect
from microtome.models.model import Model, heads_unknown


def expect_model(model: object) -> None:
    """Raise WrongKind for what is no loaded model, such as a model's name."""
    expect(model, Model, "model", "a loaded model", "Open one with load_model, by its name.")


def expect_known(model: Model, purpose: str) -> None:
    """Raise UnknownArchitecture for a decoder of no known family, named with the purpose."""
    if not model.known:
        raise heads_unknown(model.family.title, purpose)
