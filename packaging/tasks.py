"""What can be started: window, tests, checks, training, measurements, pictures."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import environment
import native
import parts
import screen

USAGE = (
    "usage: bootstrap.py {run|test|check|models|bench|pictures|torture|fuzz|robot|audit|"
    "installcheck|bundle} [arguments]"
)
EXAMPLE = "microtome-example"
INTERRUPTED = 130
TIMED = "--timed"  # an argument of `test`

# Prints the start example as the arguments of `microtome run`.
START_EXAMPLE = """
import json
from microtome_resources import START_EXAMPLE as example
print(json.dumps([
    "--model", example.model, "--prompt", example.clean,
    "--answer", example.answer, "--wrong", example.wrong,
]))
"""

LINT_IMPORTS = "from importlinter.cli import lint_imports_command as lint; lint(['--no-logo'])"

CHECKS = {
    "lint": ["-m", "ruff", "check"],
    "format": ["-m", "ruff", "format", "--check"],
    "types": ["-m", "mypy"],
    "imports": ["-c", LINT_IMPORTS],
    "sizes": ["-m", "pytest", "-q", "tests/architecture/test_sizes.py"],
}


def main(arguments: Sequence[str]) -> int:
    """Set up what is missing, start the task that `arguments` name, return its exit status."""
    if not arguments or arguments[0] not in TASKS:
        print(USAGE, file=sys.stderr)
        return 2
    extras, task = TASKS[arguments[0]]
    # Asked to end, this process still has a screen in memory to switch off.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        set_up(extras)
        return task(list(arguments[1:]))
    except environment.SetupError as error:
        print(f"Microtome could not be set up. {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        return INTERRUPTED


def set_up(extras: set[str]) -> None:
    """Bring Python packages and native libraries up to date; cheap when nothing is to do."""
    environment.ensure(extras)
    if not environment.read_stamp().get("native"):
        environment.write_stamp(native=native.provide())


def run(arguments: list[str]) -> int:
    """Open the window, or hand `arguments` to the command line."""
    if arguments or screen.has_display():
        return _become_microtome(arguments)
    return _example_without_window()


def test(arguments: list[str]) -> int:
    """Run the tests on a screen in memory; all of them in a few processes at once, part by part.

    With ``--timed`` alone all run, and what each file took is written down for the next time.
    """
    if arguments not in ([], [TIMED]):
        return _pytest(arguments)
    all_parts = parts.parts(environment.ROOT)
    with ThreadPoolExecutor(parts.AT_ONCE) as pool:
        statuses = []
        for output, status in pool.map(_part, all_parts):
            print(output, flush=True)
            statuses.append(status)
    if arguments:
        parts.record(environment.ROOT, map(_report, all_parts))
    return max(statuses)


def _report(part: parts.Part) -> Path:
    return environment.ROOT / ".pytest_cache" / f"{part.name.replace(' ', '-')}.xml"


def _part(part: parts.Part) -> tuple[str, int]:
    """The output and exit status of some of the tests, with a screen and a cache of their own."""
    report = _report(part)
    own = ["-o", f"cache_dir={report.with_suffix('')}", f"--junitxml={report}"]
    command = [str(environment.PYTHON), "-m", "pytest", *part.options, *own]
    with screen.virtual_screen() as variables:
        done = subprocess.run(
            [*command, *map(str, part.files)], cwd=environment.ROOT,
            env={**variables, **parts.SETTINGS}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
    return done.stdout, done.returncode


def bench(arguments: list[str]) -> int:
    """Run the measurements, with their ratios shown and without the tests' shape checks."""
    plain = ["-m", "benchmark", "--jaxtyping-packages=", "-s"]
    return _pytest(["tests/benchmarks", *plain, *arguments])


def torture(arguments: list[str]) -> int:
    """Run the tests of the write-ahead log with thousands of kills and cuts: about an hour."""
    long = ["--jaxtyping-packages=", "--timeout=0", "-s"]
    os.environ["MICROTOME_TORTURE"] = "1"
    return _pytest(["tests/core/wal", *long, *arguments])


def fuzz(arguments: list[str]) -> int:
    """Damage sound files at random and have every reader read them: ten minutes, or as asked."""
    script = environment.ROOT / "tests" / "core" / "fuzz" / "run.py"
    return _python([str(script), *arguments], cwd=Path.cwd())


def robot(arguments: list[str]) -> int:
    """Let a robot use the window for ``--seconds``, an hour where nothing else is said.

    It draws its deeds by ``--seed``, and writes them down in ``--folder``; ``--replay`` names such
    a log, to be done again.
    """
    asking = argparse.ArgumentParser("bootstrap.py robot")
    asking.add_argument("--seconds", type=float, default=3600.0)
    asking.add_argument("--seed", type=int, default=0)
    asking.add_argument("--folder", type=Path, default=environment.ROOT / ".pytest_cache" / "robot")
    asking.add_argument("--replay", type=Path)
    asked, others = asking.parse_known_args(arguments)
    for name, value in vars(asked).items():
        if value is not None:
            place = value.absolute() if isinstance(value, Path) else value
            os.environ[f"MICROTOME_ROBOT_{name.upper()}"] = str(place)
    # pytest's log would keep the trace of every error, and with it panels that are long gone.
    plain = ["--jaxtyping-packages=", "--timeout=0", "-s", "-p", "no:logging"]
    return _pytest(["tests/desktop/robot", *plain, *others])


def check(_arguments: list[str]) -> int:
    """Run every check, also after one has failed, and say which did."""
    failed = []
    for name, command in CHECKS.items():
        print(f"── {name}", flush=True)
        if _python(command, cwd=environment.ROOT):
            failed.append(name)
    print(f"check failed: {', '.join(failed)}" if failed else "check passed", flush=True)
    return 1 if failed else 0


def models(arguments: list[str]) -> int:
    """Train and compile the embedded models again, from their seeds."""
    script = environment.ROOT / "resources" / "training" / "make_models.py"
    return _python([str(script), *arguments], cwd=Path.cwd())


def pictures(arguments: list[str]) -> int:
    """Make the pictures of the documentation, and their page, from the real window."""
    with screen.virtual_screen() as surroundings:
        command = ["-m", "microtome_desktop.picturing", *arguments]
        return _python(command, cwd=environment.ROOT, env=surroundings)


def audit(arguments: list[str]) -> int:
    """Compare what is installed and allowed with a folder of known faults, where one is named."""
    script = environment.ROOT / "packaging" / "audit.py"
    return _python([str(script), *arguments], cwd=Path.cwd())


def installcheck(arguments: list[str]) -> int:
    """Install the wheel in fresh environments of each Python that is supported, and use it."""
    script = environment.ROOT / "packaging" / "installcheck.py"
    return _python([str(script), *arguments], cwd=environment.ROOT)


def bundle(arguments: list[str]) -> int:
    """Build the folder that needs no Python, and use it."""
    script = environment.ROOT / "packaging" / "bundle.py"
    return _python([str(script), *arguments], cwd=environment.ROOT)


TASKS = {
    "run": ({"desktop"}, run),
    "test": ({"desktop", "test"}, test),
    "check": ({"desktop", "test"}, check),
    "models": ({"desktop"}, models),
    "bench": ({"desktop", "test"}, bench),
    "pictures": ({"desktop", "test"}, pictures),
    "torture": ({"desktop", "test"}, torture),
    "fuzz": ({"desktop", "test"}, fuzz),
    "robot": ({"desktop", "test"}, robot),
    "audit": ({"desktop", "test"}, audit),
    "installcheck": ({"desktop", "test"}, installcheck),
    "bundle": ({"desktop", "test", "bundle"}, bundle),
}


def _example_without_window() -> int:
    session, picture = f"{EXAMPLE}.h5", f"{EXAMPLE}.png"
    print("No display here, so no window: running its first example without one.", flush=True)
    answer = subprocess.run(
        [environment.PYTHON, "-c", START_EXAMPLE], capture_output=True, text=True, check=True
    )
    commands = (
        ["run", *json.loads(answer.stdout), "--out", session],
        ["render", session, "--out", picture],
    )
    with screen.virtual_screen() as surroundings:
        for command in commands:
            status = _microtome(command, surroundings)
            if status:
                return status
    print(f"Wrote {session} (the session) and {picture} (the window with it).")
    return 0


def _pytest(arguments: list[str]) -> int:
    with screen.virtual_screen() as surroundings:
        return _python(["-m", "pytest", *arguments], cwd=environment.ROOT, env=surroundings)


def _python(arguments: Sequence[str], *, cwd: Path, env: dict[str, str] | None = None) -> int:
    command = [str(environment.PYTHON), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, check=False).returncode


def _microtome(arguments: Sequence[str], env: dict[str, str]) -> int:
    command = [str(environment.SCRIPTS / "microtome"), *arguments]
    return subprocess.run(command, env=env, check=False).returncode


def _become_microtome(arguments: Sequence[str]) -> int:
    """Go on as the command line itself; on Windows, which cannot, wait for it."""
    program = str(environment.SCRIPTS / "microtome")
    if os.name != "nt":
        os.execv(program, [program, *arguments])  # noqa: S606
    return _microtome(arguments, dict(os.environ))
