"""docs/tour.md, click by click: what the page says is done, and what it says is shown is there.

Each sentence that begins with a verb of ``ACTS`` is done by mouse and keyboard; a sentence that
begins so and is not understood fails, and so does one about what a panel shows that it does not.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QTabBar,
    QTabWidget,
    QToolBar,
    QWidget,
)

from microtome.session.reader import open_session
from microtome_desktop.views.panel_table import PLACES

PAGE = Path(__file__).parents[3] / "docs" / "tour.md"
LEFT = Qt.MouseButton.LeftButton
NAMES = {place.title: place.name for place in PLACES}
FIELDS = {"Clean prompt": "prompt", "Corrupt prompt": "corrupt", "Find anything": "palette_words",
          "Note": "note_part"}  # fmt: skip
SLIDERS = {"Training": "checkpoint"}


def steps():
    """The numbered steps of the page, each as its sentences."""
    text = re.sub(r"\n +", " ", PAGE.read_text("utf-8"))
    for number, step in re.findall(r"^(\d+)\. (.+)$", text, re.MULTILINE):
        hidden = re.sub(r"`[^`]*`|\*\*.*?\*\*", _whole, step)
        parts = re.split(r"(?<=[.:?]) ", hidden)
        yield int(number), [part.replace("\0", " ") for part in parts]


def _whole(quoted):
    """A name in one piece, so that no sentence ends in it."""
    return quoted.group().replace(" ", "\0")


class Visitor:
    """Does what a sentence says."""

    def __init__(self, user) -> None:
        self.user, self.window = user, user.window
        self.done: list[str] = []

    def follow(self, sentences):
        """Do the sentences one after the other; what opens a dialog goes on inside it."""
        for at, sentence in enumerate(sentences):
            for pattern, act in ACTS.items():
                if found := re.match(pattern, sentence):
                    if found.groups() == ("Ctrl+S",):
                        self.inside(sentences[at + 1 :])
                        act(self, *found.groups())
                        return
                    act(self, *found.groups())
                    self.done.append(sentence)
                    break
            else:
                assert not re.match("Click|Press|Type|Choose|Drag|Now", sentence), sentence

    def inside(self, sentences):
        """Follow the rest once the dialog is there."""
        if QApplication.activeModalWidget() is None:
            QTimer.singleShot(10, lambda: self.inside(sentences))
        else:
            self.follow(sentences)

    def among(self, kind):
        """What can be clicked: in the dialog that is open, else in the window."""
        over = QApplication.activeModalWidget() or self.window
        return [each for each in over.findChildren(kind) if each.isVisible()]

    def rest(self):
        if QApplication.activeModalWidget() is None:
            self.user.bench.runner.turns.finish()
            self.user.rest()

    def tab(self, title):
        bar, index = next(
            (bar, index) for bar in self.among(QTabBar) for index in range(bar.count())
            if bar.tabText(index) == title
        )  # fmt: skip
        QTest.mouseClick(bar, LEFT, pos=bar.tabRect(index).center())
        self.rest()

    def token(self, word):
        strip = self.user.panels["token_strip"]
        column = strip.drawing.tokens.index(word)
        QTest.mouseClick(strip.chips, LEFT, pos=strip.chips.column_rect(column).center().toPoint())
        self.rest()

    def node(self, label, word):
        drawn, tokens = self.user.drawn, self.user.session.clean.tokens
        last = max(at for at, token in enumerate(tokens) if token == word)
        (row,) = (at for at, name in enumerate(drawn.node_label)
                  if (name, drawn.node_position[at]) == (label, last))  # fmt: skip
        self.user.click_node(row)
        self.rest()

    def button(self, text):
        named = [b for b in self.among(QAbstractButton) if text in {b.text(), b.accessibleName()}]
        # The tool bar has a Run and a Save too; the one in the panel or dialog is meant.
        found = [b for b in named if not isinstance(b.parent(), QToolBar)]
        assert len(found) == 1, (text, found)
        self.user.click(found[0])
        self.rest()

    def keys(self, text):
        self.user.come_forward()
        # To who has the keyboard: a field may want the same keys for itself.
        QTest.keySequence(QApplication.focusWidget() or self.window, QKeySequence(text))
        self.rest()

    def words(self, text, field):
        wanted = FIELDS[field]
        (found,) = (w for w in self.among(QWidget) if w.objectName() == wanted)
        self.user.type(found, text)
        self.rest()

    def choice(self, text, panel):
        box = next(b for b in self.user.panels[NAMES[panel]].findChildren(QComboBox)
                   if b.findText(text) >= 0)  # fmt: skip
        box.setFocus()
        QTest.keyClick(box, Qt.Key.Key_Home)
        while box.currentText() != text:
            QTest.keyClick(box, Qt.Key.Key_Down)
        self.rest()

    def drag(self, name, end):
        slider = self.window.findChild(QSlider, SLIDERS[name])
        middle, reach = slider.rect().center(), slider.width() // 2 - 4
        at_right = slider.value() == slider.maximum()
        start = middle + QPoint(reach if at_right else -reach, 0)
        goal = middle + QPoint(reach + 20 if end == "right" else -reach - 20, 0)
        QTest.mousePress(slider, LEFT, pos=start)
        QTest.mouseMove(slider, goal)
        QTest.mouseRelease(slider, LEFT, pos=goal)
        wanted = slider.maximum() if end == "right" else slider.minimum()
        assert slider.value() == wanted
        self.rest()

    def shows(self, panel, text):
        found = texts(self.user.panels[NAMES[panel]])
        assert any(text in held for held in found), (text, panel, found)


def texts(panel):
    """Everything that can be read on a panel."""
    visible = [w for w in panel.findChildren(QWidget) if w.isVisible()]
    found = [w.accessibleName() for w in visible if w.accessibleName()]
    for widget in visible:
        if isinstance(widget, QLabel | QAbstractButton | QLineEdit):
            found.append(widget.text())
        elif isinstance(widget, QPlainTextEdit):
            found.append(widget.toPlainText())
        elif isinstance(widget, QComboBox):
            found.append(widget.currentText())
        elif isinstance(widget, QTabWidget):
            found += [widget.tabText(at) for at in range(widget.count())]
        elif isinstance(widget, QAbstractItemView) and widget.model() is not None:
            model = widget.model()
            found += [str(model.index(row, column).data()) for row in range(model.rowCount())
                      for column in range(model.columnCount())]  # fmt: skip
    return found


ACTS = {
    r"Click the tab \*\*(.+?)\*\*": Visitor.tab,
    r"Click the token \*\*(.+?)\*\*": Visitor.token,
    r"Click the node \*\*(.+?)\*\* above \*\*(.+?)\*\*": Visitor.node,
    r"Press the button \*\*(.+?)\*\*": Visitor.button,
    r"Press `(.+?)`": Visitor.keys,
    r"Type `(.+?)` into \*\*(.+?)\*\*": Visitor.words,
    r"Choose \*\*(.+?)\*\* in \*\*(.+?)\*\*": Visitor.choice,
    r"Drag the slider \*\*(.+?)\*\* to the (left|right) end": Visitor.drag,
    r"Now \*\*(.+?)\*\* shows `(.+?)`": Visitor.shows,
}


@pytest.fixture
def visitor(user, tmp_path):
    """Somebody who has never seen the window; files go to a folder of the test."""
    user.desk.settings.folder = str(tmp_path)
    return Visitor(user)


def test_the_tour_is_as_the_page_says(visitor, tmp_path):
    numbers = []
    for number, sentences in steps():
        numbers.append(number)
        visitor.follow(sentences)
        assert visitor.user.told() in ([], ["Saved words-4l-1.h5"]), sentences
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(visitor.done) >= 30
    saved = open_session(tmp_path / "words-4l-1.h5")
    assert [held.text for held in saved.marks.notes] == ["finds the giver"]
    assert saved.marks.pins == ()
    visitor.user.desk.course.leave()
