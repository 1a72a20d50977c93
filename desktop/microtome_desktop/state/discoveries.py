"""What a circuit is looked for with: one frozen search, which a session keeps beside the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from microtome.circuits.discovery.methods import ABLATIONS, METHODS
from microtome.errors import InputError
from microtome.prompts import Prompt, Question
from microtome.records.analysis import Analysis, Labelled
from microtome.records.discovery import DISCOVERY
from microtome.records.faithfulness import FAITHFULNESS
from microtome.records.judgement import JUDGEMENT, STABILITY
from microtome.records.session import Session
from microtome_desktop.state.sweeps import METRICS, question_json

SEARCH = "search"  # the parameter of a discovery's analysis that holds it
CIRCUIT = "discovery"  # the parameter of a curve's analysis that names its circuit
WITH_STEPS, WITH_TAU = frozenset({"eap-ig", "eap-ig-activations"}), frozenset({"acdc"})
KNOWN = "known-circuit"  # id and kind of the analysis of a circuit that is known
_TASK = ("fingerprint", "ablation", "over", "metrics", "read_at", "prompts", "corrupt", "method")


@dataclass(frozen=True, slots=True)
class Search:
    """One search for a circuit: over which prompts, by which method, ablation and metric.

    ``question`` is the pair, or with ``data`` the name of a prompt set whose first ``count``
    pairs are taken instead. ``over`` names the set that means are taken over, else they are taken
    over the prompts themselves. ``steps`` are of integrated gradients, ``tau`` is ACDC's. With
    ``by_position`` edges have a score at each position instead of their sum.
    """

    question: Question | None
    method: str = "two-point"
    ablation: str = "resample"
    metric: str = "logit"
    data: str = ""
    count: int = 0
    over: str = ""
    steps: int = 5
    tau: float = 0.01
    by_position: bool = False

    def as_json(self) -> dict[str, Any]:
        """The search as plain JSON values."""
        return {**asdict(replace(self, question=None)), "question": question_json(self.question)}

    @classmethod
    def from_json(cls, held: Any) -> Search:
        """The search that ``as_json`` gave; InputError for what is none."""
        try:
            given = {field.name: held[field.name] for field in fields(cls) if field.name in held}
            asked = given.get("question")
            given["question"] = None if asked is None else Question(**_tuples(asked))
            search = cls(**given)
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"This is no search for a circuit: {error}.") from error
        known = search.method in METHODS and search.ablation in ABLATIONS
        known = known and isinstance(search.by_position, bool)
        if not known or search.metric not in METRICS:
            raise InputError("This is a search by a method, an ablation or a metric of no name.")
        return search


def fixed(search: Search, name: str, value: str) -> Search:
    """The search with one field mended; zero ablation takes EAP where the method needs pairs.

    Values are texts: an empty one stands for what is not wanted.
    """
    if name == "by_position":
        return replace(search, by_position=bool(value))
    given = {name: value}
    if name == "ablation" and METHODS[search.method].pairs:
        given["method"] = "eap"
    return replace(search, **given)  # type: ignore[arg-type]  # texts, as these fields are


def _tuples(held: dict[str, Any]) -> dict[str, Any]:
    """Token ids as they were before JSON made lists of them."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in held.items()}


def search_of(analysis: Analysis) -> Search | None:
    """What a circuit was looked for with; None for one that was not found in a window."""
    try:
        return Search.from_json(analysis.params[SEARCH]) if SEARCH in analysis.params else None
    except InputError:  # of another version
        return None


def mean_over(search: Search) -> tuple[Prompt, ...]:
    """The prompts that means are taken over."""
    if "mean" not in search.ablation:
        return ()
    name = search.over or search.data
    if name:
        from microtome.prompt_sets import load_prompt_set

        return tuple(pair.clean for pair in load_prompt_set(name).pairs)
    asked = search.question
    both = () if asked is None else (asked.prompt, asked.corrupt)
    return tuple(prompt for prompt in both if prompt is not None)


def discoveries_in(session: Session | None) -> tuple[Analysis, ...]:
    """The discovered circuits of a session, oldest first."""
    held = () if session is None else session.analyses.values()
    return tuple(analysis for analysis in held if analysis.kind == DISCOVERY)


def is_partial(analysis: Analysis) -> bool:
    """Whether the work that made it was stopped, or still goes on."""
    told = analysis.params.get("asked", analysis.params)
    return isinstance(told, Mapping) and bool(told.get("partial", False))


def curve_for(session: Session | None, circuit: Analysis) -> Analysis | None:
    """The faithfulness curve of a discovered circuit, also one that the command line made."""
    held = () if session is None else tuple(session.analyses.values())
    for analysis in reversed(held):
        if analysis.kind == FAITHFULNESS and _is_of(analysis, circuit):
            return analysis
    return None


def _is_of(curve: Analysis, circuit: Analysis) -> bool:
    if CIRCUIT in curve.params:
        return bool(curve.params[CIRCUIT] == circuit.id)
    asked = curve.params.get("asked")
    return isinstance(asked, Mapping) and all(
        asked.get(name) == circuit.params.get(name) for name in _TASK
    )


def discovery_for(session: Session | None, search: Search) -> Analysis | None:
    """A whole circuit, with its curve, that answers the search already."""
    for analysis in discoveries_in(session):
        if search_of(analysis) == search and not is_partial(analysis):
            curve = curve_for(session, analysis)
            if curve is not None and not is_partial(curve):
                return analysis
    return None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a search would take, or why it cannot be made and what would make it possible.

    ``fixes`` are fields of a ``Search`` with other values. ``seconds``, those of the
    longest search (``most``) and ``bytes`` are estimates, with the curve.
    """

    edges: int = 0
    pairs: int = 0
    seconds: float = 0.0
    most: float = 0.0
    bytes: int = 0
    problem: str = ""
    fixes: tuple[tuple[str, str], ...] = ()
    note: str = ""  # which pairs of a set were taken, where it is not the first ones
    nbytes: int = 0  # that it takes itself, as whatever is kept for panels says


def judgements_of(
    session: Session | None, circuit: Analysis, share: float, *, signed: bool
) -> dict[str, Analysis]:
    """What is known of a circuit at a size, by the kind of the analysis."""
    held = () if session is None else session.analyses.values()
    return {
        one.kind: one
        for one in held
        if one.kind in (JUDGEMENT, STABILITY)
        and one.params.get(CIRCUIT) == circuit.id
        and _at_size(one.params.get("asked"), share, signed=signed)
    }


def _at_size(asked: Any, share: float, *, signed: bool) -> bool:
    """Whether a judgement is of this size; what does not say so, as in other versions, is not."""
    held = asked.get("share") if isinstance(asked, Mapping) else None
    if not isinstance(held, int | float):
        return False
    return abs(held - share) < _SAME_SIZE and asked.get("signed") is signed


_SAME_SIZE = 1e-9  # shares


def results_of(session: Session | None, circuit: Analysis) -> tuple[str, ...]:
    """The ids of a circuit, its curve, and what was judged of it."""
    held = () if session is None else session.analyses.values()
    curve = curve_for(session, circuit)
    own = {circuit.id} if curve is None else {circuit.id, curve.id}
    return tuple(one.id for one in held if one.id in own or one.params.get(CIRCUIT) == circuit.id)


def known_edges(session: Session | None) -> tuple[str, ...]:
    """The edges of the circuit that is known for the session's model; none where nobody said."""
    held = None if session is None else session.analyses.get(KNOWN)
    known = held is not None and "edges" in held.arrays
    return tuple(str(edge) for edge in held.array("edges")) if held is not None and known else ()


def known_analysis(edges: tuple[str, ...], metadata: dict[str, Any]) -> Analysis:
    """The edges of a circuit that is known, for the session."""
    arrays = {"edges": Labelled(("edge",), np.array(edges, dtype=np.str_))}
    return Analysis(KNOWN, KNOWN, "The circuit that is known", arrays, metadata)
