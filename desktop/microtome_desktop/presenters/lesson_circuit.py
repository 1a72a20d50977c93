"""The lesson in which a circuit shows where to cut: the planted bias once more."""

from __future__ import annotations

from microtome.prompts import Question
from microtome_desktop.state.course import Act, Lesson, Step

NURSE_DOCTOR = Question("The nurse said that", "The doctor said that", "she", "he")

CUT_AT_THE_SOURCE = Lesson(
    "circuit",
    "The planted bias as a circuit",
    "Find the way that the bias takes, cut it where nothing else passes, and see that all else "
    "stays.",
    "words-4l",
    (
        Step(
            "The lesson before took the planted bias out of one head, and paid with the pronouns "
            "of people's names: they come through that head too. Which way does the bias take "
            "to get there? A circuit tells: the edges that carry what differs between nurse and "
            "doctor. Open the tab Discovery.",
            Act.TAB, "discovery", question=NURSE_DOCTOR,
        ),
        Step(
            "The task is this pair: logit(she) \N{MINUS SIGN} logit(he) after nurse, less that "
            "after doctor. The two-point method scores all 479 edges between the parts of the "
            "model at once. Find the circuit.",
            Act.PRESS, "discover", brings="analyses/discovery-",
        ),
        Step(
            "The strongest edge goes from head L1H1 to the answer, the next from MLP 0 to the "
            "values of that head; and MLP 0 reads heads L0H3 and L0H1, which read the word. So the "
            "head that a sweep finds is the end of a way, and the word is its start. Look at the "
            "start: open the tab Circuit.",
            Act.TAB, "circuit",
        ),
        Step(
            "Everything that differs comes from one token. Click nurse at the bottom.",
            Act.NODE, "T@2",
        ),
        Step(
            "Along the way the bias joins what the model knows of names. In the embedding of the "
            "word it is still alone. Take it out there: open the tab Edits.",
            Act.TAB, "edits",
        ),
        Step("Write an edit: press Add.", Act.PRESS, "add edit"),
        Step(
            "The site is filled in: embed at 2, what the word nurse puts into the stream. Choose "
            "to project out clean \N{MINUS SIGN} corrupt, the direction in which nurse and doctor "
            "differ there.",
            Act.CHOOSE, "edit action", brings="project out: clean \N{MINUS SIGN} corrupt",
        ),
        Step("Add the edit.", Act.PRESS, "edit done", brings="marks"),
        Step(
            "Before and after: she falls from 78 % to 66 %, as far as by the edit of the head. "
            "And all else? A suite runs prompts with known answers, in slices. Open the tab Suite.",
            Act.TAB, "suite",
        ),
        Step(
            "Twenty cases of each of thirteen tasks, before and after the edit; slices by task, by "
            "answer and by length. Run the suite.",
            Act.PRESS, "suite", brings="analyses/suite-",
        ),
        Step(
            "No slice falls: every task is right as often as before, the pronouns too, which the "
            "edit of the head had cost 5 %. In the slice nurse the mean probability of she has "
            "fallen from 0.75 to 0.65, and that was the bias. The end of a way is shared with "
            "others, its beginning may not be: that is what a circuit is good for.",
        ),
    ),
)  # fmt: skip
