"""Bars above the circuit: that the session has no model, that its file is only looked at."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.made_by import model_name, names_model
from microtome_desktop.views.icons import icon
from microtome_desktop.views.panel import Panel, PanelContext


class OfflineBanner(Panel):
    """Shown while the session on screen has no model behind it."""

    name = "offline_banner"
    title = "Offline review"
    icon = "mdi6.cloud-off-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.attach = QPushButton("Attach model")
        self.attach.setObjectName("attach_model")
        self.attach.setToolTip("Load the model that made this session")
        self.text = _lay_out(self, "mdi6.link-variant-off", self.attach)
        self.attach.clicked.connect(self._on_attach)
        context.library.changed.connect(self._on_library)
        self._update()

    def _on_attach(self) -> None:
        self.context.do(CommandId.ATTACH_MODEL)

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        if "loading" in changed:
            self._update()

    def show_session(self) -> None:
        """Another session may have its model, or not."""
        self._update()

    def show_model(self) -> None:
        """Another model may be the session's, or not."""
        self._update()

    def _update(self) -> None:
        workspace = self.context.workspace
        session = workspace.session
        self.setVisible(session is not None and workspace.offline)
        if session is None:
            return
        name = workspace.path.name if workspace.path else "this session"
        why = f"Reviewing {name} without its model, {session.model.name}"
        if not names_model(session):
            why = f"Reviewing the {model_name(session)}, which names no model"
        elif workspace.model is not None:
            why += f": {workspace.model.name} is loaded, which did not make it"
        self.text.setText(f"{why}. All of it is shown; new runs and ablations need the model.")
        loading = self.context.library.shelf.loading
        self.attach.setEnabled(not loading)
        self.attach.setText(f"Loading {loading}…" if loading else "Attach model")


class NewerBanner(Panel):
    """Shown while the session on screen is in a file that is only looked at."""

    name = "newer_banner"
    title = "Made by a newer version"
    icon = "mdi6.file-lock-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.elsewhere = QPushButton("Save as…")
        self.elsewhere.setObjectName("save_elsewhere")
        self.elsewhere.setToolTip("Save what this version understands to another file")
        self.text = _lay_out(self, self.icon, self.elsewhere)
        self.elsewhere.clicked.connect(self._on_elsewhere)
        context.workspace.path_changed.connect(self._on_path)
        self._update()

    def _on_elsewhere(self) -> None:
        self.context.do(CommandId.SAVE_AS)

    def _on_path(self, path: object) -> None:
        self._update()

    def show_session(self) -> None:
        """Another session may be in another file."""
        self._update()

    def _update(self) -> None:
        workspace = self.context.workspace
        self.setVisible(bool(workspace.note))
        if workspace.note and workspace.path:
            left = "What this version does not know is left out."
            self.text.setText(f"{workspace.path.name} was {workspace.note}. {left}")


def _lay_out(banner: Panel, sign: str, button: QPushButton) -> QLabel:
    """The sign, a text, which comes back, and a button."""
    banner.setObjectName("banner")
    banner.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
    drawn = QLabel()
    drawn.setPixmap(icon(sign, colours.WARM).pixmap(16, 16))
    text = QLabel()
    text.setTextFormat(Qt.TextFormat.PlainText)
    text.setWordWrap(True)
    layout = QHBoxLayout(banner)
    layout.setContentsMargins(12, 6, 8, 6)
    layout.addWidget(drawn)
    layout.addWidget(text, 1)
    layout.addWidget(button)
    return text
