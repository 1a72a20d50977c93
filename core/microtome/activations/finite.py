"""Where NaN or infinity first appeared in a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from microtome.errors import EditError, MicrotomeError, ModelError
from microtome.models.hooks import Tap, layers_of, tapping
from microtome.models.model import Model
from microtome.models.tokens import Tokens
from microtome.sites import Site


class _FoundError(Exception):
    """Ends the pass at the first value that is not finite."""

    def __init__(self, site: Site, values: Tensor) -> None:
        super().__init__(site)
        self.site, self.values = site, values


@dataclass(frozen=True, slots=True)
class NotFinite:
    """The first place whose values were not finite, and the first position and its token there."""

    site: Site
    position: int
    token: str

    def __str__(self) -> str:
        return f"{self.site} in position {self.position} ({self.token!r})"


def first_not_finite(
    model: Model, tokens: Tokens, taps: Mapping[Site, Sequence[Tap]]
) -> NotFinite | None:
    """Run again with a look at every site behind its taps; None where all values are finite."""
    places = [Site(name, at) for name in model.ports for at in layers_of(model, Site(name))]
    looks: dict[Site, list[Tap]] = {
        place: [*taps.get(place, ()), partial(_look, place)] for place in places
    }
    try:
        with tapping(model, looks):
            model.run(tokens)
    except _FoundError as found:
        return _located(found, tokens)
    return None


def _look(site: Site, values: Tensor) -> Tensor:
    if not torch.isfinite(values).all():
        raise _FoundError(site, values)
    return values


def _located(found: _FoundError, tokens: Tokens) -> NotFinite:
    axes = found.site.kind.axes
    axis = next(at for at, name in enumerate(axes) if name not in ("head", "kv_head"))
    bad = ~torch.isfinite(found.values[0])
    others = [at for at in range(bad.dim()) if at != axis]
    rows = bad.any(dim=others) if others else bad
    position = int(rows.nonzero()[0])
    of = tokens.source if axes[axis].startswith("source") else tokens
    assert of is not None  # noqa: S101  only an encoder has such sites
    return NotFinite(found.site, position, of.texts[position])


def not_finite(
    model: Model, tokens: Tokens, taps: Mapping[Site, Sequence[Tap]], *, edited: bool
) -> MicrotomeError:
    """The error of a run whose logits are not finite, which says where that began."""
    found = first_not_finite(model, tokens, taps)
    where = "in the logits" if found is None else f"at {found}"
    if edited:
        return EditError(
            f"The edits give NaN or infinity, first {where}.",
            "Lower their strength; a norm's scale divides and cannot be 0.",
        )
    wide = model.identity.dtype == "float32"
    return ModelError(
        f"{model.identity.name} gives NaN or infinity, first {where}.",
        "It runs in float32 already: its weights are damaged, or an adapter's code is wrong."
        if wide
        else "Load it with a wider number type, for example dtype='float32'.",
    )
