"""The rows of the table of commands about sparse dictionaries and their features."""

from __future__ import annotations

from microtome.analysis.umap_installed import GET_UMAP, NO_UMAP, has_umap
from microtome_desktop.commands.command import Command, CommandId, Situation
from microtome_desktop.commands.needs import needs_any_model, needs_its_model


def _no_dictionary(now: Situation) -> str:
    """Why the dictionary that is looked at cannot be computed with."""
    held = now.desk.dictionaries
    if reason := needs_its_model(now):
        return reason
    if not held.current:
        return "No dictionary is chosen: open one, or choose the neurons of a layer."
    return "" if held.holds(held.current) else "The dictionary is not open: open it again."


def _no_saving(now: Situation) -> str:
    """Why what is looked at cannot be saved for other tools."""
    from microtome.records.neuron_prints import layer_of_neurons

    if layer_of_neurons(now.desk.dictionaries.current) is not None:
        return "Neurons are the model's own: choose a dictionary or a transcoder."
    return _no_dictionary(now)


def no_umap(now: Situation) -> str:
    """Why directions cannot be placed by UMAP."""
    return _no_dictionary(now) if has_umap() else f"{NO_UMAP} {GET_UMAP}"


def no_splits(now: Situation) -> str:
    """Why no dictionaries can be compared."""
    from microtome_desktop.state.splits import why_no_pair

    return needs_its_model(now) or why_no_pair(now.desk.workspace, now.desk.dictionaries)


def _no_index(now: Situation) -> str:
    session, current = now.desk.workspace.session, now.desk.dictionaries.current
    held = () if session is None else session.analyses.values()
    found = any(
        one.kind == "feature-index" and one.params.get("fingerprint") == current for one in held
    )
    return "" if found else "No text was looked through yet: look through one first."


def _no_neuron(now: Situation) -> str:
    selected = now.desk.selection.current
    if reason := needs_its_model(now):
        return reason
    if selected.neuron is None or selected.layer is None:
        return "Select a neuron first, for example in the panel Neurons."
    return ""


def _cannot_propose(now: Situation) -> str:
    return _no_dictionary(now) or _no_index(now)


_ID = CommandId
_MENU = "Features"
FEATURE_COMMANDS = (
    Command(_ID.OPEN_DICTIONARY, _MENU, "Open dictionary…", "Open a sparse autoencoder or "
            "transcoder of the loaded model, once it is shown what it is",
            "mdi6.book-open-page-variant-outline", "Ctrl+Alt+D", needs_any_model),
    Command(_ID.SAVE_DICTIONARY, _MENU, "Save dictionary as…", "Save the dictionary that is looked "
            "at, or its set of transcoders, so that SAELens or circuit-tracer opens it",
            "mdi6.book-arrow-up-outline", "Ctrl+Alt+W", _no_saving),
    Command(_ID.INDEX_FEATURES, _MENU, "Look through a text…", "Read a text and keep where each "
            "feature is on", "mdi6.text-search-variant", "Ctrl+Alt+L", _no_dictionary),
    Command(_ID.FEATURE_DIRECTIONS, _MENU, "Directions in the feature space", "Show what the "
            "features write as points of the feature space, by their principal components",
            "mdi6.scatter-plot", "", _no_dictionary),
    Command(_ID.FEATURE_UMAP, _MENU, "Directions by UMAP", "Place the same points so that near "
            "directions stay near; takes a minute in a process of its own",
            "mdi6.chart-bubble", "", no_umap),
    Command(_ID.SPLIT_FEATURES, _MENU, "How features split", "Show which features of a large "
            "dictionary those of a small one split into, beside each other; without two open "
            "ones, those that are embedded", "mdi6.source-branch", "Ctrl+Alt+P", no_splits),
    Command(_ID.NEURON_CARD, _MENU, "The selected neuron as a feature", "Show the neurons of its "
            "layer as a dictionary, with the card of the selected one",
            "mdi6.chart-scatter-plot", "Ctrl+Alt+N", _no_neuron, starts_group=True),
    Command(_ID.PROPOSE_LABELS, _MENU, "Propose labels…", "Have labels proposed and scored by "
            "token statistics, a local model or a labeller of your own", "mdi6.tag-plus-outline",
            "Ctrl+Alt+B", _cannot_propose, starts_group=True),
    Command(_ID.ACCEPT_LABELS, _MENU, "Accept all proposed labels", "Name every feature without "
            "a label by what is proposed for it; undo takes all of it back",
            "mdi6.tag-check-outline", "", _no_index),
    Command(_ID.IMPORT_LABELS, _MENU, "Import labels…", "Take labels from a CSV or JSON file",
            "mdi6.tag-arrow-down-outline", "", _no_index),
    Command(_ID.EXPORT_LABELS, _MENU, "Export labels…", "Write the labels as a CSV or JSON file",
            "mdi6.tag-arrow-up-outline", "", _no_index),
)  # fmt: skip
