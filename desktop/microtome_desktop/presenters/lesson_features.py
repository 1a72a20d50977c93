"""The lesson in which features carry an answer, and edits of them take it away."""

from __future__ import annotations

from microtome.prompts import Question
from microtome_desktop.state.course import Act, Lesson, Step

_NAMES = "When Mary and John went to the store, John gave a drink to"

FEATURE_GRAPH = Lesson(
    "features",
    "A feature graph and an edit made from it",
    "Which features carry an answer, where each comes from, and what is left of the answer "
    "without them.",
    "words-4l",
    (
        Step(
            "A neuron often means many things. Transcoders stand for the MLPs and write the same "
            "by features, few of which are on at once. Their graph says which features carry "
            "Mary, and what each of them comes from. Press Feature graph.",
            Act.PRESS, "feature graph", question=Question(_NAMES, None, "Mary", "John"),
        ),
        Step(
            "1,099 features are on; the 55 that are drawn carry most of the influence. Tokens are "
            "at the bottom, words on top; what transcoders miss is an error. The feature with most "
            "influence stands above the last word. Click L2 F706.",
            Act.NODE, "2_706_14",
        ),
        Step(
            "Its card tells the words that it raises: Mary is among them. Most of what it reads "
            "comes from features at went, which read Mary and John before it. In-edges and bias "
            "sum to its activation. Is it needed? Ablate it.",
            Act.PRESS, "ablate feature", brings="analyses/feature-edit",
        ),
        Step(
            "Mary falls from 98.8 % to 96.6 %, no more: features share their work. What the edit "
            "raises in the graph is blue now, what it lowers red. Click L3 F490, which reads the "
            "feature that was cut and raises Mary too.",
            Act.NODE, "3_490_14",
        ),
        Step("Ablate it as well.", Act.PRESS, "ablate feature", brings="analyses/feature-edit"),
        Step(
            "91.1 % now. One more, near the beginning of the way: click L0 F702 above the last "
            "word, which raises names and feeds many of the others.",
            Act.NODE, "0_702_14",
        ),
        Step("Ablate it, too.", Act.PRESS, "ablate feature", brings="analyses/feature-edit"),
        Step(
            "Three of 1,099 features less, and Mary falls to 66.4 %; Helen and Jane take over. The "
            "model ran free: all behind the edits was computed anew. How much is direct? Choose "
            "direct, where all other features stay as they were.",
            Act.CHOOSE, "feature mode", brings="direct",
        ),
        Step(
            "79.1 %: that is what the edges of the graph say, exactly. The rest went through "
            "features that F702 feeds. A graph is a claim about one prompt: edits test it, and "
            "Graph with the edits shows what has come in their place.",
        ),
    ),
)  # fmt: skip
