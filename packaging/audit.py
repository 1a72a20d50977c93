"""Compare what is installed, and what pyproject.toml allows, with a folder of known faults.

    python packaging/audit.py [FOLDER]

The folder holds advisories as JSON in the format of OSV (https://ossf.github.io/osv-schema/), as
osv.dev hands them out for PyPI, in any sub-folders; MICROTOME_ADVISORIES names it too. Nothing is
fetched. The exit status is 1 when a fault is known, 2 when the folder cannot be used, and 0 without
a folder: then nothing was compared, and that is said.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

VARIABLE = "MICROTOME_ADVISORIES"
ROOT = Path(__file__).resolve().parent.parent
NO_DATABASE = (
    f"No advisories are at hand, so nothing was compared. Let {VARIABLE} name a folder of them "
    "(JSON in the format of OSV, as osv.dev hands them out for PyPI)."
)
LOWER = {">=", "~=", "=="}  # operators that name the oldest version that is allowed


@dataclass(frozen=True, order=True)
class Fault:
    """A known fault of a version that is installed or allowed."""

    package: str
    version: str
    advisory: str
    summary: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.package} {self.version}: {self.advisory} {self.summary}".rstrip()


@dataclass(frozen=True)
class Database:
    """The affected packages of all advisories by name, and files that were none."""

    entries: Mapping[str, Sequence[tuple[dict[str, Any], dict[str, Any]]]]
    unread: Sequence[Path]

    def faults(self, versions: Iterable[tuple[str, str]]) -> list[Fault]:
        """What is known of these names and versions."""
        return sorted(
            {
                Fault(name, version, str(advisory.get("id", "?")), _summary(advisory))
                for name, version in versions
                if _is_version(version)
                for advisory, affected in self.entries.get(canonicalize_name(name), ())
                if _hits(affected, version)
            }
        )


def read(folder: Path) -> Database:
    """All advisories below a folder that are about packages of PyPI and were not withdrawn."""
    entries: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    unread = []
    for path in sorted(folder.rglob("*.json")):
        try:
            advisory = json.loads(path.read_text("utf-8"))
            found = list(_packages(advisory))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            unread.append(path)
            continue
        for name, affected in found:
            entries.setdefault(name, []).append((advisory, affected))
    return Database(entries, unread)


def _packages(advisory: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for affected in () if advisory.get("withdrawn") else advisory["affected"]:
        package = affected.get("package", {})
        if package.get("ecosystem") == "PyPI":
            _hits(affected, "0")  # one that cannot be compared is told as unread
            yield canonicalize_name(package["name"]), affected


def _hits(affected: dict[str, Any], text: str) -> bool:
    """Whether a version is affected, by the algorithm of the format's description."""
    version = _version(text)
    # Names of very old releases are no versions; none of them can be installed.
    listed = {_version(each) for each in affected.get("versions", ()) if _is_version(each)}
    ranges = affected.get("ranges", ())
    return version in listed or any(
        _inside(each.get("events", ()), version) for each in ranges if each.get("type") != "GIT"
    )


def _inside(events: Iterable[dict[str, str]], version: Version) -> bool:
    inside = False
    for kind, at in sorted((_event(event) for event in events), key=lambda pair: pair[1]):
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _event(event: dict[str, str]) -> tuple[str, Version]:
    ((kind, at),) = event.items()
    return kind, _version(at)


def _version(text: str) -> Version:
    """A version without its local part: a build for the CPU is the same release."""
    return Version(Version(text).public)


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _summary(advisory: dict[str, Any]) -> str:
    names = ", ".join(map(str, advisory.get("aliases", ())))
    text = str(advisory.get("summary") or advisory.get("details", "")).strip().partition("\n")[0]
    return f"({names}) {text}" if names else text


def installed() -> list[tuple[str, str]]:
    """Names and versions of all distributions of this environment."""
    return sorted({(each.name, each.version) for each in distributions()})


def oldest(pyproject: Path) -> list[tuple[str, str]]:
    """Names and oldest versions that the project allows, with all extras."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    asked = [Requirement(line) for group in groups for line in group]
    return [(r.name, s.version) for r in asked for s in r.specifier if s.operator in LOWER]


def main(arguments: Sequence[str]) -> int:
    """Compare and tell; returns the exit status."""
    named = arguments[0] if arguments else os.environ.get(VARIABLE)
    if not named:
        print(NO_DATABASE)
        return 0
    database = read(Path(named))
    if not database.entries:
        print(f"{named} holds no advisories about packages of PyPI. {NO_DATABASE}")
        return 2
    count = sum(map(len, database.entries.values()))
    unread = len(database.unread)
    print(f"{count} entries about {len(database.entries)} packages; {unread} files not read.")
    found = 0
    for title, versions in (
        ("Installed", installed()),
        ("Allowed by pyproject.toml", oldest(ROOT / "pyproject.toml")),
    ):
        faults = database.faults(versions)
        found += len(faults)
        print(f"{title}: {len(versions)} versions, {len(faults)} known faults.")
        for fault in faults:
            print(f"  {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
