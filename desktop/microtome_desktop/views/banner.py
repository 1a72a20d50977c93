"""The bars above the centre: what is so for as long as this session or model is there."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.checked import failed_reports
from microtome_desktop.state.made_by import model_name, names_model
from microtome_desktop.views.icons import icon
from microtome_desktop.views.panel import Panel, PanelContext


class Banner(Panel):
    """A sign, a sentence and a button that runs one command; nobody can close it."""

    sheet: ClassVar[str]  # what the style sheet calls it
    colour: ClassVar[str]  # of the sign, a name of the palette
    command: ClassVar[CommandId]
    label: ClassVar[str]  # on the button
    tip: ClassVar[str]

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.setObjectName(self.sheet)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._sign = QLabel()
        self.text = QLabel()
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.button = QPushButton(self.label)
        self.button.setToolTip(self.tip)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 8, 6)
        layout.addWidget(self._sign)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.button)
        self.button.clicked.connect(self._on_button)
        context.library.changed.connect(self._on_library)
        self.update_text()

    def set_sign(self) -> None:
        """Draw the sign in the colour of the theme."""
        self._sign.setPixmap(icon(self.icon, getattr(colours, self.colour)).pixmap(16, 16))

    def _on_button(self) -> None:
        self.context.do(self.command)

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        if changed & {"loading", "checks"}:
            self.update_text()

    def show_session(self) -> None:
        """Another session may have its model, or checks that failed."""
        self.update_text()

    def show_part(self, part: str) -> None:
        """The checks of the session on screen may have been made anew."""
        if part == "checks":
            self.update_text()

    def show_model(self) -> None:
        """Another model may be the session's, or not."""
        self.update_text()

    def update_text(self) -> None:
        """Show what is so now, or hide."""
        raise NotImplementedError


class OfflineBanner(Banner):
    """Shown while the session on screen has no model behind it."""

    name = "offline_banner"
    title = "Offline review"
    icon = "mdi6.link-variant-off"
    sheet, colour = "banner", "WARM"
    command, label = CommandId.ATTACH_MODEL, "Attach model"
    tip = "Load the model that made this session"

    def update_text(self) -> None:
        """Say whose session is reviewed, and which model is there instead."""
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
        self.button.setEnabled(not loading)
        self.button.setText(f"Loading {loading}…" if loading else self.label)


class ChecksBanner(Banner):
    """Shown while a self-check has failed, of the loaded model or of the session's."""

    name = "checks_banner"
    title = "Self-checks failed"
    icon = "mdi6.alert-octagon-outline"
    sheet, colour = "alarm", "BAD"
    command, label = CommandId.SHOW_CHECKS, "Self-checks…"
    tip = "What the self-checks measured and allow"

    def update_text(self) -> None:
        """Name the checks that failed, and of which model."""
        shelf, session = self.context.library.shelf, self.context.workspace.session
        reports = failed_reports(shelf.checks, session)
        self.setVisible(bool(reports))
        told = [
            f"Self-checks of {report.model} failed: "
            + "; ".join(f"{check.number}, {check.title}" for check in report.failures)
            + ". Its numbers may be wrong."
            for report in reports
        ]
        self.text.setText("\n".join(told))


class NewerBanner(Banner):
    """Shown while the session on screen is in a file that is only looked at."""

    name = "newer_banner"
    title = "Made by a newer version"
    icon = "mdi6.file-lock-outline"
    sheet, colour = "banner", "WARM"
    command, label = CommandId.SAVE_AS, "Save as…"
    tip = "Save what this version understands to another file"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        context.workspace.path_changed.connect(self._on_path)

    def _on_path(self, path: object) -> None:
        self.update_text()

    def update_text(self) -> None:
        """Say what made the file."""
        workspace = self.context.workspace
        self.setVisible(bool(workspace.note))
        if workspace.note and workspace.path:
            left = "What this version does not know is left out."
            self.text.setText(f"{workspace.path.name} was {workspace.note}. {left}")


BANNERS: tuple[type[Banner], ...] = (ChecksBanner, NewerBanner, OfflineBanner)  # from the top
