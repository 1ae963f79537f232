"""Assert that the wheel given holds our packages and nothing else, and that they are imported from here."""

import importlib
import importlib.util
import sys
import zipfile
from pathlib import Path

PACKAGES = {
    "poeproto",
    "poeproto_runtime",
    "poeproto_asgi",
    "poeproto_h11",
    "poeproto_httpx",
    "poeproto_record",
    "poeproto_simulator",
    "poeproto_playground",
    "poeproto_compat",
    "poeproto_check",
    "poeproto_openai",
    "poeproto_load",
    "poeproto_pytest",
    "poeproto_cli",
}

names = zipfile.ZipFile(sys.argv[1]).namelist()
top_level = {name.split("/")[0] for name in names}
metadata = {name for name in top_level if name.endswith(".dist-info")}
assert top_level - metadata == PACKAGES, f"top level of the wheel: {sorted(top_level)}"
for package in PACKAGES:
    assert f"{package}/py.typed" in names, f"{package} ships no py.typed"
    module = importlib.import_module(package)
    assert module.__file__ is not None, f"{package} has no __init__.py"
    assert Path(module.__file__).is_relative_to(sys.prefix), f"{package} comes from {module.__file__}"
assert importlib.util.find_spec("integrations") is None, "a top-level package named integrations is installed"
