"""The write-ahead log beside a session file: what its records are, and reading them back.

    header   magic, page size, length of the session file when the log began, salt, the session's id
    frame    bytes that belong at an offset of the session file
    commit   the length of the session file; all frames before it belong together
    fold     all commits before it were asked into the session file: finishing that is no question;
             with a sample of the file, by which it is known again

Every record carries a CRC-32 that goes on from that of the record before, from the salt on. So a
record that is torn, or left from an earlier use of the same blocks, ends the log there. A log may
have been made by anybody, with right CRCs: a record that no edit writes ends it as well.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from microtome.session.disk import Disk

PAGE: Final = 4096
HEADER: Final = struct.Struct("<8sIQ16s16sI")  # magic, page, base, salt, sample, crc
_RECORD: Final = struct.Struct("<4sQQdII")  # kind, two numbers, time, bytes that follow, crc
_CRC: Final = struct.Struct("<I")
_MAGIC: Final = b"MTLOG\x00\x00\x01"
_FRAME, _COMMIT, _FOLD = b"FRAM", b"CMIT", b"FOLD"
LARGEST_FRAME: Final = 1 << 20
_SAMPLED = 32  # pages
_DIGEST, _SECTOR = 16, 512  # bytes
_LARGEST_SUMS = _SAMPLED * PAGE // _SECTOR * _CRC.size
_MOST_PAGES = (1 << 30) // PAGE  # held in memory at once
_LATEST = 1 << 35  # seconds since 1970: in the year 3058
# HDF5 File Format Specification, II.A: the superblock of versions 2 and 3 begins so, and tells
# the end of the file.
_SUPERBLOCK = struct.Struct("<8sBBBBQQQQI")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Commit:
    """An acknowledged state of the session file; ``time`` in seconds since 1970."""

    number: int
    length: int
    time: float


@dataclass(frozen=True, slots=True)
class Held:
    """What a log holds. ``pages`` maps offsets to bytes, whole pages but the file's last.

    ``sample`` is of the file when the log began, ``folding`` of the file when all was asked into
    it, None when it was not. ``end`` is where the last commit (or fold) ends in the log, ``chain``
    the CRC up to there, ``highest`` the longest that the file was at any commit.
    """

    base: int
    sample: bytes
    commits: tuple[Commit, ...]
    pages: dict[int, bytes] = field(repr=False)
    highest: int
    end: int
    chain: int
    folding: bytes | None

    @property
    def length(self) -> int:
        """Length of the session file with all commits."""
        return self.commits[-1].length if self.commits else self.base


def log_of(path: Path) -> Path:
    """The log beside a session file."""
    return path.with_name(f"{path.name}-log")


def header(base: int, salt: bytes, sample: bytes) -> tuple[bytes, int]:
    """The first bytes of a log, and the CRC that its first record goes on from."""
    body = HEADER.pack(_MAGIC, PAGE, base, salt, sample, 0)[: -_CRC.size]
    crc = zlib.crc32(body)
    return body + _CRC.pack(crc), crc


def frame(offset: int, data: bytes, chain: int) -> tuple[bytes, int]:
    """A record of bytes at an offset, and the CRC after it."""
    return _record(_FRAME, offset, 0, 0.0, data, chain)


def commit(done: Commit, chain: int) -> tuple[bytes, int]:
    """A record that makes the frames before it count, and the CRC after it."""
    return _record(_COMMIT, done.length, done.number, done.time, b"", chain)


def fold(sample: bytes, chain: int) -> tuple[bytes, int]:
    """A record that says that everything was asked into the session file, and the CRC after it."""
    return _record(_FOLD, 0, 0, 0.0, sample, chain)


def _record(
    kind: bytes, first: int, second: int, time: float, data: bytes, chain: int
) -> tuple[bytes, int]:
    body = _RECORD.pack(kind, first, second, time, len(data), 0)[: -_CRC.size]
    crc = zlib.crc32(data, zlib.crc32(body, chain))
    return b"".join((body, _CRC.pack(crc), data)), crc


def sample(disk: Disk, length: int, but: Container[int] = ()) -> bytes:
    """A digest (16 bytes) of pages among a file's first ``length`` bytes, but for those at ``but``.

    A log that lies beside another file than its own is told by it.
    """
    digest = hashlib.sha256(length.to_bytes(8, "little"))
    for at in _sampled(length):
        if at not in but:
            digest.update(disk.read(at, min(PAGE, length - at)))
    return digest.digest()[:_DIGEST]


def sample_of_both(disk: Disk, length: int, pages: Container[int]) -> bytes:
    """A sample by which a file is known while ``pages`` are brought into it, and before and after.

    Its digest leaves them out; of those sampled there is a checksum of each sector as it was.
    """
    sums = [
        _CRC.pack(zlib.crc32(sector))
        for at in _sampled(length)
        if at in pages
        for sector in _sectors(disk.read(at, min(PAGE, length - at)))
    ]
    return sample(disk, length, pages) + b"".join(sums)


def _is_between(main: Disk, held: Held, folding: bytes) -> bool:
    """Whether every sector is as it was or as it shall be; one may be torn."""
    length = min(held.base, held.length)
    if sample(main, length, held.pages) != folding[:_DIGEST]:
        return False
    was = iter(_CRC.iter_unpack(folding[_DIGEST:]))
    strange = 0
    for at in (at for at in _sampled(length) if at in held.pages):
        size = min(PAGE, length - at)
        found = main.read(at, size).ljust(size, b"\0")
        whole = held.pages[at][:size].ljust(size, b"\0")
        for sector, new in zip(_sectors(found), _sectors(whole), strict=True):
            (before,) = next(was, (None,))
            strange += sector != new and zlib.crc32(sector) != before
    return strange <= 1


def _sampled(length: int) -> list[int]:
    last = max(0, length // PAGE - 1)
    return sorted({last * number // (_SAMPLED - 1) * PAGE for number in range(_SAMPLED)})


def _sectors(data: bytes) -> list[bytes]:
    return [data[at : at + _SECTOR] for at in range(0, len(data), _SECTOR)]


def belongs(held: Held, main: Disk) -> bool:
    """Whether a log is of this file: of the file as it was, or as folding left it in the middle.

    False as well where file and log together would be no whole HDF5 file: of another's making.
    """
    if held.folding is not None:
        whole = _is_whole(main, held.pages, held.length)
        return whole and _is_between(main, held, held.folding)
    if main.size() < held.highest or sample(main, held.base) != held.sample:
        return False
    return _is_whole(main, {}, held.base) and _is_whole(main, held.pages, held.length)


def _is_whole(main: Disk, pages: Mapping[int, bytes], length: int) -> bool:
    """Whether a file cut to a length, with pages laid over it, is as long as HDF5 says it is."""
    start = pages.get(0, b"") or main.read(0, _SUPERBLOCK.size)
    if not _SUPERBLOCK.size <= length <= main.size() or len(start) < _SUPERBLOCK.size:
        return False
    signature, version, *_, end, _, _ = _SUPERBLOCK.unpack_from(start)
    older = version < 2  # no end at this place
    return bool(signature == _SIGNATURE and (older or end <= length))


def read_log(disk: Disk) -> Held | None:
    """What a log holds up to its last whole commit; None for a file that is no log.

    Never raises for what is in the file; OSError where it cannot be read.
    """
    begun = _read_header(disk)
    if begun is None:
        return None
    base, begun_as, chain = begun
    commits: list[Commit] = []
    pages: dict[int, bytes] = {}
    waiting: dict[int, bytes] = {}
    until: set[int] = set()  # where frames end that wait for their commit
    place = end = HEADER.size
    good, highest, folding = chain, base, None
    while (found := _next(disk, place, chain)) is not None:
        kind, first, second, time, data, chain = found
        place += _RECORD.size + len(data)
        if kind == _FRAME:
            _lay(waiting, first, data)
            until.add(first + len(data))
            if first % PAGE or len(pages) + len(waiting) > _MOST_PAGES:
                break
            continue
        if kind == _COMMIT:
            done = Commit(second, first, time)
            if not _may_be(done, len(commits), until):
                break
            commits.append(done)
            pages |= waiting
            highest = max(highest, first)
        elif waiting or not _may_be_sample(data):
            break
        waiting.clear()
        until.clear()
        folding = data if kind == _FOLD else None
        end, good = place, chain
    return Held(base, begun_as, tuple(commits), pages, highest, end, good, folding)


def _may_be(done: Commit, before: int, until: set[int]) -> bool:
    """Whether an edit writes such a commit: its frames end at whole pages, or with the file."""
    right = done.number == before + 1 and done.length >= _SUPERBLOCK.size
    timely = 0 <= done.time < _LATEST  # false for what is no number
    cut = {place for place in until if place % PAGE}
    return right and timely and cut <= {done.length} and max(until, default=0) <= done.length


def _may_be_sample(data: bytes) -> bool:
    sums = len(data) - _DIGEST
    return 0 <= sums <= _LARGEST_SUMS and not sums % _CRC.size


def _read_header(disk: Disk) -> tuple[int, bytes, int] | None:
    data = disk.read(0, HEADER.size)
    if len(data) < HEADER.size:
        return None
    magic, page, base, _, begun_as, crc = HEADER.unpack(data)
    right = zlib.crc32(data[: -_CRC.size]) == crc
    return (base, begun_as, crc) if right and magic == _MAGIC and page == PAGE else None


def _next(disk: Disk, place: int, chain: int) -> tuple[bytes, int, int, float, bytes, int] | None:
    """The record at a place: kind, numbers, time, bytes, CRC after it; None where the log ends."""
    start = disk.read(place, _RECORD.size)
    if len(start) < _RECORD.size:
        return None
    kind, first, second, time, size, crc = _RECORD.unpack(start)
    if kind not in (_FRAME, _COMMIT, _FOLD) or size > LARGEST_FRAME:
        return None
    data = disk.read(place + _RECORD.size, size) if size else b""
    if len(data) < size or zlib.crc32(data, zlib.crc32(start[: -_CRC.size], chain)) != crc:
        return None
    return kind, first, second, time, data, crc


def _lay(pages: dict[int, bytes], offset: int, data: bytes) -> None:
    for at in range(0, len(data), PAGE):
        pages[offset + at] = data[at : at + PAGE]
