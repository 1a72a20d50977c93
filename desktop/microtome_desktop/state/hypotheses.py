"""Hypotheses as they are drawn, and what a test of one is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.edges import INPUT, LOGITS
from microtome.records.hypothesis import Arrow, Box, Hypothesis, hypothesis_of
from microtome.records.scrubbed import SCRUBBED
from microtome.records.session import Session

ASKED = "wish"  # the parameter of the analysis that holds what was asked for
RANDOM, TYPED = "random", "typed"  # where inputs come from, beside the names of prompt sets
INDUCTION = "induction"
_KINDS = {
    "source": str, "text": str, "count": int, "draws": int, "seed": int, "by_answer": bool,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScrubWish:
    """One test: the hypothesis, its inputs, how many scrubbed runs of each, and the seed.

    ``by_answer`` judges by the answers of a prompt set, else by what the model itself says.
    ``source`` is ``random`` (tokens that come again), ``typed`` (a prompt a line in ``text``),
    or the name of a prompt set. ``count`` inputs are taken, 0 for all there are.
    """

    hypothesis: Hypothesis
    source: str = RANDOM
    text: str = ""
    count: int = 64
    draws: int = 4
    seed: int = 0
    by_answer: bool = False

    def as_json(self) -> dict[str, Any]:
        """The wish as plain JSON values."""
        return {**asdict(self), "hypothesis": self.hypothesis.plain()}

    @classmethod
    def from_json(cls, held: Any) -> ScrubWish:
        """The wish that ``as_json`` gave; InputError for what is none."""
        try:
            given = {each.name: held[each.name] for each in fields(cls) if each.name in held}
            made = cls(**{**given, "hypothesis": hypothesis_of(given["hypothesis"])})
        except (TypeError, KeyError) as error:
            raise InputError("This is no test of a hypothesis.") from error
        if any(type(getattr(made, name)) is not kind for name, kind in _KINDS.items()):
            raise InputError("This is no test of a hypothesis.")
        return made


def scrubs_in(session: Session | None) -> tuple[Analysis, ...]:
    """The tests of hypotheses of a session, oldest first."""
    held = () if session is None else session.analyses.values()
    return tuple(one for one in held if one.kind == SCRUBBED)


def free_title(wanted: str, taken: Iterable[str]) -> str:
    """The wanted name, with a number behind it where it is taken."""
    held, found, number = set(taken), wanted, 1
    while found in held:
        number += 1
        found = f"{wanted} {number}"
    return found


# ---------------------------------------------------------------- changes of one hypothesis


def with_box(of: Hypothesis, box: Box) -> Hypothesis:
    """One box more."""
    return replace(of, boxes=(*of.boxes, box))


def with_changed_box(of: Hypothesis, name: str, box: Box) -> Hypothesis:
    """Another box in the place of one; arrows follow its name."""
    boxes = tuple(box if each.name == name else each for each in of.boxes)
    arrows = tuple(
        replace(
            arrow,
            source=box.name if arrow.source == name else arrow.source,
            target=box.name if arrow.target == name else arrow.target,
        )
        for arrow in of.arrows
    )
    return replace(of, boxes=boxes, arrows=arrows)


def without_box(of: Hypothesis, name: str) -> Hypothesis:
    """A box less, and its arrows with it."""
    boxes = tuple(each for each in of.boxes if each.name != name)
    arrows = tuple(each for each in of.arrows if name not in (each.source, each.target))
    return replace(of, boxes=boxes, arrows=arrows)


def with_arrow(of: Hypothesis, arrow: Arrow) -> Hypothesis:
    """One arrow more, if it is not there."""
    return of if arrow in of.arrows else replace(of, arrows=(*of.arrows, arrow))


def without_arrow(of: Hypothesis, arrow: Arrow) -> Hypothesis:
    """An arrow less."""
    return replace(of, arrows=tuple(each for each in of.arrows if each != arrow))


# ---------------------------------------------------------------- where one starts


def induction(session: Session, title: str = INDUCTION) -> Hypothesis:
    """How an induction circuit works, bound to the heads that detectors call so.

    A head carries the token before each, another one looks for the current token there and
    writes what followed it.
    """
    before, after = _strongest(session, "previous token", 0), _strongest(session, INDUCTION, 1)
    boxes = (
        Box("token", (INPUT,), "token(at)"),
        Box("where", (INPUT,), "at"),
        Box("previous", (before,), "token(at - 1)"),
        Box("answer", (after,), "token(previous(at) + 1)"),
    )
    lines = (
        "where previous q", "where previous k", "token previous v",
        "token answer q", "previous answer k", "token answer v",
    )  # fmt: skip
    arrows = tuple(Arrow(*line.split()) for line in lines)
    return Hypothesis(boxes, (*arrows, Arrow("answer", LOGITS, LOGITS)), title)


def _strongest(session: Session, detector: str, layer: int) -> str:
    """The head with the highest score of a detector, the first one of a layer without any."""
    held = session.analyses.get("head-scores")
    names = [] if held is None else list(held.params.get("detectors", []))
    if held is None or detector not in names:
        return f"a{min(layer, session.model.n_layers - 1)}.h0"
    scores = held.array("score")[names.index(detector)]
    at, head = divmod(int(scores.argmax()), scores.shape[1])
    return f"a{at}.h{head}"
