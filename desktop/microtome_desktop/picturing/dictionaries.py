"""Scenes of what the features of dictionaries write, and how they split."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from microtome_desktop.commands.command import CommandId
from microtome_desktop.picturing.experiments import featured
from microtome_desktop.picturing.stage import Stage
from microtome_desktop.views.splitting_panel import SplittingPanel

_BRACKETS = "{"
_WHOLE = (1760, 1080)


def split(stage: Stage) -> QWidget:
    """The embedded pair compared, and one feature's parts."""
    stage.do(CommandId.SPLIT_FEATURES)
    panel = stage.panel("splitting")
    if not isinstance(panel, SplittingPanel) or panel.table is None:
        raise LookupError("The dictionaries were not compared.")
    words = (panel.table.small.of(int(row)) for row in panel.rows.rows)
    at = next((row for row, held in enumerate(words) if held and held[0][0] == _BRACKETS), 0)
    panel.rows.chosen.emit(int(panel.rows.rows[at]))
    stage.rest()
    return stage.card("splitting")


def directions(stage: Stage) -> QWidget:
    """Directions of the small dictionary over a text, the selected feature ringed."""
    stage.window.resize(*_WHOLE)
    stage.window.reset_layout()
    featured(stage)
    stage.do(CommandId.FEATURE_DIRECTIONS)
    return stage.card("feature_space")
