"""Write the embedded text: documents of the grammars that words-4l was trained on."""

from pathlib import Path
from typing import Final

from training.documents import Split, seeded
from training.prompt_sets import as_text
from training.tasks import TASKS

NAME: Final = "words-4l"
_DRAWN: Final = 7_000


def documents(split: Split, seed: str, count: int) -> tuple[str, ...]:
    """Return different texts, as one would type them, in the mixture of the training."""
    rng = seeded(seed)
    shares = [task.weight for task in TASKS]
    drawn: dict[str, None] = {}
    for _ in range(count):
        (task,) = rng.choices(TASKS, shares)
        drawn.setdefault(as_text(task.document(rng, split).words))
    return tuple(drawn)


def write(folder: Path) -> None:
    """Write ``words-4l.txt``, a document a line."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(documents(Split.TRAINING, "text 0", _DRAWN))
    (folder / f"{NAME}.txt").write_text(text + "\n", encoding="utf-8")
