"""Scenes of the panels that train something."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from PySide6.QtWidgets import QWidget

from microtome_desktop.commands.command import CommandId
from microtome_desktop.picturing.stage import Stage
from microtome_desktop.views.probe_panel import ProbePanel
from microtome_desktop.views.superposition_panel import SuperpositionPanel
from microtome_desktop.views.training_panel import TrainingPanel


def trained(stage: Stage) -> QWidget:
    """A short training at layer 2 of the embedded model."""
    stage.front("training")
    panel = stage.panel("training")
    if not isinstance(panel, TrainingPanel):
        raise LookupError("There is no training panel.")  # noqa: TRY004  a part that is missing
    with tempfile.TemporaryDirectory() as folder:
        wish = panel.form.wish()
        out = str(Path(folder) / "my-dictionary")
        panel.form.show_wish(replace(wish, steps=600, width=256, limit=30_000, out=out))
        stage.rest()
        stage.do(CommandId.TRAIN)
    return stage.card("training")


def superposed(stage: Stage) -> QWidget:
    """Toy models and a layer."""
    for wanted in (CommandId.TRAIN_TOY, CommandId.MEASURE_SHARING):
        stage.do(wanted)
    return stage.card("superposition")


def phases(stage: Stage) -> QWidget:
    """A phase diagram."""
    panel = stage.panel("superposition")
    if isinstance(panel, SuperpositionPanel):
        for name, number in (("squares", 10), ("repeats", 3), ("steps", 600)):
            panel.phases.fields[name].setValue(number)
    stage.do(CommandId.PHASES)
    return stage.card("superposition")


def probed(stage: Stage) -> QWidget:
    """The example of grammar, probed at every site of the residual stream."""
    stage.front("probes")
    panel = stage.part(ProbePanel, "probes")
    panel.form.source_wanted.emit("grammar")
    stage.until(lambda: panel.form.readable)
    stage.do(CommandId.PROBE)
    return stage.card("probes")
