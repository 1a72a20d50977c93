"""The rows of the table of commands that the panels of training and superposition act on."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId
from microtome_desktop.commands.needs import needs_its_model, needs_session

_ID = CommandId
_MENU = "Features"
TRAINING_COMMANDS = (
    Command(_ID.TRAIN, _MENU, "Train a dictionary", "Train what the Training panel is set to, "
            "with its figures as they come", "mdi6.chart-bell-curve-cumulative",
            "Ctrl+Alt+T", needs_its_model, starts_group=True),
    Command(_ID.CONTINUE_TRAINING, _MENU, "Continue a training\N{HORIZONTAL ELLIPSIS}",
            "Go on from the checkpoint of a training that stopped", "mdi6.play-pause", "",
            needs_its_model),
    Command(_ID.TRAIN_TOY, _MENU, "Train toy models of superposition", "Train the toy models that "
            "the Superposition panel is set to", "mdi6.vector-polyline", "Ctrl+Alt+Y",
            needs_session, starts_group=True),
    Command(_ID.PHASES, _MENU, "Phase diagram of superposition", "When a feature has a dimension "
            "of its own, shares one, or is lost", "mdi6.chart-scatter-plot-hexbin", "",
            needs_session),
    Command(_ID.MEASURE_SHARING, _MENU, "Measure superposition in a layer", "How the directions "
            "of neurons or of an open dictionary share their space", "mdi6.ruler", "",
            needs_its_model),
    Command(_ID.PROBE, _MENU, "Probe a concept", "At which layer a concept of labelled prompts can "
            "be read off: probe the prompts that the panel Probes has, beside a control task",
            "mdi6.needle", "Ctrl+Alt+K", needs_its_model, starts_group=True),
)  # fmt: skip
