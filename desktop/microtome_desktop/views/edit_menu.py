"""What a right click offers to do to a place of the model."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QMenu, QWidget

from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.shortcuts import keys_of
from microtome_desktop.commands.table import command
from microtome_desktop.state.book import Book
from microtome_desktop.state.edit_places import Act, EditPlace, Grounds, spec_of, why_not_act
from microtome_desktop.views.panel import PanelContext

_ID = CommandId
COMMANDS = {
    Act.ZERO: _ID.ABLATE_ZERO, Act.MEAN: _ID.ABLATE_MEAN, Act.PATCH: _ID.PATCH_CORRUPT,
    Act.DIFFERENCE: _ID.STEER_DIFFERENCE, Act.ANSWER: _ID.STEER_ANSWER,
}  # fmt: skip


def do_act(book: Book, grounds: Grounds, act: Act, places: tuple[EditPlace, ...]) -> None:
    """Add the edit that an act makes at each place, as one step."""
    new = tuple(spec_of(grounds, act, place) for place in places)
    called = places[0].title if len(places) == 1 else f"{len(places)} places"
    book.mark(f"{act} at {called}", edits=(*book.marks.edits, *new))


def edit_menu(context: PanelContext, places: tuple[EditPlace, ...], parent: QWidget) -> QMenu:
    """A menu named after the places; what cannot be done there says why."""
    title = places[0].title if len(places) == 1 else f"{len(places)} places"
    menu = QMenu(f"Edit {title}".replace("&", "&&"), parent)
    menu.setObjectName("edit_menu")
    menu.setToolTipsVisible(True)
    grounds = Grounds.of(context.workspace, context.library)
    for act in Act:
        reason = why_not_act(grounds, act, places)
        keys = keys_of(context.settings, COMMANDS[act])
        action = menu.addAction(f"{act}\t{keys}" if keys else str(act))
        action.setEnabled(not reason)
        action.setToolTip(reason or f"{act}: {title}")
        action.triggered.connect(partial(_do, context, act, places))
    return menu


def _do(
    context: PanelContext, act: Act, places: tuple[EditPlace, ...], _checked: bool = False
) -> None:
    do_act(context.book, Grounds.of(context.workspace, context.library), act, places)


def offer_edits(
    context: PanelContext,
    places: tuple[EditPlace, ...],
    at: QPoint,
    parent: QWidget,
    *,
    also: tuple[CommandId, ...] = (),
) -> None:
    """Open the menu at a point of the screen, headed by what it is about.

    ``also`` are commands about what is selected, which stand below.
    """
    if not places:
        return
    menu = edit_menu(context, places, parent)
    head = menu.addAction(menu.title())
    head.setEnabled(False)
    menu.insertAction(menu.actions()[0], head)
    menu.insertSeparator(menu.actions()[1])
    for wanted in also:
        menu.addSeparator()
        action = menu.addAction(command(wanted).title)
        reason = context.why_not(wanted)
        action.setEnabled(not reason)
        action.setToolTip(reason or command(wanted).tip)
        action.triggered.connect(partial(context.do, wanted))
    menu.aboutToHide.connect(menu.deleteLater)
    menu.popup(at)
