"""What each panel shows, as a table with every number at full precision.

These functions may read files: they are called on the IO thread. One raises InputError with the
reason where a panel has nothing to show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.errors import InputError
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.records.marks import OWN_PROMPT
from microtome.records.pattern import HeadPattern
from microtome.records.run_codes import RunCodes
from microtome.records.session import Session
from microtome.records.trace import Trace
from microtome_desktop.presenters.attention import SELF, Kind, attention_grid, head_pattern
from microtome_desktop.presenters.circuit import pruned
from microtome_desktop.presenters.circuit_kinds import edge_style
from microtome_desktop.presenters.circuit_paths import rows_through
from microtome_desktop.presenters.circuit_view import View
from microtome_desktop.presenters.edits import effects
from microtome_desktop.presenters.heatmaps import Grid, Missing, Quantity
from microtome_desktop.presenters.neurons import histogram, strongest_neurons
from microtome_desktop.presenters.node_card import (
    attention_sources,
    card_of,
    readers_of,
    verification,
)
from microtome_desktop.presenters.places import place_of
from microtome_desktop.presenters.predictions import predictions
from microtome_desktop.presenters.space import projections, set_name
from microtome_desktop.presenters.strip import Colouring, token_values
from microtome_desktop.presenters.unit_heatmap import UnitGrid
from microtome_desktop.presenters.with_edits import Side, attention_change, sided, sided_heatmap
from microtome_desktop.state.arrays import ArrayKey, Arrays, read
from microtome_desktop.state.exports import Table
from microtome_desktop.state.feature_nodes import shown_marks
from microtome_desktop.state.history import Past
from microtome_desktop.state.made_by import model_name
from microtome_desktop.state.selection import Selected
from microtome_desktop.state.work import Piece

NO_RUN = "Run a prompt first."
MakeTable = Callable[[], Table]


class Waiting(Arrays):
    """Arrays that read a file at once, where nobody waits for the thread."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._read_from = session

    def get(self, trace: int, site: str, layer: int | None = None) -> NDArray[Any]:
        """The values of one site and layer. Raises SiteMissing when they are not held."""
        return read(self._read_from, ArrayKey(trace, site, layer))


def tokens_table(
    session: Session, by: Colouring, selected: Selected, codes: RunCodes | None = None
) -> Table:
    """Every token and what it is coloured by, before scaling."""
    clean = _clean(session)
    values = token_values(session, Waiting(session), by, selected, codes=codes)[0]
    shown: Sequence[Any] = [None] * len(clean.tokens) if values is None else list(values)
    rows = [(n, *cells) for n, cells in enumerate(zip(clean.tokens, shown, strict=True))]
    return Table(("position", "token", str(by)), rows)


def circuit_table(session: Session, view: View) -> Table:
    """The nodes that are drawn, then the edges; the first column tells them apart."""
    circuit = _circuit(session)
    drawn = pruned(circuit, view, shown_marks(session))
    first = ("what", "id", "label", "kind", "layer", "head", "position", "from", "to")
    nodes = [("node", *cells) for cells in node_rows(drawn)]
    edges = [("edge", *cells) for cells in edge_rows(drawn)]
    return Table((*first, "score or weight", "influence", "bias"), [*nodes, *edges])


def node_rows(circuit: Circuit) -> list[tuple[Any, ...]]:
    """Id, label, kind, place, no ends, score, influence and bias of each node."""
    ends = [None] * circuit.n_nodes
    return list(zip(
        circuit.node_id, circuit.node_label, circuit.node_kind, circuit.node_layer,
        circuit.node_head, circuit.node_position, ends, ends, circuit.node_score,
        circuit.node_influence, circuit.node_bias, strict=True,
    ))  # fmt: skip


def edge_rows(circuit: Circuit) -> list[tuple[Any, ...]]:
    """The same columns for each edge: kind, the ids of its ends, weight and influence."""
    none, ids = [None] * circuit.n_edges, np.array(circuit.node_id)
    kinds = [edge_style(int(kind)).title for kind in circuit.edge_kind]
    return list(zip(
        none, none, kinds, none, none, none,
        ids[circuit.edge_source].tolist(), ids[circuit.edge_target].tolist(),
        circuit.edge_weight, circuit.edge_influence, none, strict=True,
    ))  # fmt: skip


def listed_nodes(session: Session, rows: tuple[int, ...]) -> Table:
    """Nodes of the whole circuit in the order of the list."""
    held = node_rows(_circuit(session))
    headers = ("id", "label", "kind", "layer", "head", "position", "score", "influence", "bias")
    return Table(headers, [(*held[row][:6], *held[row][8:]) for row in rows])


def listed_edges(session: Session, rows: tuple[int, ...]) -> Table:
    """Edges of the whole circuit in the order of the list."""
    held = edge_rows(_circuit(session))
    headers = ("from", "to", "kind", "weight", "influence")
    return Table(headers, [(*held[row][6:8], held[row][2], *held[row][8:10]) for row in rows])


def heatmap_table(session: Session, quantity: Quantity, side: Side = Side.WITHOUT) -> Table:
    """A row a layer from the embeddings up, a column a position; of units a column a number."""
    columns = _numbered(session, quantity is Quantity.ENCODER_NORM)
    grid = sided_heatmap(session, Waiting(session), quantity, side)
    if isinstance(grid, UnitGrid):
        return _grid_table(grid, "layer", list(grid.columns), list(grid.names))
    return _grid_table(grid, "layer", columns)


def edits_table(session: Session, position: int | None) -> Table:
    """The probability of each token without and with the edits, and its change."""
    if session.edited is None:
        raise InputError("No edit acts.", "Switch one on, or add one.")
    rows = effects(session, position, session.edited.top_ids.shape[1])
    cells = [(row.token, row.before, row.after, row.change) for row in rows]
    return Table(("token", "before", "after", "change"), cells)


def attention_table(
    session: Session,
    layer: int,
    head: int,
    shown: HeadPattern | None = None,
    kind: Kind = SELF,
    side: Side = Side.WITHOUT,
) -> Table:
    """The pattern of one head: a row a query, a column a key. ``shown`` if no file has it."""
    seen, arrays = sided(session, Waiting(session), side)
    found = head_pattern(seen, arrays, layer, head, kind=kind) if shown is None else shown
    grid = found if isinstance(found, Missing) else attention_grid(session, found, kind)
    if side is Side.DIFFERENCE and not isinstance(grid, Missing):
        grid = attention_change(grid, session, Waiting(session), (layer, head), kind)
    sides = _numbered(session, kind.from_source), _numbered(session, kind.to_source)
    return _grid_table(grid, "query", sides[1], sides[0])


def neurons_table(session: Session, layer: int, position: int | None) -> Table:
    """The neurons that are shown, strongest first; a column a position."""
    found = strongest_neurons(session, Waiting(session), layer, position)
    return _grid_table(found, "neuron", _numbered(session))


def _numbered(session: Session, of_source: bool = False) -> list[str]:
    """The tokens with their positions: of the run, or of what an encoder read."""
    run = _clean(session)
    tokens = run.source.tokens if of_source and run.source is not None else run.tokens
    return [f"{place} {token}" for place, token in enumerate(tokens)]


def _grid_table(
    grid: Grid | Missing, corner: str, columns: list[str], rows: list[str] | None = None
) -> Table:
    if isinstance(grid, Missing):
        raise InputError(grid.reason)
    named = zip(grid.rows if rows is None else rows, grid.values, strict=True)
    return Table((corner, *columns), [(name, *values) for name, values in named])


def histogram_table(session: Session, site: str, layer: int | None) -> Table:
    """The bins: where each begins and ends, and how many values lie in it."""
    found = histogram(session, Waiting(session), site, layer)
    if isinstance(found, Missing):
        raise InputError(found.reason)
    counts = found.counts.astype(np.int64)
    rows = list(zip(found.edges[:-1], found.edges[1:], counts, strict=True))
    return Table(("from", "to", "values"), rows)


def space_table(session: Session, site: str) -> Table:
    """Every point of a projection with its labels; prompt -1 is the prompt that was run.

    ``group`` names the groups that a point is in, with commas between.
    """
    found = [analysis for analysis in projections(session) if analysis.params.get("site") == site]
    if not found:
        raise InputError(f"{site} was not projected yet.", "Press Project first.")
    points = found[0].array("points")
    labels = ("prompt", "position", "layer", "token", "task")
    columns = [found[0].array(f"point_{name}").tolist() for name in labels]
    axes = tuple(f"PC{number + 1}" for number in range(points.shape[1]))
    columns.append(_groups_of_points(session, found[0]))
    rows = [(*place, *cells) for place, *cells in zip(points, *columns, strict=True)]
    return Table((*axes, *labels, "group"), rows)


def _groups_of_points(session: Session, analysis: Analysis) -> list[str]:
    of, held = set_name(analysis), session.marks.point_groups
    members = [
        (group.name, {p for p in group.points if p[0] == OWN_PROMPT or group.prompts in ("", of)})
        for group in held
    ]
    pairs = zip(*(analysis.array(f"point_{n}").tolist() for n in ("prompt", "position")),
                strict=True)  # fmt: skip
    return [", ".join(name for name, points in members if pair in points) for pair in pairs]


def node_table(session: Session, node: str | None, edge: tuple[str, str, int] | None) -> Table:
    """The card of a node: its numbers, its parts, and what was measured about it."""
    card = card_of(_circuit(session), node)
    if card is None:
        raise InputError("No node is selected.", "Click a node of the circuit.")
    rows: list[tuple[Any, ...]] = [
        ("node", card.node, name, None, value, None)
        for name, value in (("score", card.score), ("influence", card.influence),
                            ("bias", card.bias))
    ]  # fmt: skip
    for side, parts in (("incoming", card.incoming), ("outgoing", card.outgoing)):
        rows += [(side, part.node, part.kind, part.place, part.weight, part.share)
                 for part in parts]  # fmt: skip
    for about in (card.node, edge):
        measured = None if about is None else verification(session.analyses, about)
        name = about if isinstance(about, str) or about is None else " > ".join(about[:2])
        if measured is not None:
            rows += [("ablated", name, word, None, value, None) for word, value in measured.bars]
    readers = None if edge is None else readers_of(session.analyses, edge)
    for reader in () if readers is None else readers.rows:
        rows.append(("why edge", reader.reader, reader.kind, None, reader.weight, None))
    for path in rows_through(session.analyses, _circuit(session), card.node):
        rows.append(("path", path.path, None, None, path.effect, path.share))
    sources = attention_sources(session.analyses, card)
    for source in () if sources is None else sources.rows:
        rows.append(("why", source.query, source.key, None, source.score, None))
    return Table(("part", "name", "kind", "at", "value", "share of influence"), rows)


def predictions_table(session: Session, position: int | None) -> Table:
    """The most probable tokens at a position."""
    clean = _clean(session)
    place = place_of(session, position)
    rows = [
        (place, clean.top_tokens[place][n], row.probability, row.logit, row.difference)
        for n, row in enumerate(predictions(session, position))
    ]
    return Table(("position", "token", "probability", "logit", "logit change"), rows)


def runs_table(runs: tuple[Past, ...]) -> Table:
    """The runs, newest first, with what was asked and what came out."""
    rows = []
    for run in reversed(runs):
        asked, metric = run.session.question, run.session.metric
        both = (None, None) if asked is None else (asked.prompt, asked.corrupt)
        texts = (one.name if isinstance(one, ImageInput) else one for one in both)
        about = (run.number, model_name(run.session), *texts)
        rows.append((*about, metric.get("name"), metric.get("value")))
    return Table(("run", "model", "prompt", "corrupt", "metric", "value"), rows)


def notes_table(session: Session) -> Table:
    """Every note: what it is on, its text, and when it was written."""
    rows = [(n.target or "session", n.text, n.time) for n in session.marks.notes]
    return Table(("on", "text", "time"), rows)


def jobs_table(pieces: tuple[Piece, ...], now: float) -> Table:
    """The jobs, newest first, with how they ended and their seconds."""
    rows = [(p.title, str(p.outcome), p.seconds(now), p.problem) for p in reversed(pieces)]
    return Table(("job", "state", "seconds", "problem"), rows)


def _clean(session: Session) -> Trace:
    if session.clean is None:
        raise InputError("Nothing was run yet.", NO_RUN)
    return session.clean


def _circuit(session: Session) -> Circuit:
    if session.circuit is None:
        raise InputError("The session holds no circuit.", NO_RUN)
    return session.circuit
