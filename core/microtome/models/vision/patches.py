"""Patches as tokens: what a model that sees has in place of a tokenizer.

Each patch that was ever asked about has an id, and the same pixels have the same id, as words
have. A convolutional net reads the whole image as one token.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from microtome.errors import PromptError
from microtome.images.preprocessing import Preprocessing
from microtome.models.tokens import Lexicon, Tokens
from microtome.prompts import ImageInput, Prompt, as_prompt


class PatchLexicon(Lexicon):
    """The patches that a model has been shown, as rows of a table that grows.

    ``leading`` are the names of tokens that stand before the patches and hold no pixels; their
    ids come first. ``patch`` is the edge of a patch in pixels, None for the whole image.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        shape: tuple[int, int, int],
        name: str,
        patch: int | None = None,
        leading: tuple[str, ...] = (),
    ) -> None:
        super().__init__(None, len(leading), None, name)
        self.preprocessing, self.leading, self.shape = preprocessing, leading, shape
        channels, height, width = shape
        self.patch = (height, width) if patch is None else (patch, patch)
        self.grid = (height // self.patch[0], width // self.patch[1])
        self._channels = channels
        self._count = len(leading)
        self._ids: dict[bytes, int] = {}
        self._known_pixels: list[Float[np.ndarray, "channel row column"]] = []
        if patch is not None:
            self._context = len(leading) + self.n_patches
        self.mark = uuid.uuid4().hex
        self._first_seen: dict[int, str] = {}
        self.on_growth: Callable[[], None] | None = None  # told when patches were added

    @property
    def special_tokens(self) -> tuple[int, ...]:
        """The tokens before the patches."""
        return tuple(range(len(self.leading)))

    def documents(self, texts: Sequence[str]) -> list[list[int]]:
        """Raise PromptError: what a model that sees learns from are images."""
        del texts
        raise PromptError(
            f"{self._name} reads images, but a text was given.",
            "Give images: read_corpus(load_image_set('shapes')), or read_corpus(read_images(…)).",
        )

    def pixels_from(self, token: int) -> Float[np.ndarray, "patch channel row column"]:
        """The normalised pixels of a patch and of all that were shown after it."""
        return np.stack(self._known_pixels[token - len(self.leading) :])

    def imagine(self, count: int, seed: int = 0) -> None:
        """Know random patches, so that there is something to read before any image is shown."""
        random = np.random.default_rng(seed)
        shape = (count, self._channels, *self.patch)
        self._add(random.standard_normal(shape).astype(np.float32))

    @property
    def n_patches(self) -> int:
        """Patches of one image."""
        return self.grid[0] * self.grid[1]

    def tokenize(self, prompt: Prompt | Sequence[int]) -> Tokens:
        """The patches of an image behind the leading tokens, or ids of such as they are.

        Raises PromptError for a text, and for ids of patches that were never shown.
        """
        given = as_prompt(prompt)
        if isinstance(given, str):
            raise PromptError(
                f"{self._name} reads images, but a text was given.",
                "Open an image with read_image, or take one of an embedded set.",
            )
        if not isinstance(given, ImageInput):
            texts = tuple(self._place_text(at) for at in range(len(given)))
            tokens = Tokens(np.array(given, dtype=np.int32), texts, (), "patches")
            self._check(tokens)
            return tokens
        seen = self.preprocessing.prepare(given)
        ids = self._intern(self.preprocessing.pixels(seen), given.name)
        texts = tuple(self._place_text(at) for at in range(len(ids)))
        return Tokens(np.array(ids, dtype=np.int32), texts, (), given.name, image=seen)

    def token_text(self, token: int) -> str:
        """A leading token's name, or the image in which a patch was first seen, and where."""
        if token < len(self.leading):
            return self.leading[token]
        return self._first_seen.get(token, f"patch {token}")

    def pixels_of(self, token: int) -> Float[np.ndarray, "channel row column"]:
        """The normalised pixels of a patch."""
        return self._known_pixels[token - len(self.leading)]

    def image_of(self, ids: Sequence[int]) -> Float[np.ndarray, "channel row column"]:
        """The normalised pixels of all patches of an image, put together.

        Raises PromptError when these are not the tokens of a whole image.
        """
        patches = ids[len(self.leading) :]
        if len(patches) != self.n_patches or min(patches) < len(self.leading):
            raise PromptError(
                f"{self._name} reads {len(self.leading) + self.n_patches} tokens, the leading ones "
                f"and then {self.n_patches} patches, but {len(ids)} were given.",
                "Give an image, or all tokens of one.",
            )
        held = np.stack([self.pixels_of(token) for token in patches])
        rows, columns = self.grid
        apart = held.reshape(rows, columns, self._channels, *self.patch)
        return np.ascontiguousarray(apart.transpose(2, 0, 3, 1, 4).reshape(self.shape))

    def _intern(self, pixels: Float[np.ndarray, "channel row column"], name: str) -> list[int]:
        (rows, columns), (height, width) = self.grid, self.patch
        cut = pixels[:, : rows * height, : columns * width]
        apart = cut.reshape(self._channels, rows, height, columns, width).transpose(1, 3, 0, 2, 4)
        patches = apart.reshape(-1, self._channels, height, width)
        ids = self._add(patches)
        for at, token in enumerate(ids, len(self.leading)):
            self._first_seen.setdefault(token, f"{name} {self._place_text(at)}")
        return [*range(len(self.leading)), *ids]

    def _add(self, patches: Float[np.ndarray, "patch channel row column"]) -> list[int]:
        before = self._count
        ids = [self._id_of(np.ascontiguousarray(patch)) for patch in patches]
        if self._count > before and self.on_growth is not None:
            self.on_growth()
        return ids

    def _id_of(self, patch: Float[np.ndarray, "channel row column"]) -> int:
        key = patch.tobytes()
        if key not in self._ids:
            self._ids[key] = self._count
            self._known_pixels.append(patch)
            self._count += 1
            self._size = self._count  # ids below it can be read
        return self._ids[key]

    def _place_text(self, at: int) -> str:
        """What a position is called: a leading token, the image, or a patch's row and column."""
        if at < len(self.leading):
            return self.leading[at]
        if self.n_patches == 1:
            return "image"
        row, column = divmod(at - len(self.leading), self.grid[1])
        return f"{row},{column}"
