"""The one table from which menus, tool bar and shortcuts are made."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId, Situation

MENUS = ("File", "Edit", "View", "Model", "Run", "Examples", "Help")


def _no_session(now: Situation) -> str:
    shown = now.desk.workspace.session
    return "" if shown is not None else "There is nothing yet: run a prompt first."


def _no_file(now: Situation) -> str:
    held = now.desk.workspace.path is not None
    return "" if held else "The session on screen is in no file: save it first."


def _no_model(now: Situation) -> str:
    if now.desk.workspace.model is not None:
        return ""
    loading = now.desk.library.shelf.loading
    return f"{loading} is still being loaded." if loading else "Needs a model: open or attach one."


def _cannot_run(now: Situation) -> str:
    if reason := _no_model(now):
        return reason
    if not now.desk.draft.text.prompt.strip():
        return "The prompt is empty: type one."
    return now.desk.draft.reading.problem


def _nothing_runs(now: Situation) -> str:
    return "" if now.busy else "Nothing is running."


def _not_detached(now: Situation) -> str:
    workspace = now.desk.workspace
    if workspace.session is None:
        return "There is no session to attach a model to."
    return "" if workspace.offline else "The session's model is attached already."


def _offline(now: Situation) -> str:
    session = now.desk.workspace.session
    if session is None:
        return _no_session(now)
    if now.desk.workspace.offline:
        return f"Needs the model {session.model.name}: attach it first."
    return "" if session.circuit is not None else "There is no circuit yet."


def _no_checks(now: Situation) -> str:
    session = now.desk.workspace.session
    held = now.desk.library.shelf.checks or (session.checks if session is not None else None)
    return "" if held is not None else "No checks have run yet."


_ID = CommandId
COMMANDS = (
    Command(_ID.OPEN_SESSION, "File", "Open session…", "Open a session file for review",
            "mdi6.folder-open-outline", "Ctrl+O", tool_bar=True),
    Command(_ID.SAVE, "File", "Save", "Save the session to its file",
            "mdi6.content-save-outline", "Ctrl+S", _no_session, tool_bar=True, starts_group=True),
    Command(_ID.SAVE_AS, "File", "Save as…", "Save to another file; shows the size before",
            "mdi6.content-save-edit-outline", "Ctrl+Shift+S", _no_session),
    Command(_ID.VERIFY_FILE, "File", "Verify the file", "Compare every part of the session's "
            "file with its checksum", "mdi6.file-check-outline", "", _no_file),
    Command(_ID.QUIT, "File", "Quit", "Close the window", "mdi6.exit-to-app", "Ctrl+Q",
            starts_group=True),
    Command(_ID.SWAP_PROMPTS, "Edit", "Swap clean and corrupt",
            "Exchange the prompts, and answer and wrong answer", "mdi6.swap-vertical",
            "Ctrl+Shift+X"),
    Command(_ID.CLEAR_SELECTION, "Edit", "Clear selection", "Select nothing",
            "mdi6.selection-off", "Esc"),
    Command(_ID.PALETTE, "Edit", "Find anything…", "Find commands, nodes, heads, tokens and "
            "settings by a few letters", "mdi6.magnify", "Ctrl+K", starts_group=True),
    Command(_ID.COPY_PICTURE, "Edit", "Copy picture of the window",
            "Copy the window as a picture", "mdi6.camera-outline", "Ctrl+Shift+C",
            starts_group=True),
    Command(_ID.SETTINGS, "Edit", "Settings…", "Device, precision, threads, sizes and shortcuts",
            "mdi6.cog-outline", "Ctrl+,", starts_group=True),
    Command(_ID.RESET_LAYOUT, "View", "Reset layout", "Put all panels back in their places",
            "mdi6.view-dashboard-outline", starts_group=True),
    Command(_ID.FULL_SCREEN, "View", "Full screen", "Use the whole screen",
            "mdi6.fullscreen", "F11"),
    Command(_ID.OPEN_MODEL_FOLDER, "Model", "Open model folder…",
            "Load a model from a folder of this machine", "mdi6.folder-outline", "Ctrl+M",
            starts_group=True),
    Command(_ID.OPEN_MODEL_HUB, "Model", "Open hub id…",
            "Load a model by its hub id, from the local cache or by a download",
            "mdi6.cloud-download-outline", "Ctrl+Shift+M"),
    Command(_ID.ATTACH_MODEL, "Model", "Attach the session's model",
            "Load the model that made this session, so that it can be asked again",
            "mdi6.link-variant", "", _not_detached),
    Command(_ID.RUN_CHECKS, "Model", "Run self-checks", "Check the model's numbers",
            "mdi6.check-decagram-outline", "", _no_model, starts_group=True),
    Command(_ID.SHOW_CHECKS, "Model", "Self-checks…", "What the self-checks found",
            "mdi6.clipboard-check-outline", "", _no_checks),
    Command(_ID.RUN, "Run", "Run", "Run the prompt and find its circuit", "mdi6.play",
            "Ctrl+Return", _cannot_run, tool_bar=True),
    Command(_ID.STOP, "Run", "Stop", "Stop what is running", "mdi6.stop", "Ctrl+.",
            _nothing_runs, tool_bar=True),
    Command(_ID.REPRODUCE, "Run", "Run the shown nodes alone",
            "How much of the metric the most influential nodes reproduce by themselves",
            "mdi6.graph-outline", "", _offline, starts_group=True),
    Command(_ID.FOCUS_PROMPT, "Run", "Edit the prompt", "Go to the prompt", "mdi6.form-textbox",
            "Ctrl+L"),
    Command(_ID.START_PAGE, "Examples", "Start page", "Six lessons of five minutes, with the "
            "next click marked", "mdi6.school-outline", "Ctrl+Shift+E"),
    Command(_ID.DOCUMENTATION, "Help", "Documentation", "Open the documentation",
            "mdi6.book-open-variant", "F1"),
    Command(_ID.SHORTCUTS, "Help", "Keyboard shortcuts", "All keys of the window on one sheet",
            "mdi6.keyboard-outline", "Ctrl+/"),
    Command(_ID.MESSAGES, "Help", "Messages…", "Everything the window has reported",
            "mdi6.message-text-outline"),
    Command(_ID.ABOUT, "Help", "About Microtome", "Versions of Microtome and its parts",
            "mdi6.information-outline", starts_group=True),
)  # fmt: skip


def command(wanted: CommandId) -> Command:
    """The row of an id."""
    return next(row for row in COMMANDS if row.id == wanted)
