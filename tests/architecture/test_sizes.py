"""The house measures: a file that outgrows its room is split while that is cheap."""

from __future__ import annotations

import ast
import statistics

MODULE_LINES = 400
FUNCTION_LINES = 50
MEDIAN_FUNCTION_LINES = 10
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# Where anything may go wrong and must become a message: the two last resorts.
CATCH_ALL = {
    "desktop/microtome_desktop/jobs/worker.py",
    "desktop/microtome_desktop/application.py",
}


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function from `def` to its end, without its docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        docstring = function.body[0]
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


def functions(source):
    return [node for node in source.nodes if isinstance(node, FUNCTIONS)]


def catches_all(handler: ast.ExceptHandler) -> bool:
    """Return whether `handler` catches everything and does not raise it again at its end."""
    if isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None:
        return False
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
    return handler.type is None or bool(names & {"Exception", "BaseException"})


def test_no_module_outgrows_its_room(all_sources):
    lengths = {source.name: len(source.text.splitlines()) for source in all_sources}
    assert not {name: lines for name, lines in lengths.items() if lines > MODULE_LINES}


def test_no_function_outgrows_a_screen(all_sources):
    lengths = {
        f"{source.name}:{function.lineno} {function.name}": code_lines(function)
        for source in all_sources
        for function in functions(source)
    }
    assert not {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES}


def test_the_median_function_is_short(package_sources):
    lengths = [code_lines(function) for source in package_sources for function in functions(source)]
    assert statistics.median(lengths) <= MEDIAN_FUNCTION_LINES


def test_nothing_is_left_for_later(all_sources):
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    assert not [source.name for source in all_sources if any(mark in source.text for mark in marks)]


def test_everything_is_caught_in_two_places_only(shipped_sources):
    catching = [
        source.name
        for source in shipped_sources
        for node in source.nodes
        if isinstance(node, ast.ExceptHandler) and catches_all(node)
    ]
    assert set(catching) <= CATCH_ALL
    assert len(catching) == len(set(catching))


def test_only_the_command_line_prints(package_sources):
    printing = {
        source.name
        for source in package_sources
        for node in source.nodes
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    }
    assert all(name.startswith("core/microtome/cli") for name in printing)
