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
    """A session that was read, the titles of its results that no panel can show, and a note.

    A file with a note is only looked at.
    """

    session: Session
    unread: tuple[str, ...] = ()
    note: str = ""

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
        return self._open(engine, job)

    def _open(self, engine: Engine, job: Job) -> Opened:
        from microtome.session.lazy import is_stored
        from microtome.session.nearby import with_edges, with_small_analyses
        from microtome.session.reader import SessionFile

        def near(analysis: Analysis) -> bool:
            return not any(is_stored(one.values) for one in analysis.arrays.values())

        file = SessionFile(self.path, job=job)
        session = with_edges(with_small_analyses(file.session))
        opened = Opened(session, unread(session, among=near), file.note)
        if file.read_only:
            engine.files.own.looked_at(self.path)
        elif self.edits:
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
        show_opened(desk, result.session, self.path, result.note)
        desk.settings.remember_session(self.path)
        result.tell(desk, self.path.name)


def show_opened(desk: Desk, session: Session, path: Path | None, note: str = "") -> None:
    """Show a session that was read from a file; without a ``path`` it counts as unsaved.

    A ``note`` says why the file is only looked at.
    """
    desk.selection.clear()
    desk.draft.follow(session)
    desk.workspace.show(session, path, dirty=path is None, note=note)
    desk.selection.update(**restored(session))
    select_answer(desk)


@dataclass(frozen=True, slots=True)
class PrepareOpening(Request):
    """Start what reads a foreign file first, while the user still chooses one."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "prepare"
    quiet: ClassVar[bool] = True

    kind: str = "session"  # a name of microtome.triage.kinds

    @property
    def title(self) -> str:
        """What is being done."""
        return f"Getting ready to open a {self.kind}"

    def perform(self, engine: Engine, job: Job) -> None:
        """Nothing comes back."""
        from microtome.triage.kinds import KINDS
        from microtome.triage.server import prepare

        prepare(KINDS[self.kind].check)


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
class Saved:
    """A file that holds a session now, and how many bytes of it are worth telling as unused."""

    path: Path
    waste: int = 0


@dataclass(frozen=True, slots=True)
class SaveSession(Request):
    """Save a session as it was when this was asked for."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "save"

    path: Path
    session: Session = field(repr=False)
    include: tuple[str, ...] = ()
    replace: bool = False  # the user was told what is there already

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Saving {self.path.name}"

    @property
    def missed(self) -> bool:
        """No: a save is never killed, the window waits for it."""
        return False

    def perform(self, engine: Engine, job: Job) -> Saved:
        """The file, complete and on the disk."""
        own, include = engine.files.own, self.include or None
        place = own.save(self.path, self.session, include, job, replace=self.replace)
        return Saved(place, engine.files.waste_to_tell(place))

    def deliver(self, desk: Desk, result: Saved) -> None:
        """Say so; what changed since is still unsaved."""
        self.show_saved(desk, result.path)
        desk.notices.info(f"Saved {result.path.name}")
        if result.waste:
            desk.notices.info(
                f"{result.path.name} could be {result.waste / 1e6:,.1f} MB smaller",
                "It holds room that nothing uses any more. File > Compact the file writes it anew.",
            )

    def show_saved(self, desk: Desk, path: Path) -> None:
        """The session is in the file now, unless it changed meanwhile."""
        desk.settings.remember_session(path)
        shown = desk.workspace.session
        if shown is not None and shown.uuid == self.session.uuid:
            desk.workspace.saved(path)
            if not same_content(shown, self.session):
                desk.workspace.mark_dirty()


@dataclass(frozen=True, slots=True)
class CompactFile(SaveSession):
    """Write a session's file anew, without the room that nothing in it uses any more."""

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Compacting {self.path.name}"

    def perform(self, engine: Engine, job: Job) -> Saved:
        """The file, and how many bytes shorter it is."""
        gain = engine.files.own.compact(self.path, self.session, self.include or None, job)
        return Saved(self.path, gain)

    def deliver(self, desk: Desk, result: Saved) -> None:
        """Tell the gain."""
        self.show_saved(desk, result.path)
        name, gain = result.path.name, result.waste
        told = f"It is {gain / 1e6:,.2f} MB smaller." if gain > 0 else "Nothing of it was unused."
        desk.notices.info(f"Compacted {name}", told)


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
