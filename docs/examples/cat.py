"""A bot that sends every kind of event. A word in the message selects what it does; "help" lists the words.

Serve it with: poeproto serve docs/examples/cat.py:bot --allow-without-key
"""

from collections.abc import AsyncIterator

import anyio

from poeproto import (
    Bot,
    Context,
    Data,
    Error,
    Event,
    File,
    Json,
    Meta,
    QueryRequest,
    ReplaceResponse,
    SettingsRequest,
    SettingsResponse,
    SuggestedReply,
    Text,
)

HELP = """\
- **plain**: plain text instead of *Markdown*
- **change**: an answer that takes itself back
- **slow**: an answer that takes its time
- **picture**: a file
- **remember**: metadata, a number that counts up in each answer of the conversation
- **model**: a `json` event, as language models send
- **yarn**: an error after which trying again makes sense
- **dog**: an error after which it does not
- **purr**: a thousand events at once
"""


class CatBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        wish = request.query[-1].content.lower()
        # A `meta` event is valid only as the first event.
        yield Meta(content_type="text/plain" if "plain" in wish else "text/markdown")

        if "help" in wish:
            yield HELP
        elif "plain" in wish:
            yield "The cat says *meow*, and the asterisks stay."
        elif "change" in wish:
            yield "The cat wants out."
            await anyio.sleep(0.2)
            yield ReplaceResponse("The cat wants in.")
        elif "slow" in wish:
            for word in ["The", "cat", "…", "stretches", "…", "and", "…", "goes", "on", "…", "sleeping."]:
                yield f"{word} "
                await anyio.sleep(0.1)
        elif "picture" in wish:
            yield "This is the cat: "
            yield File("https://example.com/cat.png", "cat.png", "image/png")
        elif "remember" in wish:
            seen = sum(message.role == "bot" and message.metadata is not None for message in request.query)
            yield f"The cat remembers {seen} earlier answers."
            yield Data(metadata=str(seen + 1))
        elif "model" in wish:
            yield Json({"choices": [{"index": 0, "delta": {"content": "meow"}}]})
        elif "yarn" in wish:
            yield "The cat "
            yield Error(allow_retry=True, text="The cat is entangled. Try again.")
        elif "dog" in wish:
            yield Error(allow_retry=False, text="There are no dogs here.", error_type="user_caused_error")
        elif "purr" in wish:
            for _ in range(1000):
                yield Text("purr ")
        else:
            yield "The cat says "
            yield "*meow*."
        yield SuggestedReply("help")
        yield SuggestedReply("slow")

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(
            allow_attachments=True,
            introduction_message="I am a cat. Say **help** to learn what I can do.",
        )


bot = CatBot()
