"""What of a model can be seen and changed, and what cannot, with the reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Possible:
    """One site or analysis; ``reason`` says why it is not there, empty when it is."""

    name: str
    title: str
    reason: str = ""

    @property
    def there(self) -> bool:
        """Whether the model has it."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Coverage:
    """Every site and every analysis of one model, those that it lacks with the reason."""

    model: str
    architecture: str  # as people call it
    known: bool  # of a known family, so that every weight's place is known
    sites: tuple[Possible, ...]
    analyses: tuple[Possible, ...]
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One sentence: what is there, or that everything is."""
        lacking = [row.title for row in self.analyses if not row.there]
        if not lacking:
            return "All panels work on this model."
        if self.known:
            return f"All panels work on this model but for: {', '.join(lacking)}."
        shown = ", ".join(row.title for row in self.analyses if row.there)
        return (
            f"Microtome does not know where {self.architecture} keeps its heads: shown are {shown}."
        )

    def reason(self, name: str) -> str:
        """Why a site or analysis is not there; empty when it is."""
        return next((row.reason for row in (*self.analyses, *self.sites) if row.name == name), "")
