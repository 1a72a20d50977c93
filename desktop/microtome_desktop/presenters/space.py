"""The feature space: points of a projection, their colours, labels, and which one was hit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha1
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome_desktop.presenters.space_colours import (
    ARRAYS,
    OF_FEATURES,
    OF_IMAGES,
    OF_TOKENS,
    ColourBy,
    Kinds,
    categories,
    graded,
    ordered,
)
from microtome_desktop.presenters.tokens import shown_token

_MAX_LABELS = 12
_LABEL_DISTANCE = 0.3  # of the cloud's radius
SHUFFLED = 50_000  # more points are drawn by the processor, in the order in which they lie
_LARGE = 20_000  # points that take longer to prepare than the window may stand still
_NO_TOKENS = (ColourBy.CLUSTER, ColourBy.DOMAIN, ColourBy.CLASS)
_TOLD_APART_BY = 8  # prompts; a projection that was cut short still has its first ones


@dataclass(frozen=True, slots=True, eq=False)
class Active:
    """A unit or a feature, and what it does at each point; ``params`` say what it was read in."""

    named: str
    number: int
    values: Float[np.ndarray, " point"]
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Points to draw, scaled into the unit ball; row i of each array is one point.

    ``prompts`` is the row of the prompt set, -1 for the prompt that was run. ``labels`` are
    texts at places [label, 3]. ``by`` is what the colours say, of what is ``offered``. ``of``
    recognises the prompt set, ``features`` the dictionary whose features the points are, each at
    the position of its number, ``images`` the set whose images they are, ``active`` what these are
    coloured by; ``by_key`` sorts the points by prompt and position, which ``ordered`` holds as one
    number each.
    """

    points: Float[np.ndarray, "point 3"]
    colours: Float[np.ndarray, "point 4"]
    prompts: Int[np.ndarray, " point"]
    positions: Int[np.ndarray, " point"]
    label_places: Float[np.ndarray, "label 3"]
    label_texts: tuple[str, ...]
    legend: tuple[tuple[str, str], ...]  # (colour, text)
    caption: str
    tokens: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, np.str_))
    tasks: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, np.str_))
    by: ColourBy = ColourBy.POSITION
    offered: tuple[ColourBy, ...] = ()
    of: str = ""
    features: str = ""
    images: str = ""
    active: Active | None = None
    by_key: Int[np.ndarray, " point"] = field(default_factory=lambda: np.zeros(0, np.int64))
    ordered: Int[np.ndarray, " point"] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def nbytes(self) -> int:
        """What it takes in memory, about."""
        return sum(
            held.nbytes
            for held in (self.points, self.colours, self.prompts, self.positions, self.tokens,
                         self.tasks, self.by_key, self.ordered)
        )  # fmt: skip

    def describe(self, point: int) -> str:
        """What is said of the point under the cursor."""
        prompt = int(self.prompts[point])
        where = "this prompt" if prompt < 0 else f"prompt {prompt}"
        token, task = shown_token(str(self.tokens[point]), 40), self.tasks[point]
        if self.features:
            return f"feature {self.positions[point]} · {token}"
        return f"{token} · {task} · {where}, position {self.positions[point]}"

    def rows_of(self, prompts: Int[np.ndarray, " some"], positions: Int[np.ndarray, " some"]) \
            -> Int[np.ndarray, " found"]:  # fmt: skip
        """The points that show these tokens; several for one token where layers are mixed."""
        wanted = np.unique(keys(prompts, positions))
        low = np.searchsorted(self.ordered, wanted, "left")
        high = np.searchsorted(self.ordered, wanted, "right")
        counts = high - low
        ends = np.cumsum(counts)
        steps = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
        return np.asarray(self.by_key[np.repeat(low, counts) + steps])

    def turned(self, rotation: Float[np.ndarray, "3 3"], note: str) -> Space:
        """The same points along other axes."""
        narrow = rotation.astype(np.float32)
        return replace(
            self,
            points=self.points @ narrow,
            label_places=self.label_places @ narrow,
            caption=f"{self.caption} · {note}",
        )


def keys(
    prompts: Int[np.ndarray, " point"], positions: Int[np.ndarray, " point"]
) -> Int[np.ndarray, " point"]:
    """One number for each pair of prompt row and position."""
    return (prompts.astype(np.int64) << 32) + positions.astype(np.int64)


def projections(session: Session | None) -> tuple[Analysis, ...]:
    """The projections that a session holds."""
    found = () if session is None else session.analyses.values()
    return tuple(analysis for analysis in found if analysis.kind == "projection")


def projection_of(session: Session | None, site: str | None) -> Analysis | None:
    """The projection of a site, None when there is none yet."""
    found = (a for a in projections(session) if a.params.get("site") == site)
    return next(found, None)


def at_once(analysis: Analysis) -> bool:
    """Whether the drawing can be made while the window waits: few points, none in a file."""
    few = analysis.arrays["points"].values.shape[0] <= _LARGE
    return few and all(isinstance(held.values, np.ndarray) for held in analysis.arrays.values())


def colourings(analysis: Analysis) -> tuple[ColourBy, ...]:
    """The ways of colouring that say something: those that take more than one value."""
    told = analysis.params
    possible: tuple[ColourBy, ...] = OF_FEATURES if told.get("features") else OF_TOKENS
    possible = OF_IMAGES if told.get("images") else possible
    names = {by: ARRAYS[by] for by in possible}
    arrays = {by: analysis.array(name) for by, name in names.items() if name in analysis.arrays}
    return tuple(by for by, held in arrays.items() if len(held) and bool((held != held[0]).any()))


def set_name(analysis: Analysis) -> str:
    """What a projection's prompt set is recognised by, however many of its prompts were taken.

    Empty for one that does not say which prompts it was made from.
    """
    held = analysis.params.get("prompts")
    if not isinstance(held, list | tuple):
        return ""
    first = "\0".join(str(prompt) for prompt in held[:_TOLD_APART_BY])
    return sha1(first.encode(), usedforsecurity=False).hexdigest()[:12]


def space(analysis: Analysis, by: ColourBy | None) -> Space:
    """The drawing of one projection, coloured by the first that says something without a wish.

    Takes a second for a million points, which is why a worker does it for those. Many points come
    in a fixed shuffle: whoever draws a first part of them, or one over the other, draws a fair
    sample.
    """
    offered = colourings(analysis)
    if by not in offered:
        by = next(iter(offered), ColourBy.POSITION)
    points = _scaled(np.asarray(analysis.array("points"))[:, :3])
    values = np.asarray(analysis.array(ARRAYS[by]))
    kinds = None if values.dtype.kind in "iuf" else Kinds.of(values, tokens=by not in _NO_TOKENS)
    tints, legend = _tinted(values, by) if kinds is None else categories(kinds)
    places, texts = _no_labels() if kinds is None else _cluster_labels(points, kinds)
    positions = np.asarray(analysis.array("point_position"), dtype=np.int64)
    prompts = np.asarray(analysis.array("point_prompt"), dtype=np.int64)
    tokens, tasks = (np.asarray(analysis.array(f"point_{what}")) for what in ("token", "task"))
    if len(points) > SHUFFLED:
        order = np.random.default_rng(0).permutation(len(points))
        points, tints, prompts = points[order], tints[order], prompts[order]
        positions, tokens, tasks = positions[order], tokens[order], tasks[order]
    told = analysis.params
    numbers = keys(prompts, positions)
    by_key = np.argsort(numbers, kind="stable")
    return Space(
        points, tints.astype(np.float32), prompts, positions, places, texts, legend,
        caption=_caption(analysis, len(points)),
        tokens=tokens,
        tasks=tasks,
        by=by,
        offered=offered,
        of=set_name(analysis),
        features=str(told.get("features", "")),
        images=str(told.get("images", "")),
        by_key=by_key,
        ordered=numbers[by_key],
    )  # fmt: skip


def _tinted(values: np.ndarray, by: ColourBy) -> tuple[np.ndarray, tuple[tuple[str, str], ...]]:
    return graded(values, by) if values.dtype.kind == "f" else ordered(values, by)


def _caption(analysis: Analysis, count: int) -> str:
    """What the points are, how many, and what share of the variance the axes have."""
    told, many = analysis.params, _count(count)
    kind = f"\N{MIDDLE DOT} {many} directions" if told.get("features") else f"of {many} tokens"
    if told.get("images"):
        count -= int(told.get("own_points", 0))
        what = "places" if told.get("per") == "place" else "images"
        kind = f"of {_count(count)} {what} of {told['images']}"
    if told.get("method") == "umap":
        shares = f"near ones are alike · seed {told.get('seed', 0)}"
    else:
        ratios = np.asarray(analysis.array("explained_variance_ratio"))[:3]
        shares = " · ".join(f"PC{i + 1} {share:.0%}" for i, share in enumerate(ratios))
    name = told.get("unit_layer", told.get("site", ""))
    return f"{name} {kind} · {shares}"


def known_colouring(text: str) -> ColourBy | None:
    """The colouring of this name, None for any other text."""
    return ColourBy(text) if text in set(ColourBy) else None


def legend_html(drawing: Space) -> str:
    """The legend as rich text; a token may look like markup. What has no colour is a heading."""
    return "<br>".join(
        (f'<span style="color:{colour}">\N{BLACK CIRCLE}</span> ' if colour else "")
        + escape(text, quote=False)
        for colour, text in drawing.legend
    )


def nearest(
    on_screen: Float[np.ndarray, "point 2"],
    depth: Float[np.ndarray, " point"],
    cursor: tuple[float, float],
    reach: float = 8.0,
) -> int | None:
    """The point under the cursor: within ``reach`` pixels, the front-most; None when none is."""
    distance = np.hypot(on_screen[:, 0] - cursor[0], on_screen[:, 1] - cursor[1])
    hits = np.flatnonzero(distance <= reach)
    if not len(hits):
        return None
    return int(hits[np.lexsort((distance[hits], depth[hits]))[0]])


def _count(n: int) -> str:
    return f"{n:,}" if n >= 10_000 else str(n)


def _scaled(raw: NDArray[np.generic]) -> Float[np.ndarray, "point 3"]:
    """Into the unit ball, but for a few outliers; in three dimensions always."""
    points = np.zeros((len(raw), 3), np.float32)
    if not len(raw):
        return points
    low, high = np.quantile(raw.astype(np.float64), (0.01, 0.99), axis=0)
    centred = raw - (low + high) / 2
    reach = np.quantile(np.linalg.norm(centred, axis=1), 0.98)
    points[:, : raw.shape[1]] = centred / (reach or 1.0)
    return points


def _cluster_labels(points: np.ndarray, kinds: Kinds) -> tuple[np.ndarray, tuple[str, ...]]:
    """A label at the middle of the largest groups, as far as they do not crowd each other."""
    places: list[np.ndarray] = []
    texts: list[str] = []
    for group in kinds.by_size[: 4 * _MAX_LABELS]:
        middle = np.median(points[kinds.index == group], axis=0)
        if all(np.linalg.norm(middle - other) > _LABEL_DISTANCE for other in places):
            places.append(middle)
            texts.append(kinds.told(group))
        if len(texts) == _MAX_LABELS:
            break
    return np.array(places, np.float32).reshape(-1, 3), tuple(texts)


def _no_labels() -> tuple[np.ndarray, tuple[str, ...]]:
    return np.zeros((0, 3), np.float32), ()
