"""What is said of an adapter before it runs."""

from __future__ import annotations

from pathlib import Path

ADAPTER = "adapter"  # the architecture of a model that was opened through one


def named(adapter: str, weights: str) -> str:
    """An adapter and its weights in one line."""
    return f"{Path(adapter).name} with {Path(weights).name}"


def problem_of(adapter: str, weights: str) -> str:
    """What is wrong with the two files, empty when nothing is or nothing was chosen."""
    for path, ending, what in ((adapter, ".py", "adapter"), (weights, ".safetensors", "weights")):
        if path and Path(path).suffix != ending:
            return f"{Path(path).name} is no file of this kind: the {what} must end in {ending}."
        if path and not Path(path).expanduser().is_file():
            return f"There is no file {path}."
    return ""


def consent_text(adapter: str) -> str:
    """What running an adapter means, with the path of the file."""
    path = Path(adapter).expanduser().absolute()
    return (
        f"{path}\n\nOpening this runs the code of the file with all your rights: it can read, "
        "change and send whatever you can. Do so only with a file that you wrote or have read."
    )
