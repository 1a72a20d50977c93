"""The rows of the table of commands about adapters and the tree of modules."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId
from microtome_desktop.commands.needs import needs_any_model

_ID = CommandId
_MENU = "Model"
ADAPTER_COMMANDS = (
    Command(_ID.OPEN_ADAPTER, _MENU, "Open adapter\N{HORIZONTAL ELLIPSIS}", "Open any PyTorch "
            "module that reads images, through a small file of your own",
            "mdi6.power-plug-outline"),
    Command(_ID.SHOW_MODULES, _MENU, "Tree of modules", "Every module of the model, with the "
            "shapes of its weights and of what it gives", "mdi6.file-tree-outline", "",
            needs_any_model),
)  # fmt: skip
