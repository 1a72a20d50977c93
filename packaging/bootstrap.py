"""Set Microtome up on a fresh machine, then start what was asked.

    python packaging/bootstrap.py run [ARGUMENTS]     the window, or `microtome ARGUMENTS`
    python packaging/bootstrap.py test [ARGUMENTS]    the tests; ARGUMENTS go to pytest
    python packaging/bootstrap.py check               lint, format, types, imports, sizes
    python packaging/bootstrap.py models              train the embedded models again
    python packaging/bootstrap.py bench [ARGUMENTS]   the measurements; ARGUMENTS go to pytest
    python packaging/bootstrap.py pictures            the pictures in docs/, from the real window
    python packaging/bootstrap.py torture [ARGUMENTS] thousands of kills, power cuts and full disks
    python packaging/bootstrap.py audit [FOLDER]      known faults of what is installed and allowed
    python packaging/bootstrap.py installcheck [3.12] the wheel in fresh environments, used
    python packaging/bootstrap.py bundle [--check]    a folder that needs no Python, used

Only the standard library is used here. This file alone must parse under an old Python, so that
it can say so; the modules beside it are imported after that check.
"""

import os
import shutil
import sys

OLDEST = (3, 11)


def hand_over_to_newer_python() -> None:
    """Continue under a newer Python of this machine, or say that none was found."""
    for minor in (13, 12, 11, 14):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])  # noqa: S606
    sys.exit(
        f"Microtome needs Python {OLDEST[0]}.{OLDEST[1]} or newer; this is "
        f"{sys.version_info[0]}.{sys.version_info[1]} and no newer one is on the PATH.\n"
        "Install one (on Debian and Ubuntu: apt-get install python3 python3-venv) "
        "and start this command with it."
    )


if __name__ == "__main__":
    if sys.version_info < OLDEST:
        hand_over_to_newer_python()
    from tasks import main

    sys.exit(main(sys.argv[1:]))
