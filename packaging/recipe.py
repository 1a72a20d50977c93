"""What goes into a bundle: modules found by name only, data files, and what stays out."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DOCUMENT = "application/x-microtome-session"

# Libraries of optional extras and of the tests, and large parts of others that nothing here uses.
EXCLUDED = [
    "IPython", "PySide6.QtQml", "PySide6.QtQuick", "beartype", "caffe2", "fabio", "h5netcdf",
    "hdf5plugin", "hypothesis", "llvmlite", "lxml", "mypy", "netCDF4", "numba", "nvidia", "pandas",
    "pyarrow", "pydantic", "pynndescent", "pyqtgraph.examples", "pyqtgraph.opengl", "pytest",
    "setuptools", "silx", "sklearn", "tensorboard", "tkinter", "torch.utils.benchmark",
    "torch.utils.tensorboard", "triton", "umap", "xarray",
    # Of torch's own tests these are most, and what is left is imported by torch itself.
    *(f"torch.testing._internal.{name}" for name in (
        "common_methods_invocations", "common_modules", "common_nn",
        "distributed.distributed_test", "distributed.rpc", "generated", "opinfo",
    )),
]  # fmt: skip

# Files that the hooks of libraries collect: programs and libraries of torch's own tests, headers,
# translations of Qt's own dialogs, examples.
UNNEEDED = (
    "torch/bin/*[tT]est*", "torch/bin/*.ptl", "torch/bin/protoc*", "torch/bin/upgrader*",
    "torch/include/*", "torch/share/*", "torch/test/*", "torch/lib/libaoti_custom_ops.so",
    "torch/lib/libbackend_with_compiler.so", "torch/lib/libjitbackend_test.so",
    "torch/lib/libtorchbind_test.so", "*/nativert/test*", "PySide6/Qt/translations/*",
    "PySide6/Qt/qml/*", "matplotlib/mpl-data/sample_data/*", "matplotlib/mpl-data/images/*",
    "*/direct_url.json", "*/RECORD",
)  # fmt: skip


@dataclass(frozen=True)
class System:
    """What differs between systems: programs and whether they own a console, icon, Info.plist."""

    programs: tuple[tuple[str, bool], ...] = (("microtome", True),)
    icon: str | None = None  # below packaging/
    information: Mapping[str, Any] | None = field(default=None)


_HDF5 = {
    "UTTypeIdentifier": "org.microtome.session",
    "UTTypeDescription": "Microtome session",
    "UTTypeConformsTo": ["public.data"],
    "UTTypeTagSpecification": {"public.filename-extension": ["h5"]},
}
INFORMATION = {
    "CFBundleDisplayName": "Microtome",
    "NSHighResolutionCapable": True,
    "CFBundleDocumentTypes": [
        {
            "CFBundleTypeName": "Microtome session",
            "CFBundleTypeRole": "Editor",
            # Any program may write .h5: ours is offered for them, and never the first choice.
            "LSHandlerRank": "Alternate",
            "LSItemContentTypes": ["org.microtome.session"],
        }
    ],
    "UTImportedTypeDeclarations": [_HDF5],
}

# Only the row of Linux was ever run; the others are prepared and untested.
SYSTEMS = {
    "linux": System(),
    "win32": System(
        # A program of the window has no console; the command line needs one.
        (("microtome-window", False), ("microtome", True)), "windows/microtome.ico"
    ),
    "darwin": System((("microtome", False),), "macos/microtome.icns", INFORMATION),
}  # fmt: skip


def version(root: Path) -> str:
    """The version that pyproject.toml tells."""
    return str(tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def is_needed(name: str) -> bool:
    """Whether a collected file, named by its place in the bundle, belongs there."""
    place = name.replace("\\", "/")
    return not any(fnmatch(place, pattern) for pattern in UNNEEDED)


def hidden_imports() -> list[str]:
    """Modules that are imported by a name that is made at run time.

    Of transformers these are the models of the tables of families, and every other decoder: those
    are looked into by running them.
    """
    packages = ["microtome", "microtome_desktop", "microtome_resources", "vispy.glsl"]
    packages += [f"transformers.models.{name}" for name in ("auto", *_of_transformers())]
    found = [name for each in packages for name in _modules(each)]
    return ["vispy.app.backends._pyside6", *found]


def _modules(package: str) -> Iterator[str]:
    """All modules of a package, found as files: an import of each would take minutes."""
    top, _, rest = package.partition(".")
    spec = find_spec(top)
    above = Path(str(spec and spec.origin)).parents[1]
    for file in sorted((above / top / rest.replace(".", "/")).rglob("*.py")):
        if not file.name.startswith(("convert_", "test_", "__main__")):
            parts = file.relative_to(above).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _of_transformers() -> set[str]:
    from transformers.models.auto.configuration_auto import model_type_to_module_name
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    from microtome.models.families import FAMILIES
    from microtome.models.vision.rows import VISION

    kinds = {*FAMILIES, *VISION, *MODEL_FOR_CAUSAL_LM_MAPPING_NAMES}
    return {model_type_to_module_name(kind) for kind in kinds}


def datas(root: Path) -> list[tuple[str, str]]:
    """Data files as PyInstaller wants them: the file, and its folder in the bundle."""
    from PyInstaller.utils.hooks import collect_data_files, copy_metadata

    found = [pair for name in ("vispy", "qtawesome") for pair in collect_data_files(name)]
    found += [pair for name in ("torch", "transformers") for pair in copy_metadata(name)]
    found += [*_own_metadata()]
    for package in ("core/microtome", "desktop/microtome_desktop", "resources/microtome_resources"):
        for file in sorted((root / package).rglob("*")):
            if file.is_file() and file.suffix not in {".py", ".pyc"}:
                place = file.parent.relative_to((root / package).parent)
                found.append((str(file), str(place)))
    return found


def _own_metadata() -> list[tuple[str, str]]:
    """What the program asks about itself; what tells of the checkout stays out."""
    own = distribution("microtome")
    folder = next(file.parent for file in own.files or () if file.name == "METADATA")
    names = ("METADATA", "entry_points.txt")
    return [(str(own.locate_file(folder / name)), str(folder)) for name in names]
