"""What the line above the circuit says of it, and which of its buttons can be used."""

from __future__ import annotations

from dataclasses import replace

from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.records.feature_edit import GRAPH_METHOD
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.table import command
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.presenters import circuit_text as text
from microtome_desktop.state.units import unit_layers
from microtome_desktop.views.circuit_bar import FactLine
from microtome_desktop.views.panel import PanelContext

_VALUES = "Take attention patterns as they were: no key and query edges. Runs again."


def tell_facts(
    line: FactLine,
    context: PanelContext,
    explored: Circuit,
    reproduced: Analysis | None,
    kept: tuple[str, ...],
) -> None:
    """Show the metric, the facts, and how much the ``kept`` nodes reproduce where that is known."""
    measured = text.reproduced_text(reproduced, kept)
    known = text.facts(explored)
    line.tell(text.metric_text(explored), known if measured is None else (*known, measured))
    told, offline = explored.metadata, context.workspace.offline
    imported = bool(told.get("format")) or told.get("method") == GRAPH_METHOD
    why = "The model of this session is not loaded." if offline else ""
    line.button.setVisible(measured is None and not imported)
    line.button.setEnabled(not offline)
    units = bool(unit_layers(explored))
    others = "units of the layers" if units else "heads and MLPs"
    line.button.setToolTip(why or f"Run once with all other {others} replaced.")
    line.values_only.setVisible(not imported and not units)
    no_features = context.why_not(CommandId.FEATURE_GRAPH)
    line.features.setVisible(not imported and not units and not no_features)
    line.features.setToolTip(command(CommandId.FEATURE_GRAPH).tip)
    values_only = bool(explored.metadata.get("values_only"))
    line.set_values_only(values_only, not offline, why or _VALUES)


def ask_values_only(context: PanelContext, on: bool) -> None:
    """Run the question again, with attention patterns as they were or not."""
    session = context.workspace.session
    if session is not None and session.question is not None:
        context.draft.update(values_only=on)  # for the runs to come
        context.ask(Examine(replace(session.question, values_only=on)))
