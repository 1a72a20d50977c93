"""What goes into a bundle, and what other systems than this one are prepared with."""

from __future__ import annotations

import plistlib
import re
import sys

import pytest
from PIL import Image

from microtome.triage.programs import PROGRAMS


@pytest.fixture(scope="module")
def recipe(root):
    sys.path.insert(0, str(root / "packaging"))
    try:
        import recipe
    finally:
        sys.path.pop(0)
    return recipe


def test_every_family_of_models_is_in_it(recipe):
    import transformers

    from microtome.models.families import FAMILIES
    from microtome.models.vision.rows import VISION

    found = set(recipe.hidden_imports())
    classes = {row.class_name for row in FAMILIES.values()}
    classes |= {name for row in VISION.values() for name in row.classes}
    assert len(classes) > 35
    known = transformers._class_to_module
    modules = {f"transformers.{known[name]}" for name in classes}
    assert modules <= found
    for module in modules:
        assert module.replace("modeling_", "configuration_") in found


def test_what_is_imported_by_name_is_in_it_and_tests_are_not(recipe, packages):
    found = set(recipe.hidden_imports())
    assert {"microtome_desktop.wiring", "vispy.app.backends._pyside6"} <= found
    assert {child.module for child in PROGRAMS.values()} <= found
    assert not [name for name in found if re.search(r"(^|\.)(test_|tests\b|convert_)", name)]
    for name, folder in packages.items():
        files = [file for file in folder.rglob("*.py") if file.name != "__main__.py"]
        assert len([each for each in found if each.split(".")[0] == name]) == len(files)


def test_data_files_and_what_the_program_asks_about_itself(recipe, root, packages):
    found = dict(recipe.datas(root))
    resources, desktop = packages["microtome_resources"], packages["microtome_desktop"]
    weights = resources / "models" / "words-4l" / "model.safetensors"
    assert found[str(weights)] == "microtome_resources/models/words-4l"
    assert found[str(desktop / "chevron.svg")] == "microtome_desktop"
    names = {place.split("/")[-1].partition("-")[0] for place in found.values()}
    assert {"microtome", "torch", "transformers"} <= names
    assert not [name for name in found if name.endswith("direct_url.json")]


@pytest.mark.parametrize(
    ("place", "needed"),
    [
        ("torch/lib/libtorch_cpu.so", True),
        ("torch/lib/libjitbackend_test.so", False),
        ("torch\\bin\\protoc.exe", False),
        ("PySide6/Qt/translations/qt_de.qm", False),
        ("PySide6/Qt/plugins/platforms/libqxcb.so", True),
        ("microtome-0.1.0.dist-info/METADATA", True),
        ("torch-2.13.0.dist-info/RECORD", False),
    ],
)
def test_files_that_are_left_out(recipe, place, needed):
    assert recipe.is_needed(place) is needed


def test_other_systems_are_prepared(recipe, root):
    version = recipe.version(root)
    installer = (root / "packaging" / "windows" / "microtome.iss").read_text(encoding="utf-8")
    assert f"AppVersion={version}\n" in installer
    programs = {f"{name}.exe" for name, _ in recipe.SYSTEMS["win32"].programs}
    assert set(re.findall(r"[\w-]+\.exe", installer)) <= programs
    for system, sizes in (("win32", {16, 32, 48, 256}), ("darwin", {16, 128, 512})):
        with Image.open(root / "packaging" / recipe.SYSTEMS[system].icon) as icon:
            assert sizes <= {size[0] for size in icon.info["sizes"]}
    information = plistlib.loads(plistlib.dumps(recipe.SYSTEMS["darwin"].information))
    (document,) = information["CFBundleDocumentTypes"]
    (kind,) = information["UTImportedTypeDeclarations"]
    assert document["LSItemContentTypes"] == [kind["UTTypeIdentifier"]]
    assert kind["UTTypeTagSpecification"] == {"public.filename-extension": ["h5"]}
    assert not installer.count("HKCR")  # the first choice stays whose it is
