"""What can go wrong when transformers opens a model, as one readable error."""

from __future__ import annotations

import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from microtome.errors import MemoryExceeded, ModelDamaged, ModelError
from microtome.full_memory import memory_exceeded, memory_ran_out

# What transformers and its helpers raise for files that do not fit together.
LOAD_ERRORS = (
    AttributeError,
    ImportError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    SafetensorError,
    StrictDataclassError,
)


def quieten() -> None:
    """Keep transformers' progress bars off standard error: ours are in the window."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def first_line(error: BaseException) -> str:
    """The first line of an error's text, as a sentence."""
    text = str(error).strip()
    return f"{text.splitlines()[0] if text else type(error).__name__}."


def load_error(name: str, error: BaseException) -> ModelError | MemoryExceeded:
    """What to tell of an error: that memory ran out, or that the files do not fit together."""
    if memory_ran_out(error):
        return memory_exceeded(
            f"The weights of {name} do not fit into memory",
            "Choose a smaller model, or bfloat16, or close other programs.",
            error,
        )
    if "ignore_mismatched_sizes" in str(error):  # what it says of it helps nobody
        return ModelDamaged(
            f"The weights of {name} have other shapes than its config.json announces.",
            "They do not belong together: download the model again.",
        )
    return ModelDamaged(
        f"{name} could not be loaded: {first_line(error)}", "Download the model again."
    )
