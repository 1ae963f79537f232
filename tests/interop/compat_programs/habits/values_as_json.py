import json

import poeproto_compat as fp

message = fp.ProtocolMessage.model_validate({"role": "user", "content": "naïve 🐈", "parameters": {"a": [1]}})
print(message.json())
print(message.model_dump_json(exclude_none=True))
print(json.dumps(fp.SettingsResponse(allow_attachments=True).dict(exclude_none=True)))
print(fp.ProtocolMessage(**message.dict()) == message)
print(fp.ProtocolMessage.parse_obj(message.model_dump()) == message)
print(fp.PartialResponse(text="a").model_copy(update={"text": "b"}))
print(fp.CostItem(amount_usd_milli_cents=1.5).amount_usd_milli_cents)  # pyright: ignore[reportArgumentType] - rounded
try:
    fp.ProtocolMessage(role="nobody", content="")  # pyright: ignore[reportArgumentType]
except ValueError as exc:
    print(type(exc).__name__)
try:
    fp.SettingsResponse(allow_attachment=True)  # pyright: ignore[reportCallIssue]
except ValueError as exc:
    print(type(exc).__name__)
