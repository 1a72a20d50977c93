"""Fixtures that every test of the engine may use."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from microtome.models.model import Model


def _neighbour(name: str) -> Any:
    """A helper module beside this file; importlib mode puts no test folder on the path."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec
        assert spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


tiny_models = _neighbour("tiny_models")
session_records = _neighbour("session_records")
_neighbour("session_samples")
_neighbour("plain_forward")
_neighbour("plain_edges")
_neighbour("random_anatomy")
_neighbour("dense_graph")
_neighbour("plain_sweeps")
_neighbour("tensor_memory")
_neighbour("graph_samples")
_neighbour("plain_pruning")
_neighbour("plain_files")
_neighbour("plain_other_files")
_neighbour("red_checks")
# A package whose modules are loaded when they are asked for.
_hostile: Any = ModuleType("hostile")
_hostile.__path__ = [str(Path(__file__).with_name("hostile"))]
sys.modules["hostile"] = _hostile


LOADED: list[Model] = []  # every model that the tests share


@pytest.fixture(autouse=True)
def no_hooks_left() -> Iterator[None]:
    """Fail a test that leaves a hook on a model, whatever it did: run, edit, cancel or fail."""
    yield
    left = [model.identity.name for model in LOADED if hooks_on(model)]
    assert not left, f"hooks left on {left}"


def hooks_on(model: Model) -> int:
    """How many hooks its modules have."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(each, kind)) for each in model.module.modules() for kind in kinds)


@pytest.fixture(scope="session")
def plain() -> Any:
    """The forward pass written plainly: ``plain.run(anatomy, ids)`` gives logits and all sites."""
    return _neighbour("plain_forward")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``tiny_folder(name, **changes)``: the folder of a random model, without a tokenizer.

    Shared by all tests, so read only.
    """
    made: dict[tuple[Any, ...], Path] = {}

    def folder(name: str, *, seed: int = 0, **changes: Any) -> Path:
        key = (name, seed, *sorted(changes.items()))
        if key not in made:
            made[key] = tiny_models.save(name, tmp_path_factory.mktemp(name), seed, **changes)
        return made[key]

    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_folder: Callable[..., Path]) -> Callable[..., Model]:
    """``tiny_model(name, dtype="float32", **changes)``: a loaded random model without a tokenizer.

    Shared by all tests, so nobody may change its weights. Names are ``tiny_models.FAMILIES``.
    """
    made: dict[tuple[Any, ...], Model] = {}

    def model(name: str, *, dtype: str = "float32", seed: int = 0, **changes: Any) -> Model:
        from microtome.models.loading import load_model

        key = (name, dtype, seed, *sorted(changes.items()))
        if key not in made:
            made[key] = load_model(tiny_folder(name, seed=seed, **changes), dtype=dtype)
            LOADED.append(made[key])
        return made[key]

    return model


@pytest.fixture(scope="session")
def embedded() -> Callable[[str], Model]:
    """``embedded(name)``: an embedded model, loaded once for all tests."""
    made: dict[str, Model] = {}

    def model(name: str) -> Model:
        from microtome.models.loading import load_model

        if name not in made:
            made[name] = load_model(name)
            LOADED.append(made[name])
        return made[name]

    return model


@pytest.fixture(scope="session")
def stories() -> Model:
    """A real Llama of 260 k parameters, from the test data outside the repository."""
    from microtome.models.loading import load_model

    data = os.environ.get("MICROTOME_TEST_DATA")
    folder = Path(data or ".") / "models" / "stories260k"
    if not data or not folder.is_dir():
        pytest.skip("MICROTOME_TEST_DATA names no folder with models/stories260k")
    return load_model(folder)


@pytest.fixture(scope="session")
def session_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session file that holds everything; shared by all tests, so read only."""
    from microtome.session.writer import save_session
    from microtome.sites import SITES

    path = tmp_path_factory.mktemp("session") / "session.h5"
    return save_session(path, session_records.full_session(), include=(*SITES, "logits"))


@pytest.fixture
def session_copy(session_file: Path, tmp_path: Path) -> Path:
    """A copy of the session file that a test may change."""
    return Path(shutil.copy(session_file, tmp_path / "copy.h5"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for ``family`` on every family, for ``paired`` on those with pairs."""
    if "paired" in metafunc.fixturenames:
        metafunc.parametrize("paired", tiny_models.PAIRED)
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", tiny_models.FAMILIES)
