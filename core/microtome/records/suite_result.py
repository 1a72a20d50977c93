"""What a suite found: every case, and of each slice how many pass and how sure the model is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from microtome.records.analysis import Analysis, Labelled

SUITE = "suite"  # the kind of its analysis
PASSING = ("above", "top")


@dataclass(frozen=True, slots=True, eq=False)
class SuiteResult:
    """A row for each slice, the first of them all cases; sides are before and after the edits.

    ``rate`` is the share of a slice's cases that pass, ``rate_band`` its 95 % Wilson interval;
    ``confidence`` the mean probability of the answer, with a bootstrap interval; ``change`` the
    95 % bootstrap interval of the change of the rate, case by case, NaN without edits. Of each
    case: whether it is in a slice (``member``), whether the answer is the most probable token
    (``top``), whether it is above the wrong answer (``above``, NaN without one), its
    ``probability``, and the logit ``difference`` to the wrong answer, or to the best other token.
    Cases that the edits do not fit were not ``ran`` and count nowhere; ``note`` says why.
    """

    title: str
    slices: tuple[str, ...]
    sides: tuple[str, ...]
    member: Bool[np.ndarray, "slice case"]
    rate: Float[np.ndarray, "slice side"]
    rate_band: Float[np.ndarray, "slice side end"]
    confidence: Float[np.ndarray, "slice side"]
    confidence_band: Float[np.ndarray, "slice side end"]
    change: Float[np.ndarray, "slice end"]
    ran: Bool[np.ndarray, " case"]
    top: Float[np.ndarray, "case side"]
    above: Float[np.ndarray, "case side"]
    probability: Float[np.ndarray, "case side"]
    difference: Float[np.ndarray, "case side"]
    prompts: tuple[str, ...]
    answers: tuple[str, ...]
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def passing(self) -> str:
        """What passes: ``above`` the wrong answer (top without one), or ``top``."""
        return str(self.params["passing"])

    @property
    def note(self) -> str:
        """Why some cases were left out; empty when none was."""
        return str(self.params.get("note", ""))

    @property
    def complete(self) -> bool:
        """Whether all cases were run."""
        return bool(self.params.get("complete", True))

    @property
    def counts(self) -> tuple[int, ...]:
        """How many cases of each slice were run."""
        return tuple(int(count) for count in (self.member & self.ran).sum(1))

    @property
    def falls(self) -> Bool[np.ndarray, " slice"]:
        """Slices whose pass rate falls by more than chance: their band of change is below 0."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.change[:, 1] < 0)


_BY_SLICE = {
    "rate": (("slice", "side"), "share of cases that pass"),
    "rate_band": (("slice", "side", "end"), "95 % Wilson interval"),
    "confidence": (("slice", "side"), "mean probability of the answer"),
    "confidence_band": (("slice", "side", "end"), "95 % bootstrap interval"),
    "change": (("slice", "end"), "95 % bootstrap interval of the change of the share"),
}
_BY_CASE = {
    "top": "whether the answer is the most probable token",
    "above": "whether the answer is above the wrong one",
    "probability": "probability of the answer",
    "difference": "logit of the answer minus that of the wrong or best other one",
}
_TEXTS = {"slices": "slice", "sides": "side", "prompts": "case", "answers": "case"}


def suite_analysis(found: SuiteResult) -> Analysis:
    """The result as labelled arrays, for panels, files and exports."""
    arrays = {
        name: Labelled(dims, getattr(found, name), long_name=text)
        for name, (dims, text) in _BY_SLICE.items()
    }
    arrays |= {
        name: Labelled(("case", "side"), getattr(found, name), long_name=text)
        for name, text in _BY_CASE.items()
    }
    arrays["member"] = Labelled(("slice", "case"), found.member.astype(np.int8))
    arrays["ran"] = Labelled(("case",), found.ran.astype(np.int8))
    for name, axis in _TEXTS.items():
        arrays[name] = Labelled((axis,), np.array(getattr(found, name), dtype=np.str_))
    params = dict(found.params)
    return Analysis(str(params["id"]), SUITE, f"Suite {found.title}", arrays, params)


def suite_of(analysis: Analysis) -> SuiteResult:
    """The result that an analysis holds, also one from a file.

    Raises SiteMissing when it lacks an array.
    """
    texts: dict[str, Any] = {
        name: tuple(str(text) for text in analysis.array(name)) for name in _TEXTS
    }
    numbers: dict[str, Any] = {name: analysis.array(name) for name in (*_BY_SLICE, *_BY_CASE)}
    return SuiteResult(
        title=str(analysis.params["title"]),
        **texts,
        **numbers,
        member=analysis.array("member").astype(np.bool_),
        ran=analysis.array("ran").astype(np.bool_),
        params=dict(analysis.params),
    )
