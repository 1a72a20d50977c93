"""Every sentence that the circuit panel says: tool tips, metric line, counts, empty states."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from microtome.records.analysis import Analysis
from microtome.records.circuit import FEATURE, OUTPUT, TOKEN, UNITS, Circuit
from microtome.records.feature_names import name_alone
from microtome.records.session import Session
from microtome.records.units import short_layer
from microtome_desktop.presenters.circuit_kinds import (
    NODE_STYLES,
    OTHER_NODE,
    NodeStyle,
    edge_style,
)
from microtome_desktop.presenters.coverage import summary, why_not
from microtome_desktop.presenters.marking import GROUP
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.units import unit_layers

_NAME = 20  # letters of a feature's name on the canvas
CANCELLATION_LIMIT = 5.0  # above it the parts are far larger than what they add up to


@dataclass(frozen=True, slots=True)
class Fact:
    """One number of the header: how it reads, what it means, and whether to worry."""

    text: str
    tip: str
    warning: bool = False


def empty_text(session: Session | None, offline: bool) -> tuple[str, str]:
    """Headline and advice for a canvas without a circuit."""
    if session is None:
        return "No circuit yet", "Open a model, type a prompt and press Run."
    if session.circuit is None:
        if reason := why_not(session, "circuit"):
            return "No circuit of this model", summary(session) or reason
        if session.corrupt is not None and (reason := why_not(session, "pair")):
            return "No circuit of a pair", reason
        if offline:
            return "This session holds no circuit", "Load its model and press Run to compute one."
        return "No circuit yet", "It appears here as soon as the run has got that far."
    return "The circuit is empty", "Nothing carries influence to the metric. Try another answer."


def laying_out_text(explored: Circuit) -> tuple[str, str]:
    """The same while a large circuit is being laid out."""
    size = f"{explored.n_nodes:,} nodes and {explored.n_edges:,} edges"
    return "Laying out the circuit", f"It has {size}; the window stays free."


def signed(value: float) -> str:
    """A number with its sign, three significant digits."""
    if value == 0:
        return "0"
    text = f"{abs(value):.3g}" if abs(value) < 1000 else f"{abs(value):.0f}"
    return f"\N{MINUS SIGN}{text}" if value < 0 else f"+{text}"


def percent(share: float) -> str:
    """A share as a percentage, finer where it is small."""
    value = 100 * share
    digits = 0 if abs(value) >= 9.95 or value == 0 else 1 if abs(value) >= 0.095 else 2
    return f"{value:.{digits}f} %".replace("-", "\N{MINUS SIGN}")


def token_at(circuit: Circuit, position: int) -> str:
    """The token of a position, empty where it is not known."""
    tokens = circuit.metadata.get("tokens", ())
    return shown_token(str(tokens[position]), 24) if 0 <= position < len(tokens) else ""


def place_text(circuit: Circuit, node: int) -> str:
    """Where a node sits: its token in quotes with the position's number."""
    position = int(circuit.node_position[node])
    if position < 0:
        return ""
    token = token_at(circuit, position)
    return f"“{token}” ({position})" if token else f"position {position}"


def node_title(circuit: Circuit, node: int) -> str:
    """A node's label with its place: ``L2H1 at “to” (14)``."""
    place = place_text(circuit, node)
    named_by_place = circuit.node_kind[node] in {TOKEN, OUTPUT}
    label = circuit.node_label[node]
    if named_by_place or not place:
        position = int(circuit.node_position[node])
        return f"{label} ({position})" if circuit.node_kind[node] == TOKEN else label
    return f"{label} at {place}"


def short_label(
    circuit: Circuit, node: int, *, with_token: bool = False, alone: bool = False
) -> str:
    """What stands beside a node on the canvas; with its token where no column tells it.

    With ``alone`` a feature that has a name is called by it without its layer and number, and a
    unit by its number in its layer.
    """
    label, kind = circuit.node_label[node], circuit.node_kind[node]
    if kind == FEATURE and alone:
        name = name_alone(label)
        label = name if len(name) <= _NAME else f"{name[: _NAME - 1]}\N{HORIZONTAL ELLIPSIS}"
    if kind == TOKEN:
        return shown_token(label, 18)
    if kind in UNITS and alone:
        return label.rpartition(" ")[2]  # its row names the layer
    token = token_at(circuit, int(circuit.node_position[node]))
    tells = with_token and token and kind not in {OUTPUT, GROUP}
    return f"{label} \N{MIDDLE DOT} {shown_token(token, 12)}" if tells else label


def told_number(circuit: Circuit, column: str, node: int) -> float | None:
    """A number of a node; None where the file that the circuit is from does not tell it.

    Files have a column or have it not: one that is zero everywhere was not there. Of circuits of
    members an influence says what is a member, and is no share.
    """
    values, held = getattr(circuit, column), circuit.metadata
    imported = held.get("format") is not None
    untold = imported and (not values.any() or (column == "node_influence" and _members(circuit)))
    return None if untold else float(values[node])


def tells_edge_influence(circuit: Circuit) -> bool:
    """Whether edges have shares of influence, which some files of other tools have not."""
    if circuit.metadata.get("format") is None:
        return True
    return bool(circuit.edge_influence.any()) and not _members(circuit)


def _members(circuit: Circuit) -> bool:
    return bool(circuit.metadata.get("members"))


def node_tip(circuit: Circuit, node: int) -> str:
    """The tool tip of a node, plain text."""
    score, share = (told_number(circuit, f"node_{name}", node) for name in ("score", "influence"))
    told = ["" if score is None else f"score {signed(score)}"]
    told += ["" if share is None else f"influence {percent(share)}"]
    return "\n".join(filter(None, (node_title(circuit, node), "   ".join(filter(None, told)))))


def spoken(circuit: Circuit, node: int | None) -> str:
    """What a drawing of a circuit shows in words: the chosen node, and how much there is."""
    chosen = (
        "no node is selected" if node is None else ", ".join(node_tip(circuit, node).split("\n"))
    )
    return f"{chosen}; {circuit.n_nodes:,} nodes, {circuit.n_edges:,} edges"


def edge_tip(circuit: Circuit, edge: int, change: float | None = None) -> str:
    """The tool tip of an edge, plain text; with ``change`` what edits make of its weight."""
    source, target = int(circuit.edge_source[edge]), int(circuit.edge_target[edge])
    carries = f"   carries {percent(float(circuit.edge_influence[edge]))}"
    return (
        f"{node_title(circuit, source)} → {node_title(circuit, target)}\n"
        f"{edge_style(int(circuit.edge_kind[edge])).title}   "
        f"weight {signed(float(circuit.edge_weight[edge]))}"
        f"{carries if tells_edge_influence(circuit) else ''}"
    ) + ("" if change is None else f"\n{_with_edits(circuit, edge, change)}")


def _with_edits(circuit: Circuit, edge: int, change: float) -> str:
    weight = float(circuit.edge_weight[edge])
    return f"with edits {signed(round(weight + change, 6))}   change {signed(round(change, 6))}"


def legend_counts(circuit: Circuit) -> tuple[tuple[NodeStyle, int], ...]:
    """The node kinds that are drawn, in the order of the table, with how many there are."""
    counts = Counter(kind if kind in NODE_STYLES else OTHER_NODE.kind for kind in circuit.node_kind)
    styles = [*NODE_STYLES.values(), OTHER_NODE]
    return tuple((style, counts[style.kind]) for style in styles if counts[style.kind])


def edge_counts(circuit: Circuit) -> tuple[tuple[int, int], ...]:
    """The edge kinds that are drawn with how many there are."""
    kinds, counts = np.unique(circuit.edge_kind, return_counts=True)
    return tuple((int(kind), int(count)) for kind, count in zip(kinds, counts, strict=True))


def drawn_text(drawn: Circuit, explored: Circuit, n_edges: int) -> str:
    """How much of the explored graph is on screen: ``n of m``."""
    return (
        f"{drawn.n_nodes:,} of {explored.n_nodes:,} nodes   "
        f"{n_edges:,} of {explored.n_edges:,} edges drawn"
    )


def metric_text(circuit: Circuit) -> str:
    """The metric's name and value; for a pair the difference that is explained."""
    name = str(circuit.metadata.get("metric", "metric"))
    value = circuit.metadata.get("metric_value")
    if value is None:
        return name
    corrupt = circuit.metadata.get("metric_value_corrupt")
    if corrupt is None:
        return f"{name} = {signed(float(value))}"
    difference = signed(float(value) - float(corrupt))
    return f"{name}: {signed(float(value))} clean, {signed(float(corrupt))} corrupt, Δ {difference}"


def facts(circuit: Circuit) -> tuple[Fact, ...]:
    """What a reader must know before trusting the picture."""
    held = circuit.metadata
    shown: list[Fact] = []
    if held.get("cancellation") is not None:
        times = float(held["cancellation"])
        bad = not times <= CANCELLATION_LIMIT
        tip = "Sum of the sizes of all direct parts, over the size of the metric."
        if bad:
            tip += " Large parts cancel here: name an answer and a wrong answer, or give a pair."
        shown.append(Fact(f"cancellation {times:.1f}×", tip, bad))
    if held.get("partial"):
        shown.append(_found_so_far(circuit))
    elif held.get("unexplored") is not None:
        share = float(held["unexplored"])
        tip = "Share of the influence that ends at nodes too weak to be followed to the embeddings."
        shown.append(Fact(f"unexplored {percent(share)}", tip, share > 0.2))
    elif "unexplored" in held:
        tip = "Nothing flows to the metric: both prompts give it the same value."
        shown.append(Fact("nothing to explain", f"{tip} Change the corrupt prompt.", True))
    shown += (*feature_facts(circuit), *imported_facts(circuit))
    if unit_layers(circuit):
        shown.append(Fact("frozen run", " ".join(map(str, held.get("notes", ())))))
        return tuple(shown)
    rule = "two-point rule (pair)" if held.get("rule") == "two-point" else "single prompt"
    if held.get("values_only"):
        tip = "Attention patterns are taken as they were: no key or query edges."
        shown.append(Fact("values only", tip))
    elif held.get("rule"):
        tip = (
            "Exact sums, no remainder; ablations beyond it are one click away."
            if held["rule"] == "two-point"
            else "Key and query edges approximate ablations: verify those that matter."
        )
        shown.append(Fact(rule, tip))
    return tuple(shown)


def _found_so_far(circuit: Circuit) -> Fact:
    held = circuit.metadata
    lowest, layers = int(held.get("lowest", 0)), int(held.get("n_layers", 0))
    named = [short_layer(layer) for layer in unit_layers(circuit)][lowest:]
    done = f"{named[0]} to {named[-1]}" if named else f"{lowest} to {layers - 1}"
    tip = f"The search comes down from the metric: in-edges of layers {done} "
    tip += "are there, lower layers are still to come. Stopped, it stays so: run it again."
    return Fact(f"so far, layers {done}", tip, True)


def feature_facts(circuit: Circuit) -> list[Fact]:
    """How much of an attribution graph passes through features, where it was made here."""
    held, shown = circuit.metadata, []
    for name, tip in _SCORES.items():
        share = held.get(f"{name}_score")
        if share is not None:
            shown.append(Fact(f"{name} {percent(float(share))}", tip, float(share) < _POOR))
    if changes := held.get("changes"):
        shown.append(Fact("edited run", "\n".join(map(str, changes)), True))
    return shown


_POOR = 0.5
_SCORES = {
    "replacement": "Of the influence that reaches tokens and errors, the share of tokens.",
    "completeness": "Of all inputs, by the influence of whose they are, the share without errors.",
}


def imported_facts(circuit: Circuit) -> list[Fact]:
    """What a graph from a file says of itself."""
    held, shown = circuit.metadata, []
    if held.get("format"):
        sign = str(held.get("sign_read", ""))
        shown.append(Fact(str(held["format"]), f"Read from a file. Its signs: {sign}."))
    if held.get("cyclic"):
        tip = "Edges lead back to where they came from: there is no order from input to output, "
        tip += "so that influence cannot flow. Nodes and edges are kept by the size of weights."
        shown.append(Fact("cycles", tip, True))
    if held.get("format") and (notes := held.get("notes")):
        count = f"{len(notes)} note" + "s" * (len(notes) > 1)
        shown.append(Fact(f"{count} of the reader", "\n".join(map(str, notes)), True))
    return shown


def reproduced_text(analysis: Analysis | None, nodes: tuple[str, ...]) -> Fact | None:
    """How much of the metric the drawn nodes give alone; None before it was measured for them."""
    if analysis is None or set(analysis.params.get("nodes", ())) != set(nodes):
        return None
    tip = f"One real run: {analysis.params.get('how', 'all other heads and MLPs replaced')}."
    if analysis.params.get("share") is None:
        return Fact("nothing to reproduce", f"{tip} The metric is the same either way.", True)
    share = float(analysis.params["share"])
    told = f"these nodes alone reproduce {percent(share)}"
    return Fact(told, tip, not 0.5 <= share <= 1.5)
