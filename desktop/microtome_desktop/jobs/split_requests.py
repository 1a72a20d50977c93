"""A request about how the features of a small dictionary split into those of a large one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.dictionary import DictionaryIdentity
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.feature_requests import text_path
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.features import indexes
from microtome_desktop.state.splits import Side, SplitWish

SPLIT_SLOT = "feature splits"


@dataclass(frozen=True, slots=True)
class CompareDictionaries(Request):
    """Open two dictionaries if need be, look through the text for both, and compare them.

    What is there already is not made again: ``indexed`` are fingerprints with an index.
    """

    slot: ClassVar[str] = SPLIT_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({SPLIT_SLOT})
    about_session: ClassVar[bool] = True

    wish: SplitWish
    indexed: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Comparing {self.wish.small.name} with {self.wish.large.name}"

    def part_title(self, name: str, value: Any) -> str:
        """What has come of it already."""
        return str(value.title) if isinstance(value, Analysis) else ""

    def bound(self, desk: Desk) -> Self:
        """With what the session has already."""
        held = indexes(desk.workspace.session)
        return replace(self, indexed=frozenset(str(a.params.get("fingerprint")) for a in held))

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The comparison; dictionaries and indexes are handed out before.

        Raises DictionaryError, DictionaryMismatch, CorpusError.
        """
        from microtome.features.indexing import feature_index
        from microtome.features.splitting import feature_splits
        from microtome.records.feature_index import index_analysis
        from microtome.records.feature_splits import splits_analysis

        wish, text = self.wish, text_path(self.wish.text)
        asked = {"text": wish.text, "limit": wish.tokens}
        small, large = (_opened(engine, side, job) for side in (wish.small, wish.large))
        job.partial("dictionaries", (small.identity, large.identity))
        for one in (small, large):
            if one.identity.fingerprint not in self.indexed:
                index = feature_index(engine.loaded, one, text, limit=wish.tokens, job=job)
                index = replace(index, params={**index.params, **asked})
                job.partial("index", index_analysis(index))
        found = feature_splits(engine.loaded, small, large, text, limit=wish.tokens, job=job)
        return splits_analysis(replace(found, params={**found.params, **asked}))

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Offer the dictionaries, and show an index."""
        if isinstance(value, Analysis):
            desk.workspace.add_analysis(value)
            return
        identities: tuple[DictionaryIdentity, ...] = value
        desk.dictionaries.add(*identities)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Show it."""
        desk.workspace.add_analysis(result)


def _opened(engine: Engine, side: Side, job: Job) -> Any:
    """A dictionary that is open, or one that is opened now by its name."""
    held = engine.dictionaries.get(side.fingerprint)
    if held is None:
        from microtome.features.fitting import expect_fit
        from microtome.features.formats.files import load_dictionary

        held = load_dictionary(side.name, job=job)
        expect_fit(held.identity, engine.loaded)
        engine.dictionaries[held.identity.fingerprint] = held
    return held
