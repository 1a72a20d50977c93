"""The file of a session that is open: what lies in it already, and only what changed written.

``keep`` makes the session last in the log beside its file, ``save`` brings the file itself up to
date; the first time, and when the runs are others, it writes a whole new one. What another program
did to the file since is never written over. All calls come from one thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from microtome.errors import SessionError, StorageError
from microtome.jobs import Job, job_or_default
from microtome.records.session import Session
from microtome.session.contents import ANALYSIS, Section, sections
from microtome.session.editing import Busy, Editing, NotEditable, expect_free, forget_log
from microtome.session.handle import Handle, handles_of
from microtome.session.parts import Part
from microtome.session.schema import MAJOR, MINOR, creator
from microtome.session.unknown import holds_unknown, unknown_part
from microtome.session.versions import Version, to_write
from microtome.session.writer import write_whole
from microtome.triage.trust import remember

_TITLE = "Saving the session"
_Stamp = tuple[int, int, int, int]
_PLAIN = (str, dict, tuple, frozenset)  # sources that are compared by what they hold


@dataclass
class _Place:
    """A file and the sections that lie in it, with what each was made from."""

    path: Path
    uuid: str
    identity: tuple[int, int]
    held: dict[str, Section]
    names: dict[str, str] = field(default_factory=dict)  # groups of analyses, by id
    editing: Editing | None = None


class SessionStore:
    """Keeps at most one file open for edits."""

    def __init__(self) -> None:
        self._place: _Place | None = None
        self._untouched: Path | None = None
        self._left: dict[Path, _Stamp | None] = {}  # files as this store opened or wrote them last

    def opened(
        self,
        path: Path,
        session: Session,
        include: Iterable[str] | None,
        names: Mapping[str, str],
    ) -> None:
        """A session was read from a file; ``names`` are those of its analyses' groups, by id."""
        self.close()
        self._untouched = None
        held = {one.name: one for one in sections(session, include, names)}
        self._place = _Place(path, session.uuid, _identity(path), held, dict(names))
        self._left[path] = _stamp(path)

    def looked_at(self, path: Path) -> None:
        """A file of a newer major version was read: nothing is ever written to it."""
        self.close()
        self._untouched = path

    def keep(
        self, path: Path, session: Session, include: Iterable[str] | None, job: Job | None = None
    ) -> bool:
        """Make a session last in the log of its file; whether that could be.

        Where it cannot, because the runs are others or the file was removed, ``save`` still does;
        not where another program changed the file. Raises StorageError when the disk refuses,
        Cancelled when the job is stopped: both leave what was kept before.
        """
        with self._ours_after(path):
            return self._keep(path, session, include, job)

    def _keep(
        self, path: Path, session: Session, include: Iterable[str] | None, job: Job | None
    ) -> bool:
        found = self._changes(path, session, include)
        if found is None:
            return False
        place, wanted = found
        gone = [one for name, one in place.held.items() if not _same(one, wanted.get(name))]
        new = [one for name, one in wanted.items() if not _same(one, place.held.get(name))]
        if gone or new:
            self._edit(place, session, gone, new, job)
            place.held = wanted
        return True

    def save(
        self,
        path: Path,
        session: Session,
        include: Iterable[str] | None,
        job: Job | None = None,
        *,
        replace: bool = False,
    ) -> Path:
        """Make a file hold a session.

        ``replace`` is the user's word to write over what another program has there. Raises
        StorageError without it, and when the disk refuses, Cancelled when the job is stopped: all
        leave what was saved before.
        """
        if not self.keep(path, session, include, job):
            return self._whole(path, session, include, job, replace=replace)
        place = self._place
        if place is not None and place.editing is not None and place.editing.unfolded:
            try:
                with self._ours_after(path):
                    place.editing.fold()
            except Busy:
                return self._whole(path, session, include, job)
            except BaseException:
                place.editing = None
                raise
            remember(path)
        return path

    def compact(
        self, path: Path, session: Session, include: Iterable[str] | None, job: Job | None = None
    ) -> int:
        """Write a file anew without what nothing in it uses; how many bytes shorter it is.

        Raises what ``save`` raises.
        """
        before = path.stat().st_size if path.exists() else 0
        return before - self._whole(path, session, include, job).stat().st_size

    def waste(self) -> tuple[int, int]:
        """Bytes of the edited file that nothing in it uses any more, and its length."""
        editing = None if self._place is None else self._place.editing
        return (0, 0) if editing is None else (editing.waste, editing.path.stat().st_size)

    def close(self) -> None:
        """Let go of the file. What was kept in its log and not saved is forgotten."""
        place, self._place = self._place, None
        if place is not None and place.editing is not None:
            if place.editing.unfolded:
                _read_alone(place)
            with self._ours_after(place.path):
                place.editing.retire()

    # inside

    def _is_ours(self, path: Path) -> bool:
        """Whether a file is as this store opened or wrote it last, or is not there."""
        found = _stamp(path)
        return found is None or found == self._left.get(path)

    @contextlib.contextmanager
    def _ours_after(self, path: Path) -> Iterator[None]:
        """What is done to a file of ours is our doing, also where it fails."""
        ours = self._is_ours(path)
        try:
            yield
        finally:
            if ours:
                self._left[path] = _stamp(path)

    def _changes(
        self, path: Path, session: Session, include: Iterable[str] | None
    ) -> tuple[_Place, dict[str, Section]] | None:
        """The file and the sections it shall hold; None where a whole file must be written."""
        place = self._place
        if place is None or place.path != path or _identity(path) != place.identity:
            return None
        if not self._is_ours(path):
            if place.editing is None:
                expect_free(path)
            return None
        wanted = {one.name: one for one in sections(session, include, place.names)}
        settled = {one.name for one in (*place.held.values(), *wanted.values()) if one.settled}
        if not all(_same(place.held.get(name), wanted.get(name)) for name in settled):
            return None
        try:
            if place.editing is None:
                place.editing = Editing(path)
                for handle in handles_of(place.identity):
                    handle.share(place.editing.file)
        except NotEditable:
            return None
        return place, wanted

    def _edit(
        self,
        place: _Place,
        session: Session,
        gone: list[Section],
        new: list[Section],
        job: Job | None,
    ) -> None:
        assert place.editing is not None  # noqa: S101 - the caller opened it
        work = job_or_default(job)
        parts = [part for section in new for part in section.make()]
        total = sum(part.nbytes for part in parts)
        done = 0

        def wrote(size: int) -> None:
            nonlocal done
            done += size
            work.progress(_TITLE, done, max(total, done))

        work.check()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        version = place.editing.version
        about = {"creator": creator(), "saved": now, "format_version": to_write(version)}
        own = {"uuid": session.uuid, "created": session.created}
        about |= {name: value for name, value in own.items() if value}
        anew = {one.name for one in new} if holds_unknown(version) else frozenset[str]()
        gone_paths = {
            path: [*section.make()] if section.name in anew else None
            for section in gone
            for path in section.paths
        }
        # The session may be read from what is written anew, and be asked for by an undo.
        for handle in handles_of(place.identity):
            handle.hold(gone_paths)
        try:
            place.editing.change(gone_paths, parts, about, wrote)
        except BaseException:
            _read_alone(place)
            place.editing = None
            raise
        remember(place.path)
        for section in new:
            if section.name.startswith(ANALYSIS):
                place.names[section.name.removeprefix(ANALYSIS)] = section.paths[0].rsplit("/")[-1]

    def _whole(
        self,
        path: Path,
        session: Session,
        include: Iterable[str] | None,
        job: Job | None,
        *,
        replace: bool = False,
    ) -> Path:
        own = self._place
        if own is None or own.editing is None or own.path != path:
            expect_free(path)
        self._expect_ours(path, replace=replace)
        with self._beside(session) as (more, version):
            target = write_whole(path, session, include, job, more=more, version=version)
        self.close()
        forget_log(target)  # of edits that a disk error ended
        held = {one.name: one for one in sections(session, include)}
        names = {
            name.removeprefix(ANALYSIS): section.paths[0].rsplit("/")[-1]
            for name, section in held.items()
            if name.startswith(ANALYSIS)
        }
        self._place = _Place(target, session.uuid, _identity(target), held, names)
        self._left[target] = _stamp(target)
        return target

    def _expect_ours(self, path: Path, *, replace: bool) -> None:
        if self._untouched is not None and path == self._untouched:
            raise StorageError(
                f"{path.name} was made by a newer Microtome, and would lose what that wrote.",
                "Save under another name.",
            )
        if not replace and not self._is_ours(path):
            raise StorageError(
                f"{path.name} was changed by another program since you opened it.",
                "Save under another name, or open it again.",
            )

    @contextlib.contextmanager
    def _beside(self, session: Session) -> Iterator[tuple[list[Part], Version]]:
        """What the file that a session was read from holds beside it, and that file's version."""
        place = self._place
        ours = place is not None and session.uuid == place.uuid and session.uuid
        if place is None or not ours or _identity(place.path) != place.identity:
            yield [], (MAJOR, MINOR)
            return
        with contextlib.ExitStack() as closing:
            found: tuple[list[Part], Version] = [], (MAJOR, MINOR)
            # A file that was damaged meanwhile has nothing to give, and is to be replaced.
            with contextlib.suppress(SessionError):
                handle = closing.enter_context(contextlib.closing(Handle(place.path)))
                if holds_unknown(handle.version):
                    handle.inspect()
                    found = [unknown_part(handle)], handle.version
            yield found


def _read_alone(place: _Place) -> None:
    """Turn readers from edits that end back to the file: what they read is in it, or is held."""
    if place.editing is not None and place.editing.in_place:
        for handle in handles_of(place.identity):
            handle.reopen()


def _same(one: Section | None, other: Section | None) -> bool:
    """Whether two sections are made from the same objects and lie in the same groups."""
    if one is None or other is None:
        return one is other
    if one.paths != other.paths or len(one.sources) != len(other.sources):
        return False
    pairs = zip(one.sources, other.sources, strict=True)
    return all(a is b or (isinstance(a, _PLAIN) and a == b) for a, b in pairs)


def _identity(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:
        return (0, 0)
    return state.st_dev, state.st_ino


def _stamp(path: Path) -> _Stamp | None:
    """What tells that somebody wrote to a file or put another in its place; None without one."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns
