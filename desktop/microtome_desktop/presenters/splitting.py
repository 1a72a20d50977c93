"""How features of a small dictionary split: a row a feature, and what each splits into."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.records.analysis import Analysis
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.feature_index import index_of
from microtome.records.feature_splits import FeatureSplits, splits_of
from microtome.records.model import ModelIdentity
from microtome.records.session import Session
from microtome_desktop.presenters.as_python import Lines, loading
from microtome_desktop.presenters.feature_python import dictionary_line, read_line
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.exports import Table
from microtome_desktop.state.features import Labels
from microtome_desktop.state.splits import Side, embedded_pair, partners, sides_of, splits_in

COSINE = 0.3  # what a part of a feature writes along it, at least
_WORDS = 5
TITLES = ("feature", "label or tokens", "parts", "largest", "cosine")
KEYS = ("feature", "label", "parts", "share", "cosine")
TIPS = (
    "Number of the feature in the small dictionary",
    "Your label, or the tokens that it is on at most",
    f"Its parts: features of the large dictionary that are on where it is, at a cosine of {COSINE}",
    "The largest share of its activity that falls where one of them is on",
    "Cosine of its direction with that one's",
)


@dataclass(frozen=True, slots=True)
class Words:
    """Tokens that features are on at, with their shares; none where no text was looked through."""

    vocabulary: tuple[str, ...] = ()
    token: Int[np.ndarray, "feature word"] | None = None
    share: Float[np.ndarray, "feature word"] | None = None

    def of(self, feature: int) -> tuple[tuple[str, float], ...]:
        """The first tokens of a feature and their shares of its activation."""
        if self.token is None or self.share is None or not 0 <= feature < len(self.token):
            return ()
        pairs = zip(
            self.token[feature, :_WORDS].tolist(), self.share[feature, :_WORDS].tolist(),
            strict=True,
        )  # fmt: skip
        return tuple((self.vocabulary[at], share) for at, share in pairs if at >= 0)

    def told(self, feature: int) -> str:
        """The same as a text."""
        return "  ".join(word for word, _ in self.of(feature))


@dataclass(frozen=True, slots=True)
class Part:
    """A feature of the large dictionary: how much of the small one's activity it covers."""

    feature: int
    share: float
    cosine: float
    label: str
    words: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Split:
    """One feature of the small dictionary and its parts, the largest first."""

    feature: int
    label: str
    words: tuple[tuple[str, float], ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SplitTable:
    """All of a comparison that is shown; row i of each column is feature i of the small one."""

    splits: FeatureSplits
    small: Words
    large: Words
    columns: dict[str, Float[np.ndarray, " feature"]]
    texts: tuple[str, ...]
    nbytes: int = field(default=1 << 20)

    @property
    def n_features(self) -> int:
        """How many features the small dictionary has."""
        return len(self.texts)

    def cell(self, feature: int, key: str, labels: Labels) -> str:
        """What stands in a cell."""
        if key == "feature":
            return str(feature)
        if key == "label":
            return labels.get(feature) or self.texts[feature]
        value = float(self.columns[key][feature])
        if not np.isfinite(value):
            return ""
        if key == "share":
            return f"{100 * value:.0f} %"
        return f"{value:.0f}" if key == "parts" else f"{value:.2f}"

    def order(self, key: str, *, descending: bool, labels: Labels) -> Int[np.ndarray, " row"]:
        """Features by a column; what has no value comes last either way."""
        if key == "label":
            texts = [self.cell(row, key, labels).lower() for row in range(self.n_features)]
            by = np.unique(np.array(texts or [""]), return_inverse=True)[1][: self.n_features]
            by = np.where([bool(text) for text in texts], by.astype(float), np.nan)
        else:
            by = self.columns[key]
        usable = np.isfinite(by)
        rows = np.arange(self.n_features)
        order = np.argsort(-by[usable] if descending else by[usable], kind="stable")
        return np.concatenate([rows[usable][order], rows[~usable]])

    def matching(self, text: str, labels: Labels) -> Bool[np.ndarray, " feature"]:
        """Features whose number, label or tokens, or those of a part, hold a text."""
        wanted = text.strip().lower()
        return np.array([not wanted or wanted in self._searched(row, labels)
                         for row in range(self.n_features)], bool)  # fmt: skip

    def _searched(self, feature: int, labels: Labels) -> str:
        parts = (self.large.told(number) for number, _, _ in self.splits.parts(feature, COSINE))
        return " ".join(
            (str(feature), labels.get(feature, ""), self.texts[feature], *parts)
        ).lower()

    def split(self, feature: int, small: Labels, large: Labels) -> Split:
        """What a feature splits into."""
        parts = tuple(
            Part(number, share, cosine, large.get(number, ""), self.large.of(number))
            for number, share, cosine in self.splits.parts(feature, COSINE)
        )
        return Split(feature, small.get(feature, ""), self.small.of(feature), parts)

    def whole(self, large: int) -> int | None:
        """The small feature of which a large one covers most as a part, None for none."""
        held = self.splits
        mine = (held.covering == large) & (held.covering_cosine >= COSINE)
        best = np.where(mine, held.share, -1.0).max(axis=1)
        return int(best.argmax()) if len(best) and best.max() >= 0 else None


def split_table(analysis: Analysis, small: Analysis | None, large: Analysis | None) -> SplitTable:
    """The table of a comparison, with the tokens of two indexes; reads files where they are in."""
    splits = splits_of(analysis)
    words, of_large = _words(small), _words(large)
    parts = (splits.covering >= 0) & (splits.covering_cosine >= COSINE)
    first = parts.argmax(axis=1)
    rows, some = np.arange(len(parts)), parts.any(axis=1)
    columns = {
        "feature": rows.astype(float),
        "parts": parts.sum(axis=1).astype(float),
        "share": np.where(some, splits.share[rows, first], np.nan),
        "cosine": np.where(some, splits.covering_cosine[rows, first], np.nan),
    }
    texts = tuple(words.told(row) for row in range(len(parts)))
    return SplitTable(splits, words, of_large, columns, texts)


def _words(analysis: Analysis | None) -> Words:
    if analysis is None:
        return Words()
    index = index_of(analysis)
    vocabulary = tuple(shown_token(text, 24) for text in index.array("vocabulary").tolist())
    return Words(
        vocabulary, index.array("token")[:, :_WORDS], index.array("token_share")[:, :_WORDS]
    )


def pairs_offered(
    session: Session | None, held: tuple[DictionaryIdentity, ...], model: ModelIdentity | None
) -> tuple[tuple[Side, Side], ...]:
    """Pairs to choose from: what was compared, open ones of one site, then embedded ones."""
    found = [sides_of(analysis) for analysis in reversed(splits_in(session))]
    known = partners(held)
    found += [
        (Side(small.name, small.fingerprint), Side(large.name, large.fingerprint))
        for small in known
        for large in known
        if small.writes == large.writes and small.d_sae < large.d_sae
    ]
    embedded = embedded_pair(model)
    found += [] if embedded is None else [embedded]
    names = {tuple(side.name for side in pair): pair for pair in reversed(found)}
    return tuple(reversed(names.values()))


def said_of(table: SplitTable) -> str:
    """What a comparison found, in a line."""
    told, parts = table.splits.params, table.columns["parts"]
    positions, corpus = int(told.get("positions", 0)), told.get("corpus", "a text")
    several, none = int((parts > 1).sum()), int((parts == 0).sum())
    return (
        f"{several:,} of {table.n_features:,} features have several parts, {none:,} none"
        f" \N{MIDDLE DOT} {positions:,} positions of {corpus}"
    )


def splits_export(table: SplitTable, small: Labels, large: Labels) -> Table:
    """A row for each part of each feature, at full precision; features without parts have one."""
    headers = ("feature", "label", "tokens", "part", "part label", "part tokens", "share", "cosine")
    rows: list[tuple[object, ...]] = []
    for feature in range(table.n_features):
        held = table.split(feature, small, large)
        one = (feature, held.label, " ".join(word for word, _ in held.words))
        rows.extend(
            (*one, part.feature, part.label, " ".join(word for word, _ in part.words),
             part.share, part.cosine)
            for part in held.parts
        )  # fmt: skip
        if not held.parts:
            rows.append((*one, None, "", "", None, None))
    return Table(headers, rows)


def split_lines(session: Session, analysis: Analysis, feature: int | None) -> Lines:
    """``parts`` of the feature, or ``values``: how many parts each has."""
    told = analysis.params
    text, limit = str(told.get("text") or told["corpus"]), told.get("limit", 100_000)
    imports, read = read_line(text)
    sides = [
        dictionary_line(str(told[f"{which}_fingerprint"]), str(told[which])).replace(
            "dictionary =", f"{which} ="
        )
        for which in ("small", "large")
    ]
    wanted = (
        f"values = splits.parts({feature})"
        if feature is not None
        else "values = [len(splits.parts(feature)) for feature in range(len(splits.covering))]"
    )
    return (
        "import microtome as mt",
        *imports,
        "",
        loading(session)[0],
        *sides,
        f"splits = mt.feature_splits(model, small, large, {read}, limit={limit})",
        wanted,
    )
