"""The commands about graphs of other tools: rows of the one table, by the menu they stand in."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId, Situation


def no_circuit(now: Situation) -> str:
    """Why there is no circuit to work on, empty when there is one."""
    session = now.desk.workspace.session
    from microtome.records.coverage import COVERAGE  # brings numpy, for which no frame waits

    held = session is not None and session.circuit is not None
    if not held and session is not None and COVERAGE in session.analyses:
        return "There is no circuit of this model: What can be seen… in the Model menu says why."
    return "" if held else "There is no circuit yet: run a prompt first."


_ID = CommandId
FILE_ROWS = (
    Command(_ID.IMPORT_GRAPH, "File", "Import graph…", "Open graph files of other tools: "
            "attribution graphs, EAP-IG, MIB, auto-circuit, ACDC, GraphML",
            "mdi6.file-import-outline", "Ctrl+Alt+O", starts_group=True),
    Command(_ID.EXPORT_GRAPH, "File", "Export graph…", "Write the circuit as a graph file of "
            "another tool", "mdi6.file-export-outline", "", no_circuit),
)  # fmt: skip
GROUP_ROWS = (
    Command(_ID.PROPOSE_GROUPS, "Circuit", "Propose groups…", "List nodes on screen that are "
            "alike, to make groups of them", "mdi6.creation-outline", "Ctrl+Alt+G", no_circuit),
)  # fmt: skip
