"""HTML forms as uploads have them: multipart/form-data (RFC 7578) and application/x-www-form-urlencoded.

The former is parsed by python-multipart, as in Starlette and FastAPI: the standard library's parser went with `cgi`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import attrs

from poeproto_simulator.asgi import Receive, Scope, header_of, read_body
from poeproto_simulator.refusals import Refused

if TYPE_CHECKING:
    from python_multipart.multipart import Field, File

_FILE_FIELD = b"file"
# What a form may hold beside the file. A URL is the longest of it.
_LARGEST_FIELDS = 64 * 1024


@attrs.frozen
class FormFile:
    """The file in a form."""

    name: str
    content_type: str | None
    data: bytes


@attrs.define
class Form:
    """What a form brought.

    Attributes:
        fields: the values by their names; of two with the same name the last.
        file: the file in the field "file".
    """

    fields: dict[str, str] = attrs.field(factory=dict[str, str])
    file: FormFile | None = None


async def read_form(scope: Scope, receive: Receive, largest_file: int) -> Form:
    """Read the form in a request's body; all of it is in memory for a moment.

    Raises:
        Refused: with status 415 for another content type, 413 for too much, 400 for what is no form.
        CallerGone: when the caller has left.
    """
    body = await read_body(receive, largest_file + _LARGEST_FIELDS)
    return parse_form(header_of(scope, b"content-type"), body)


def parse_form(content_type: str, body: bytes) -> Form:
    """The form in a body of this content type.

    Raises:
        Refused: as in `read_form`.
    """
    # Loaded when it is needed.
    from python_multipart.multipart import parse_options_header

    kind, options = parse_options_header(content_type)
    if kind == b"application/x-www-form-urlencoded":
        return Form(dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)))
    if kind != b"multipart/form-data":
        raise Refused(415, f"a form is expected, got {content_type or 'no content type'}")
    return _parse_multipart(options.get(b"boundary"), body)


def _parse_multipart(boundary: bytes | None, body: bytes) -> Form:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import FormParser

    if not boundary:
        raise Refused(400, "the form cannot be read: its content type has no boundary")
    form = _Reading()
    in_memory = {"MAX_MEMORY_FILE_SIZE": float("inf")}
    try:
        parser = FormParser(
            "multipart/form-data", form.take_field, form.take_file, form.end, boundary=boundary, config=in_memory
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as exc:
        raise Refused(400, f"the form cannot be read: {exc}") from exc
    if not form.complete:
        raise Refused(400, "the form cannot be read: it ends in the middle")
    return form.form


class _Reading:
    """What the parser calls."""

    def __init__(self) -> None:
        self.form = Form()
        self.complete = False

    def take_field(self, field: Field) -> None:
        name, value = field.field_name or b"", field.value or b""
        self.form.fields[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")

    def take_file(self, file: File) -> None:
        if file.field_name != _FILE_FIELD:
            return
        if self.form.file is not None:
            raise Refused(400, "there are two files in the form, and one is expected")
        file.file_object.seek(0)
        name = (file.file_name or b"").decode("utf-8", "replace")
        # As HTML has it: a quote and the ends of lines are percent-encoded, and nothing else is.
        name = name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
        self.form.file = FormFile(name, file.content_type, file.file_object.read())

    def end(self) -> None:
        self.complete = True
