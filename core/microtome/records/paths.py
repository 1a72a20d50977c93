"""Paths through a model, and the record of what patching along them does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from microtome.errors import InputError, described, expect
from microtome.records.analysis import Analysis, Labelled
from microtome.records.edges import LOGITS, Edges

PATHS = "path-patching"  # the kind of its analysis
MOST_PATHS = 4096
_ARROW = "->"
_STEP = re.compile(r"([a-z]\w*(?:\.h\d+)?)(?:<([qkv]{1,3})>)?(?:@(-?\d+))?")
_WAY_OUT = "Write for example input->a0.h1<v>->a2.h0<k>->logits, or a0.h1@4->m1@6->logits."


@dataclass(frozen=True, slots=True)
class Step:
    """A node on a path, what of it reads (``q``, ``k``, ``v``; of a head all without), and where.

    ``at`` is the only position at which its output counts, negative ones from the end; None: all.
    """

    node: str
    sides: str = ""
    at: int | None = None

    def __str__(self) -> str:
        sides = f"<{self.sides}>" if self.sides else ""
        return f"{self.node}{sides}{'' if self.at is None else f'@{self.at}'}"


@dataclass(frozen=True, slots=True)
class Path:
    """A sender and the nodes behind it, each of which reads the one before.

    The last may be ``logits``. Without it the path ends at a receiver, from which on the model goes
    on freely.
    """

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return _ARROW.join(map(str, self.steps))

    @classmethod
    def of(cls, text: object) -> Path:
        """The path that a text writes. Raises InputError for what is none."""
        expect(text, (str, cls), "path", "a text", _WAY_OUT)
        if isinstance(text, cls):
            return text
        parts = str(text).replace("\N{RIGHTWARDS ARROW}", _ARROW).split(_ARROW)
        return cls(tuple(_step(part.strip(), str(text)) for part in parts))

    def readers(self, edges: Edges) -> tuple[tuple[int, ...], ...]:
        """The numbers of what reads at each step behind the sender.

        Raises InputError for nodes that the model does not have, and for steps without an edge.
        """
        if len(self.steps) < 2:
            raise InputError(f"The path {self} has one node.", _WAY_OUT)
        self.expect_nodes(edges)
        pairs = zip(self.steps, self.steps[1:], strict=False)
        return tuple(self._into(before, step, edges) for before, step in pairs)

    def expect_nodes(self, edges: Edges) -> None:
        """Raise InputError for nodes that the model does not have, or that stand where none can."""
        for step in self.steps:
            self._expect_node(step, edges)

    def _expect_node(self, step: Step, edges: Edges) -> None:
        at_end = step is self.steps[-1] and step.node == LOGITS
        if step.node not in edges.writer_names and not at_end:
            size = f"{edges.n_layers} layers of {edges.n_heads} heads"
            wrong = f"which the model does not have: it has {size}."
            wrong = "which stands at its end alone." if step.node == LOGITS else wrong
            raise InputError(f"The path {self} names {step.node!r}, {wrong}", _WAY_OUT)
        first = step is self.steps[0]
        if step.sides and (first or not step.node.startswith("a")):
            raise InputError(
                f"The path {self} reads {step} by q, k or v.",
                "Heads are read so, behind the sender; an MLP and the logits have one input.",
            )

    def _into(self, before: Step, step: Step, edges: Edges) -> tuple[int, ...]:
        names = [step.node]
        if step.node.startswith("a"):
            names = [f"{step.node}<{side}>" for side in step.sides or "qkv"]
        found = []
        for name in names:
            try:
                found.append(edges.index(f"{before.node}{_ARROW}{name}")[1])
            except KeyError:
                raise InputError(
                    f"The path {self} has a step that is no edge: {before.node} does not stand "
                    f"before {name}.",
                    "A node is read by heads of later layers, by MLPs behind it, and by logits.",
                ) from None
        return tuple(found)


def _step(text: str, whole: str) -> Step:
    found = _STEP.fullmatch(text)
    if found is None:
        raise InputError(f"The path {whole!r} has a step {text!r} that cannot be read.", _WAY_OUT)
    node, sides, at = found.groups()
    return Step(node, "".join(dict.fromkeys(sides or "")), None if at is None else int(at))


def paths_of(given: object) -> tuple[Path, ...]:
    """The paths of a text, a path, or a list of them; InputError for none at all."""
    listed = [given] if isinstance(given, str | Path) else given
    expect(listed, Sequence, "paths", "a path or a list of paths", _WAY_OUT)
    assert isinstance(listed, Sequence)  # noqa: S101
    if not listed:
        raise InputError(f"The paths are {described(given)}.", _WAY_OUT)
    if len(listed) > MOST_PATHS:
        raise InputError(f"There are {len(listed)} paths.", f"{MOST_PATHS} are the most.")
    return tuple(Path.of(each) for each in listed)


def paths_between(
    edges: Edges, sender: str, receiver: str = LOGITS, *, through: int = 1
) -> tuple[Path, ...]:
    """Every path from a writer to a reader through so many nodes at most, shortest first.

    The receiver is ``logits``, an MLP, a head or one side of it (``a1.h0<k>``). Each side of a
    head between them makes a path of its own.
    Raises InputError for ends that the model does not have, and for more than 4096 paths.
    """
    ends = Path.of(f"{sender}{_ARROW}{receiver}")
    ends.expect_nodes(edges)
    end = ends.steps[1]
    found: list[Path] = []
    for count in range(through + 1):
        for steps in _chains(edges, (Step(sender),), end, count):
            found.append(Path(steps))
            if len(found) > MOST_PATHS:
                raise InputError(
                    f"There are more than {MOST_PATHS} paths from {sender} to {receiver}.",
                    "Give fewer nodes to go through.",
                )
    return tuple(found)


def _chains(
    edges: Edges, before: tuple[Step, ...], end: Step, left: int
) -> Iterator[tuple[Step, ...]]:
    row = edges.exists[edges.writer_names.index(before[-1].node)]
    if left == 0:
        wanted = (
            end.node if not end.node.startswith("a") else f"{end.node}<{(end.sides or 'q')[0]}>"
        )
        if row[edges.reader_names.index(wanted)]:
            yield (*before, end)
        return
    for reader in np.flatnonzero(row[:-1]).tolist():
        name = edges.reader_names[reader]
        step = Step(name[:-3], name[-2]) if name.endswith(">") else Step(name)
        yield from _chains(edges, (*before, step), end, left - 1)


@dataclass(frozen=True, slots=True, eq=False)
class PatchedPaths:
    """What each path carries of a metric.

    ``effect`` is the metric of the clean run less that of the run in which the path carries the
    other values, the mean over examples: positive where the clean content raises the metric.
    ``share`` is the effect by that of all paths together, ``band`` the ends of its 95 % bootstrap
    interval over examples (None for one).
    """

    paths: tuple[str, ...]
    effect: Float[np.ndarray, " path"]
    share: Float[np.ndarray, " path"]
    band: Float[np.ndarray, "2 path"] | None
    values: Float[np.ndarray, "path example"]
    whole: Float[np.ndarray, " example"]
    none: Float[np.ndarray, " example"]
    metric: str
    params: Mapping[str, Any] = field(default_factory=dict)


def paths_analysis(found: PatchedPaths) -> Analysis:
    """The record as labelled arrays, for panels, files and exports."""
    arrays = {
        "paths": Labelled(("path",), np.array(found.paths, dtype=np.str_)),
        "effect": Labelled(("path",), found.effect, long_name=f"effect on {found.metric}"),
        "share": Labelled(("path",), found.share, long_name="share of the effect of all paths"),
        "values": Labelled(("path", "example"), found.values, long_name=found.metric),
        "whole": Labelled(("example",), found.whole, long_name=found.metric),
        "none": Labelled(("example",), found.none, long_name=found.metric),
    }
    if found.band is not None:
        arrays["band"] = Labelled(("end", "path"), found.band, long_name="95 % interval")
    params = {"metric": found.metric, "asked": dict(found.params)}
    title = found.paths[0] if len(found.paths) == 1 else f"{len(found.paths)} paths"
    return Analysis(str(found.params["id"]), PATHS, title, arrays, params)


def paths_found(analysis: Analysis) -> PatchedPaths:
    """The record that an analysis holds, also one from a file."""
    names = ("effect", "share", "values", "whole", "none")
    return PatchedPaths(
        **{name: analysis.array(name) for name in names},
        paths=tuple(str(text) for text in analysis.array("paths")),
        band=analysis.array("band") if "band" in analysis.arrays else None,
        metric=str(analysis.params["metric"]),
        params=analysis.params["asked"],
    )
