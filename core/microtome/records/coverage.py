"""What of a model can be seen and changed, and what cannot, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

from microtome.records.analysis import Analysis

COVERAGE = "coverage"  # the id and kind of the analysis that keeps one


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
    convolutional: bool = False  # it has layers of channels instead of heads and MLPs

    @property
    def summary(self) -> str:
        """One sentence: what is there, or that everything is."""
        lacking = [row.title for row in self.analyses if not row.there]
        if not lacking:
            return "All panels work on this model."
        if self.known:
            reasons = {row.reason for row in self.analyses if not row.there}
            why = f" ({reasons.pop()})" if len(reasons) == 1 else ""
            return f"All panels work on this model but for: {', '.join(lacking)}{why}."
        shown = ", ".join(row.title for row in self.analyses if row.there)
        if self.convolutional:
            return f"{self.architecture} has layers of channels: shown are {shown}, and its units."
        return (
            f"Microtome does not know where {self.architecture} keeps its heads: shown are {shown}."
        )

    def reason(self, name: str) -> str:
        """Why a site or analysis is not there; empty when it is."""
        return next((row.reason for row in (*self.analyses, *self.sites) if row.name == name), "")


def coverage_analysis(held: Coverage) -> Analysis:
    """What a model lacks as a record, so that a session's file says why panels are empty.

    ``params["lacks"]`` maps the name of each site or analysis to the reason.
    """
    lacks = {row.name: row.reason for row in (*held.sites, *held.analyses) if not row.there}
    params = {"summary": held.summary, "lacks": lacks, "notes": list(held.notes)}
    return Analysis(COVERAGE, COVERAGE, "What can be seen", {}, params)
