"""The question: prompt, corrupt prompt, answers, prompt sets, and the button that runs it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.shortcuts import keys_of
from microtome_desktop.commands.table import command
from microtome_desktop.jobs.model_requests import ReadDraft
from microtome_desktop.presenters.memory import left_out_text, needs_text
from microtome_desktop.state.draft import DraftText, Reading, answer_of_run, reading_of
from microtome_desktop.views.alignment import Alignment
from microtome_desktop.views.icons import icon
from microtome_desktop.views.image_prompt import ImagePrompt
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.prompt_sets import PromptSetPicker
from microtome_desktop.views.typing_fields import AnswerField, PromptField

# Long enough to type a word, short enough to feel at once.
_READ_AFTER_MS = 150
_CLEAN, _CORRUPT, _ANSWER, _WRONG = "Clean prompt", "Corrupt prompt", "Answer", "Wrong answer"


class PromptPanel(Panel):
    """Fields for the question; what is typed goes to the draft and is read by the model."""

    name = "prompt"
    title = "Prompt"
    icon = "mdi6.form-textbox"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.prompt = PromptField("prompt", _CLEAN, "The text that the model continues")
        self.corrupt = PromptField(
            "corrupt", _CORRUPT, "Optional: the same text with one thing changed"
        )
        self.answer = AnswerField("answer", _ANSWER, "the right answer")
        self.wrong = AnswerField("wrong", _WRONG, "to compare with")
        self.alignment = Alignment()
        self.problem = QLabel()
        self.problem.setObjectName("bad")
        self.problem.setWordWrap(True)
        self.problem.hide()
        self.needs = QLabel()
        self.needs.setObjectName("dim")
        self.needs.setTextFormat(Qt.TextFormat.PlainText)
        self.needs.setWordWrap(True)
        self.sets = PromptSetPicker(context)
        self.images = ImagePrompt(context)
        # What asks by text, in the place of images.
        self.texts = QWidget()
        self.run = QPushButton("Run")
        self.run.setObjectName("primary")
        self.swap = QToolButton()
        self.swap.setObjectName("swap")
        self._busy = self._showing = False
        self._reader = QTimer(self, singleShot=True, interval=_READ_AFTER_MS)
        self._dress_buttons()
        self._lay_out()
        self._connect()
        self._show_draft(context.draft.text)
        self._show_reading(context.draft.reading)

    def _dress_buttons(self) -> None:
        self.run.setIcon(icon("mdi6.play", colours.ON_ACCENT))
        self.run.setIconSize(QSize(16, 16))
        self.swap.setIcon(icon("mdi6.swap-vertical"))
        self.swap.setToolTip(command(CommandId.SWAP_PROMPTS).tip)
        self.swap.setAccessibleName(command(CommandId.SWAP_PROMPTS).title)

    def _lay_out(self) -> None:
        answers = QHBoxLayout()
        for title, field in ((_ANSWER, self.answer), (_WRONG, self.wrong)):
            column = QVBoxLayout()
            column.setSpacing(4)
            column.addWidget(_section(title))
            column.addWidget(field)
            answers.addLayout(column)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run, 1)
        buttons.addWidget(self.swap)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        inner = QVBoxLayout(self.texts)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(5)
        inner.addWidget(self.sets)
        inner.addWidget(_section(_CLEAN))
        inner.addWidget(self.prompt)
        inner.addWidget(_section(_CORRUPT))
        inner.addWidget(self.corrupt)
        inner.addWidget(self.alignment)
        layout.addWidget(self.texts)
        layout.addWidget(self.images)
        layout.addLayout(answers)
        layout.addWidget(self.problem)
        layout.addLayout(buttons)
        layout.addWidget(self.needs)

    def _connect(self) -> None:
        self.prompt.textChanged.connect(self._on_typed)
        self.corrupt.textChanged.connect(self._on_typed)
        self.prompt.submitted.connect(self._on_run)
        self.corrupt.submitted.connect(self._on_run)
        for field in (self.answer, self.wrong):
            field.textChanged.connect(self._on_typed)
            field.returnPressed.connect(self._on_run)
        self.run.clicked.connect(self._on_run)
        self.swap.clicked.connect(self._on_swap)
        self._reader.timeout.connect(self._ask_reading)
        self.context.settings.shortcuts_changed.connect(self._show_run)
        self.context.settings.changed.connect(self._on_setting)
        self.context.draft.changed.connect(self._show_draft)
        self.context.draft.reading_changed.connect(self._show_reading)
        self.context.library.changed.connect(self._on_library)

    def _on_typed(self) -> None:
        if self._showing:  # the fields change one by one; only all of them are a question
            return
        answers = {"answer": self.answer.text(), "wrong": self.wrong.text()}
        if self.context.draft.text.sees:
            self.context.draft.update(**answers)
            return
        self.context.draft.update(
            prompt=self.prompt.toPlainText(), corrupt=self.corrupt.toPlainText(), **answers
        )

    def _on_run(self) -> None:
        self.context.do(CommandId.STOP if self._busy else CommandId.RUN)

    def _on_swap(self) -> None:
        self.context.do(CommandId.SWAP_PROMPTS)

    def _show_draft(self, text: DraftText) -> None:
        self._showing = True
        self.prompt.show_text(text.prompt)
        self.corrupt.show_text(text.corrupt)
        self.answer.show_text(text.answer)
        self.wrong.show_text(text.wrong)
        self._showing = False
        self._show_answer()
        self.texts.setVisible(not text.sees)
        self.images.setVisible(text.sees)
        self.images.show_draft(text, self.context.draft.reading)
        self._show_hint(as_ids=text.as_ids)
        self._reader.start()
        self._show_run()

    def _show_answer(self) -> None:
        """Say by which answer the run was measured, where none is typed."""
        session = self.context.workspace.session
        self.answer.stand_in(answer_of_run(session, self.context.draft.text))

    def _show_hint(self, *, as_ids: bool) -> None:
        model = self.context.workspace.model
        both = model is not None and model.n_encoder_layers > 0
        hint = "What the encoder reads ||| how the answer begins" if both else self.prompt.hint
        ids = "Token ids, for example 12, 7, 301" + (" ||| 5, 9" if both else "")
        self.prompt.setPlaceholderText(ids if as_ids else hint)

    def _ask_reading(self) -> None:
        workspace, text = self.context.workspace, self.context.draft.text
        if workspace.model is not None:
            self.context.ask(ReadDraft(text))
        elif workspace.session is not None:  # in review the file tells how its model read it
            self.context.draft.read(reading_of(workspace.session, text))

    def _show_reading(self, reading: Reading) -> None:
        self.alignment.show_reading(reading)
        self.images.show_draft(self.context.draft.text, reading)
        self.answer.mark(reading.answer_problem)
        self.wrong.mark(reading.wrong_problem)
        problems = (reading.problem, reading.answer_problem, reading.wrong_problem)
        text = "\n".join(dict.fromkeys(problem for problem in problems if problem))
        self.problem.setText(text)
        self.problem.setVisible(bool(text))
        needs = reading.needs
        self.needs.setText(needs_text(needs))
        self.needs.setVisible(needs is not None)
        self.needs.setObjectName("bad" if needs is not None and needs.too_much else "dim")
        self.needs.style().polish(self.needs)
        self._show_run()

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        facts = self.context.library.shelf.facts
        if "facts" in changed:
            for field in (self.answer, self.wrong):
                field.complete_from(facts.words)
        if "loading" in changed:
            self._show_run()

    def _on_setting(self, name: str) -> None:
        if name == "activations":  # what a run keeps is estimated anew
            self._reader.start()

    def show_session(self) -> None:
        """Another file tells how its prompts were read."""
        self.images.show_steps()
        self._show_answer()
        self._reader.start()

    def show_part(self, part: str) -> None:
        """The metric of a run tells its answer."""
        if part == "metric":
            self._show_answer()

    def show_model(self) -> None:
        """Another model reads the prompts anew."""
        self.images.show_steps()
        self._show_hint(as_ids=self.context.draft.text.as_ids)
        self._reader.start()
        self._show_run()

    def show_busy(self, *, busy: bool) -> None:
        """The button stops while a run is under way."""
        self._busy = busy
        self._show_run()

    def _show_run(self) -> None:
        row = command(CommandId.STOP if self._busy else CommandId.RUN)
        reason = "" if self._busy else self.context.why_not(row.id)
        draft = self.context.draft
        refused = draft.reading.answer_problem or draft.reading.wrong_problem
        if refused and not (reason or self._busy or draft.up_to_date or self.run.isEnabled()):
            return  # it comes back when what is typed has been read, not with every letter
        self.run.setText("Stop" if self._busy else "Run")
        self.run.setIcon(icon("mdi6.stop" if self._busy else "mdi6.play", colours.ON_ACCENT))
        self.run.setEnabled(not reason)
        keys = keys_of(self.context.settings, row.id)
        lines = [reason or (f"{row.tip} ({keys})" if keys else row.tip)]
        if not reason and not self._busy:
            needs = draft.reading.needs
            lines += [needs_text(needs), left_out_text(needs)]
        self.run.setToolTip("\n".join(line for line in lines if line))

    def edit(self) -> None:
        """Put the cursor into the prompt, its text selected; or go to the choice of images.

        The images of a session in review make room where the model that is loaded reads text.
        """
        model = self.context.workspace.model
        if model is not None and not model.sees:
            self.context.draft.update(sees=False)
        if self.context.draft.text.sees:
            self.images.edit()
            return
        self.prompt.setFocus()
        self.prompt.selectAll()


def _section(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("section")
    return label
