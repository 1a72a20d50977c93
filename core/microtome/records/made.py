"""On which model, and on what, a result was computed: what is stamped on it as it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

from microtome.records.model import ModelIdentity


@dataclass(frozen=True, slots=True)
class Made:
    """The stamp of a result. All of it is empty where nobody told, as in files of format 1.2.

    ``threads`` are the most that torch computed on; a small model takes one of them.
    ``versions`` are those of Microtome, torch and transformers.
    """

    model: str = ""
    fingerprint: str = ""
    tokenizer: str = ""  # its fingerprint: checkpoints of one model share it
    architecture: str = ""
    dtype: str = ""
    device: str = ""
    attention: str = ""
    weights: str = ""
    threads: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def told(self) -> bool:
        """Whether it says which model it was."""
        return bool(self.fingerprint)

    @classmethod
    def on(cls, model: ModelIdentity) -> Made:
        """The stamp of what a model gives now; NOT_TOLD of one that nobody can recognise."""
        if not model.fingerprint:
            return NOT_TOLD
        return cls(
            model.name, model.fingerprint, model.tokenizer_fingerprint, model.architecture,
            model.dtype, model.device, model.attention, model.weights, model.threads,
            dict(model.versions),
        )  # fmt: skip

    def told_plainly(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return asdict(self)

    @classmethod
    def read(cls, held: Mapping[str, Any]) -> Made:
        """The stamp of plain JSON. Raises KeyError, TypeError or ValueError for another value."""
        texts = {name: str(held[name]) for name in _TEXTS}
        threads = held["threads"]
        versions = {str(name): str(each) for name, each in dict(held["versions"]).items()}
        return cls(**texts, threads=None if threads is None else int(threads), versions=versions)


_TEXTS = (
    "model", "fingerprint", "tokenizer", "architecture", "dtype", "device", "attention", "weights",
)  # fmt: skip
NOT_TOLD = Made()


@runtime_checkable
class Stamped(Protocol):
    """A result that bears a stamp, once it was given one."""

    @property
    def made(self) -> Made | None:
        """The stamp; None while nobody has given any."""
        ...


Result = TypeVar("Result", bound=Stamped)


def stamped(result: Result, model: ModelIdentity) -> Result:
    """The result with the stamp of this model; one that has a stamp keeps it."""
    if result.made is not None:
        return result
    return replace(result, made=Made.on(model))  # type: ignore[type-var]  # all are dataclasses
