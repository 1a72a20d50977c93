"""Which sparse dictionary made a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DictionaryIdentity:
    """A dictionary as a session remembers it: what it is, where it sits, how to recognise it.

    ``reads`` and ``writes`` are sites by name (``resid_post.2``); they are the same for a sparse
    autoencoder and differ for a transcoder. ``""`` stands for what a file does not tell.
    """

    name: str  # as it was asked for: embedded name, folder or file name
    architecture: str  # a rule of ``microtome.features.rules``, with what it is: "topk transcoder"
    d_in: int
    d_sae: int
    d_out: int
    reads: str = ""
    writes: str = ""
    model: str = ""  # the name of the model that it was trained on
    model_fingerprint: str = ""
    fingerprint: str = ""  # SHA-256 over names, shapes, types and bytes of all tensors
    source: Mapping[str, Any] = field(default_factory=lambda: NOTHING)  # plain JSON: its file's own

    @property
    def is_transcoder(self) -> bool:
        """Whether it writes elsewhere than it reads."""
        return self.reads != self.writes
