"""A worker's signal is connected to bound methods only.

PySide6 runs a lambda, a plain function and a partial in the thread that emits, so such a slot
would touch widgets from the worker's thread. Only a bound method of a QObject is queued to the
thread that the object lives in.
"""

from __future__ import annotations

import ast

import pytest

WORKER_WORDS = ("runner", "worker", "thread", "job")


def receiver(call: ast.Call) -> str:
    """Return the dotted text before `.connect`."""
    return ast.unparse(call.func.value)


def is_worker_signal(source_name: str, call: ast.Call) -> bool:
    inside_jobs = source_name.startswith("desktop/microtome_desktop/jobs")
    return inside_jobs or any(word in receiver(call).lower() for word in WORKER_WORDS)


def unsafe_connections(source_name: str, tree: ast.Module) -> list[str]:
    """Return the connections of worker signals to anything but an attribute of an object."""
    return [
        f"{source_name}:{call.lineno} {ast.unparse(call)}"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "connect"
        and call.args
        and is_worker_signal(source_name, call)
        and not isinstance(call.args[0], ast.Attribute)
    ]


def test_worker_signals_connect_to_bound_methods(package_sources):
    found = [
        line
        for source in package_sources
        if source.name.startswith("desktop/")
        for line in unsafe_connections(source.name, source.tree)
    ]
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "self._runner.finished.connect(lambda result: self.show(result))",
        "job_signals.progress.connect(show)",
        "worker.failed.connect(partial(self.show, 1))",
    ],
)
def test_other_slots_are_found(line):
    assert unsafe_connections("desktop/microtome_desktop/wiring.py", ast.parse(line))


@pytest.mark.parametrize(
    "line",
    [
        "self._runner.finished.connect(self.on_finished)",
        "button.clicked.connect(lambda: self.run())",
    ],
)
def test_bound_methods_and_widgets_pass(line):
    assert not unsafe_connections("desktop/microtome_desktop/wiring.py", ast.parse(line))
