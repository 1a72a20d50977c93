"""What a hypothesis says in words, what of it fits a model, and where its boxes are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from microtome.circuits.scrubbing.binding import bound
from microtome.circuits.scrubbing.parser import parse_claim
from microtome.errors import InputError
from microtome.records.edges import INPUT, LOGITS, Edges
from microtome.records.hypothesis import READERS, Arrow, Box, Hypothesis
from microtome.records.model import ModelIdentity

# Claims that have a name, as in docs/scrubbing.md.
CLAIMS: Mapping[str, str] = {
    "token(at)": "the current token",
    "token(at - 1)": "the previous token",
    "at": "the position",
    "token(previous(at) + 1)": "what followed the current token before",
    "token(previous(at) - 1)": "the token before the previous occurrence",
    "previous(at) != nothing": "whether the token stood here before",
    "previous(at)": "where the token stood before",
    "count(token(at))": "how often the token stands there",
    'token(latest(p: token(p) in ("Mary", "John") and previous(p) != nothing))':
        "the repeated name",
    'token(first(p: token(p) in ("Mary", "John") and count(token(p)) = 1))':
        "the name that stands once",
    "1": "nothing: the same for all inputs",
}  # fmt: skip
READ = {"q": "queries", "k": "keys", "v": "values", "mlp": "MLP input", LOGITS: "logits"}
BOX_WIDTH, BOX_HEIGHT, LOW_BOX = 148, 46, 26  # pixels; a low box has no room for its claim
LEAST_WIDTH = 96  # of a box where the room is narrow: a short name and one node
_GAP, _ROW, _LOW_ROW, _EDGE = 8, 30, 14, 6  # between boxes, between rows, around all
_LEFT, _ASIDE = 52, 26  # room for the rows' names; how far single boxes stand aside


def in_words(claim: str) -> str:
    """The name of a claim, or the claim itself."""
    return CLAIMS.get(claim.strip(), claim)


def claim_problem(text: str) -> str:
    """Why a claim cannot be read, with its column; empty when it can."""
    if not text.strip():
        return "A claim is missing: choose one, or write an expression such as token(at - 1)."
    try:
        parse_claim(text)
    except InputError as error:
        return str(error)
    return ""


@lru_cache(maxsize=4)
def edges_of_model(n_layers: int, n_heads: int) -> Edges:
    """The edges of a model of this size; whether its blocks are parallel the engine knows."""
    return Edges(n_layers, n_heads, False)


def problem_of(hypothesis: Hypothesis, model: ModelIdentity) -> str:
    """Why a model cannot have this hypothesis, empty when it can."""
    try:
        bound(hypothesis, edges_of_model(model.n_layers, model.n_heads))
    except InputError as error:
        return str(error)
    return ""


def nodes_problem(nodes: tuple[str, ...], model: ModelIdentity) -> str:
    """Why a box cannot be bound to these nodes, empty when it can."""
    known = edges_of_model(model.n_layers, model.n_heads).writer_names
    for node in nodes:
        if node not in known:
            return (
                f"The model has no {node!r}: it has {model.n_layers} layers of {model.n_heads} "
                "heads. Write input, a0.h1 or m0; all count from 0."
            )
    if not nodes:
        return "Bind the box to something: input, a head such as a0.h1, or an MLP such as m0."
    return "The input stands by itself: make two boxes." if INPUT in nodes[1:] else ""


def readers_for(hypothesis: Hypothesis, source: str, target: str) -> tuple[str, ...]:
    """What of a target an arrow from a box may still lead into; nothing against the order."""
    boxes = {box.name: box for box in hypothesis.boxes}
    if source not in boxes or source == target:
        return ()
    if target == LOGITS:
        fits: tuple[str, ...] = (LOGITS,)
    else:
        fits = _fitting(boxes[source], boxes[target])
    held = {(arrow.source, arrow.target, arrow.reader) for arrow in hypothesis.arrows}
    return tuple(each for each in fits if (source, target, each) not in held)


def _fitting(source: Box, target: Box) -> tuple[str, ...]:
    found = set()
    for node in target.nodes:
        if any(_depth(own) < _depth(node) for own in source.nodes):
            is_head = node.startswith("a") and _layer(node) > min(map(_layer, source.nodes))
            found |= set("qkv") if is_head else {"mlp"} if node.startswith("m") else set()
    return tuple(each for each in READERS if each in found)


def _layer(node: str) -> int:
    digits = node[1:].partition(".")[0]
    return int(digits) if node != INPUT and digits.isdigit() else -1


def _depth(node: str) -> int:
    """How far up in the model a node writes: the input, then heads and MLP layer by layer."""
    return 2 * _layer(node) + (1 if node.startswith("m") else 0) if node != INPUT else -1


# ---------------------------------------------------------------- where boxes are drawn


@dataclass(frozen=True, slots=True)
class Rect:
    """A place on the canvas, in its pixels."""

    x: float
    y: float
    width: float
    height: float

    def holds(self, x: float, y: float) -> bool:
        """Whether a point is in it."""
        return self.x <= x <= self.x + self.width and self.y <= y <= self.y + self.height


@dataclass(frozen=True, slots=True)
class Row:
    """A line of boxes, and what of the model stands there."""

    title: str
    y: float


@dataclass(frozen=True, slots=True)
class Curve:
    """An arrow: from the top of its source to its place below its target."""

    arrow: Arrow
    start: tuple[float, float]
    end: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Laid:
    """Every box and arrow in its place. The logits have the name of the reader."""

    boxes: Mapping[str, Rect]
    curves: tuple[Curve, ...]
    rows: tuple[Row, ...]
    width: float
    height: float


def laid_out(hypothesis: Hypothesis, width: float, height: float) -> Laid:
    """Boxes in rows by layer, the input below and the logits above, spread over the room.

    Boxes are narrower in a narrow room; what needs more than that gets it: the canvas scrolls.
    """
    levels = _levels(hypothesis)
    widest = max([len(names) for _, names in levels], default=1)
    beside = _EDGE + _LEFT + (2 * _ASIDE if widest == 1 else 0)  # others have room to go aside
    wide = max(width, beside + widest * (LEAST_WIDTH + _GAP))
    box_width = min(BOX_WIDTH, (wide - beside) / widest - _GAP)
    gaps = max(len(levels) - 1, 1)
    low = height < 2 * _EDGE + BOX_HEIGHT + gaps * (BOX_HEIGHT + _ROW)
    box, row = (LOW_BOX, _LOW_ROW) if low else (BOX_HEIGHT, _ROW)
    step = max(box + row, (height - 2 * _EDGE - box) / gaps)
    step = min(step, box + 4 * _ROW)
    tall = max(height, 2 * _EDGE + box + step * gaps)
    spare = (tall - 2 * _EDGE - box - step * gaps) / 2
    boxes, rows = {}, []
    for number, (title, names) in enumerate(levels):
        y = tall - _EDGE - spare - box - number * step
        rows.append(Row(title, y + box / 2))
        # Arrows that pass a row by go beside its box, not behind it.
        inside = 0 < number < gaps and len(names) == 1
        aside = 0.0 if not inside else _ASIDE if number % 2 else -_ASIDE
        boxes.update(_spread(names, Rect(aside, y, wide, box), box_width))
    return Laid(boxes, _curves(hypothesis, boxes), tuple(rows), wide, tall)


def _levels(hypothesis: Hypothesis) -> list[tuple[str, list[str]]]:
    depths: dict[int, list[str]] = {-1: []}
    for box in hypothesis.boxes:
        depths.setdefault(max(map(_depth, box.nodes), default=-1), []).append(box.name)
    named = [(_level(depth), names) for depth, names in sorted(depths.items())]
    return [*named, ("logits", [LOGITS])]


def _level(depth: int) -> str:
    if depth < 0:
        return INPUT
    return f"M{depth // 2}" if depth % 2 else f"L{depth // 2}"


def _spread(names: list[str], room: Rect, width: float) -> dict[str, Rect]:
    """Boxes side by side over the width of the room, moved aside by its x."""
    step = (room.width - _LEFT - _EDGE) / max(len(names), 1)
    return {
        name: Rect(_LEFT + step * (at + 0.5) - width / 2 + room.x, room.y, width, room.height)
        for at, name in enumerate(names)
    }


_ALONG = {"q": 0.2, "k": 0.5, "v": 0.8, "mlp": 0.5, LOGITS: 0.5}


def _curves(hypothesis: Hypothesis, boxes: Mapping[str, Rect]) -> tuple[Curve, ...]:
    found = []
    for arrow in hypothesis.arrows:
        source, target = boxes.get(arrow.source), boxes.get(arrow.target)
        if source is None or target is None:
            continue
        along = _leaving(hypothesis, arrow)
        start = source.x + source.width * along, source.y
        end = target.x + target.width * _ALONG[arrow.reader], target.y + target.height
        found.append(Curve(arrow, start, end))
    return tuple(found)


def _leaving(hypothesis: Hypothesis, arrow: Arrow) -> float:
    """Arrows of one box leave it side by side."""
    own = [each for each in hypothesis.arrows if each.source == arrow.source]
    return (own.index(arrow) + 1) / (len(own) + 1)
