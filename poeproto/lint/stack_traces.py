"""Stack traces of Python, JavaScript and Java, recognised in text that was meant for somebody else."""

from __future__ import annotations

import re

__all__ = ["has_stack_trace"]

# Also within a string of JSON, where line ends and quotes are escaped. Each part has a bound, so that the search takes
# linear time.
_STACK_TRACE = re.compile(
    r"""Traceback\ \(most\ recent\ call\ last\)
    | File\ \\?"[^"\n]{1,300}",\ line\ \d
    | (?:^|\\n)(?:[ \t]|\\t){1,9}at\ (?:async\ |new\ )?[^\s(\\]{1,99}(?:\ \[as\ \w{1,99}\])?\ ?\([^\s)]{1,300}:\d+\)""",
    re.MULTILINE | re.VERBOSE,
)


def has_stack_trace(text: str) -> bool:
    """Whether the text contains a part of a stack trace."""
    return _STACK_TRACE.search(text) is not None
