"""Requests of the IO thread: sessions, and activations that lie in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.examine import SESSION_SLOTS, select_answer
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.arrays import ArrayKey, read
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.unread import unread, unread_text

if TYPE_CHECKING:
    from microtome.session.unsaved import Unsaved

# The fields of the selection that a file keeps.
SESSIONS = frozenset({".h5", ".hdf5"})  # endings
_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # HDF5 File Format Specification, III.A
REMEMBERED = ("position", "layer", "head", "neuron", "site", "node")


def may_be_session(path: Path) -> bool:
    """Whether a file is one by its ending or by how it begins; so little is read at once."""
    if path.suffix.lower() in SESSIONS or not path.is_file():  # a pipe would keep its reader
        return path.suffix.lower() in SESSIONS
    try:
        with path.open("rb") as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was read, and the titles of its results that no panel can show."""

    session: Session
    unread: tuple[str, ...] = ()

    def tell(self, desk: Desk, name: str) -> None:
        """Say what is left out, if anything is."""
        if self.unread:
            count = len(self.unread)
            many = f"{count} result{'s' * (count != 1)} of {name} cannot be read"
            way_out = "Damaged or of another version: they are left out. Make them again."
            desk.notices.warn(many, f"{unread_text(self.unread)}.", way_out)


class Word(Enum):
    """What is to become of changes that a crash left beside a session file."""

    ASK = "ask"
    RECOVER = "recover"
    THROW_AWAY = "throw away"


@dataclass(frozen=True, slots=True)
class OpenSession(Request):
    """Open a session file for review; changes that a crash left beside it are asked about first."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "open"
    replaces: ClassVar[frozenset[str]] = SESSION_SLOTS | {"open"}
    restless: ClassVar[str] = "A file is opened in one step."
    asks_first: ClassVar[bool] = True

    path: Path
    word: Word = Word.ASK

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Opening {self.path.name}"

    def perform(self, engine: Engine, job: Job) -> Opened | Unsaved:
        """The session: its circuit and small results in memory, all else still in the file.

        In its place the changes beside the file that wait for a word.
        """
        from microtome.session.unsaved import recover, throw_away, unsaved

        if self.word is Word.RECOVER:
            recover(self.path)
        elif self.word is Word.THROW_AWAY:
            throw_away(self.path)
        elif (found := unsaved(self.path)) is not None:
            return found
        return self._open(engine)

    def _open(self, engine: Engine) -> Opened:
        from microtome.session.lazy import is_stored
        from microtome.session.nearby import with_edges, with_small_analyses
        from microtome.session.reader import SessionFile

        def near(analysis: Analysis) -> bool:
            return not any(is_stored(one.values) for one in analysis.arrays.values())

        file = SessionFile(self.path)
        session = with_edges(with_small_analyses(file.session))
        opened = Opened(session, unread(session, among=near))
        if self.edits:
            engine.files.own.opened(
                self.path, session, held_in_file(session), file.analysis_groups()
            )
        return opened

    @property
    def edits(self) -> bool:
        """Whether what is changed goes to this file."""
        return True

    def deliver(self, desk: Desk, result: Opened | Unsaved) -> None:
        """Show it; the question appears in the prompt panel."""
        if not isinstance(result, Opened):
            desk.unsaved.put(result)
            return
        show_opened(desk, result.session, self.path)
        desk.settings.remember_session(self.path)
        result.tell(desk, self.path.name)


def show_opened(desk: Desk, session: Session, path: Path | None) -> None:
    """Show a session that was read from a file; without a ``path`` it counts as unsaved."""
    desk.selection.clear()
    desk.draft.follow(session)
    desk.workspace.show(session, path, dirty=path is None)
    desk.selection.update(**restored(session))
    select_answer(desk)


@dataclass(frozen=True, slots=True)
class PrepareOpening(Request):
    """Start what reads a foreign file first, while the user still chooses one."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "prepare"
    quiet: ClassVar[bool] = True

    @property
    def title(self) -> str:
        """What is being done."""
        return "Getting ready to open a session"

    def perform(self, engine: Engine, job: Job) -> None:
        """Nothing comes back."""
        from microtome.session.trial import prepare

        prepare()


@dataclass(frozen=True, slots=True)
class VerifyFile(Request):
    """Compare every chunk of a session file with the checksum taken when it was written.

    ``asked`` is what the user wanted to know; otherwise only damage is told.
    """

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "verify file"
    replaces: ClassVar[frozenset[str]] = frozenset({"verify file"})

    path: Path
    asked: bool = True

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Verifying {self.path.name}"

    @property
    def missed(self) -> bool:
        """Only where somebody wanted to know."""
        return self.asked

    def perform(self, engine: Engine, job: Job) -> Any:
        """How many chunks were compared, and which datasets are damaged."""
        from microtome.session.verify import verify_session

        return verify_session(self.path, job=job)

    def deliver(self, desk: Desk, result: Any) -> None:
        """Tell what was found."""
        if result.damaged:
            desk.notices.warn(
                f"{self.path.name} is damaged",
                f"These parts are not as they were written: {', '.join(result.damaged)}.",
                "Do not trust what is drawn from them; ask for the file again.",
            )
        elif self.asked:
            read = f"{result.chunks:,} chunks, {result.nbytes / 1e6:,.1f} MB"
            desk.notices.info(f"{self.path.name} is whole", f"{read}: all as they were written.")


def restored(session: Session) -> dict[str, Any]:
    """The fields of the selection that a session remembers."""
    held = session.view.get("selection", {})
    found = {name: value for name, value in held.items() if name in REMEMBERED}
    if session.circuit is None or found.get("node") not in session.circuit.node_id:
        found.pop("node", None)
    if not found and session.clean is not None:
        count = len(session.clean.tokens)
        found = {"position": int(session.metric.get("position", -1)) % count}
    return found


@dataclass(frozen=True, slots=True)
class SaveSession(Request):
    """Save a session as it was when this was asked for."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "save"

    path: Path
    session: Session = field(repr=False)
    include: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Saving {self.path.name}"

    @property
    def missed(self) -> bool:
        """No: a save is never killed, the window waits for it."""
        return False

    def perform(self, engine: Engine, job: Job) -> Path:
        """The file, complete and on the disk."""
        return engine.files.own.save(self.path, self.session, self.include or None, job)

    def deliver(self, desk: Desk, result: Path) -> None:
        """Say so; what changed since is still unsaved."""
        desk.settings.remember_session(result)
        shown = desk.workspace.session
        if shown is not None and shown.uuid == self.session.uuid:
            desk.workspace.saved(result)
            if not same_content(shown, self.session):
                desk.workspace.mark_dirty()
        desk.notices.info(f"Saved {result.name}")


def same_content(one: Session, other: Session) -> bool:
    """Whether two states of a session hold the same results."""
    parts = ("traces", "circuit", "analyses", "question", "checks", "marks")
    return all(getattr(one, name) is getattr(other, name) for name in parts)


def held_in_file(session: Session) -> tuple[str, ...]:
    """What a session that was opened from a file holds, so that no save drops any of it."""
    opened = [trace for trace in session.traces if trace.live is None]
    sites = {name for trace in opened for name in trace.activations}
    logits = ("logits",) if any(trace.logits is not None for trace in opened) else ()
    return (*sorted(sites), *logits)


@dataclass(frozen=True, slots=True)
class EstimateSession(Request):
    """How large each part of a session's file would be."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "estimate"
    replaces: ClassVar[frozenset[str]] = frozenset({"estimate"})
    quiet: ClassVar[bool] = True

    session: Session = field(repr=False)
    include: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What is being done."""
        return "Measuring the session"

    def perform(self, engine: Engine, job: Job) -> tuple[tuple[str, int], ...]:
        """Title and bytes of each part."""
        from microtome.session.writer import estimate

        return tuple(estimate(self.session, self.include or None))

    def deliver(self, desk: Desk, result: tuple[tuple[str, int], ...]) -> None:
        """Show it in the save dialog."""
        desk.sizes.put(result)


@dataclass(frozen=True, slots=True)
class ReadArray(Request):
    """An activation that a panel draws and a file holds."""

    thread: ClassVar[Thread] = Thread.IO
    about_session: ClassVar[bool] = True
    quiet: ClassVar[bool] = True

    session: Session = field(repr=False)
    key: ArrayKey

    @property
    def title(self) -> str:
        """What is being done."""
        return f"Reading {self.key.site}"

    def perform(self, engine: Engine, job: Job) -> Any:
        """The values as numpy."""
        return read(self.session, self.key)

    def deliver(self, desk: Desk, result: Any) -> None:
        """Give it to the panels."""
        desk.workspace.arrays.put(self.key, result)
