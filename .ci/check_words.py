"""Lint of the prose: report words that readers do not search for, and the term of the field to use instead.

Reads every ``*.py`` and ``*.md`` file that git tracks or would add, and their names; some words are checked in ``*.py``
files only. A word matches whole: an underscore ends it, a letter does not. Exit status 1 when anything was found.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# Text of earlier releases is not reworded; this file quotes the words.
EXEMPT = {"CHANGELOG.md", ".ci/check_words.py"}
# A regular expression, matched whole and without regard to case, and what to write instead. A space also matches an
# underscore, for names.
WORDS = {
    "departs?|departed|departing|departures?": "disconnect (of a peer), finding (of the lint) or difference",
    "(?:peer|client|caller|user|reader)s? (?:has|have|had|is|was) gone": "has disconnected",
    "PeerGone|CallerGone": "ClientDisconnected",
    "(?:give|gives|gave|given|giving) up on": "cancel, close or abort",
    "mend|mends|mended|mending": "fix",
    "(?:short|long) way": "fast path or slow path",
    "floors?(?!\\()": "layer",
    "patience|patient": "graceful timeout, or timeout",
    "false alarms?": "spurious wakeup",
    "ways? out": "outbound calls or their configuration, or write path",
    "lets? out": "emit or send",
    "(?:that|which|who) (?:is|are) (?-i:none)": "the noun: an invalid chunk, a reply without text",
    "what comes alone": "the noun: an event that arrives alone",
    "anew|afresh": "again, or a plain verb: restart, replace, encode again",
    "leans? on": "relies on",
    "(?:raises?|for|from|than|as) what is no": "the noun: a value that is not an event",
    "(?:is|are) such(?! as)": "the noun, or an example with 'such as'",
    "in earnest": "the consequence: the bot may be charged",
    "frowns?|frowned|frowning": "warn, reject or fail",
    "puts? up with": "accept, ignore or tolerate",
    "at hand though": "a plain sentence",
    "noticing suspensions": "suspension",
    "passing on|MetaPassedOn|was overtaken": "forwarding, ForwardedMeta, is_stale",
    "FlowRun|OtherBotsReply|Outlet|Outlets": "FlowRunner, BotReplyStream, CoalescingWriter",
}
# The same for Python files only: docstrings, comments, messages and names, which are fragments more often than pages.
PYTHON_WORDS = {
    "(?:end|ends|ended|stop|stops|stopped|shuts? down) in order": "gracefully, or can be completed",
    "(?:takes?|took|taken) (?:it |them )?for (?:an?|the)": "treat as, parse as or report as",
    "(?:an?|another|next|each|first|second|last) try": "attempt",
    "(?:look|looks|looking) at": "read, scan, check or poll",
    "tells? apart|told apart": "distinguish",
    "(?:is|are|was|were) passed on|passes on": "forward",
    "(?:comes?|came) out": "is returned, or is received",
    "(?:behavior|favor|honor)(?:s|ed|ing)?|catalogs?|cancel(?:ed|ing)|label(?:ed|ing)|model(?:ed|ing)": "British",
    "(?:recogni|normali|organi|summari|synchroni|minimi|optimi|initiali)z(?:es?|ed|ing|ation)": "-ise",
}


def compiled(words: dict[str, str]) -> dict[re.Pattern[str], str]:
    """The patterns that find the words, and the replacements to suggest."""
    return {
        re.compile(r"(?<![^\W_])(?:" + word.replace(" ", "[ _]") + r")(?![^\W_])", re.IGNORECASE): instead
        for word, instead in words.items()
    }


PATTERNS = compiled(WORDS)
PYTHON_PATTERNS = {**PATTERNS, **compiled(PYTHON_WORDS)}


def main() -> int:
    """Check all files, print the findings, and return the exit status."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py", "*.md"],
        capture_output=True,
        text=True,
        check=True,
    )
    files = sorted({file for file in listed.stdout.split("\0") if file and file not in EXEMPT})
    count = 0
    for file in files:
        path = Path(file)
        if not path.exists():  # deleted, and not yet so for git
            continue
        patterns = PYTHON_PATTERNS if path.suffix == ".py" else PATTERNS
        count += report(file, path.with_suffix("").name, patterns)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            count += report(f"{file}:{number}", line, patterns)
    if count:
        print(f"{count} words to replace; the list is in .ci/check_words.py")
    return min(count, 1)


def report(place: str, text: str, patterns: dict[re.Pattern[str], str]) -> int:
    """Print the words found in a text, and return how many there were."""
    count = 0
    for pattern, instead in patterns.items():
        for found in pattern.finditer(text):
            print(f'{place}: "{found[0]}": write {instead}')
            count += 1
    return count


if __name__ == "__main__":
    sys.exit(main())
