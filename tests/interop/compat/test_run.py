"""`run` as a program, and the package's surface."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import fastapi_poe
import pytest

import poeproto_compat
from poeproto_h11 import BlockingClient

from ...support.bots import KEY

PROGRAM = f"""
import poeproto_compat as fp

class Echo(fp.PoeBot):
    async def get_response(self, request):
        yield fp.PartialResponse(text=request.query[-1].content)

app = None
{{app}}
fp.run(Echo(), {KEY!r}, app=app)
"""
SECONDS = 30  # for a process that hangs


@pytest.mark.parametrize(
    ("app", "stop"),
    [
        ("", signal.SIGINT),
        ("import starlette.applications; app = starlette.applications.Starlette()", signal.SIGTERM),
    ],
    ids=["bots alone", "with Starlette"],
)
def test_a_program_serves_until_a_signal(tmp_path: Path, app: str, stop: signal.Signals) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.format(app=app))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POE_")}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "program.py", "-p", "0"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "serving at " in line:
                    break
            else:
                pytest.fail("the program has ended")
            port = line.strip().rpartition(":")[2].rstrip("/")
            with BlockingClient(access_key=KEY) as client, client.query(f"http://127.0.0.1:{port}/", "hi") as reply:
                assert reply.text() == "hi"
            process.send_signal(stop)
            assert process.wait(SECONDS) == 0, process.stderr.read()
        finally:
            process.kill()


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.format(app=""))
    process = subprocess.run(
        [sys.executable, "program.py", "--prot", "1"], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS
    )
    assert process.returncode == 2
    assert "[-p PORT]" in process.stderr


# --- the surface


def test_the_module_has_the_names_of_fastapi_poe() -> None:
    assert set(poeproto_compat.__all__) == set(fastapi_poe.__all__)
    assert set(dir(poeproto_compat)) >= {*fastapi_poe.__all__, "types", "client", "base", "templates", "sync_utils"}
    with pytest.raises(AttributeError, match="'poeproto_compat' has no attribute 'Nothing'"):
        _ = poeproto_compat.Nothing  # pyright: ignore


IMPORTED = """
import json, sys
import poeproto_compat as fp
before = sorted(sys.modules)
app = fp.make_app(fp.PoeBot(), allow_without_key=True)
fp.templates, fp.types.PartialResponse, fp.base.InvalidParameterError
print(json.dumps([before, sorted(sys.modules)]))
"""


def test_no_framework_is_imported() -> None:
    output = subprocess.check_output([sys.executable, "-c", IMPORTED], timeout=SECONDS, stderr=subprocess.DEVNULL)
    before, after = json.loads(output)
    assert not {"poeproto_runtime", "anyio", "poeproto_compat.base"} & set(before)
    assert not {"fastapi", "pydantic", "starlette", "httpx", "sse_starlette", "uvicorn"} & set(after)
