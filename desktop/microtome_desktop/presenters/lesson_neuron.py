"""The lesson in which one neuron has several meanings, and features that have one each share it."""

from __future__ import annotations

from microtome.prompts import Question
from microtome_desktop.state.course import Act, Lesson, Step

_PLURALS = Question("road: roads, lake: lakes, dog:")
_JUDGEMENT = Question("Everyone said the hotel was")

ONE_NEURON = Lesson(
    "neuron",
    "One neuron, many meanings",
    "The same neuron answers to things that have nothing in common: superposition. See the "
    "features that share it.",
    "words-4l",
    (
        Step(
            "A list of words. Neurons are shown in the panel behind the node card. Open the tab "
            "Neurons.",
            Act.TAB, "neurons", question=_PLURALS,
        ),
        Step("Click the colon behind lake in the token strip: the panel lists the neurons that "
             "answer to it.", Act.TOKEN, value=6),
        Step("Choose MLP 2 in the list of layers.", Act.CHOOSE, "neurons", brings="MLP 2"),
        Step(
            "Each row is a neuron, each column a token. Neuron 49 is bright at this colon: it "
            "might be called a neuron of lists. Click its row.",
            Act.NEURON, value=49,
        ),
        Step(
            "Now a sentence without any colon. Click Everyone.",
            Act.TOKEN, value=1, question=_JUDGEMENT,
        ),
        Step("The panel follows the circuit's strongest head. Choose MLP 2 again.",
             Act.CHOOSE, "neurons", brings="MLP 2"),
        Step("The same neuron is on again, at Everyone, and at was. Click its row.",
             Act.NEURON, value=49),
        Step(
            "Two prompts do not tell what a neuron means; a text does. Press As a feature: the "
            "neurons of the layer are then looked at as a dictionary is.",
            Act.PRESS, "as feature",
        ),
        Step(
            "20,000 tokens of what this model was trained on are read once, and each of the 512 "
            "neurons gets its card. Press Read.",
            Act.PRESS, "read text", brings="analyses/feature-index",
        ),
        Step(
            "The card of neuron 49: two fifths of its activity are at colons of lists, a quarter "
            "at was in a judgement, a tenth at Everyone; scroll through its examples. Which "
            "features share it? The transcoder of layer 2 writes what these neurons write, by 768 "
            "features, few of which are on at once. Press Find them.",
            Act.PRESS, "find sharing", brings="analyses/shared-features",
        ),
        Step(
            "Each line is a feature, with the correlation of the two and the tokens it is on at: "
            "227 and 208 at colons, 53 at Everyone, 269 at was. The neuron adds up what they have "
            "taken apart. Click 269.",
            Act.PRESS, "sharer 269",
        ),
        Step(
            "One meaning: 87 % of its activity is at was, where something is judged. Now the way "
            "back: which neurons does this feature share? Press Find them.",
            Act.PRESS, "find sharing", brings="analyses/shared-neurons",
        ),
        Step(
            "Neuron 49 is the sixth, and even the first goes with the feature by 0.73 only. A "
            "layer has more features than neurons, so each feature is spread over several "
            "neurons, and each neuron serves several features: superposition. This is why "
            "single neurons are hard to read, and dictionaries look for directions instead.",
        ),
    ),
)  # fmt: skip
