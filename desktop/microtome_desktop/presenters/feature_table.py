"""All features of an index as columns: sorted, searched and told row by row without a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from microtome.records.analysis import Analysis
from microtome.records.feature_index import FeatureIndex, index_of, table_of
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.exports import Table
from microtome_desktop.state.features import Labels

_WORDS = 3  # raised words that a row names
_PROPOSED = 0.8  # share of activation that the tokens of a proposal reach together
_MOST = 3  # tokens of a proposal


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key, what stands above it, and what that means. ``right`` is for numbers."""

    key: str
    title: str
    tip: str
    right: bool = True


COLUMNS = (
    Column("feature", "#", "Number of the feature"),
    Column("label", "label", "Its label; a proposal from its tokens is dim", right=False),
    Column("rate", "fires %", "Share of positions at which it is on"),
    Column("mean", "mean", "Mean activation where it is on"),
    Column("peak", "peak", "Largest activation in the text"),
    Column("purity", "purity %", "Share of its activation on its first token: 100 is one meaning"),
    Column("token", "token", "The token with most of its activation", right=False),
    Column("raised", "raises", "Tokens whose logits it raises most", right=False),
    Column("alike", "like", "The feature that writes most nearly the same direction"),
    Column("together", "with", "The feature that is most often on at the same positions"),
)
KEYS = tuple(column.key for column in COLUMNS)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """The figures of all features; row i of each array is feature i.

    ``words`` are the vocabulary as it reads on screen, ``searched`` the same in small letters,
    ``ranks`` the place of each word in the order of the alphabet.
    """

    index: FeatureIndex
    figures: Mapping[str, NDArray[np.generic]]
    token: Int[np.ndarray, " feature"]
    raised: Int[np.ndarray, "feature word"]
    alike: Int[np.ndarray, " feature"]
    together: Int[np.ndarray, " feature"]
    proposed: tuple[str, ...]
    words: tuple[str, ...]
    searched: NDArray[np.str_]
    ranks: Int[np.ndarray, " token"]
    tokens: Int[np.ndarray, "row position"]
    peak_of_all: float = field(default=1.0)

    @property
    def n_features(self) -> int:
        """How many features there are."""
        return len(self.token)

    @property
    def nbytes(self) -> int:
        """What it takes in memory, about."""
        held = (self.token, self.raised, self.searched, self.tokens, *self.figures.values())
        return sum(array.nbytes for array in held) + 64 * len(self.words)

    def word(self, token: int) -> str:
        """How a token reads, empty for an unused place."""
        return self.words[token] if 0 <= token < len(self.words) else ""

    def cell(self, feature: int, key: str, labels: Labels) -> str:
        """What stands in a cell."""
        if key == "feature":
            return str(feature)
        if key == "label":
            return labels.get(feature) or self.proposed[feature]
        if key in {"token", "raised"}:
            held = self.token[feature : feature + 1] if key == "token" else self.raised[feature]
            return "  ".join(filter(None, (self.word(int(each)) for each in held[:_WORDS])))
        if key in {"alike", "together"}:
            other = int(self.alike[feature] if key == "alike" else self.together[feature])
            return "" if other < 0 else str(other)
        return number_text(key, float(self.figures[key][feature]))

    def order(
        self, key: str, *, descending: bool, labels: Labels, rows: Int[np.ndarray, " row"]
    ) -> Int[np.ndarray, " row"]:
        """The rows sorted by a column; what has no value comes last either way."""
        by = self._keys(key, labels)[rows]
        usable = np.isfinite(by)
        order = np.argsort(-by[usable] if descending else by[usable], kind="stable")
        return np.concatenate([rows[usable][order], rows[~usable]])

    def _keys(self, key: str, labels: Labels) -> Float[np.ndarray, " feature"]:
        """What rows are sorted by in a column, NaN for none."""
        if key == "feature":
            return np.arange(self.n_features, dtype=np.float64)
        if key == "label":
            return self._label_keys(labels)
        if key in {"token", "raised"}:
            token = self.token if key == "token" else self.raised[:, 0]
            return np.where(token >= 0, self.ranks[np.maximum(token, 0)].astype(float), np.nan)
        if key in {"alike", "together"}:
            other = (self.alike if key == "alike" else self.together).astype(np.float64)
            return np.where(other >= 0, other, np.nan)
        return np.asarray(self.figures[key], np.float64)

    def _label_keys(self, labels: Labels) -> Float[np.ndarray, " feature"]:
        texts = np.array(
            [labels.get(row) or self.proposed[row] for row in range(self.n_features)], np.str_
        )
        _, ranks = np.unique(np.char.lower(texts), return_inverse=True)
        keys = np.where(texts != "", ranks.reshape(-1).astype(np.float64), np.nan)
        own = np.zeros(self.n_features, bool)
        own[[row for row in labels if 0 <= row < self.n_features]] = True
        return np.where(own, keys - len(texts), keys)  # the user's own before proposals

    def matching(self, text: str, labels: Labels) -> Int[np.ndarray, " row"]:
        """The features whose number, label, token or raised words hold a text."""
        wanted = text.strip().lower()
        if not wanted:
            return np.arange(self.n_features)
        words = np.char.find(self.searched, wanted) >= 0
        found = _holds(words, self.token[:, None]) | _holds(words, self.raised)
        for feature, label in labels.items():
            if 0 <= feature < self.n_features and wanted in label.lower():
                found[feature] = True
        if wanted.lstrip("#").isdecimal() and int(wanted.lstrip("#")) < self.n_features:
            found[int(wanted.lstrip("#"))] = True
        return np.flatnonzero(found)

    def exported(self, rows: Int[np.ndarray, " row"], labels: Labels) -> Table:
        """These rows at full precision, with the words of each."""
        headers = (
            "feature", "label", "rate", "mean", "peak", "purity", "words", "token",
            "raised", "alike", "together",
        )  # fmt: skip
        figures = [self.figures[name] for name in headers[2:7]]
        told = [
            [
                int(row), labels.get(int(row), ""), *(column[row] for column in figures),
                self.word(int(self.token[row])),
                " ".join(filter(None, (self.word(int(each)) for each in self.raised[row]))),
                _or_none(self.alike[row]), _or_none(self.together[row]),
            ]
            for row in rows
        ]  # fmt: skip
        return Table(headers, told)


def number_text(key: str, value: float) -> str:
    """A figure as the table and the card tell it; shares in percent."""
    if not np.isfinite(value):
        return ""
    if key in {"rate", "purity"}:
        percent = 100 * value
        return f"{percent:.0f}" if key == "purity" else f"{percent:.3g}"
    return f"{value:.3g}"


def feature_table(analysis: Analysis) -> FeatureTable:
    """The table of an index; reads its file where it is in one, and may take a second."""
    index = index_of(analysis)
    told = dict(table_of(index))
    token = np.asarray(told.pop("token"))
    words = tuple(shown_token(text, 24) for text in index.array("vocabulary").tolist())
    small = np.char.lower(np.array(words or ("",), np.str_))
    ranks = np.empty(len(small), np.int64)
    ranks[np.argsort(small, kind="stable")] = np.arange(len(small))
    peak = np.asarray(told["peak"])
    return FeatureTable(
        index, told, token, index.array("raised"), index.array("alike")[:, 0],
        index.array("together")[:, 0], _proposals(index, words), words, small, ranks,
        index.array("tokens"), float(peak.max(initial=0)) or 1.0,
    )  # fmt: skip


def _proposals(index: FeatureIndex, words: tuple[str, ...]) -> tuple[str, ...]:
    """The fewest tokens that carry four fifths of a feature's activation, where three do."""
    token, share = index.array("token")[:, :_MOST], index.array("token_share")[:, :_MOST]
    reached = np.cumsum(share.astype(np.float64), axis=1)
    enough = (reached >= _PROPOSED) & (index.array("count") > 0)[:, None]
    count = np.where(enough.any(1), enough.argmax(1) + 1, 0)
    return tuple(
        " / ".join(words[each] for each in row[:many] if 0 <= each < len(words)) if many else ""
        for row, many in zip(token.tolist(), count.tolist(), strict=True)
    )


def _holds(words: Bool[np.ndarray, " token"], tokens: Int[np.ndarray, "feature some"]) -> \
        Bool[np.ndarray, " feature"]:  # fmt: skip
    found = words[np.clip(tokens, 0, len(words) - 1)] & (tokens >= 0)
    return np.asarray(found.any(axis=1))


def _or_none(value: int) -> int | None:
    return int(value) if value >= 0 else None
