"""A prompt as Python writes it: texts and ids as they are, images by where they were taken from."""

from __future__ import annotations

from microtome.prompts import ImageInput, Prompt, Question
from microtome_desktop.state.albums import SET

UNNAMED = "An image came from the clipboard, so no line can name it: save it and open the file."


def prompt_code(prompt: Prompt | None) -> str:
    """The expression that gives a prompt; an image without a place is read by its name."""
    if not isinstance(prompt, ImageInput):
        return repr(prompt)
    if prompt.source.startswith(SET):
        name, _, number = prompt.source.removeprefix(SET).rpartition("/")
        return f"mt.load_image_set({name!r}).image({number})"
    return f"mt.read_image({prompt.source or prompt.name!r})"


def unnamed(question: Question) -> bool:
    """Whether an image of a question was taken from no file and no set."""
    images = (question.prompt, question.corrupt)
    return any(isinstance(one, ImageInput) and not one.source for one in images)
