"""What is said of an image: its name, how large it is, where it is from."""

from __future__ import annotations

from microtome.prompts import ImageInput
from microtome_desktop.state.albums import SET


def size_text(image: ImageInput) -> str:
    """For example ``32 × 32 grey``."""
    rows, columns = image.size
    return f"{rows} × {columns} {'grey' if image.values.shape[2] == 1 else 'colour'}"


def image_name(image: ImageInput) -> str:
    """For example ``cup.png, 640 × 480 colour``."""
    return f"{image.name}, {size_text(image)}"


def image_tip(image: ImageInput, seen: ImageInput | None) -> str:
    """Where it is from, what the model sees of it, and what reading it left away."""
    lines = [image_name(image)]
    if image.source.startswith(SET):
        name, _, number = image.source.removeprefix(SET).rpartition("/")
        lines.append(f"image {number} of the set {name}")
    elif image.source:
        lines.append(image.source)
    if seen is not None:
        lines.append(f"The model sees {size_text(seen)}, as shown.")
    return "\n".join([*lines, *([image.note] if image.note else [])])
