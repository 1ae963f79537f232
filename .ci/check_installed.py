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
    "poeproto_locust",
    "poeproto_pytest",
    "poeproto_otel",
    "poeproto_cli",
}
# Its extra is not in `all`; another environment has it.
NOT_IMPORTED = {"poeproto_locust"}

names = zipfile.ZipFile(sys.argv[1]).namelist()
top_level = {name.split("/")[0] for name in names}
metadata = {name for name in top_level if name.endswith(".dist-info")}
assert top_level - metadata == PACKAGES, f"top level of the wheel: {sorted(top_level)}"
for package in PACKAGES:
    assert f"{package}/py.typed" in names, f"{package} ships no py.typed"
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"{package} is not installed"
    assert spec.origin is not None, f"{package} has no __init__.py"
    assert Path(spec.origin).is_relative_to(sys.prefix), f"{package} comes from {spec.origin}"
    if package not in NOT_IMPORTED:
        importlib.import_module(package)
assert importlib.util.find_spec("integrations") is None, "a top-level package named integrations is installed"
