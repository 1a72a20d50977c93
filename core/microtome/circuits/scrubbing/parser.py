"""From the text of a claim to its terms, by recursive descent.

claim    ::= both { "or" both }
both     ::= negated { "and" negated }
negated  ::= "not" negated | compared
compared ::= sum [ ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) sum | "in" "(" sum { "," sum } ")" ]
sum      ::= [ "-" ] atom { ( "+" | "-" ) atom }
atom     ::= number | "word" | "at" | "last" | "nothing" | variable | "id" "(" number ")"
           | function "(" claim { "," claim } ")" | "(" claim ")"
           | ( "first" | "latest" | "count" ) "(" variable ":" claim ")"
"""

from __future__ import annotations

from collections.abc import Callable

from microtome.circuits.scrubbing.lexer import Lexeme, lexemes
from microtome.circuits.scrubbing.terms import (
    FUNCTIONS,
    MOST_DEPTH,
    MOST_SEARCHES,
    MOST_TERMS,
    PLACES,
    RESERVED,
    SEARCHES,
    Kind,
    Term,
    refusal,
)
from microtome.errors import InputError

_ORDERED = ("<", "<=", ">", ">=")


def parse_claim(text: str) -> Term:
    """The terms of a claim.

    Raises InputError that names the column, what stands there, and what could.
    """
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.lexemes = text, lexemes(text)
        self.next, self.terms, self.depth = 0, 0, 0
        self.variables: list[str] = []

    def whole(self) -> Term:
        term = self.claim()
        if self.here.kind != "end":
            raise self.refused(f"{self.here.text!r} comes after the end.", "Take it away.")
        return term

    # ------------------------------------------------------------------ reading

    @property
    def here(self) -> Lexeme:
        return self.lexemes[self.next]

    def take(self, *texts: str) -> Lexeme | None:
        """The lexeme here, if it is one of these signs or names."""
        here = self.here
        if here.kind not in ("sign", "name") or here.text not in texts:
            return None
        self.next += 1
        return here

    def want(self, text: str) -> None:
        if self.take(text) is None:
            found = repr(self.here.text) if self.here.text else "the end"
            raise self.refused(f"{text!r} was expected, and {found} is there.", f"Write {text!r}.")

    def refused(self, what: str, way_out: str, column: int | None = None) -> InputError:
        return refusal(self.text, self.here.column if column is None else column, what, way_out)

    def made(self, what: str, kind: Kind, column: int, *parts: Term, value: str | int = "") -> Term:
        self.terms += 1
        if self.terms > MOST_TERMS:
            raise self.refused(
                f"a claim has {MOST_TERMS} parts at most.", "Say it shorter.", column
            )
        return Term(what, kind, column, parts, value)

    def needed(self, term: Term, *kinds: Kind) -> Term:
        """The term, if it gives one of these kinds or nothing."""
        if term.kind not in (*kinds, Kind.NOTHING):
            wanted = " or ".join(kinds)
            raise self.refused(
                f"{wanted} was expected, and this is {term.kind}.",
                "token(n) makes a token of a number; = makes true or false of two tokens.",
                term.column,
            )
        return term

    # ------------------------------------------------------------------ rules

    def claim(self) -> Term:
        return self.deeper(lambda: self.joined("or", lambda: self.joined("and", self.negated)))

    def deeper(self, rule: Callable[[], Term]) -> Term:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise self.refused("this is nested too deeply.", f"{MOST_DEPTH} levels are the most.")
        term = rule()
        self.depth -= 1
        return term

    def joined(self, word: str, rule: Callable[[], Term]) -> Term:
        term = rule()
        while (sign := self.take(word)) is not None:
            both = self.needed(term, Kind.TRUTH), self.needed(rule(), Kind.TRUTH)
            term = self.made(word, Kind.TRUTH, sign.column, *both)
        return term

    def negated(self) -> Term:
        sign = self.take("not")
        if sign is None:
            return self.compared()
        return self.made(
            "not", Kind.TRUTH, sign.column, self.needed(self.deeper(self.negated), Kind.TRUTH)
        )

    def compared(self) -> Term:
        left = self.sum()
        sign = self.take("=", "!=", *_ORDERED, "in")
        if sign is None:
            return left
        if sign.text == "in":
            self.want("(")
            right = self.listed(self.sum)
        else:
            right = (self.sum(),)
        if sign.text in _ORDERED:
            self.needed(left, Kind.NUMBER)
        for term in right:
            if left.kind is not Kind.NOTHING:
                self.needed(term, left.kind)
        return self.made(sign.text, Kind.TRUTH, sign.column, left, *right)

    def listed(self, rule: Callable[[], Term]) -> tuple[Term, ...]:
        found = [rule()]
        while self.take(",") is not None:
            found.append(rule())
        self.want(")")
        return tuple(found)

    def sum(self) -> Term:
        minus = self.take("-")
        term = self.atom()
        if minus is not None:
            zero = self.made("number", Kind.NUMBER, minus.column, value=0)
            term = self.made("-", Kind.NUMBER, minus.column, zero, self.needed(term, Kind.NUMBER))
        while (sign := self.take("+", "-")) is not None:
            both = self.needed(term, Kind.NUMBER), self.needed(self.atom(), Kind.NUMBER)
            term = self.made(sign.text, Kind.NUMBER, sign.column, *both)
        return term

    def atom(self) -> Term:
        if self.take("(") is not None:
            term = self.claim()
            self.want(")")
            return term
        here = self.here
        if here.kind in ("sign", "end") or here.text in ("and", "or", "not", "in"):
            found = repr(here.text) if here.text else "the end"
            raise self.refused(f"something is missing before {found}.", "Write for example at.")
        self.next += 1
        if here.kind == "number":
            return self.made("number", Kind.NUMBER, here.column, value=int(here.text))
        if here.kind == "word":
            return self.made("word", Kind.TOKEN, here.column, value=self.word(here))
        return self.named(here)

    def word(self, here: Lexeme) -> str:
        text = here.text[1:-1]
        if not text.strip():
            raise self.refused("this word is empty.", 'Write "Mary".', here.column)
        return text

    def named(self, here: Lexeme) -> Term:
        name = here.text
        if name in PLACES:
            return self.made(name, PLACES[name], here.column)
        if name in self.variables:
            return self.made("variable", Kind.NUMBER, here.column, value=name)
        if name == "id":
            return self.numbered(here)
        if name not in FUNCTIONS:
            known = ", ".join(sorted(RESERVED))
            raise self.refused(
                f"{name!r} is unknown.", f'Known are {known}; words stand in "…".', here.column
            )
        self.want("(")
        if name in SEARCHES and self.searches():
            return self.search(here)
        return self.call(here)

    def numbered(self, here: Lexeme) -> Term:
        self.want("(")
        number = self.here
        if number.kind != "number":
            raise self.refused("the id of a token is a number.", "Write id(305).")
        self.next += 1
        self.want(")")
        return self.made("id", Kind.TOKEN, here.column, value=int(number.text))

    def searches(self) -> bool:
        """Whether a variable and its colon stand here."""
        colon = self.lexemes[min(self.next + 1, len(self.lexemes) - 1)]
        return self.here.kind == "name" and colon.text == ":" and colon.kind == "sign"

    def search(self, here: Lexeme) -> Term:
        name = self.here.text
        if name in RESERVED or name in self.variables:
            raise self.refused(f"{name!r} is taken.", "Give the variable another name.")
        if len(self.variables) == MOST_SEARCHES:
            raise self.refused("a search too many.", f"{MOST_SEARCHES} may be inside each other.")
        self.next += 2
        self.variables.append(name)
        condition = self.needed(self.claim(), Kind.TRUTH)
        self.variables.pop()
        self.want(")")
        return self.made(f"{here.text} search", Kind.NUMBER, here.column, condition, value=name)

    def call(self, here: Lexeme) -> Term:
        wanted, kind = FUNCTIONS[here.text]
        given = self.listed(self.claim)
        many = here.text in ("min", "max") and len(given) > 2
        wanted = (Kind.NUMBER,) * len(given) if many else wanted
        if len(given) != len(wanted):
            raise self.refused(
                f"{here.text} is given {len(given)} values, and takes {len(wanted)}.",
                "Look at the commas and brackets.",
                here.column,
            )
        if here.text == "if":
            return self.choice(here, given)
        for term, own in zip(given, wanted, strict=True):
            self.needed(term, own)
        return self.made(here.text, kind, here.column, *given)

    def choice(self, here: Lexeme, given: tuple[Term, ...]) -> Term:
        condition, one, other = given
        self.needed(condition, Kind.TRUTH)
        kind = other.kind if one.kind is Kind.NOTHING else one.kind
        if kind is not Kind.NOTHING:
            self.needed(other, kind)
        return self.made("if", kind, here.column, condition, one, other)
