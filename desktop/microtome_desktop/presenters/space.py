"""The feature space: points of a projection, their colours, labels, and which one was hit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float, Int

from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome_desktop import palette
from microtome_desktop.presenters.colour_maps import sequence_table
from microtome_desktop.presenters.tokens import shown_token

# Twelve colours that stay apart on the dark card, also for colour-blind eyes when few are used.
_CATEGORIES = (
    "#6ea8fe", "#f2a65a", "#57c7b8", "#b58cf5", "#ef6a6a", "#a6d854",
    "#e78ac3", "#ffd92f", "#8da0cb", "#66c2a5", "#c9a27e", "#9fb3c8",
)  # fmt: skip
_MAX_LABELS = 12
_LABEL_DISTANCE = 0.3  # of the cloud's radius


class ColourBy(StrEnum):
    """What the colour of a point says."""

    TASK = "Task"
    TOKEN = "Token"
    POSITION = "Position"
    LAYER = "Layer"


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Points to draw, scaled into the unit ball; row i of each array is one point.

    ``prompts`` is the row of the prompt set, -1 for the prompt that was run. ``labels`` are
    texts at places [label, 3].
    """

    points: Float[np.ndarray, "point 3"]
    colours: Float[np.ndarray, "point 4"]
    prompts: Int[np.ndarray, " point"]
    positions: Int[np.ndarray, " point"]
    descriptions: tuple[str, ...]
    label_places: Float[np.ndarray, "label 3"]
    label_texts: tuple[str, ...]
    legend: tuple[tuple[str, str], ...]  # (colour, text)
    caption: str


def projections(session: Session | None) -> tuple[Analysis, ...]:
    """The projections that a session holds."""
    found = () if session is None else session.analyses.values()
    return tuple(analysis for analysis in found if analysis.kind == "projection")


def colourings(analysis: Analysis) -> tuple[ColourBy, ...]:
    """The ways of colouring that say something: those that take more than one value."""
    names = {by: f"point_{by.value.lower()}" for by in ColourBy}
    held = [by for by, name in names.items() if name in analysis.arrays]
    return tuple(by for by in held if len(np.unique(analysis.array(names[by]))) > 1)


def space(analysis: Analysis, by: ColourBy) -> Space:
    """The drawing of one projection."""
    raw = np.asarray(analysis.array("points"), dtype=np.float64)[:, :3]
    points = np.zeros((len(raw), 3))
    low, high = np.quantile(raw, (0.01, 0.99), axis=0) if len(raw) else (0.0, 0.0)
    centred = raw - (low + high) / 2
    reach = np.quantile(np.linalg.norm(centred, axis=1), 0.98) if len(raw) else 1.0
    points[:, : raw.shape[1]] = centred / (reach or 1.0)
    values = np.asarray(analysis.array(f"point_{by.value.lower()}"))
    tints, legend = _ordered(values, by) if values.dtype.kind in "iu" else _categories(values)
    places, texts = _cluster_labels(points, values) if values.dtype.kind == "U" else _no_labels()
    ratios = np.asarray(analysis.array("explained_variance_ratio"))[:3]
    shares = " · ".join(f"PC{i + 1} {share:.0%}" for i, share in enumerate(ratios))
    where = f"{analysis.params.get('site', '')} of {len(points)} tokens"
    positions = np.asarray(analysis.array("point_position"), dtype=np.int64)
    prompts = np.asarray(analysis.array("point_prompt"), dtype=np.int64)
    caption = f"{where} · {shares}"
    words = _descriptions(analysis)
    return Space(points, tints, prompts, positions, words, places, texts, legend, caption)


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


def _descriptions(analysis: Analysis) -> tuple[str, ...]:
    tokens = np.asarray(analysis.array("point_token"))
    tasks = np.asarray(analysis.array("point_task"))
    prompts = np.asarray(analysis.array("point_prompt"))
    positions = np.asarray(analysis.array("point_position"))
    rows = zip(tokens, tasks, prompts, positions, strict=True)
    return tuple(
        f"{shown_token(str(token), 40)} · {task} · "
        f"{'this prompt' if prompt < 0 else f'prompt {prompt}'}, position {position}"
        for token, task, prompt, position in rows
    )


def _rgba(code: str) -> tuple[float, float, float, float]:
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue, 1.0


def _categories(values: np.ndarray) -> tuple[np.ndarray, tuple[tuple[str, str], ...]]:
    names, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    by_size = np.argsort(-counts, kind="stable")
    chosen = dict(zip(by_size.tolist(), _CATEGORIES, strict=False))
    table = np.array([_rgba(chosen.get(i, palette.TEXT_FAINT)) for i in range(len(names))])
    legend = [(chosen[i], shown_token(str(names[i]))) for i in by_size.tolist() if i in chosen]
    if len(names) > len(chosen):
        legend.append((palette.TEXT_FAINT, f"{len(names) - len(chosen)} more"))
    return table[index], tuple(legend)


def _ordered(values: np.ndarray, by: ColourBy) -> tuple[np.ndarray, tuple[tuple[str, str], ...]]:
    low, high = int(values.min()), int(values.max())
    table = sequence_table()
    place = ((values - low) * 255 // max(high - low, 1)).astype(np.int64)
    ends = ((low, table[0]), (high, table[-1]))
    word = by.value.lower()
    legend = tuple((_hex(colour), f"{word} {value}") for value, colour in ends)
    return table[place] / 255.0, legend


def _hex(colour: np.ndarray) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in colour[:3])


def _cluster_labels(points: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """A label at the middle of the largest groups, as far as they do not crowd each other."""
    names, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    places: list[np.ndarray] = []
    texts: list[str] = []
    for group in np.argsort(-counts, kind="stable"):
        middle = np.median(points[index == group], axis=0)
        if all(np.linalg.norm(middle - other) > _LABEL_DISTANCE for other in places):
            places.append(middle)
            texts.append(shown_token(str(names[group])))
        if len(texts) == _MAX_LABELS:
            break
    return np.array(places).reshape(-1, 3), tuple(texts)


def _no_labels() -> tuple[np.ndarray, tuple[str, ...]]:
    return np.zeros((0, 3)), ()
