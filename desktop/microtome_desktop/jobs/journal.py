"""How jobs are told in the log: by their kind and seconds, never by what they are about."""

from __future__ import annotations

import re

from microtome_desktop.jobs.failure import Failure
from microtome_desktop.jobs.request import Request
from microtome_desktop.state import log

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def asked(number: int, request: Request) -> None:
    """Note a job that somebody asked for; a quiet one, many a second, only when it fails."""
    if not request.quiet:
        log.event(f"Job {number} asked: {_kind(request)}")


def ended(number: int, request: Request, seconds: float, how: str) -> None:
    """Note that a job is done or stopped."""
    if not request.quiet:
        log.event(f"Job {number} {how} after {seconds:.1f} s: {_kind(request)}")


def failed(number: int, request: Request, seconds: float, failure: Failure) -> None:
    """Note that a job failed, and where."""
    log.fault(f"Job {number} failed after {seconds:.1f} s: {_kind(request)}", failure.way)


def _kind(request: Request) -> str:
    return _WORD.sub(" ", type(request).__name__).lower()
