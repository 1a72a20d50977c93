"""Tiny nets that see, and images for them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microtome.models.loading import load_model
from microtome.models.model import Model
from microtome.prompts import ImageInput


def _neighbour(name: str) -> Any:
    """A helper module beside this file; importlib mode puts no test folder on the path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


tiny_sight = _neighbour("tiny_sight")


@pytest.fixture(scope="session")
def sight_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``sight_folder(name)``: the files of a random net; names are ``tiny_sight.CONFIGS``."""
    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            folders[name] = tiny_sight.save(name, tmp_path_factory.mktemp(name))
        return folders[name]

    return folder


@pytest.fixture(scope="session")
def sees(sight_folder: Callable[[str], Path]) -> Callable[..., Model]:
    """``sees(name, dtype="float32")``: a random net, shared by all tests: change no weights."""
    made: dict[tuple[str, str], Model] = {}

    def model(name: str, dtype: str = "float32") -> Model:
        if (name, dtype) not in made:
            made[name, dtype] = load_model(sight_folder(name), dtype=dtype)
        return made[name, dtype]

    return model


@pytest.fixture(scope="session")
def pictures() -> tuple[ImageInput, ...]:
    """Four images of noise of 16 by 16 pixels."""
    random = np.random.default_rng(7)
    shape = (16, 16, 3)
    return tuple(
        ImageInput(random.integers(0, 256, shape, dtype=np.uint8), name=f"noise {at}")
        for at in range(4)
    )
