"""What probes are asked for, and what of them a session holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from microtome.records.analysis import Analysis
from microtome.records.probe import PROBE
from microtome.records.session import Session

STREAM = "resid"  # the residual stream before the first layer and behind each


@dataclass(frozen=True, slots=True)
class ProbeWish:
    """Labelled prompts as lines, a kind of site, the token that is read, folds and seed."""

    text: str = ""
    kind: str = STREAM
    position: int = -1
    folds: int = 5
    seed: int = 0

    def told(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return asdict(self)

    @classmethod
    def of(cls, held: Any) -> Self | None:
        """The wish that ``told`` made; None for what is none."""
        if not isinstance(held, dict):
            return None
        given = {each.name: held[each.name] for each in fields(cls) if each.name in held}
        whole = all(isinstance(given.get(name, 0), int) for name in ("position", "folds", "seed"))
        words = all(isinstance(given.get(name, ""), str) for name in ("text", "kind"))
        return cls(**given) if whole and words else None


def probes_in(session: Session | None) -> tuple[Analysis, ...]:
    """The probes of a session, the newest first."""
    held = () if session is None else tuple(session.analyses.values())
    return tuple(one for one in reversed(held) if one.kind == PROBE)


@dataclass(frozen=True, slots=True)
class ProbeOutlook:
    """What probing would take; ``problem`` says why it cannot be done."""

    seconds: float = 0.0
    problem: str = ""
    unknown: tuple[str, ...] = ()  # words that the tokenizer does not know
    nbytes: int = 64


@dataclass(frozen=True, slots=True)
class PromptLines:
    """Labelled prompts of a file or an example, as lines to type."""

    text: str

    @property
    def nbytes(self) -> int:
        """What it takes in memory, about."""
        return 2 * len(self.text)


def outlook_key(wish: ProbeWish) -> tuple[str, ProbeWish]:
    """What the outlook of a wish is kept under."""
    return "probe outlook", wish


def lines_key(source: str) -> tuple[str, str]:
    """What the lines of an example or a file are kept under."""
    return "labelled prompts", source
