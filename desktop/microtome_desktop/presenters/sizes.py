"""Numbers with their units, as people read them."""

from __future__ import annotations


def bytes_text(count: float) -> str:
    """For example ``1.2 GiB``."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def count_text(count: int) -> str:
    """For example ``873k`` or ``1.2M``."""
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= limit:
            value = count / limit
            return f"{value:.0f}{unit}" if value >= 100 else f"{value:.3g}{unit}"
    return str(count)


def seconds_text(seconds: float) -> str:
    """For example ``3 s`` or ``2 min 5 s``."""
    whole = max(0, round(seconds))
    if whole < 1:
        return "< 1 s"
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
