"""Suite: the time of an import, ours and fastapi_poe's, measured with `python -X importtime`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from benchmarks.measure import in_turn, report

CASES = {
    "import fastapi_poe": "import fastapi_poe",
    "import poeproto": "import poeproto",
    "import poeproto, and all of its names": "from poeproto import *",
    "import poeproto_compat, and PoeBot": "import poeproto_compat; poeproto_compat.PoeBot",
    "import poeproto_h11, with its client and server": "import poeproto_h11",
    "import poeproto_asgi, with BotApp and serve": "import poeproto_asgi",
    # For comparison: `import fastapi_poe` also loads uvicorn.
    "import poeproto_asgi, and the Hypercorn that serve loads": "import poeproto_asgi, hypercorn.asyncio",
}
ROUNDS = 9


def main() -> None:
    figures = in_turn({name: _importing(code) for name, code in CASES.items()}, ROUNDS)
    report("an import, in an interpreter of its own", figures, "ms", 1e3)


def _importing(code: str) -> Callable[[], float]:
    def seconds() -> float:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
        )
        # Lines of "import time: own microseconds | cumulative microseconds | name"; nested imports are indented. `site`
        # is the last module that the interpreter imports for itself.
        lines = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines()]
        start = [name for *_, name in lines].index(" site") + 1
        return sum(int(whole) for _, whole, name in lines[start:] if not name.startswith("  ")) / 1e6

    return seconds
