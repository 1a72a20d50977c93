"""The one table from which menus, tool bar and shortcuts are made."""

from __future__ import annotations

from collections.abc import Callable

from microtome_desktop.commands.adapter_rows import ADAPTER_COMMANDS
from microtome_desktop.commands.command import Command, CommandId, Situation
from microtome_desktop.commands.discovery import DISCOVERY_COMMANDS
from microtome_desktop.commands.feature_graph_rows import FEATURE_GRAPH_ROWS
from microtome_desktop.commands.feature_rows import FEATURE_COMMANDS
from microtome_desktop.commands.graph_rows import FILE_ROWS, GROUP_ROWS
from microtome_desktop.commands.graph_rows import no_circuit as _no_circuit
from microtome_desktop.commands.image_rows import IMAGE_COMMANDS
from microtome_desktop.commands.lesion_rows import LESION_COMMANDS
from microtome_desktop.commands.needs import needs_any_model, needs_its_model, needs_session
from microtome_desktop.commands.panel_rows import PANEL_ROWS
from microtome_desktop.commands.seeing_rows import SEEING_COMMANDS
from microtome_desktop.commands.suite_rows import SUITE_COMMANDS
from microtome_desktop.commands.testing_rows import CIRCUIT_ROWS, RUN_ROWS
from microtome_desktop.commands.training_rows import TRAINING_COMMANDS
from microtome_desktop.commands.visual_rows import VISUAL_COMMANDS
from microtome_desktop.state.made_by import shows_features

MENUS = (
    "File", "Edit", "View", "Circuit", "Space", "Edits", "Model", "Run", "Experiments",
    "Features", "Vision", "Examples", "Help",
)  # fmt: skip


def _no_file(now: Situation) -> str:
    held = now.desk.workspace.path is not None
    return "" if held else "The session on screen is in no file: save it first."


def _only_looked_at(now: Situation) -> str:
    held = now.desk.workspace
    if held.path is None or not held.note:
        return _no_file(now)
    return f"{held.path.name} was {held.note}."


def _no_coverage(now: Situation) -> str:
    held = now.desk.library.shelf.coverage is not None
    return "" if held else needs_any_model(now) or "Load it again."


def _cannot_run(now: Situation) -> str:
    if reason := needs_any_model(now):
        return reason
    text = now.desk.draft.text
    if not text.asked:
        return "No image is chosen." if text.sees else "The prompt is empty: type one."
    return now.desk.draft.problem


def _no_space(now: Situation) -> str:
    session = now.desk.workspace.session
    held = () if session is None else session.analyses.values()
    drawn = any(analysis.kind == "projection" for analysis in held)
    return "" if drawn else "There is no feature space yet: run a prompt first."


def _no_sweep(now: Situation) -> str:
    session = now.desk.workspace.session
    held = () if session is None else session.analyses.values()
    made = any(analysis.kind == "sweep" for analysis in held)
    return "" if made else needs_session(now) or "There is no sweep yet: make one."


def _no_cells(now: Situation) -> str:
    return _no_sweep(now) or _no_edits(now)


def _no_node(now: Situation) -> str:
    if reason := _no_circuit(now):
        return reason
    return "" if now.desk.selection.current.node is not None else "Click a node first."


def _no_several(now: Situation) -> str:
    if reason := _no_node(now):
        return reason
    several = now.desk.selection.current.others
    return "" if several else "Select several nodes: Shift and click, or Shift and drag."


def _no_group(now: Situation) -> str:
    if reason := _no_node(now):
        return reason
    node, marks = now.desk.selection.current.node or "", now.desk.book.marks
    known = node.startswith("group/") or marks.supernode_of(node) is not None
    return "" if known else "The selected node is in no group."


def _nothing_hidden(now: Situation) -> str:
    return "" if now.desk.book.marks.hidden else "Nothing is hidden."


def _nothing_done(now: Situation) -> str:
    return "" if now.desk.book.undo_title else "There is nothing to undo."


def _nothing_undone(now: Situation) -> str:
    return "" if now.desk.book.redo_title else "There is nothing to do again."


def _nothing_runs(now: Situation) -> str:
    return "" if now.busy else "Nothing is running."


def _cannot_rest(now: Situation) -> str:
    if reason := _nothing_runs(now):
        return reason
    begun = [piece for piece in now.desk.work.pieces if piece.under_way and piece.began is not None]
    if any(not piece.restless for piece in begun):
        return ""
    return begun[0].restless if begun else "It has not begun yet."


def _not_detached(now: Situation) -> str:
    workspace = now.desk.workspace
    if workspace.session is None:
        return "There is no session to attach a model to."
    return "" if workspace.offline else "The session's model is attached already."


def _offline(now: Situation) -> str:
    session = now.desk.workspace.session
    if session is None or now.desk.workspace.offline:
        return needs_its_model(now)
    if session.circuit is None:
        return "There is no circuit yet."
    return "Features cannot be run alone." if shows_features(session) else ""


def _no_checks(now: Situation) -> str:
    session = now.desk.workspace.session
    held = now.desk.library.shelf.checks or (session.checks if session is not None else None)
    return "" if held is not None else "No checks have run yet."


def _no_edits(now: Situation) -> str:
    from microtome_desktop.state.edit_places import Grounds, why_no_edits

    return why_no_edits(Grounds.of(now.desk.workspace, now.desk.library))


def _nothing_edited(now: Situation) -> str:
    if reason := _no_edits(now):
        return reason
    return "" if now.desk.book.marks.edits else "There are no edits yet."


def _nothing_priced(now: Situation) -> str:
    if reason := _nothing_edited(now):
        return reason
    from microtome_desktop.state.trials import acting_edits

    if not acting_edits(now.desk.workspace.session, now.desk.trials):
        return "No edit acts: switch one on."
    sets = now.desk.library.shelf.facts.prompt_sets
    return "" if sets else "The model has no prompt sets: use mt.edit_price with your own."


def _cannot(act: str) -> Callable[[Situation], str]:
    """Why what is selected cannot be edited so."""

    def blocked(now: Situation) -> str:
        from microtome_desktop.state.edit_places import (
            Act,
            Grounds,
            selected_places,
            why_not_act,
        )

        workspace = now.desk.workspace
        places = selected_places(workspace.session, now.desk.selection.current)
        return why_not_act(Grounds.of(workspace, now.desk.library), Act[act], places)

    return blocked


_ID = CommandId
_MENU = "Experiments"
COMMANDS = (
    Command(_ID.OPEN_SESSION, "File", "Open session…", "Open a session file for review",
            "mdi6.folder-open-outline", "Ctrl+O", tool_bar=True),
    Command(_ID.SAVE, "File", "Save", "Save the session to its file",
            "mdi6.content-save-outline", "Ctrl+S", needs_session, tool_bar=True, starts_group=True),
    Command(_ID.SAVE_AS, "File", "Save as…", "Save to another file; shows the size before",
            "mdi6.content-save-edit-outline", "Ctrl+Shift+S", needs_session),
    Command(_ID.VERIFY_FILE, "File", "Verify the file", "Compare every part of the session's "
            "file with its checksum", "mdi6.file-check-outline", "", _no_file),
    Command(_ID.COMPACT_FILE, "File", "Compact the file", "Save, and write the session's file "
            "anew without the room that nothing in it uses any more", "mdi6.package-down",
            "", _only_looked_at),
    *FILE_ROWS,
    Command(_ID.QUIT, "File", "Quit", "Close the window", "mdi6.exit-to-app", "Ctrl+Q",
            starts_group=True),
    Command(_ID.UNDO, "Edit", "Undo", "Take back the last edit, pin, name, note, group, threshold, "
            "colour or layout", "mdi6.undo", "Ctrl+Z", _nothing_done),
    Command(_ID.REDO, "Edit", "Redo", "Do again what was taken back", "mdi6.redo",
            "Ctrl+Shift+Z", _nothing_undone),
    Command(_ID.SWAP_PROMPTS, "Edit", "Swap clean and corrupt",
            "Exchange the prompts, and answer and wrong answer", "mdi6.swap-vertical",
            "Ctrl+Shift+X", starts_group=True),
    Command(_ID.CLEAR_SELECTION, "Edit", "Clear selection", "Select nothing",
            "mdi6.selection-off", "Esc"),
    Command(_ID.PALETTE, "Edit", "Find anything…", "Find commands, nodes, heads, tokens and "
            "settings by a few letters", "mdi6.magnify", "Ctrl+K", starts_group=True),
    Command(_ID.COPY_PICTURE, "Edit", "Copy picture of the window",
            "Copy the window as a picture", "mdi6.camera-outline", "Ctrl+Shift+C",
            starts_group=True),
    Command(_ID.WHAT_MADE_THIS, "Edit", "What made this…", "Method, model, number format, seed, "
            "settings and versions behind the figures of the panel that is in use",
            "mdi6.certificate-outline", "Ctrl+Shift+R", needs_session),
    Command(_ID.SETTINGS, "Edit", "Settings…", "Device, precision, threads, sizes and shortcuts",
            "mdi6.cog-outline", "Ctrl+,", starts_group=True),
    Command(_ID.MAXIMISE, "View", "Maximise the panel", "Let the panel that is in use fill the "
            "window; again puts all panels back", "mdi6.arrow-expand-all", "Ctrl+Shift+F",
            starts_group=True),
    *PANEL_ROWS,
    Command(_ID.SAVE_LAYOUT, "View", "Save this layout…", "Keep where the panels are under a name",
            "mdi6.view-dashboard-edit-outline", starts_group=True),
    Command(_ID.RESET_LAYOUT, "View", "Reset layout", "Put all panels back in their places",
            "mdi6.view-dashboard-outline"),
    Command(_ID.FULL_SCREEN, "View", "Full screen", "Use the whole screen",
            "mdi6.fullscreen", "F11"),
    Command(_ID.PIN, "Circuit", "Pin", "Keep the selected nodes on screen wherever the sliders "
            "stand; again lets them go", "mdi6.pin-outline", "Ctrl+P", _no_node),
    Command(_ID.RENAME, "Circuit", "Rename…", "Give the selected node or group a name of your own",
            "mdi6.rename-outline", "F2", _no_node),
    Command(_ID.NOTE, "Circuit", "Note…", "Write a note on the selected node, or on the token",
            "mdi6.note-edit-outline", "Ctrl+E"),
    Command(_ID.GROUP, "Circuit", "Group…", "Put the selected nodes together under a name and "
            "draw them as one", "mdi6.group", "Ctrl+G", _no_several, starts_group=True),
    Command(_ID.COLLAPSE, "Circuit", "Collapse or expand", "Draw the group as one node, or as its "
            "nodes", "mdi6.unfold-less-vertical", "Ctrl+J", _no_group),
    Command(_ID.UNGROUP, "Circuit", "Take the group apart", "Forget the group; its nodes stay",
            "mdi6.ungroup", "Ctrl+Shift+G", _no_group),
    *GROUP_ROWS,
    Command(_ID.HIDE, "Circuit", "Hide", "Take the selected nodes off the screen",
            "mdi6.eye-off-outline", "Ctrl+H", _no_node, starts_group=True),
    Command(_ID.SHOW_HIDDEN, "Circuit", "Show what is hidden", "Bring all hidden nodes back",
            "mdi6.eye-outline", "Ctrl+Shift+H", _nothing_hidden),
    Command(_ID.SEARCH, "Circuit", "Find in the circuit…", "Find nodes by label, token, kind or "
            "note", "mdi6.text-search", "Ctrl+F", _no_circuit, starts_group=True),
    Command(_ID.FIT, "Circuit", "Show all of it", "Fit the whole circuit into the panel",
            "mdi6.fit-to-screen-outline", "Ctrl+0", _no_circuit),
    Command(_ID.ZOOM_IN, "Circuit", "Zoom in", "Look at the circuit from nearer",
            "mdi6.magnify-plus-outline", "Ctrl++", _no_circuit),
    Command(_ID.ZOOM_OUT, "Circuit", "Zoom out", "Look at the circuit from farther away",
            "mdi6.magnify-minus-outline", "Ctrl+-", _no_circuit),
    Command(_ID.COMPACT, "Circuit", "Compact layout", "Lay the nodes out near what they hang "
            "together with; again puts them back above their tokens",
            "mdi6.arrow-collapse-horizontal", "Ctrl+Shift+L", _no_circuit, starts_group=True),
    Command(_ID.WEIGHTS, "Circuit", "Edge weights", "Write the weights onto the edges in focus",
            "mdi6.numeric", "Ctrl+Shift+W", _no_circuit),
    Command(_ID.SAVE_VIEW, "Circuit", "Save this view…", "Keep thresholds, layout and zoom under "
            "a name", "mdi6.bookmark-plus-outline", "Ctrl+D", _no_circuit),
    *CIRCUIT_ROWS,
    Command(_ID.LASSO, "Space", "Lasso points", "Draw around points of the feature space to group "
            "them; again turns it as before", "mdi6.lasso", "Ctrl+Shift+A", _no_space),
    Command(_ID.BOX, "Space", "Box points", "Drag a box around points of the feature space to "
            "group them; again turns it as before", "mdi6.selection-drag", "Ctrl+B", _no_space),
    Command(_ID.PLAY_LAYERS, "Space", "Play the layers", "Move the points through the layers of "
            "their site; again stops", "mdi6.play", "Ctrl+Shift+P", _no_space, starts_group=True),
    Command(_ID.SITE_BESIDE, "Space", "Another site beside", "Show one more site in the feature "
            "space, up to four", "mdi6.view-split-vertical", "", _no_space),
    Command(_ID.ABLATE_ZERO, "Edits", "Ablate to zero", "Put zero in the place of what is "
            "selected: nodes, a neuron, a head or a token", "mdi6.content-cut", "Ctrl+I",
            _cannot("ZERO")),
    Command(_ID.ABLATE_MEAN, "Edits", "Ablate to the mean", "Put the mean over the model's prompt "
            "sets in the place of what is selected", "mdi6.approximately-equal", "Ctrl+Shift+I",
            _cannot("MEAN")),
    Command(_ID.PATCH_CORRUPT, "Edits", "Patch from the corrupt prompt", "Put what the corrupt "
            "prompt has there in the place of what is selected", "mdi6.bandage", "Ctrl+T",
            _cannot("PATCH")),
    Command(_ID.STEER_DIFFERENCE, "Edits", "Steer along clean \N{MINUS SIGN} corrupt", "Add the "
            "direction from the corrupt prompt to the clean one to what is selected",
            "mdi6.arrow-top-right", "Ctrl+U", _cannot("DIFFERENCE")),
    Command(_ID.STEER_ANSWER, "Edits", "Steer along the answer", "Add the direction that speaks "
            "for the answer to the stream, attention or MLP that is selected",
            "mdi6.bullseye-arrow", "Ctrl+Shift+U", _cannot("ANSWER")),
    Command(_ID.ADD_EDIT, "Edits", "Add an edit…", "Write an edit down: site, what, where",
            "mdi6.plus", "Ctrl+Shift+D", _no_edits, starts_group=True),
    Command(_ID.SWITCH_EDITS, "Edits", "With or without edits", "Switch all edits off; again "
            "switches them on", "mdi6.toggle-switch-outline", "Ctrl+Shift+O", _nothing_edited),
    Command(_ID.GENERATE, "Edits", "Write on", "Let the model write on from the prompt, without "
            "and with the edits", "mdi6.text-long", "Ctrl+Shift+N", _no_edits),
    Command(_ID.PRICE, "Edits", "What do the edits cost?", "Run every task of the model without "
            "and with the edits", "mdi6.scale-balance", "", _nothing_priced),
    Command(_ID.SAVE_EDITS, "Edits", "Save as a named set…", "Keep the edits under a name",
            "mdi6.playlist-check", "", _nothing_edited),
    Command(_ID.CLEAR_EDITS, "Edits", "Remove all edits", "Forget all edits; named sets stay",
            "mdi6.playlist-remove", "", _nothing_edited),
    Command(_ID.OPEN_MODEL_FOLDER, "Model", "Open model folder…",
            "Load a model from a folder of this machine", "mdi6.folder-outline", "Ctrl+M",
            starts_group=True),
    ADAPTER_COMMANDS[0],
    Command(_ID.OPEN_MODEL_HUB, "Model", "Open hub id…",
            "Load a model by its hub id, from the local cache or by a download",
            "mdi6.cloud-download-outline", "Ctrl+Shift+M"),
    Command(_ID.ATTACH_MODEL, "Model", "Attach the session's model",
            "Load the model that made this session, so that it can be asked again",
            "mdi6.link-variant", "", _not_detached),
    Command(_ID.RUN_CHECKS, "Model", "Run self-checks", "Check the model's numbers",
            "mdi6.check-decagram-outline", "", needs_any_model, starts_group=True),
    Command(_ID.SHOW_CHECKS, "Model", "Self-checks…", "What the self-checks found",
            "mdi6.clipboard-check-outline", "", _no_checks),
    Command(_ID.SHOW_COVERAGE, "Model", "What can be seen…", "Which panels and sites work on the "
            "loaded model, and why the others do not", "mdi6.eye-check-outline", "", _no_coverage),
    ADAPTER_COMMANDS[1],
    Command(_ID.RUN, "Run", "Run", "Run the prompt and find its circuit", "mdi6.play",
            "Ctrl+Return", _cannot_run, tool_bar=True),
    Command(_ID.STOP, "Run", "Stop", "Stop what is running", "mdi6.stop", "Ctrl+.",
            _nothing_runs, tool_bar=True),
    Command(_ID.PAUSE, "Run", "Pause or go on", "Let what is running rest at its next step, or "
            "go on", "mdi6.pause", "Ctrl+Shift+.", _cannot_rest),
    Command(_ID.REPRODUCE, "Run", "Run the shown nodes alone",
            "How much of the metric the most influential nodes reproduce by themselves",
            "mdi6.graph-outline", "", _offline, starts_group=True),
    Command(_ID.SWEEP, _MENU, "Run the sweep", "Patch or ablate one place after another, as the "
            "Patching panel says", "mdi6.grid-large", "Ctrl+Shift+Return", needs_its_model,
            starts_group=True),
    Command(_ID.TRACE_CAUSES, _MENU, "Causal tracing", "Put noise on the selected token, and "
            "see which place of the model brings the answer back", "mdi6.source-branch",
            "Ctrl+Shift+T", needs_its_model),
    Command(_ID.SWEEP_EDIT, _MENU, "Make the cells of the sweep edits", "Put the "
            "chosen cells of the sweep on the list of edits", "mdi6.playlist-plus",
            "Ctrl+Shift+K", _no_cells),
    Command(_ID.HEAD_EFFECTS, _MENU, "Effects of all heads", "Patch and ablate every head, and "
            "show the table of heads", "mdi6.table-eye", "Ctrl+Shift+Y", needs_its_model),
    *DISCOVERY_COMMANDS,
    *RUN_ROWS,
    *SUITE_COMMANDS,
    *FEATURE_GRAPH_ROWS,
    *FEATURE_COMMANDS,
    Command(_ID.FOCUS_PROMPT, "Run", "Edit the prompt", "Go to the prompt", "mdi6.form-textbox",
            "Ctrl+L", starts_group=True),
    *IMAGE_COMMANDS,
    *TRAINING_COMMANDS,
    *SEEING_COMMANDS,
    *VISUAL_COMMANDS,
    *LESION_COMMANDS,
    Command(_ID.START_PAGE, "Examples", "Start page", "Lessons of five minutes, with the "
            "next click marked", "mdi6.school-outline", "Ctrl+Shift+E"),
    Command(_ID.DOCUMENTATION, "Help", "Documentation", "Open the documentation",
            "mdi6.book-open-variant", "F1"),
    Command(_ID.SHORTCUTS, "Help", "Keyboard shortcuts", "All keys of the window on one sheet",
            "mdi6.keyboard-outline", "Ctrl+/"),
    Command(_ID.MESSAGES, "Help", "Messages…", "Everything the window has reported",
            "mdi6.message-text-outline"),
    Command(_ID.COPY_DIAGNOSTICS, "Help", "Copy diagnostics…", "What helps to find a fault: "
            "versions, settings and the end of the log, without prompts or paths",
            "mdi6.clipboard-text-outline"),
    Command(_ID.ABOUT, "Help", "About Microtome", "Versions of Microtome and its parts",
            "mdi6.information-outline", starts_group=True),
)  # fmt: skip


_ROWS = {row.id: row for row in COMMANDS}


def command(wanted: CommandId) -> Command:
    """The row of an id."""
    return _ROWS[wanted]
