"""All features of an index as columns: sorted, searched and told row by row without a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from microtome.features.token_labels import token_labels
from microtome.records.analysis import Analysis
from microtome.records.feature_index import FeatureIndex, index_of, table_of
from microtome_desktop.presenters.feature_density import Densities, densities
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.exports import Table
from microtome_desktop.state.features import Labels, Notes

_WORDS = 3  # words that a row names
NOTHING: Notes = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key, what stands above it, and what that means. ``right`` is for numbers."""

    key: str
    title: str
    tip: str
    right: bool = True


_DENSITY = (
    "Positions by activation, weak to strong, on one scale for all rows; sorts by the highest bar"
)
_NEAREST = "The feature that writes most nearly the same direction, and the cosine"
_TOGETHER = "The feature most often on at the same positions, and their share of those of either"
COLUMNS = (
    Column("feature", "#", "Number of the feature"),
    Column("label", "label", "Its label; a proposal from its tokens is dim", right=False),
    Column(
        "score",
        "score",
        "How well the label tells where it is on: the share of texts put on "
        "the right side by who knows the label alone",
    ),
    Column("density", "density", _DENSITY, right=False),
    Column("rate", "fires %", "Share of positions at which it is on"),
    Column("mean", "mean", "Mean activation where it is on"),
    Column("peak", "peak", "Largest activation in the text"),
    Column("purity", "purity %", "Share of its activation on its first token: 100 is one meaning"),
    Column("words", "spread", "Over how many tokens its activation is spread evenly"),
    Column("token", "top tokens", "The tokens with most of its activation", right=False),
    Column("raised", "raises", "Tokens whose logits it raises most", right=False),
    Column("lowered", "lowers", "Tokens whose logits it lowers most", right=False),
    Column("alike", "nearest", _NEAREST, right=False),
    Column("together", "fires with", _TOGETHER, right=False),
    Column("note", "note", "The first line of what you wrote on it", right=False),
)
KEYS = tuple(column.key for column in COLUMNS)
WORDS = frozenset({"token", "raised", "lowered"})  # columns that list tokens


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """The first neighbour of each feature, -1 for none, and a cosine or a share."""

    feature: Int[np.ndarray, " feature"]
    by: Float[np.ndarray, " feature"]

    def told(self, row: int) -> tuple[int | None, float | None]:
        """Both for a feature, None where there is none."""
        other = int(self.feature[row])
        return (other, float(self.by[row])) if other >= 0 else (None, None)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """The figures of all features; row i of each array is feature i.

    ``words`` are the vocabulary as it reads on screen, ``searched`` the same in small letters,
    ``ranks`` the place of each word in the order of the alphabet.
    """

    index: FeatureIndex
    figures: Mapping[str, NDArray[np.generic]]
    token: Int[np.ndarray, "feature word"]
    raised: Int[np.ndarray, "feature logit"]
    lowered: Int[np.ndarray, "feature logit"]
    near: Mapping[str, Near]
    densities: Densities
    proposed: tuple[str, ...]
    words: tuple[str, ...]
    searched: NDArray[np.str_]
    ranks: Int[np.ndarray, " token"]
    tokens: Int[np.ndarray, "row position"]
    peak_of_all: float = field(default=1.0)
    by_tokens: tuple[str, ...] = ()  # what token statistics propose, whoever else does

    @property
    def n_features(self) -> int:
        """How many features there are."""
        return len(self.token)

    @property
    def in_memory(self) -> bool:
        """Whether the arrays of its index are no file's."""
        return all(isinstance(held, np.ndarray) for held in self.index.arrays.values())

    @property
    def nbytes(self) -> int:
        """What it takes in memory, about."""
        held = (self.token, self.raised, self.lowered, self.searched, self.tokens,
                *self.figures.values())  # fmt: skip
        return sum(array.nbytes for array in held) + self.densities.nbytes + 64 * len(self.words)

    def word(self, token: int) -> str:
        """How a token reads, empty for an unused place."""
        return self.words[token] if 0 <= token < len(self.words) else ""

    def cell(self, feature: int, key: str, labels: Labels, notes: Notes = NOTHING) -> str:
        """What stands in a cell; the bars of ``density`` are no text."""
        if key == "feature":
            return str(feature)
        if key in {"label", "note", "density"}:
            first = notes.get(feature, "").strip().partition("\n")[0]
            label = labels.get(feature) or self.proposed[feature]
            return {"label": label, "note": first}.get(key, "")
        if key in WORDS:
            held = self._word_rows(key)[feature, :_WORDS]
            return "  ".join(filter(None, (self.word(int(each)) for each in held)))
        if key in self.near:
            other, by = int(self.near[key].feature[feature]), float(self.near[key].by[feature])
            return "" if other < 0 else f"{other}  {by:.2f}"
        return number_text(key, float(self.figures[key][feature]))

    def _word_rows(self, key: str) -> Int[np.ndarray, "feature some"]:
        return {"token": self.token, "raised": self.raised, "lowered": self.lowered}[key]

    def order(
        self, key: str, *, descending: bool, labels: Labels, rows: Int[np.ndarray, " row"],
        notes: Notes = NOTHING,
    ) -> Int[np.ndarray, " row"]:  # fmt: skip
        """The rows sorted by a column; what has no value comes last either way."""
        by = self._keys(key, labels, notes)[rows]
        usable = np.isfinite(by)
        order = np.argsort(-by[usable] if descending else by[usable], kind="stable")
        return np.concatenate([rows[usable][order], rows[~usable]])

    def _keys(self, key: str, labels: Labels, notes: Notes) -> Float[np.ndarray, " feature"]:
        """What rows are sorted by in a column, NaN for none."""
        if key == "feature":
            return np.arange(self.n_features, dtype=np.float64)
        if key in {"label", "note"}:
            return self._label_keys(labels) if key == "label" else self._note_keys(notes)
        if key == "density":
            heights = self.densities.heights
            return np.where(heights.any(axis=1), heights.argmax(axis=1).astype(float), np.nan)
        if key in WORDS:
            token = self._word_rows(key)[:, 0]
            return np.where(token >= 0, self.ranks[np.maximum(token, 0)].astype(float), np.nan)
        if key in self.near:
            return np.where(self.near[key].feature >= 0, self.near[key].by, np.nan)
        return np.asarray(self.figures[key], np.float64)

    def _note_keys(self, notes: Notes) -> Float[np.ndarray, " feature"]:
        return _text_keys(np.array([notes.get(r, "") for r in range(self.n_features)], np.str_))

    def _label_keys(self, labels: Labels) -> Float[np.ndarray, " feature"]:
        texts = np.array(
            [labels.get(row) or self.proposed[row] for row in range(self.n_features)], np.str_
        )
        keys = _text_keys(texts)
        own = np.zeros(self.n_features, bool)
        own[[row for row in labels if 0 <= row < self.n_features]] = True
        return np.where(own, keys - len(texts), keys)  # the user's own before proposals

    def matching(
        self, text: str, labels: Labels, notes: Notes = NOTHING
    ) -> Int[np.ndarray, " row"]:
        """The features whose number, label, note, top tokens or raised words hold a text."""
        wanted = text.strip().lower()
        if not wanted:
            return np.arange(self.n_features)
        words = np.char.find(self.searched, wanted) >= 0
        found = _holds(words, self.token) | _holds(words, self.raised)
        for feature, told in (*labels.items(), *notes.items()):
            if 0 <= feature < self.n_features and wanted in told.lower():
                found[feature] = True
        if wanted.lstrip("#").isdecimal() and int(wanted.lstrip("#")) < self.n_features:
            found[int(wanted.lstrip("#"))] = True
        return np.flatnonzero(found)

    def exported(
        self, rows: Int[np.ndarray, " row"], labels: Labels, notes: Notes = NOTHING
    ) -> Table:
        """These rows at full precision, with the words of each."""
        headers = (
            "feature", "label", "rate", "mean", "peak", "purity", "words", "token",
            "raised", "lowered", "alike", "alike_cosine", "together", "together_share", "note",
            "score",
        )  # fmt: skip
        figures = [self.figures[name] for name in headers[2:7]]
        alike, together, score = self.near["alike"], self.near["together"], self.figures["score"]
        told = [
            [
                int(row), labels.get(int(row), ""), *(column[row] for column in figures),
                self.word(int(self.token[row, 0])),
                self._listed(self.raised[row]), self._listed(self.lowered[row]),
                *alike.told(row), *together.told(row), notes.get(int(row), ""),
                None if np.isnan(score[row]) else float(score[row]),
            ]
            for row in rows
        ]  # fmt: skip
        return Table(headers, told)

    def _listed(self, tokens: Int[np.ndarray, " word"]) -> str:
        return " ".join(filter(None, (self.word(int(each)) for each in tokens)))


def number_text(key: str, value: float) -> str:
    """A figure as the table and the card tell it; shares in percent."""
    if not np.isfinite(value):
        return ""
    if key == "score":
        return f"{value:.2f}"
    if key in {"rate", "purity"}:
        percent = 100 * value
        return f"{percent:.0f}" if key == "purity" else f"{percent:.3g}"
    return f"{value:.3g}"


def feature_table(analysis: Analysis) -> FeatureTable:
    """The table of an index; reads its file where it is in one, and may take a second."""
    index = index_of(analysis)
    told = dict(table_of(index))
    told["score"] = np.full(len(told.pop("token")), np.nan)
    words = tuple(shown_token(text, 24) for text in index.array("vocabulary").tolist())
    small = np.char.lower(np.array(words or ("",), np.str_))
    ranks = np.empty(len(small), np.int64)
    ranks[np.argsort(small, kind="stable")] = np.arange(len(small))
    peak = np.asarray(told["peak"])
    proposed = token_labels(index)
    return FeatureTable(
        index, told, index.array("token")[:, :_WORDS], index.array("raised"),
        index.array("lowered"), _nearest(index), densities(index), proposed,
        words, small, ranks, index.array("tokens"), float(peak.max(initial=0)) or 1.0, proposed,
    )  # fmt: skip


def _holds(words: Bool[np.ndarray, " token"], tokens: Int[np.ndarray, "feature some"]) -> \
        Bool[np.ndarray, " feature"]:  # fmt: skip
    found = words[np.clip(tokens, 0, len(words) - 1)] & (tokens >= 0)
    return np.asarray(found.any(axis=1))


def _nearest(index: FeatureIndex) -> dict[str, Near]:
    found = {}
    for name, by in (("alike", "alike_cosine"), ("together", "together_share")):
        feature, value = (index.array(each)[:, 0] for each in (name, by))
        found[name] = Near(feature, value)
    return found


def _text_keys(texts: NDArray[np.str_]) -> Float[np.ndarray, " feature"]:
    """Places in the order of the alphabet, NaN for empty texts."""
    _, ranks = np.unique(np.char.lower(texts), return_inverse=True)
    return np.where(texts != "", ranks.reshape(-1).astype(np.float64), np.nan)
