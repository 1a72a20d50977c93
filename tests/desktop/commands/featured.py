"""Dictionaries in the live window: opened, and with an index of a little text."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog

from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.feature_requests import IndexFeatures, OpenDictionary
from microtome_desktop.state.features import index_with

LEFT = Qt.MouseButton.LeftButton
SMALL = "words-4l/resid_post.2-small"


def opened(hand, name):
    hand.take(name)
    hand.until(lambda: any(d.isVisible() for d in hand.window.findChildren(QDialog)))
    return next(d for d in hand.window.findChildren(QDialog) if d.isVisible())


def saving(hand):
    """The dialog that saves a dictionary, once it knows the formats."""
    dialog = opened(hand, CommandId.SAVE_DICTIONARY)
    hand.until(lambda: dialog.formats.count() == 2)
    return dialog


def with_index(hand):
    """The panel on the small dictionary, with a little text looked through."""
    hand.bench.runner.ask(OpenDictionary(SMALL))
    hand.rest()
    panel = hand.panels["features"]
    if index_with(hand.session, panel.current.fingerprint) is None:
        source = panel.current
        hand.bench.runner.ask(IndexFeatures(source.fingerprint, source.name, "words-4l", 1_500))
    hand.rest()
    hand.until(lambda: panel.table is not None)
    return panel


def left_clean(hand):
    """The hand on the example, without features that others have left."""
    hand.desk.selection.update(feature=None)
    yield hand
    hand.desk.selection.update(feature=None, neuron=None)
    hand.window.reset_layout()
