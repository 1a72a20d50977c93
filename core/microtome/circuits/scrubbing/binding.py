"""A hypothesis laid over a model: which reader reads which writer through which arrow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from microtome.circuits.scrubbing.parser import parse_claim
from microtome.circuits.scrubbing.terms import Term
from microtome.errors import InputError
from microtome.records.edges import INPUT, LOGITS, Edges
from microtome.records.hypothesis import Arrow, Box, Hypothesis
from microtome.records.scrubbed import Wire


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader of the model in its box, and what it reads.

    ``sources`` has for each writer before it the arrow that brings it, -1 without one; ``box`` and
    ``node`` are the reader's own, -1 for the logits.
    """

    box: int
    node: int
    number: int  # among all readers of the model
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A hypothesis that a model can have. ``readers`` are in the order of the forward pass."""

    hypothesis: Hypothesis
    edges: Edges
    nodes: tuple[tuple[int, ...], ...]  # of each box, its writers
    terms: tuple[Term, ...]
    arrow_sources: tuple[int, ...]  # of each arrow, the box it comes from
    readers: tuple[Reader, ...]

    @property
    def wires(self) -> tuple[Wire, ...]:
        """All that is read, reader by reader and writer by writer."""
        boxes, names = self.hypothesis.boxes, self.edges
        return tuple(
            Wire(
                "" if reader.box < 0 else boxes[reader.box].name,
                names.reader_names[reader.number],
                names.writer_names[writer],
                "" if arrow < 0 else boxes[self.arrow_sources[arrow]].name,
            )
            for reader in self.readers
            for writer, arrow in enumerate(reader.sources)
        )


def bound(hypothesis: Hypothesis, edges: Edges) -> Bound:
    """The hypothesis laid over a model with these edges.

    Raises InputError for nodes that the model does not have, names that no box has, arrows against
    the order of layers, cycles, boxes on no way from the input to the logits, and claims
    that cannot be read.
    """
    numbers = _numbered(hypothesis.boxes)
    nodes = tuple(_writers(box, edges) for box in hypothesis.boxes)
    for arrow in hypothesis.arrows:
        _expect_names(arrow, numbers)
    _expect_ways(hypothesis)
    terms = tuple(parse_claim(box.claim) for box in hypothesis.boxes)
    sources = tuple(numbers[arrow.source] for arrow in hypothesis.arrows)
    laid = Bound(hypothesis, edges, nodes, terms, sources, ())
    readers = _readers(laid)
    used = {arrow for reader in readers for arrow in reader.sources}
    for number, arrow in enumerate(hypothesis.arrows):
        if number not in used:
            raise _nothing_brought(arrow)
    return Bound(hypothesis, edges, nodes, terms, sources, readers)


def _numbered(boxes: Iterable[Box]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for box in boxes:
        if not box.name.strip() or box.name == LOGITS or box.name in numbers:
            raise InputError(
                f"A box is called {box.name!r}.",
                "Every box needs a name of its own; logits is the output of the model.",
            )
        numbers[box.name] = len(numbers)
    return numbers


def _writers(box: Box, edges: Edges) -> tuple[int, ...]:
    found = set()
    for node in box.nodes:
        if node not in edges.writer_names:
            raise InputError(
                f"The box {box.name} is bound to {node!r}, which the model does not have: it has "
                f"{edges.n_layers} layers of {edges.n_heads} heads.",
                "Write input, a head such as a0.h1, or an MLP such as m0; layers and heads count "
                "from 0.",
            )
        found.add(edges.writer_names.index(node))
    if not found:
        raise InputError(f"The box {box.name} is bound to nothing.", "Give it a head or an MLP.")
    if 0 in found and len(found) > 1:
        raise InputError(
            f"The box {box.name} is bound to the input and to other nodes.", "Make two boxes."
        )
    return tuple(sorted(found))


def _expect_names(arrow: Arrow, numbers: dict[str, int]) -> None:
    for name in (arrow.source, arrow.target):
        if name not in numbers and not (name == LOGITS and name == arrow.target):
            raise InputError(
                f"An arrow names the box {name!r}, which the hypothesis does not have.",
                f"Its boxes are {', '.join(numbers) or 'none'}.",
            )
    if (arrow.target == LOGITS) != (arrow.reader == LOGITS):
        raise InputError(
            f"The arrow from {arrow.source} to {arrow.target} leads into {arrow.reader}.",
            "Into logits lead arrows of the reader logits, into boxes q, k, v and mlp.",
        )


def _expect_ways(hypothesis: Hypothesis) -> None:
    """Raise where boxes read each other in a circle, or are on no way from input to logits."""
    arrows = hypothesis.arrows
    inputs = {box.name for box in hypothesis.boxes if INPUT in box.nodes}
    forward = _reached(inputs, [(a.source, a.target) for a in arrows])
    backward = _reached({LOGITS}, [(a.target, a.source) for a in arrows])
    if LOGITS not in forward:
        raise InputError(
            "No way leads from the input to the logits.",
            "Bind a box to input, and draw arrows from box to box up to logits.",
        )
    for box in hypothesis.boxes:
        behind = _reached(
            {a.target for a in arrows if a.source == box.name},
            [(a.source, a.target) for a in arrows],
        )
        if box.name in behind:
            raise InputError(f"The box {box.name} reads itself in a circle.", "Take an arrow away.")
        if box.name not in forward or box.name not in backward:
            end = "is reached from no input" if box.name not in forward else "leads to no logits"
            raise InputError(
                f"The box {box.name} {end}, so that nothing of it would be used.",
                "Draw the missing arrow, or take the box away.",
            )


def _reached(start: set[str], steps: list[tuple[str, str]]) -> set[str]:
    found, new = set(start), set(start)
    while new:
        new = {target for source, target in steps if source in new} - found
        found |= new
    return found


def _readers(laid: Bound) -> tuple[Reader, ...]:
    edges, found = laid.edges, []
    order = sorted(
        (node, box) for box, nodes in enumerate(laid.nodes) for node in nodes if node > 0
    )
    for node, box in order:
        own = np.flatnonzero(edges.node_of == node).tolist()
        found += [_reader(laid, box, node, number) for number in own]
    found.append(_reader(laid, -1, -1, edges.n_readers - 1))
    return tuple(found)


def _reader(laid: Bound, box: int, node: int, number: int) -> Reader:
    name = laid.edges.reader_names[number]
    side = name[-2] if name.endswith(">") else LOGITS if box < 0 else "mlp"
    target = LOGITS if box < 0 else laid.hypothesis.boxes[box].name
    before = int(laid.edges.exists[:, number].sum())
    sources = [-1] * before
    for arrow, drawn in enumerate(laid.hypothesis.arrows):
        if (drawn.target, drawn.reader) != (target, side):
            continue
        for writer in laid.nodes[laid.arrow_sources[arrow]]:
            if writer < before and sources[writer] >= 0:
                raise InputError(
                    f"Two arrows bring {laid.edges.writer_names[writer]} to {name}.",
                    "Keep one, or make one box of both sources.",
                )
            if writer < before:
                sources[writer] = arrow
    return Reader(box, node, number, tuple(sources))


def _nothing_brought(arrow: Arrow) -> InputError:
    return InputError(
        f"The arrow from {arrow.source} to {arrow.target} brings nothing: no node of {arrow.source}"
        f" stands before what {arrow.target} reads as {arrow.reader}.",
        "Heads read q, k and v of earlier layers; MLPs read mlp, also of heads of their own layer.",
    )
