"""What callers give as a model, looked at before it is used."""

from __future__ import annotations

from microtome.errors import UnknownArchitecture, expect
from microtome.models.model import Model, heads_unknown


def expect_model(model: object) -> None:
    """Raise WrongKind for what is no loaded model, such as a model's name."""
    expect(model, Model, "model", "a loaded model", "Open one with load_model, by its name.")


def expect_known(model: Model, purpose: str) -> None:
    """Raise UnknownArchitecture where not all that logits are made of is known.

    That is a decoder of no known family, or one beside an encoder; named with the purpose.
    """
    if not model.known:
        raise heads_unknown(model.family.title, purpose)
    if not model.whole:
        raise UnknownArchitecture(
            f"{purpose} of {model.family.title} is not computed: {model.anatomy.leaves_out}.",
            "Read its sites with trace, change them with Ablate and Patch, or read its residual "
            "stream with the logit lens.",
        )
