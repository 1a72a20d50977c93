"""The palette under the name that views use."""

from microtome_desktop.palette import *  # noqa: F403
