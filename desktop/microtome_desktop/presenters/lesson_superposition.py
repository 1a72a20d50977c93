"""The lesson in which a toy model shows how more features than dimensions are kept."""

from __future__ import annotations

from microtome.prompts import Question
from microtome_desktop.state.course import Act, Lesson, Step

SUPERPOSITION_LIVE = Lesson(
    "superposition",
    "Superposition live",
    "Train models so small that you see all of them, and watch features come to share dimensions.",
    "words-4l",
    (
        Step(
            "One neuron has many meanings because a model knows more features than it has "
            "dimensions. How can it keep them apart? A model with five features and two "
            "dimensions shows it: all that it has fits into a picture. Open the tab "
            "Superposition.",
            Act.TAB, "superposition", question=Question("The people of Spain speak"),
        ),
        Step(
            "Three models are trained at once. They differ in how often a feature is absent: "
            "never, in 68 % of the cases, and in 90 %. Train them, and watch the arrows: each is "
            "where one feature points.",
            Act.PRESS, "train toy", brings="analyses/toy-superposition",
        ),
        Step(
            "Without zeros all features are there at once and would get in each other's way: the "
            "two that count most get a dimension each, and the rest is given up. With 68 % zeros "
            "four of them stand in two opposite pairs, half "
            "a dimension each, and the fifth is given up. With 90 % all five make a pentagon: two "
            "fifths of a dimension each. The bars below show these shares.",
        ),
        Step(
            "Sparse features can share, because they seldom meet. Is a real layer like that? The "
            "same measures can be taken of the directions that neurons write. Measure layer 0.",
            Act.PRESS, "measure", brings="analyses/directions-sharing-",
        ),
        Step(
            "512 neurons write into 128 dimensions: they cannot have more than a quarter of one "
            "each on average, and the histogram shows that most have less. Dashed are the means "
            "of the toy models. The page Phase diagram shows when a feature gets a dimension of "
            "its own, shares one, or is lost; and a sparse dictionary looks for the features "
            "behind the neurons.",
        ),
    ),
)  # fmt: skip
