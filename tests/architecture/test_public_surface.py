"""The public names: all there, all documented, and the same for people and type checkers."""

from __future__ import annotations

import ast
import inspect
import pkgutil

import pytest

import microtome


def names_for_type_checkers(tree: ast.Module) -> set[str]:
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    return {
        alias.asname or alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("name", sorted(microtome.__all__))
def test_every_public_name_loads_and_tells_what_it_is(name):
    assert inspect.getdoc(getattr(microtome, name))


def test_public_names_are_listed_once():
    assert len(microtome.__all__) == len(set(microtome.__all__))
    assert set(microtome.__all__) <= set(dir(microtome))


def test_type_checkers_see_the_same_names(package_sources):
    facade = next(
        source for source in package_sources if source.name == "core/microtome/__init__.py"
    )
    assert names_for_type_checkers(facade.tree) == set(microtome.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'mircotome'"):
        microtome.mircotome  # noqa: B018


def test_no_public_name_is_also_a_module():
    # Importing a module of the name would put itself in the place of the function.
    modules = {module.name for module in pkgutil.iter_modules(microtome.__path__)}
    assert not modules & set(microtome.__all__)
