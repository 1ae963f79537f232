import poeproto_compat as fp

message = fp.ProtocolMessage(role="user", content="Good morning")
for partial in fp.get_bot_response_sync(
    messages=[message], bot_name="Model", api_key="an-api-key-of-the-user", temperature=0.5, stop_sequences=["end"]
):
    print(partial.text, end="", flush=True)
print()
print(partial.is_replace_response, partial.is_suggested_reply)
