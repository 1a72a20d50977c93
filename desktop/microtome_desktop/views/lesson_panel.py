"""Lessons: the list to choose from, and the step of the one that is being taken."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop import palette as colours
from microtome_desktop.jobs.at_step import Asked, AtStep, FirstImage, image_key
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.presenters.lessons import LESSONS
from microtome_desktop.state.course import Act, Lesson
from microtome_desktop.state.made_by import shows_features
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.panel import Panel, PanelContext


class LessonPanel(Panel):
    """Opens real states and goes on when the marked click was made."""

    name = "lessons"
    title = "Lessons"
    icon = "mdi6.school-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.heading, self.text, self.hint = QLabel(), QLabel(), QLabel()
        self.progress = QProgressBar(textVisible=False)
        self.back, self.skip = QPushButton("Back"), QPushButton("Next")
        self.leave = QPushButton("All lessons")
        self.starts: dict[str, QPushButton] = {}
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._list_page())
        self._stack.addWidget(self._step_page())
        self.back.clicked.connect(self._on_back)
        self.skip.clicked.connect(self._on_next)
        self.leave.clicked.connect(context.course.leave)
        context.course.changed.connect(self._on_course)
        context.workspace.prepared.arrived.connect(self._on_prepared)

    def _list_page(self) -> QWidget:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(12, 10, 12, 10)
        column.setSpacing(10)
        opening = QLabel(
            f"{len(LESSONS)} lessons of five minutes, each on a model that is built in."
        )
        opening.setWordWrap(True)
        opening.setObjectName("dim")
        column.addWidget(opening)
        for lesson in LESSONS:
            column.addWidget(self._entry(lesson))
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        area.viewport().setAutoFillBackground(False)
        inside.setAutoFillBackground(False)
        return area

    def _entry(self, lesson: Lesson) -> QWidget:
        entry = QFrame()
        title, summary = QLabel(lesson.title), QLabel(lesson.summary)
        title.setFont(text_font(13))
        summary.setObjectName("dim")
        for label in (title, summary):
            label.setWordWrap(True)
        start = QPushButton("Start")
        start.setObjectName(f"lesson_{lesson.id}")
        start.setAccessibleName(f"Start the lesson {lesson.title}")
        start.clicked.connect(self._on_start)
        self.starts[lesson.id] = start
        column = QVBoxLayout(entry)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(3)
        column.addWidget(title)
        column.addWidget(summary)
        column.addWidget(start, 0, Qt.AlignmentFlag.AlignLeft)
        return entry

    def _step_page(self) -> QWidget:
        page = QWidget()
        self.heading.setFont(text_font(15))
        self.text.setFont(text_font(13))
        self.hint.setFont(text_font(12))
        self.hint.setStyleSheet(f"color: {colours.ACCENT};")
        for label in (self.heading, self.text, self.hint):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.progress.setFixedHeight(4)
        buttons = QHBoxLayout()
        buttons.addWidget(self.back)
        buttons.addWidget(self.skip, 1)
        column = QVBoxLayout(page)
        column.setContentsMargins(12, 10, 12, 10)
        column.setSpacing(12)
        for part in (self.heading, self.progress, self.text, self.hint):
            column.addWidget(part)
        column.addStretch(1)
        column.addLayout(buttons)
        column.addWidget(self.leave)
        return page

    # ------------------------------------------------------------ the course

    def _on_start(self) -> None:
        names = {id(button): name for name, button in self.starts.items()}
        wanted = names[id(self.sender())]
        self.context.course.start(next(each for each in LESSONS if each.id == wanted))

    def _rest_edits(self) -> None:
        """Edits of before would act in the lesson as well: they are switched off, not forgotten."""
        edits = self.context.book.marks.edits
        if any(spec.on for spec in edits):
            waiting = tuple(replace(spec, on=False) for spec in edits)
            self.context.book.mark("Switch the edits off for a lesson", edits=waiting)

    def _on_back(self) -> None:
        self.context.course.go(self.context.course.place - 1)

    def _on_next(self) -> None:
        self.context.course.go(self.context.course.place + 1)

    def _on_course(self, lesson: Lesson | None, place: int) -> None:
        self._stack.setCurrentIndex(0 if lesson is None else 1)
        if lesson is None:
            return
        if place == 0:
            self._rest_edits()
            self.context.selection.clear()  # a form would take up the place of before
        step = lesson.steps[place]
        self.heading.setText(lesson.title)
        self.progress.setRange(0, len(lesson.steps) - 1)
        self.progress.setValue(place)
        self.text.setText(step.text)
        self.hint.setText("" if step.act is Act.READ else f"Next: {step.act.value}, marked in blue")
        self.hint.setVisible(step.act is not Act.READ)
        self.back.setEnabled(place > 0)
        self.skip.setText("Finish" if place == len(lesson.steps) - 1 else "Next")
        self._open(lesson, place)

    def _open(self, lesson: Lesson, place: int) -> None:
        """Bring up the state that a step starts from."""
        asked = [step.question for step in lesson.steps[: place + 1] if step.question is not None]
        workspace = self.context.workspace
        session, model = workspace.session, workspace.model
        trained = model is not None and model.name == lesson.model
        stepping = lesson.steps[place].act is Act.STEP or lesson.steps[place - 1].act is Act.STEP
        right_model = trained or (stepping and place > 0)
        graph = any(step.name == "feature graph" for step in lesson.steps[:place])
        right_circuit = graph or not shows_features(session)
        there = bool(asked) and session is not None and session.question == asked[-1]
        if there and right_model and right_circuit:
            return
        load = LoadModel(lesson.model, self.context.settings.device)
        if lesson.image:
            seen = session is not None and session.model.name == lesson.model
            if not (trained and seen):
                self.context.ask(FirstImage(load, lesson.image))
            return
        self.context.draft.fill(asked[-1])
        run = Examine(asked[-1])
        self.context.ask(run if trained else AtStep(load, run, keep_place=False))

    def _on_prepared(self, key: object) -> None:
        """Run the image of the lesson, now that it is read."""
        lesson = self.context.course.lesson
        if lesson is None or not lesson.image or key != image_key(lesson.image):
            return
        held = self.context.workspace.prepared.get(image_key(lesson.image))
        if isinstance(held, Asked):
            self.context.ask(Examine(held.question))

    # ------------------------------------------------------------ what was done

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Go on when what was asked for is selected."""
        step = self.context.course.step
        if step is not None and step.act is Act.CELL and changed & {"layer", "head"}:
            if f"{selected.layer}.{selected.head}" == step.name:
                self._on_next()
            return
        wanted = {
            Act.NODE: selected.node, Act.TOKEN: selected.position, Act.NEURON: selected.neuron
        }  # fmt: skip
        fields = {Act.NODE: "node", Act.TOKEN: "position", Act.NEURON: "neuron"}
        if step is None or fields.get(step.act) not in changed:
            return
        if wanted[step.act] == (step.name if step.act is Act.NODE else step.value):
            self._on_next()

    def show_session(self) -> None:
        """Go on when the graph that was asked for is there."""
        if shows_features(self.context.workspace.session):
            self.pressed("feature graph")

    def show_part(self, part: str) -> None:
        """Go on when what was asked for has been measured."""
        step = self.context.course.step
        brings = step is not None and step.act is Act.PRESS and bool(step.brings)
        if step is not None and brings and part.startswith(step.brings):
            self._on_next()

    def show_model(self) -> None:
        """Go on when the training step was reached."""
        step, model = self.context.course.step, self.context.workspace.model
        reached = step is not None and model is not None and model.name == step.brings
        if reached and step is not None and step.act is Act.STEP:
            self._on_next()

    def say_done(self) -> None:
        """The window is already as the step wants it."""
        self.hint.setText("It is already so here: press Next")

    def chosen(self, name: str, text: str) -> None:
        """Go on when the user set the list: told by whoever watches the widgets."""
        step = self.context.course.step
        asked = step is not None and step.act is Act.CHOOSE
        if asked and step is not None and (step.name, step.brings) == (name, text):
            self._on_next()

    def pressed(self, name: str) -> None:
        """Go on when the button was pressed, or what it brings was there already."""
        step = self.context.course.step
        if step is not None and step.act is Act.PRESS and step.name == name:
            self._on_next()

    def opened(self, name: str) -> None:
        """Go on when the tab is open."""
        step = self.context.course.step
        if step is not None and step.act is Act.TAB and step.name == name:
            self._on_next()
