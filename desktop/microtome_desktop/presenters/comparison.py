"""Two runs side by side: predictions, a map of differences, and what their circuits share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from microtome.prompts import prompt_line
from microtome.records.circuit import Circuit
from microtome.records.session import Session
from microtome_desktop.presenters.heatmaps import Grid, Missing, Quantity, heatmap
from microtome_desktop.presenters.predictions import predictions
from microtome_desktop.presenters.provenance import between
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.arrays import Arrays
from microtome_desktop.state.draft import question_of, told_prompt
from microtome_desktop.state.made_by import graph_file, names_model, shows_features

_NAMED_CHANGES = 3
# What a map is drawn from, where that is not the run itself.
_MADE_OF = {
    Quantity.PROBABILITY: "logit-lens", Quantity.RANK: "logit-lens",
    Quantity.ATTENTION: "direct-attribution", Quantity.MLP: "direct-attribution",
    Quantity.UNITS: "circuit",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Odds:
    """A token with its probability in each run; None where it is not among the kept ones."""

    token: str
    first: float | None
    second: float | None


@dataclass(frozen=True, slots=True)
class NodePair:
    """A node with its score in each run; None where the run's circuit does not have it."""

    node: str
    label: str
    first: float | None
    second: float | None

    @property
    def change(self) -> float:
        """Second minus first, a missing node counting as nothing."""
        return (self.second or 0.0) - (self.first or 0.0)


def title(session: Session) -> str:
    """For example ``words-4l: When Mary and John … to``, with what its corrupt prompt changes."""
    prompt, more = prompt_text(session), changed_text(session) or graph_file(session)
    told = prompt + (f" ({more})" if more and more != prompt else "")
    return f"{session.model.name}: {told}" if names_model(session) else told


def changed_text(session: Session) -> str:
    """What the corrupt prompt has in place of what, for example ``John → Mary``; empty for one."""
    if shows_features(session) and session.circuit is not None:
        return "features, edited" if session.circuit.metadata.get("changes") else "features"
    if session.clean is None or session.corrupt is None:
        return ""
    if session.clean.image is not None and session.corrupt.image is not None:
        return f"{session.clean.image.name} → {session.corrupt.image.name}"
    words = zip(session.clean.tokens, session.corrupt.tokens, strict=False)
    pairs = [f"{shown_token(a)} → {shown_token(b)}" for a, b in words if a != b]
    return ", ".join(pairs[:_NAMED_CHANGES]) + (", …" if len(pairs) > _NAMED_CHANGES else "")


def prompt_text(session: Session) -> str:
    """The clean prompt in one line, token ids where it was given as such.

    Of a graph from a file the prompt that it tells, else its slug, else the file's name.
    """
    question = question_of(session)
    if question is None:
        return told_prompt(session).strip() or _slug(session) or graph_file(session)
    return prompt_line(question.prompt)


def _slug(session: Session) -> str:
    source = {} if session.circuit is None else session.circuit.metadata.get("source")
    held = source.get("metadata") if isinstance(source, Mapping) else None
    return str(held.get("slug", "")) if isinstance(held, Mapping) else ""


def odds(first: Session, second: Session, count: int = 8) -> tuple[Odds, ...]:
    """The most probable tokens where both runs are read, most probable first."""
    held = [
        {row.token: row.probability for row in predictions(session, None, 2 * count)}
        for session in (first, second)
    ]
    names = sorted({*held[0], *held[1]}, key=lambda name: -max(h.get(name, 0.0) for h in held))
    return tuple(Odds(name, held[0].get(name), held[1].get(name)) for name in names[:count])


def difference(first: Session, second: Session, quantity: Quantity) -> Grid | Missing:
    """The second run's map minus the first one's, or why the two cannot be subtracted."""
    apart = between(first, second, _MADE_OF.get(quantity, ""))
    if apart.reasons:
        return Missing(f"These maps are not subtracted. {' '.join(apart.reasons)}")
    grids = []
    for session in (first, second):
        arrays = Arrays()
        arrays.use(session)
        grid = heatmap(session, arrays, quantity)
        if isinstance(grid, Missing):
            return grid
        grids.append(grid)
    before, after = grids
    if before.values.shape != after.values.shape:
        shapes = " and ".join(
            f"{len(g.rows)} layers × {len(g.columns)} tokens" for g in (before, after)
        )
        return Missing(f"The maps have different sizes, {shapes}: nothing lies upon each other.")
    values = np.asarray(after.values, dtype=float) - np.asarray(before.values, dtype=float)
    bound = max(float(np.abs(values).max()), 1e-9)
    names = tuple(
        one if one == other else f"{one}/{other}"
        for one, other in zip(before.columns, after.columns, strict=True)
    )
    return replace(
        before, values=values, columns=names, low=-bound, high=bound, signed=True, texts=None,
        logarithmic=False, title=f"{quantity}: second minus first",
    )  # fmt: skip


def node_pairs(first: Session, second: Session) -> tuple[NodePair, ...]:
    """All nodes of both circuits, those first whose score changes most."""
    scores = [_scores(session.circuit) for session in (first, second)]
    labels = {**_labels(first.circuit), **_labels(second.circuit)}
    pairs = (
        NodePair(name, label, scores[0].get(name), scores[1].get(name))
        for name, label in labels.items()
    )
    return tuple(sorted(pairs, key=lambda pair: -abs(pair.change)))


def _scores(circuit: Circuit | None) -> dict[str, float]:
    if circuit is None:
        return {}
    return dict(zip(circuit.node_id, map(float, circuit.node_score), strict=True))


def _labels(circuit: Circuit | None) -> dict[str, str]:
    return {} if circuit is None else dict(zip(circuit.node_id, circuit.node_label, strict=True))
