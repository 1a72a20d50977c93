"""Files of newer versions of the format: one that is newer by its major number is only looked at.

Of a newer minor version everything that this one knows means the same. Of a newer major version
nothing is promised: what can be read as this version's is shown, and never written to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from microtome.errors import NewerSession, SessionDamaged
from microtome.session.schema import MAJOR, MINOR

Version = tuple[int, int]


def is_newer_major(version: Version) -> bool:
    """Whether a file of this version may be looked at only."""
    return version[0] > MAJOR


def to_write(version: Version) -> str:
    """What an edited file calls itself: a newer minor version stays, for what it holds stays."""
    return "{}.{}".format(*max(version, (MAJOR, MINOR)))


def note(version: Version) -> str:
    """What is to be known about a file that may be looked at only; empty for any other."""
    if not is_newer_major(version):
        return ""
    told = "{}.{}".format(*version)
    return f"made by a newer Microtome (format {told}); it can be looked at, not changed"


@contextlib.contextmanager
def understanding(name: str, version: Version) -> Iterator[None]:
    """What this version cannot read of a newer major version is no damage.

    Raises NewerSession in the place of SessionDamaged then.
    """
    try:
        yield
    except SessionDamaged as error:
        if not is_newer_major(version):
            raise
        raise NewerSession(
            f"{name} was made by a newer Microtome: its format is {version[0]}.{version[1]}, this "
            f"program reads {MAJOR}, and what is in it cannot be understood.",
            "Install the newest Microtome.",
        ) from error
