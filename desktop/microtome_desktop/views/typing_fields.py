"""Fields of the prompt panel: text of a prompt, and an answer completed from the vocabulary."""

from __future__ import annotations

from PySide6.QtCore import QStringListModel, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QKeyEvent
from PySide6.QtWidgets import QCompleter, QLineEdit, QPlainTextEdit, QWidget

_LINES = 3
_RUN_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class PromptField(QPlainTextEdit):
    """A prompt: Tab leaves it, Return runs it, Shift+Return makes a new line."""

    submitted = Signal()

    def __init__(self, name: str, said: str, hint: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(said)
        self.hint = hint
        self.setPlaceholderText(hint)
        self.setTabChangesFocus(True)
        height = QFontMetricsF(self.font()).lineSpacing() * _LINES + 20
        self.setFixedHeight(round(height))

    def show_text(self, text: str) -> None:
        """Show a text unless it is there already, so that the cursor stays while typing."""
        if text != self.toPlainText():
            self.setPlainText(text)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return runs the prompt."""
        if event.key() in _RUN_KEYS and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.submitted.emit()
            return
        super().keyPressEvent(event)


class AnswerField(QLineEdit):
    """One word, completed from the model's vocabulary."""

    def __init__(self, name: str, said: str, hint: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(said)
        self._hint = hint
        self.setPlaceholderText(hint)
        self.setClearButtonEnabled(True)
        self.setMinimumWidth(64)
        self._words = QStringListModel(self)
        completer = QCompleter(self._words, self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setMaxVisibleItems(10)
        self.setCompleter(completer)

    def complete_from(self, words: tuple[str, ...]) -> None:
        """Offer these words."""
        self._words.setStringList(list(words))

    def show_text(self, text: str) -> None:
        """Show a word unless it is there already."""
        if text != self.text():
            self.setText(text)

    def stand_in(self, word: str) -> None:
        """Show what counts while nothing is typed; none for the usual hint."""
        self.setPlaceholderText(f"{word}, the likeliest" if word else self._hint)

    def mark(self, problem: str) -> None:
        """Frame the field in red, and say why, while it holds no usable answer."""
        self.setToolTip(problem)
        if bool(self.property("wrong")) != bool(problem):
            self.setProperty("wrong", bool(problem))
            self.style().unpolish(self)
            self.style().polish(self)
