"""The tasks of words-4l, in the order in which they are reported."""

from typing import Final

from training.documents import Grammar
from training.grammars.agreement import AGREEMENT
from training.grammars.brackets import BRACKET, QUOTE
from training.grammars.comparison import COMPARISON
from training.grammars.facts import FACT, TWO_HOP
from training.grammars.induction import INDUCTION
from training.grammars.lists import LIST
from training.grammars.name import NAME
from training.grammars.pronoun import PRONOUN
from training.grammars.sentiment import SENTIMENT

TASKS: Final[tuple[Grammar, ...]] = (
    NAME,
    AGREEMENT,
    PRONOUN,
    SENTIMENT,
    LIST,
    INDUCTION,
    BRACKET,
    FACT,
    COMPARISON,
    TWO_HOP,
    QUOTE,
)
