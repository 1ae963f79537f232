"""Packages whose extra is not installed say what to install."""

from __future__ import annotations

import json
import subprocess
import sys

CASES = [
    ("poeproto_runtime", "anyio", "poeproto_runtime needs anyio", "h11"),
    ("poeproto_h11", "h11", "poeproto_h11 needs h11", "h11"),
    ("poeproto_h11", "truststore", "poeproto_h11 needs truststore", "h11"),
    ("poeproto_httpx", "anyio", "poeproto_httpx needs anyio", "httpx"),
    ("poeproto_otel", "opentelemetry", "poeproto_otel needs opentelemetry", "otel"),
    ("poeproto_asgi", "anyio", "poeproto_asgi needs anyio", "asgi"),
    ("poeproto_record.server", "h11", "poeproto_record.server needs h11", "record"),
    ("poeproto_simulator", "hypercorn", "poeproto_simulator needs hypercorn", "simulator"),
    ("poeproto_simulator", "python_multipart", "poeproto_simulator needs python_multipart", "simulator"),
    ("poeproto_playground", "hypercorn", "poeproto_playground needs hypercorn", "playground"),
    ("poeproto_check", "truststore", "poeproto_check needs truststore", "check"),
    ("poeproto_openai", "h11", "poeproto_openai needs h11", "openai"),
    ("poeproto_pytest._surface", "hypercorn", "poeproto_pytest needs hypercorn", "pytest"),
    ("poeproto_locust", "locust", "poeproto_locust needs locust", "locust"),
    ("poeproto_cli", "click", "the command needs click", "cli"),
    ("poeproto_cli", "h11", "the command needs h11", "cli"),
]
CODE = """
import importlib, json, sys

messages = []
for package, module in json.loads(sys.argv[1]):
    hidden = [name for name in sys.modules if name.split(".")[0] == module or name.startswith("poeproto_")]
    for name in hidden:
        del sys.modules[name]
    sys.modules[module] = None
    try:
        importlib.import_module(package).main()
    except (ModuleNotFoundError, SystemExit) as exc:
        messages.append(str(exc))
    del sys.modules[module]
print(json.dumps(messages))
"""


def test_a_missing_extra_is_named() -> None:
    wanted = json.dumps([case[:2] for case in CASES])
    output = subprocess.check_output([sys.executable, "-c", CODE, wanted], timeout=30)
    assert json.loads(output) == [
        f"{what}, which is not installed: pip install 'poeproto[{extra}]'" for _, _, what, extra in CASES
    ]


def test_serving_without_hypercorn() -> None:
    code = """
import sys
sys.modules["hypercorn"] = None
import poeproto_asgi
try:
    poeproto_asgi.run(poeproto_asgi.BotApp(__import__("poeproto").Bot(), allow_without_key=True), bind="127.0.0.1:0")
except ModuleNotFoundError as exc:
    print(exc)
"""
    output = subprocess.check_output([sys.executable, "-c", code], timeout=30, text=True, stderr=subprocess.DEVNULL)
    assert (
        output == "serving with Hypercorn needs hypercorn, which is not installed: pip install 'poeproto[hypercorn]'\n"
    )
