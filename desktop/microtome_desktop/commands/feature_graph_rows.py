"""Commands about graphs of features and the edits made from them."""

from __future__ import annotations

from collections.abc import Callable

from microtome_desktop.commands.command import Command, CommandId, Situation
from microtome_desktop.commands.needs import needs_any_model

_ID = CommandId
_MENU = "Features"


def _no_set(now: Situation) -> str:
    from microtome_desktop.state.feature_sets import why_no_set

    desk = now.desk
    if reason := why_no_set(desk.workspace, desk.library):
        return reason
    return "" if desk.draft.text.asked else "Type a prompt first."


def _cannot_edit(now: Situation) -> str:
    from microtome_desktop.state.feature_sets import why_no_feature_edits

    return why_no_feature_edits(now.desk.workspace, now.desk.library)


def _cannot(act: str) -> Callable[[Situation], str]:
    """Why the selected features cannot be edited so."""

    def blocked(now: Situation) -> str:
        if reason := _cannot_edit(now):
            return reason
        from microtome_desktop.state.feature_acts import selected_features

        session, selected = now.desk.workspace.session, now.desk.selection.current
        found = session is not None and selected_features(session, selected)
        return "" if found else f"Click a feature of the graph, or a group of them, to {act} it."

    return blocked


def _no_feature(now: Situation) -> str:
    from microtome_desktop.state.feature_nodes import feature_at

    session, node = now.desk.workspace.session, now.desk.selection.current.node
    return "" if feature_at(session, node) else "Click a feature of a feature graph first."


def _not_in_graph(now: Situation) -> str:
    from microtome_desktop.state.feature_nodes import nodes_of

    feature = now.desk.selection.current.feature
    if feature is None:
        return "Choose a feature in the tab Features first."
    found = nodes_of(now.desk.workspace.session, feature)
    return "" if found else "The graph on screen has no node of this feature."


def _nothing_edited(now: Situation) -> str:
    edits = now.desk.book.marks.feature_edits
    return "" if edits else "No feature is edited yet."


def _no_acting(now: Situation) -> str:
    if reason := _cannot_edit(now) or _nothing_edited(now):
        return reason
    acts = any(edit.on for edit in now.desk.book.marks.feature_edits)
    return "" if acts else "No edit acts: switch one on."


FEATURE_GRAPH_ROWS = (
    Command(_ID.FEATURE_GRAPH, _MENU, "Feature graph", "Which features of transcoders carry the "
            "answer to this prompt, and where each of them comes from",
            "mdi6.hexagon-multiple-outline", "Ctrl+Alt+F", _no_set, starts_group=True),
    Command(_ID.OPEN_TRANSCODERS, _MENU, "Open transcoders…", "Look at a folder of transcoders "
            "for all layers, and make a graph with them", "mdi6.folder-open-outline",
            "Ctrl+Alt+C", needs_any_model),
    Command(_ID.FEATURE_CARD, _MENU, "Card of the feature", "Where in a text the selected feature "
            "of the graph is on, and what it writes: its card in the tab Features",
            "mdi6.card-text-outline", "Ctrl+Alt+A", _no_feature, starts_group=True),
    Command(_ID.FEATURE_NODE, _MENU, "The feature in the graph", "Go from the card of a feature to "
            "its nodes in the graph", "mdi6.graph-outline", "Ctrl+Alt+J",
            _not_in_graph),
    Command(_ID.FEATURE_ABLATE, _MENU, "Ablate the feature", "Put 0 in the place of the selected "
            "features' activations", "mdi6.content-cut", "Ctrl+Alt+I", _cannot("ablate"),
            starts_group=True),
    Command(_ID.FEATURE_SCALE, _MENU, "Scale the feature", "Multiply the selected features' "
            "activations: twice at first", "mdi6.arrow-expand-vertical", "Ctrl+Alt+U",
            _cannot("scale")),
    Command(_ID.FEATURE_SET, _MENU, "Set the feature", "Put a number in the place of the selected "
            "features' activations", "mdi6.equal", "", _cannot("set")),
    Command(_ID.FEATURE_STEER, _MENU, "Steer along the feature", "Add a number to the selected "
            "features' activations", "mdi6.arrow-top-right", "", _cannot("steer")),
    Command(_ID.FEATURE_AFTER, _MENU, "Graph with the edits", "Make the graph of the run in which "
            "the edits of features act: a run of the history beside this one",
            "mdi6.hexagon-multiple", "Ctrl+Alt+E", _no_acting),
    Command(_ID.FEATURE_CLEAR, _MENU, "Remove all edits of features", "Forget them all; undo "
            "brings them back", "mdi6.playlist-remove", "", _nothing_edited),
)  # fmt: skip
