"""The rows of the table of commands that choose the image that is asked about."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId, Situation


def _blind(now: Situation) -> str:
    """Why no image can be asked about, empty when one can."""
    if now.desk.draft.text.sees:
        return ""
    model, loading = now.desk.workspace.model, now.desk.library.shelf.loading
    if loading:
        return f"{loading} is still being loaded."
    reads = "No model is loaded" if model is None else f"{model.name} reads text"
    return f"{reads}: open a model that sees, such as shapes-resnet."


def _unlisted(now: Situation) -> str:
    """Why there is no other image to step to."""
    if reason := _blind(now):
        return reason
    seen = now.desk.library.shelf.facts.seen
    listed = now.desk.albums.opened or (seen is not None and seen.sets)
    return "" if listed else "There is no set of images: open a folder of them."


_ID = CommandId
_MENU = "Run"
IMAGE_COMMANDS = (
    Command(_ID.OPEN_IMAGE, _MENU, "Open image\N{HORIZONTAL ELLIPSIS}", "Ask about the image of "
            "a file", "mdi6.image-outline", "Ctrl+Alt+X", _blind, starts_group=True),
    Command(_ID.OPEN_IMAGE_FOLDER, _MENU, "Open folder of images\N{HORIZONTAL ELLIPSIS}",
            "Choose among the images of a folder", "mdi6.folder-multiple-image", "", _blind),
    Command(_ID.PASTE_IMAGE, _MENU, "Paste image", "Ask about the image, or the image file, on "
            "the clipboard", "mdi6.clipboard-arrow-down-outline", "Ctrl+Alt+V", _blind),
    Command(_ID.NEXT_IMAGE, _MENU, "Next image", "The next image of the set, or of its class",
            "mdi6.chevron-right", "Ctrl+Alt+PgDown", _unlisted),
    Command(_ID.PREVIOUS_IMAGE, _MENU, "Previous image", "The image before, of the set or of its "
            "class", "mdi6.chevron-left", "Ctrl+Alt+PgUp", _unlisted),
    Command(_ID.RANDOM_IMAGE, _MENU, "Random image", "Any image of the set, or of its class",
            "mdi6.dice-multiple-outline", "Ctrl+Alt+R", _unlisted),
)  # fmt: skip
