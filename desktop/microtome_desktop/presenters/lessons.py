"""Lessons on embedded models. Each step's claim is tested on the real model."""

from __future__ import annotations

from microtome.prompts import Question
from microtome_desktop.presenters.heatmaps import Quantity
from microtome_desktop.presenters.lesson_circuit import CUT_AT_THE_SOURCE, NURSE_DOCTOR
from microtome_desktop.presenters.lesson_features import FEATURE_GRAPH
from microtome_desktop.presenters.lesson_lesion import LOSE_FACES
from microtome_desktop.presenters.lesson_neuron import ONE_NEURON
from microtome_desktop.presenters.lesson_superposition import SUPERPOSITION_LIVE
from microtome_desktop.state.course import Act, Lesson, Step

_NAMES = "When Mary and John went to the store, John gave a drink to"
_NAMES_CHANGED = "When Mary and John went to the store, Mary gave a drink to"
_PAIR = Question(_NAMES, _NAMES_CHANGED, "Mary", "John")
_SINGLE = Question(_NAMES, None, "Mary", "John")
_REPEAT = Question("mole jay gnu owl mole jay gnu", None, "owl", "dog")
_NURSE = Question("The nurse said that", None, "she", "he")

_NAME = Lesson(
    "name",
    "The circuit that finds the name",
    "Follow an answer from the word that decides it to the output, and cut the way to be sure.",
    "words-4l",
    (
        Step(
            "Who gets the drink? The clean prompt says that John gives it, the corrupt one says "
            "Mary; all else is the same. The graph shows only what that one word changes in "
            "logit(Mary) − logit(John): tokens at the bottom, layers upward, the metric on top. "
            "Click the second John.",
            Act.NODE, "T@10", question=_PAIR,
        ),
        Step(
            "Its score is the whole difference: everything starts here. Nearly all of it flows "
            "into one attention head above the last word. Click L0H3.",
            Act.NODE, "L0H3@14",
        ),
        Step(
            "The Attention panel shows where this head looks: in the row of the last word, at "
            "John. A graph is a claim, so ask for its reason: why does it look there?",
            Act.PRESS, "why", brings="analyses/why",
        ),
        Step(
            "The table takes the attention score apart: what the query reads times what the key "
            "reads. Now test the claim. Ablate the head for real.",
            Act.PRESS, "ablate", brings="analyses/verification",
        ),
        Step(
            "Grey is what the graph predicted, green what happened when the model ran without "
            "the head. The two agree: this head carries the name. Where does it write? "
            "Click the MLP of layer 0 above it.",
            Act.NODE, "M0@14",
        ),
        Step(
            "Most of what the head found passes through this MLP before it reaches the answer. "
            "The line above the graph tells how much of the metric the drawn nodes reproduce "
            "when all others are taken out. That is a circuit: small, drawn and tested.",
        ),
    ),
)  # fmt: skip

_INDUCTION = Lesson(
    "induction",
    "Induction in an exact model",
    "A model whose weights were written by hand: see two heads continue a repeated text.",
    "induction-exact",
    (
        Step(
            "This model was built, not trained: we know what each head does. It sees a text for "
            "the second time and must continue it. After gnu came owl, so owl again. Click the "
            "head in layer 1 at the last word.",
            Act.NODE, "L1H0@7", question=_REPEAT,
        ),
        Step(
            "Attention shows where it looks: at owl, the word after the earlier gnu. It copies "
            "what it sees. But how did it find that place? The dashed edge is a key: something "
            "marked owl. Click the head of layer 0 at owl.",
            Act.NODE, "L0H0@4",
        ),
        Step(
            "A previous-token head. It looks one word back and writes into owl: before me stood "
            "gnu. That is what the later head searches for. Cut it to be sure.",
            Act.PRESS, "ablate", brings="analyses/verification",
        ),
        Step(
            "Without the mark the later head finds nothing, and the answer is gone. Two heads, "
            "one after the other, make a new ability: this pair is called an induction circuit, "
            "and trained language models have it too. In words-4l look for heads labelled "
            "induction in the Attention panel.",
        ),
    ),
)  # fmt: skip

_LENS = Lesson(
    "lens",
    "The logit lens",
    "What would the model say if it stopped after each layer? Watch an answer come up.",
    "words-4l",
    (
        Step(
            "The map at the upper right reads the residual stream after each layer as if it "
            "were the last: bright is a high probability of Mary. On the last word it becomes "
            "bright only in the upper layers. Choose the rank in place of the probability.",
            Act.CHOOSE, "heatmap", brings=str(Quantity.RANK), question=_SINGLE,
        ),
        Step(
            "The rank says how many tokens are ahead of Mary. Low in the model almost every "
            "token is; on top none. Which parts lift it? Choose the contribution of the MLPs.",
            Act.CHOOSE, "heatmap", brings=str(Quantity.MLP),
        ),
        Step(
            "Blue raises the answer, red lowers it: the direct part of each MLP. Now look at a "
            "younger model. Move the training slider to step 1,000.",
            Act.STEP, "training", brings="words-4l@1000",
        ),
        Step(
            "At this step it knows the grammar of the place but not who is meant: the metric "
            "above the graph is close to nothing. Go to step 2,000.",
            Act.STEP, "training", brings="words-4l@2000",
        ),
        Step(
            "Between these steps the circuit formed. Play the training with the button beside "
            "the slider and watch when the answer appears, and in which layer first.",
        ),
    ),
)  # fmt: skip

_BIAS = Lesson(
    "bias",
    "A planted bias, found",
    "The training text of this model links nurse with she. Find where that is kept.",
    "words-4l",
    (
        Step(
            "Nothing in this sentence says who the nurse is. Look at the top predictions on "
            "the left: she is far ahead of he. Is it the word nurse? Compare with another "
            "profession. Click nurse in the token strip, then go on.",
            Act.TOKEN, value=2, question=_NURSE,
        ),
        Step(
            "The corrupt prompt now says doctor, and the graph shows only what that word "
            "changes in logit(she) − logit(he). Click nurse at the bottom.",
            Act.NODE, "T@2", question=NURSE_DOCTOR,
        ),
        Step(
            "The bias enters here and nowhere else. One head brings it to the place where the "
            "pronoun is written. Click L1H1 above the last word.",
            Act.NODE, "L1H1@4",
        ),
        Step("Does the pronoun depend on this head? Ablate it for real.",
             Act.PRESS, "ablate", brings="analyses/verification"),
        Step(
            "With the head cut the advantage of she shrinks. The correlation was planted in the "
            "training text on purpose, and the model card says so; in other models you would "
            "search for it in the same way: a pair of prompts that differ in one word.",
        ),
    ),
)  # fmt: skip

_BRAIN = Lesson(
    "brain",
    "Lesion, stimulation and imaging",
    "The three experiments of neuroscience, on a network that you can look into.",
    "words-4l",
    (
        Step(
            "Imaging: what is active, and where? The Layer × position map can show how strong "
            "the residual stream is. Choose its norm.",
            Act.CHOOSE, "heatmap", brings=str(Quantity.NORM), question=_PAIR,
        ),
        Step(
            "Activity tells where something happens, not what it is for. For that, interfere. "
            "Click the head L0H3 above the last word.",
            Act.NODE, "L0H3@14",
        ),
        Step("Lesion and stimulation in one: run the experiment.",
             Act.PRESS, "ablate", brings="analyses/verification"),
        Step(
            "Cut out is the lesion: how far the metric falls when the head's output of the "
            "corrupt run takes the place of its own. Put back is the stimulation: how far it "
            "rises when the clean output is put into the corrupt run. Here one region is both "
            "necessary and sufficient. Compare with another region: click M3.",
            Act.NODE, "M3@14",
        ),
        Step("The same experiment on this MLP.",
             Act.PRESS, "ablate", brings="analyses/verification/M3@14"),
        Step(
            "Both bars are shorter: this region takes part, but the answer survives without it. "
            "A brain never lets you repeat an experiment exactly; this one does, as often as you "
            "like.",
        ),
    ),
)  # fmt: skip

_REPAIR = Lesson(
    "repair",
    "The bias removed, and its price",
    "A sweep finds the head, an edit takes the bias out of it, and a table shows what that costs.",
    "words-4l",
    (
        Step(
            "After the nurse said that, this model prefers she to he far more than after the "
            "doctor said that: a bias that was planted in its training text. A sweep finds where "
            "it is kept by trying every place in turn. Open the tab Patching.",
            Act.TAB, "patching", question=NURSE_DOCTOR,
        ),
        Step(
            "The sweep takes what the model computed for nurse and puts it into the run for "
            "doctor, one place at a time. How much of the bias comes with it? Choose the outputs "
            "of the heads.",
            Act.CHOOSE, "patching", brings="Head outputs (z)",
        ),
        Step("Four layers of four heads: sixteen cells. Run the sweep.",
             Act.PRESS, "sweep", brings="analyses/sweep-"),
        Step(
            "0 is as with doctor, 1 as with nurse. One head by itself brings nine tenths of the "
            "difference. Click its cell, L1H1.",
            Act.CELL, "1.1",
        ),
        Step(
            "Cutting this head would remove the bias, and more: the pronouns of people's names "
            "come through it too. So take out only the direction in which nurse and doctor "
            "differ there. Open the tab Edits.",
            Act.TAB, "edits",
        ),
        Step("An edit changes what the model computes, not its weights. Write one: press Add.",
             Act.PRESS, "add edit"),
        Step(
            "The site is filled in: z.1.1, the head that you clicked. Steering adds a direction "
            "or projects it out. Choose to project out clean \N{MINUS SIGN} corrupt.",
            Act.CHOOSE, "edit action", brings="project out: clean \N{MINUS SIGN} corrupt",
        ),
        Step("No positions are named, so that it acts everywhere, in every prompt. Add the edit.",
             Act.PRESS, "edit done", brings="marks"),
        Step(
            "Before and after: she falls from 78 % to 66 % and he rises from 22 % to 34 %, nearly "
            "as with doctor. In this sentence the bias is gone. But what else lay in that "
            "direction? Open the tab Price.",
            Act.TAB, "edits/Price",
        ),
        Step(
            "Every task that this model was trained for is run without and with the edit. Take "
            "the price.",
            Act.PRESS, "price", brings="analyses/edit-price",
        ),
        Step(
            "She or he, on top, is the price: with people's names the pronoun was right in 100 % "
            "of the pairs and is now in 95 %. What is right of every other task stays. Had the "
            "whole head been cut, it would be 68 %. So an edit is not done when what it should "
            "do is seen: look at what it should not do, too.",
        ),
    ),
)  # fmt: skip

LESSONS = (
    _NAME,
    LOSE_FACES,
    _INDUCTION,
    _LENS,
    _BIAS,
    _REPAIR,
    CUT_AT_THE_SOURCE,
    ONE_NEURON,
    FEATURE_GRAPH,
    SUPERPOSITION_LIVE,
    _BRAIN,
)


def lesson(wanted: str) -> Lesson:
    """The lesson of an id."""
    return next(each for each in LESSONS if each.id == wanted)
