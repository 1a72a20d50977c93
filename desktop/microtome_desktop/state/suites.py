"""What suites, removals and swaps are asked for: frozen wishes, kept beside each result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from microtome.errors import InputError
from microtome.prompts import Question
from microtome.records.adversarial import ADVERSARIAL
from microtome.records.analysis import Analysis
from microtome.records.edits import EditSpec
from microtome.records.redundancy import REDUNDANCY
from microtome.records.session import Session
from microtome.records.slice_circuits import SLICE_CIRCUITS
from microtome.records.suite_result import SUITE

WISH, SPECS = "wish", "specs"  # parameters of an analysis that hold what it was asked for
KINDS = (SUITE, SLICE_CIRCUITS, REDUNDANCY, ADVERSARIAL)


@dataclass(frozen=True, slots=True)
class Data:
    """Prompts with answers: prompt sets by name or file, or one suite file."""

    sources: tuple[str, ...]
    limit: int | None = 20  # cases of each, None for all


@dataclass(frozen=True, slots=True)
class SuiteWish:
    """A suite before and after the edits that act."""

    data: Data


@dataclass(frozen=True, slots=True)
class CircuitsWish:
    """The circuits of two slices."""

    data: Data
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class RemovalWish:
    """Which parts can go; ``layers`` whole ones, else heads and MLPs."""

    data: Data
    how: str = "zero"
    criterion: str = "pass rate"
    threshold: float = 0.95
    layers: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """What may go."""
        return ("layers",) if self.layers else ("heads", "mlps")


TASK, WORDS, ANY = AMONG = ("task", "words", "any")  # what a swap may put in


@dataclass(frozen=True, slots=True)
class SwapWish:
    """Token swaps that flip the answer of a question.

    ``among`` is what may be put in: what stands in other prompts of the ``sources``, ``words``,
    or any token. Without positions they are made anywhere but where the answers stand.
    """

    question: Question
    swaps: int = 1
    words: tuple[str, ...] = ()
    positions: tuple[int, ...] = ()
    among: str = TASK
    sources: tuple[str, ...] = ()

    def asked(self) -> dict[str, Any]:
        """The options of ``adversarial_search``. Raises InputError where no words are given."""
        held: dict[str, Any] = {"swaps": self.swaps}
        if self.among == WORDS and not self.words:
            raise InputError("There are no words to put in.", "Type some, with commas between.")
        if self.among == WORDS:
            held["words"] = list(self.words)
        elif self.among == ANY:
            held["words"] = ANY
        elif self.sources:
            held["task"] = list(self.sources)
        return held | ({"positions": list(self.positions)} if self.positions else {})


@dataclass(frozen=True, slots=True)
class SuiteOutlook:
    """What a question will take, or why it cannot be asked."""

    runs: int = 0
    seconds: float = 0.0
    problem: str = ""
    nbytes: int = 0  # as whatever is kept for panels says


def outlook_key(wish: Wish) -> tuple[str, Wish]:
    """Under which the outlook of a wish is kept for the panel."""
    return "suite outlook", wish


Wish = SuiteWish | CircuitsWish | RemovalWish | SwapWish
_W = TypeVar("_W", SuiteWish, CircuitsWish, RemovalWish, SwapWish)


def with_wish(analysis: Analysis, wish: Wish, specs: tuple[EditSpec, ...] = ()) -> Analysis:
    """The analysis with what it was asked for among its parameters."""
    analysis.params[WISH] = asdict(wish)
    if specs:
        analysis.params[SPECS] = [spec.as_json() for spec in specs]
    return analysis


def wish_of(analysis: Analysis, kind: type[_W]) -> _W | None:
    """What an analysis was asked for; None for one that was not made in a window."""
    held = analysis.params.get(WISH)
    if not isinstance(held, dict):
        return None
    try:
        given = {field.name: held[field.name] for field in fields(kind) if field.name in held}
        given = {name: _frozen(name, value) for name, value in given.items()}
        return kind(**given)
    except (TypeError, ValueError, LookupError, AttributeError, InputError):
        # Of another version.
        return None


def specs_of(analysis: Analysis) -> tuple[EditSpec, ...]:
    """The edits that a suite was run with."""
    return tuple(EditSpec.from_json(held) for held in analysis.params.get(SPECS, ()))


def _frozen(name: str, value: Any) -> Any:
    if name == "data":
        return Data(tuple(value["sources"]), value["limit"])
    if name == "question":
        return Question(**{key: _frozen(key, each) for key, each in value.items()})
    return tuple(value) if isinstance(value, list) else value


def of_kind(session: Session | None, kind: str, shown: str = "") -> tuple[Analysis, ...]:
    """The analyses of a kind, the one that has the id ``shown`` first, then the newest."""
    held = () if session is None else tuple(session.analyses.values())
    found = [analysis for analysis in reversed(held) if analysis.kind == kind]
    return tuple(sorted(found, key=lambda analysis: analysis.id != shown))


def latest(session: Session | None, kind: str, shown: str = "") -> Analysis | None:
    """The analysis of a kind that was made last, or the one that has the id ``shown``."""
    return next(iter(of_kind(session, kind, shown)), None)
