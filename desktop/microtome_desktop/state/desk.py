"""All state of one window, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from microtome_desktop.state.albums import Albums
from microtome_desktop.state.book import Book
from microtome_desktop.state.course import Course
from microtome_desktop.state.diagnostics import Diagnostics
from microtome_desktop.state.dictionaries import Dictionaries
from microtome_desktop.state.draft import Draft
from microtome_desktop.state.exports import Clip
from microtome_desktop.state.feature_following import FeatureFollowing
from microtome_desktop.state.history import History
from microtome_desktop.state.hub import Hub
from microtome_desktop.state.library import Library
from microtome_desktop.state.notices import Notices
from microtome_desktop.state.selection import Selection
from microtome_desktop.state.settings import MemoryStore, Settings
from microtome_desktop.state.sizes import Sizes
from microtome_desktop.state.trials import Trials
from microtome_desktop.state.unsaved import Waiting
from microtome_desktop.state.work import Work
from microtome_desktop.state.workspace import Workspace


def _unsaved_settings() -> Settings:
    return Settings(MemoryStore())


@dataclass(frozen=True, slots=True)
class Desk:
    """What the window works on, what is selected, typed, known and remembered."""

    workspace: Workspace = field(default_factory=Workspace)
    selection: Selection = field(default_factory=Selection)
    draft: Draft = field(default_factory=Draft)
    library: Library = field(default_factory=Library)
    notices: Notices = field(default_factory=Notices)
    course: Course = field(default_factory=Course)
    history: History = field(init=False)
    book: Book = field(init=False)
    dictionaries: Dictionaries = field(init=False)
    sizes: Sizes = field(default_factory=Sizes)
    work: Work = field(default_factory=Work)
    hub: Hub = field(default_factory=Hub)
    clip: Clip = field(default_factory=Clip)
    trials: Trials = field(default_factory=Trials)
    albums: Albums = field(default_factory=Albums)
    unsaved: Waiting = field(default_factory=Waiting)
    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    settings: Settings = field(default_factory=_unsaved_settings)

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", History(self.workspace))
        object.__setattr__(self, "book", Book(self.workspace))
        object.__setattr__(self, "dictionaries", Dictionaries(self.workspace))
        self.selection.follow = FeatureFollowing(self.workspace).follow
