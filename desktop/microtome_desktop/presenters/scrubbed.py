"""What a test of a hypothesis found, in words, as rows, and step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from microtome.jobs import Progress
from microtome.records.analysis import Analysis
from microtome.records.edges import LOGITS
from microtome.records.hypothesis import Arrow, Hypothesis
from microtome.records.scrubbed import Scrubbed, Wire, scrubbed_of
from microtome.records.session import Session
from microtome_desktop.presenters.as_python import UNASKED, Lines
from microtome_desktop.presenters.hypothesis import in_words
from microtome_desktop.state.exports import Table
from microtome_desktop.state.foreign import UNREADABLE
from microtome_desktop.state.hypotheses import ASKED, scrubs_in

_ARROW = "\N{LEFTWARDS ARROW}"
_MINUS, _DOT = "\N{MINUS SIGN}", "\N{MIDDLE DOT}"


@dataclass(frozen=True, slots=True)
class Step:
    """What a wire brought at one position in place of an input.

    ``taken`` is the number of the input that was read, ``value`` what the claim says of both.
    """

    position: int
    token: str
    taken: int
    taken_token: str
    value: str


def found_for(session: Session | None, of: Hypothesis) -> tuple[Analysis, bool] | None:
    """The last test of a hypothesis, and whether it is of exactly what is drawn now."""
    tests = scrubs_in(session)
    plain = of.plain()
    same = [one for one in tests if one.params.get("hypothesis") == plain]
    if same:
        return same[-1], True
    named = [one for one in tests if one.title == (of.title or "Hypothesis")]
    return (named[-1], False) if named else None


def test_told(title: str, progress: Progress | None) -> str:
    """How far a test is, and how long it still takes."""
    if progress is None:
        return title
    left = progress.remaining
    still = "" if left is None or left < 1 else f" {_DOT} about {left:.0f} s left"
    return f"{title} {_DOT} {progress.title.lower()} {progress.fraction:.0%}{still}"


def verdict(found: Scrubbed) -> str:
    """The score with its band."""
    low, high = (f"{end:.2f}".replace("-", _MINUS) for end in found.band)
    share = f"{found.recovered:.2f}".replace("-", _MINUS)
    return f"recovered {share} [{low}, {high}]"


def numbers(found: Scrubbed) -> str:
    """What the score is made of."""
    parts = [
        f"{found.metric}: model {found.whole.mean():.3f}",
        f"scrubbed {found.scrubbed.mean():.3f}",
        f"labels of others {found.baseline.mean():.3f}",
        f"{len(found.inputs)} inputs",
        f"{len(found.scrubbed)} draws",
    ]
    return f" {_DOT} ".join(parts).replace("-", _MINUS)


def wire_title(wire: Wire) -> str:
    """How a wire is offered."""
    of = f" ({wire.source})" if wire.source else " (does not matter)"
    return f"{wire.reader} {_ARROW} {wire.writer}{of}"


def wires_of(found: Scrubbed, picked: str | Arrow | None) -> tuple[Wire, ...]:
    """The wires of the picked arrow, those into the picked box, or those into the logits."""
    if isinstance(picked, Arrow):
        box = "" if picked.target == LOGITS else picked.target
        own = [
            wire
            for wire in found.wires
            if (wire.box, wire.source) == (box, picked.source) and _side(wire) == picked.reader
        ]
        return tuple(own)
    if isinstance(picked, str) and any(wire.box == picked for wire in found.wires):
        own = [wire for wire in found.wires if wire.box == picked]
    else:
        own = [wire for wire in found.wires if not wire.box]
    return tuple(sorted(own, key=lambda wire: not wire.source))


def _side(wire: Wire) -> str:
    if wire.reader == LOGITS:
        return LOGITS
    return wire.reader[-2] if wire.reader.endswith(">") else "mlp"


def steps(found: Scrubbed, wire: Wire, number: int) -> tuple[Step, ...]:
    """Position by position what a wire was read from in place of an input."""
    row, made = found.wires.index(wire), []
    spoken = _spoken(found, wire, number)
    for at, taken in enumerate(found.swaps[row, number].tolist()):
        if taken < 0:
            continue
        value = found.claimed(wire.source, number, at) if at in spoken else ""
        tokens = str(found.tokens[number, at]), str(found.tokens[taken, at])
        made.append(Step(at, tokens[0], taken, tokens[1], value))
    return tuple(made)


def _spoken(found: Scrubbed, wire: Wire, number: int) -> range | set[int]:
    """The positions that the source of a wire speaks of; at all others any input may be read."""
    box = next((each for each in found.hypothesis.boxes if each.name == wire.source), None)
    length = int((found.claims[:, number] >= 0).any(0).sum())
    if box is None:
        return range(0)
    return range(length) if box.positions is None else {at % length for at in box.positions}


def why_they_agree(found: Scrubbed, wire: Wire) -> str:
    """What the inputs that stand in for each other have in common."""
    if not wire.source:
        return "The hypothesis says that this does not matter: it is read from any input."
    claim = next(each.claim for each in found.hypothesis.boxes if each.name == wire.source)
    return f"Read from inputs that agree on what “{wire.source}” claims: {in_words(claim)}."


def scrubbed_table(analysis: Analysis) -> Table:
    """Every input with what the model, the scrubbed model and labels of others make of it."""
    found = scrubbed_of(analysis)
    rows = zip(found.inputs, found.whole, found.scrubbed.mean(0), found.baseline, strict=True)
    return Table(("input", "model", "scrubbed", "labels of others"), [tuple(row) for row in rows])


def hypothesis_table(of: Hypothesis) -> Table:
    """Boxes, then arrows."""
    rows: list[Sequence[object]] = [
        ("box", box.name, " ".join(box.nodes), box.claim, None) for box in of.boxes
    ]
    rows += [("arrow", arrow.source, None, arrow.target, arrow.reader) for arrow in of.arrows]
    return Table(("what", "name", "nodes", "claim or target", "reader"), rows)


def scrub_lines(session: Session, of: Hypothesis, analysis: Analysis | None) -> Lines | str:
    """The lines that draw a hypothesis and, if it was tested, test it: ``found``."""
    if session.model is None:
        return UNASKED
    made = (
        "import microtome as mt",
        "",
        "hypothesis = mt.Hypothesis(",
        "    boxes=(",
        *(f"        {_box(each)}," for each in of.boxes),
        "    ),",
        "    arrows=(",
        *(
            f"        mt.Arrow({arrow.source!r}, {arrow.target!r}, {arrow.reader!r}),"
            for arrow in of.arrows
        ),
        "    ),",
        f"    title={of.title!r},",
        ")",
    )
    if analysis is None:
        return made
    asked = analysis.params["asked"]
    prompts = [tuple(each) if isinstance(each, list) else each for each in asked["prompts"]]
    model = session.model
    given = f"{model.name!r}" + (f", dtype={model.dtype!r}" if model.dtype != "float32" else "")
    return (
        *made,
        "",
        f"model = mt.load_model({given})",
        "prompts = [",
        *(f"    {prompt!r}," for prompt in prompts),
        "]",
        *_judged(analysis),
        f"draws, seed = {asked['draws']}, {asked['seed']}",
        "found = mt.causal_scrub(model, hypothesis, prompts, metrics, draws=draws, seed=seed)",
        "recovered, band = found.recovered, found.band",
    )


def _judged(analysis: Analysis) -> Lines:
    """The metrics: the answers as token ids, or what the model itself says."""
    if not analysis.params.get(ASKED, {}).get("by_answer"):
        return ("metrics = None",)
    answers = ", ".join(map(str, analysis.params["asked"]["answers"]))
    return (f"metrics = [mt.Probability(token) for token in ({answers})]",)


def _box(box: object) -> str:
    name, nodes, claim, positions = (
        getattr(box, part) for part in ("name", "nodes", "claim", "positions")
    )
    at = "" if positions is None else f", {positions!r}"
    return f"mt.Box({name!r}, {nodes!r}, {claim!r}{at})"


def read_test(analysis: Analysis | None) -> Scrubbed | None:
    """The record of a test; None without one, and for one that cannot be read."""
    try:
        return None if analysis is None else scrubbed_of(analysis)
    except UNREADABLE:
        return None
