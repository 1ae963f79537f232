r"""Evidence as reports show it: the bytes with their times, and a line for a shell that repeats the request.

Nothing here contains the access key, or a character that a terminal would obey: bytes are shown in ASCII, and others
are escaped as in ``\xff``.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from poeproto_check.evidence_redaction import EvidenceRedaction
from poeproto_check.exchange import Exchange, Transfer
from poeproto_check.probe_request import Framing
from poeproto_check.raw_connection import ServerAddress

__all__ = ["ShownTransfer", "reproduction", "shown_transfers"]

# How much of a transfer is shown, and how many transfers of an exchange.
_SHOWN_BYTES = 2048
_SHOWN_TRANSFERS = 40
_LONGEST_ARGUMENT = 8 * 1024


@attrs.frozen
class ShownTransfer:
    """One write or read.

    Attributes:
        at: seconds since the connection was opened.
        is_sent: whether the check sent it.
        size: the number of bytes.
        text: the bytes, or their beginning, in ASCII.
    """

    at: float
    is_sent: bool
    size: int
    text: str


def shown_transfers(exchange: Exchange, redaction: EvidenceRedaction) -> list[ShownTransfer]:
    """The transfers of an exchange without the key; the first ones if there are many."""
    transfers = exchange.transfers
    hidden = {True: iter(_redacted(transfers, True, redaction)), False: iter(_redacted(transfers, False, redaction))}
    shown = [(each, next(hidden[each.is_sent])) for each in transfers]
    return [
        ShownTransfer(round(each.at, 6), each.is_sent, len(each.data), _ascii(data))
        for each, data in shown[:_SHOWN_TRANSFERS]
    ]


def _redacted(transfers: list[Transfer], is_sent: bool, redaction: EvidenceRedaction) -> list[bytes]:
    return redaction.reads([each.data for each in transfers if each.is_sent is is_sent])


def _ascii(data: bytes) -> str:
    cut = data[:_SHOWN_BYTES]
    shown = cut.decode("latin-1").encode("unicode_escape").decode()
    # Lines are shown as lines.
    shown = shown.replace("\\r\\n", "\n").replace("\\n", "\n")
    left = len(data) - len(cut)
    return f"{shown}\n... and {left:,} more bytes" if left else shown


def reproduction(exchange: Exchange, address: ServerAddress, redaction: EvidenceRedaction) -> str:
    """A line for a shell that sends the request again; the key is in the variable POE_ACCESS_KEY."""
    request = exchange.request
    if request.declared is not None:
        head = request.head(address.target, address.origin.authority)
        return f"{_printf(head + request.body, redaction)} | nc -q 5 {_nc(address, redaction)}"
    words = list(_curl(exchange, address, redaction))
    if request.framing is Framing.NONE:
        return " ".join(words)
    if request.shell_body is not None:
        return f"{{ {request.shell_body}; }} | {' '.join([*words, '--data-binary', '@-'])}"
    text = _as_argument(request.body)
    if text is None:
        return f"{_printf(request.body, redaction)} | {' '.join([*words, '--data-binary', '@-'])}"
    return " ".join([*words, "--data-binary", redaction.shell_word(text)])


def _curl(exchange: Exchange, address: ServerAddress, redaction: EvidenceRedaction) -> Iterator[str]:
    request = exchange.request
    yield from ("curl", "-sS", "-i", "-N", "-m", "70")
    if address.unix_socket is not None:
        yield from ("--unix-socket", redaction.shell_word(address.unix_socket))
    if request.method == "HEAD":
        yield "-I"
    elif request.method != "POST":
        yield from ("-X", request.method)
    yield redaction.shell_word(f"{address.origin}{address.target}" if "?" not in address.target else address.shown_url)
    headers = list(request.headers)
    if request.authorization is not None:
        headers.append(("Authorization", request.authorization))
    if request.framing is Framing.CHUNKED:
        headers.append(("Transfer-Encoding", "chunked"))
    for name, value in headers:
        yield from ("-H", redaction.shell_word(f"{name}: {value}" if value.strip() else f"{name};"))


def _as_argument(body: bytes) -> str | None:
    """The body as an argument of a command, if it can be one."""
    if len(body) > _LONGEST_ARGUMENT or body.startswith(b"@"):
        return None
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _printf(data: bytes, redaction: EvidenceRedaction) -> str:
    r"""A printf command for any bytes: those outside printable ASCII as octal escapes."""
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b"\\%" else {10: "\\n", 13: "\\r"}.get(byte, f"\\{byte:03o}")
        for byte in data
    ).replace("\\045", "%%")
    return f"printf {redaction.shell_word(escaped)}"


def _nc(address: ServerAddress, redaction: EvidenceRedaction) -> str:
    if address.unix_socket is not None:
        return f"-U {redaction.shell_word(address.unix_socket)}"
    return f"{address.origin.host} {address.origin.port}"
