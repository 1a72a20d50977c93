"""What can be trained in which form: what a file format has a place for afterwards. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from microtome.errors import InputError

RULES = ("topk", "batchtopk", "matryoshka", "relu", "jumprelu", "gated")
ONE, TRANSCODER, LAYERS, ACROSS = "one", "transcoder", "per-layer", "cross-layer"
# One transcoder is SAELens' and sets are circuit-tracer's; neither has a gate for them.
_WITH_THRESHOLD = ("batchtopk", "matryoshka", "relu", "jumprelu")
OFFERED: Mapping[str, tuple[str, ...]] = MappingProxyType({
    ONE: RULES, TRANSCODER: _WITH_THRESHOLD, LAYERS: ("topk", *_WITH_THRESHOLD),
    ACROSS: _WITH_THRESHOLD,
})  # fmt: skip
SKIPPED = frozenset({TRANSCODER, LAYERS})
_TITLES = {ONE: "autoencoder", TRANSCODER: "transcoder", LAYERS: "set of transcoders",
           ACROSS: "cross-layer transcoder"}  # fmt: skip


def expect_offered(form: str, rule: str, *, skip: bool = False) -> None:
    """Raise InputError for what could be trained, but not saved."""
    if rule not in OFFERED[form]:
        raise InputError(
            f"A {_TITLES[form]} of the rule {rule} has no file format.",
            f"Train it by {', '.join(OFFERED[form])}.",
        )
    if skip and form not in SKIPPED:
        raise InputError(
            f"A {_TITLES[form]} with a skip has no file format.",
            "Leave the skip out, or train transcoders of each layer.",
        )
