"""A session file edited through its write-ahead log, as a Python file that HDF5 writes into.

What lies below ``floor`` (the length at the last save, or at a later commit) is never written in
place: changed pages stay in memory and go to the log at each commit. What is new goes to the end
of the file at once, where nothing acknowledged points. So large arrays are written once, and at
every moment file and log together are the state of the last commit, the file alone that of the
last save.

HDF5 that was once refused a write repeats it when it closes and when Python forgets its objects.
So it never sees a refusal: the first error is kept, nothing is written from then on, and
``commit`` raises it. Such a file is given up; opened again it is as its last commit left it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

from microtome.session import log as records
from microtome.session.disk import Disk
from microtome.session.log import HEADER, LARGEST_FRAME, PAGE, Commit, Held


class Logged:
    """The file, with the few methods of a Python file that h5py asks for. Used by one thread.

    ``main`` and ``log`` are on disks; ``held`` is what the log holds already, None for a log to
    begin.
    """

    def __init__(self, main: Disk, log: Disk, held: Held | None = None) -> None:
        self._main, self._log = main, log
        self._pages: dict[int, bytearray] = {}
        self._dirty: set[int] = set()
        self._place = 0
        self._tail = False  # written behind the floor since the last commit
        # Of the error only what it says: its traceback would keep this file open with all readers.
        self._error: tuple[Any, ...] | None = None
        if held is None:
            self._begin(main.size())
        else:
            self._go_on(held)

    def _begin(self, base: int) -> None:
        self._length = self._committed = self._floor = self._base = base
        self._number, self._unfolded = 0, False
        self._log.truncate(0)
        # Nothing new may stand in the log before what it replaces is gone for good: a power cut
        # could else leave old commits in front of new ones.
        self._log.sync()
        known = records.sample(self._main, base)
        data, self._chain = records.header(base, secrets.token_bytes(16), known)
        self._log.write(0, data)
        self._end = HEADER.size

    def _go_on(self, held: Held) -> None:
        self._length = self._committed = held.length
        self._floor, self._base = held.highest, held.base
        self._pages = {offset: bytearray(data) for offset, data in held.pages.items()}
        for page in self._pages.values():
            page.extend(bytes(PAGE - len(page)))
        self._number = held.commits[-1].number if held.commits else 0
        self._unfolded = bool(held.commits)
        self._end, self._chain = held.end, held.chain

    # what HDF5 asks for

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place in the file."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place}.get(whence, self._length)
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        """The place in the file."""
        return self._place

    def read(self, size: int) -> bytes:
        """Bytes of the file from the present place."""
        data = bytearray(max(0, min(size, self._length - self._place)))
        self._fill(memoryview(data), self._place)
        self._place += len(data)
        return bytes(data)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the file."""
        view = memoryview(buffer).cast("B")
        size = max(0, min(len(view), self._length - self._place))
        self._fill(view[:size], self._place)
        self._place += size
        return size

    def write(self, data: Any) -> int:
        """Write all of ``data``, or take note that it could not be."""
        view = memoryview(data).cast("B")
        offset, size = self._place, len(view)
        self._place += size
        if self._error is None:
            try:
                self._put(offset, view)
            except OSError as error:
                self._error = error.args
        self._length = max(self._length, offset + size)
        return size

    def truncate(self, size: int | None = None) -> int:
        """Give the file a length."""
        length = self._place if size is None else size
        if self._error is None:
            try:
                # The file itself becomes no shorter than what is promised to be in it.
                if length >= self._floor and length != self._main.size():
                    self._main.truncate(length)
                    self._tail = True
            except OSError as error:
                self._error = error.args
        self._length = length
        return length

    def flush(self) -> None:
        """Nothing is held back from the disk but what goes to the log."""

    # what the writer asks for

    @property
    def unfolded(self) -> bool:
        """Whether there are commits that the file alone does not have."""
        return self._unfolded

    @property
    def base(self) -> int:
        """Length of the file alone, as it was last saved."""
        return self._base

    @property
    def logged(self) -> int:
        """Length of the log in bytes."""
        return self._end

    def check(self) -> None:
        """Raise the first error that a write met."""
        if self._error is not None:
            raise OSError(*self._error)

    def commit(self) -> bool:
        """Make everything written so far last; whether there was anything.

        Raises OSError when the disk refuses: then nothing of it counts.
        """
        self.check()
        if not self._dirty and not self._tail and self._length == self._committed:
            return False
        with self._giving_up():
            self._expect_whole()
            if self._tail:
                self._main.sync()
            for offset, data in self._frames():
                self._write_log(*records.frame(offset, data, self._chain))
            done = Commit(self._number + 1, self._length, time.time())
            self._write_log(*records.commit(done, self._chain))
            self._log.sync()
        self._number, self._unfolded, self._tail = done.number, True, False
        self._committed = self._length
        self._floor = max(self._floor, self._length)
        self._dirty = {page for page in self._dirty if page >= self._length}
        return True

    def fold(self) -> None:
        """Commit, then bring the file itself to that state and empty the log.

        Raises OSError when the disk refuses. Everything committed is in the log until the file
        has it, so that opening the file again goes on from here.
        """
        self.commit()
        if not self._unfolded:
            return
        with self._giving_up():
            until = min(self._base, self._committed)
            known = records.sample_of_both(self._main, until, self._pages)
            self._write_log(*records.fold(known, self._chain))
            self._log.sync()
            apply(self._main, self._pages, self._committed)
            self._pages.clear()
            self._dirty.clear()
            self._begin(self._committed)

    def give_up(self) -> None:
        """Take nothing more from HDF5, which writes whatever it still has when it closes."""
        if self._error is None:
            self._error = (errno.EBADF, "the file was given up")

    # inside

    @contextlib.contextmanager
    def _giving_up(self) -> Iterator[None]:
        """After an error take nothing more: of the disk only the last commit is known."""
        try:
            yield
        except OSError as error:
            self._error = error.args
            raise

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        """Changed pages, neighbours together, cut where the file ends."""
        run: list[int] = []
        for offset in [*sorted(page for page in self._dirty if page < self._length), -1]:
            if run and (offset != run[-1] + PAGE or len(run) * PAGE >= LARGEST_FRAME):
                data = b"".join(self._pages[each] for each in run)
                yield run[0], data[: self._length - run[0]]
                run = []
            run.append(offset)

    def _write_log(self, data: bytes, chain: int) -> None:
        self._log.write(self._end, data)
        self._end += len(data)
        self._chain = chain

    def _put(self, offset: int, view: memoryview) -> None:
        below = max(0, min(len(view), self._floor - offset))
        if below < len(view):
            self._expect_whole()
            self._main.write(offset + below, view[below:])
            self._tail = True
        # A page that straddles the floor is kept whole in memory, so that one place is read.
        for at, start, stop in _cuts(offset, len(view)):
            if start - offset < below or at in self._pages:
                page = self._page(at)
                page[start - at : stop - at] = view[start - offset : stop - offset]
                self._dirty.add(at)

    def _expect_whole(self) -> None:
        if self._main.size() < self._floor:
            raise _cut_short()

    def _page(self, at: int) -> bytearray:
        if at not in self._pages:
            page = bytearray(self._main.read(at, PAGE))
            page.extend(bytes(PAGE - len(page)))
            self._pages[at] = page
        return self._pages[at]

    def _fill(self, view: memoryview, offset: int) -> None:
        if not any(at in self._pages for at, _, _ in _cuts(offset, len(view))):
            self._copy(view, offset)
            return
        plain = 0  # bytes of the stretch that no page has changed
        for at, start, stop in [*_cuts(offset, len(view)), (-1, offset + len(view), 0)]:
            if at >= 0 and at not in self._pages:
                plain += stop - start
                continue
            if plain:
                self._copy(view[start - plain - offset : start - offset], start - plain)
                plain = 0
            if at >= 0:
                view[start - offset : stop - offset] = self._pages[at][start - at : stop - at]

    def _copy(self, view: memoryview, offset: int) -> None:
        data = self._main.read(offset, len(view))
        if offset + len(data) < min(offset + len(view), self._floor):
            raise _cut_short()
        view[: len(data)] = data
        view[len(data) :] = bytes(len(view) - len(data))


def _cut_short() -> OSError:
    return OSError("Another program cut the file short.")


def _cuts(offset: int, size: int) -> Iterator[tuple[int, int, int]]:
    """The pages that a stretch touches, and from where to where it touches each."""
    end = offset + size
    for at in range(offset - offset % PAGE, end, PAGE):
        yield at, max(at, offset), min(at + PAGE, end)


def apply(main: Disk, pages: Mapping[int, bytes | bytearray], length: int) -> None:
    """Bring a file to a state of its log. Done twice it is as done once.

    Raises OSError when the disk refuses; the log has everything still.
    """
    for offset in sorted(pages):
        if offset < length:
            main.write(offset, bytes(pages[offset][: length - offset]))
    main.truncate(length)
    main.sync()
