"""Stack traces are recognised in any quotation, and prose is not reported as one."""

from __future__ import annotations

import json

import pytest

from poeproto.lint.stack_traces import has_stack_trace

PYTHON = 'Traceback (most recent call last):\n  File "/srv/bot.py", line 3, in reply\n    x\nKeyError: 1'
PYTHON_FRAME = '  File "/srv/my bot.py", line 3, in reply\n'
NODE = "TypeError: x\n    at Object.<anonymous> (/srv/bot.js:7:1)\n    at node:internal/main:1:1"
NODE_ASYNC = "Error: x\n    at async Server.reply [as listener] (file:///srv/bot.mjs:7:1)"
JAVA = "java.lang.IllegalStateException: x\n\tat com.example.Bot.reply(Bot.java:12)"


@pytest.mark.parametrize("trace", [PYTHON, PYTHON_FRAME, NODE, NODE_ASYNC, JAVA])
def test_a_stack_trace(trace: str) -> None:
    assert has_stack_trace(trace)
    assert has_stack_trace(json.dumps({"error": trace}))
    assert has_stack_trace(f"<pre>{trace}</pre>")


@pytest.mark.parametrize(
    "text",
    ["", "we meet\n  at ten (or 10:30)", "we meet\n  at the bar (10:30", 'the File "a", line by line', "at noon (a:1)"],
)
def test_no_stack_trace(text: str) -> None:
    assert not has_stack_trace(text)


@pytest.mark.parametrize("part", ["\n", "\n ", "\\n at x(", "\n at x", 'File "', "\\n\\t", "at async new "])
def test_the_search_ends_soon(part: str) -> None:
    # With a quadratic search this test would run for hours.
    assert not has_stack_trace(part * 500_000)
