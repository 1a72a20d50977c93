"""What the features of a dictionary write, as points of the feature space."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.feature_requests import coder_of
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.features import index_with


@dataclass(frozen=True, slots=True)
class ProjectDirections(Request):
    """The principal components of the decoder's directions, each of length 1.

    Tokens, firing rates and names of clusters come with it where a text was looked through.
    """

    slot: ClassVar[str] = "directions"
    replaces: ClassVar[frozenset[str]] = frozenset({"directions"})
    about_session: ClassVar[bool] = True
    method: ClassVar[str] = "pca"

    fingerprint: str
    named: str
    index: Analysis | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Projecting the directions of {self.named}"

    def bound(self, desk: Desk) -> Self:
        """With the index of the dictionary, where the session has one."""
        return replace(self, index=index_with(desk.workspace.session, self.fingerprint))

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The projection. Raises DictionaryError, and InputError where UMAP is not installed."""
        from microtome.analysis.directions import direction_space
        from microtome.records.feature_index import index_of

        index = None if self.index is None else index_of(self.index)
        coder = coder_of(engine, self.fingerprint)
        return direction_space(coder, index, method=self.method, name=self.named, job=job)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Show it."""
        desk.workspace.add_analysis(result)


@dataclass(frozen=True, slots=True)
class PlaceByUmap(ProjectDirections):
    """The same directions placed by UMAP, in a process of its own; the model stays free."""

    thread: ClassVar[Thread] = Thread.ASIDE
    slot: ClassVar[str] = "umap"
    replaces: ClassVar[frozenset[str]] = frozenset({"umap"})
    method: ClassVar[str] = "umap"
    restless: ClassVar[str] = "UMAP runs in a process of its own, which can only be stopped."

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Placing the directions of {self.named} by UMAP"
