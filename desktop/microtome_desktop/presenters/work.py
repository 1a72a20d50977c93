"""What the job panel and the status bar say of a job."""

from __future__ import annotations

from microtome.jobs import Progress
from microtome_desktop.presenters.sizes import bytes_text, seconds_text
from microtome_desktop.state.work import Outcome, Piece

# Shorter work would only make an estimate flicker.
_ESTIMATE_AFTER = 1.0


def state_text(piece: Piece) -> str:
    """For example ``waiting``, ``40%``, ``pausing``, ``paused`` or ``done``."""
    if piece.outcome is Outcome.PAUSED:
        return "paused" if piece.rest else "pausing"
    if piece.outcome is not Outcome.RUNNING:
        return str(piece.outcome)
    share = 0.0 if piece.progress is None else piece.progress.fraction
    return f"{share:.0%}" if share else "running"


def progress_text(progress: Progress) -> str:
    """What is being done, how far it is, how fast it goes and how long it will take."""
    parts = [progress.title]
    if progress.unit == "B":
        parts[0] += f": {bytes_text(progress.done)} of {bytes_text(progress.total)}"
        parts += [f"{bytes_text(progress.rate)}/s"] if progress.rate else []
    elif progress.total > 1:
        parts[0] += f" {progress.fraction:.0%}"
    if progress.remaining is not None and progress.elapsed > _ESTIMATE_AFTER:
        parts.append(f"about {seconds_text(progress.remaining)} left")
    return ", ".join(parts)


def detail_text(piece: Piece) -> str:
    """All that is known of a job beside its line in the list."""
    lines = [piece.problem]
    if piece.outcome is Outcome.WAITING:
        lines.append("Waits for the job before it.")
    if piece.outcome is Outcome.PAUSED:
        lines.append(
            "Rests until it is told to go on; jobs behind it wait with it."
            if piece.rest
            else "Will rest after the step that it is in."
        )
    if piece.under_way and piece.progress is not None:
        lines.append(progress_text(piece.progress))
    if piece.parts:
        lines.append(f"On screen already: {', '.join(piece.parts)}.")
    if piece.under_way and piece.memory is not None:
        lines.append(f"Takes about {bytes_text(piece.memory)} of memory.")
    return "\n".join(line for line in lines if line)


def pause_reason(piece: Piece | None) -> str:
    """Why a job can neither be paused nor go on, empty when it can."""
    if piece is None:
        return "Choose a job first."
    if not piece.under_way:
        return "It has ended."
    if piece.outcome is Outcome.WAITING:
        return "It has not begun."
    return piece.restless


def at_stake_text(pieces: tuple[Piece, ...]) -> str:
    """What would be killed, as a sentence."""
    first = pieces[0]
    share = 0.0 if first.progress is None else first.progress.fraction
    known = f" ({share:.0%})" if share else ""
    more = f", and {len(pieces) - 1} more" if len(pieces) > 1 else ""
    verb = "are" if more else "is"
    return f"“{first.title}”{known}{more} {verb} still under way."
