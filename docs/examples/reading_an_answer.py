"""A bot that reads the whole answer of another bot before it says anything: here it looks for a verdict in it.

Serve it with: poeproto serve docs/examples/reading_an_answer.py:bot --access-key ...
"""

from poeproto import Bot, BotError, Context, QueryRequest, SettingsRequest, SettingsResponse

MODEL = "GPT-4o-Mini"
QUESTION = "Is the following sentence polite? Begin your answer with yes or no.\n\n"


class PolitenessBot(Bot):
    # A bot that has one thing to say may return it.
    async def get_response(self, request: QueryRequest, context: Context) -> str:
        sentence = request.query[-1].content
        try:
            # A string asks about that alone; the request, or one made from it, would pass on the whole conversation.
            verdict = await context.final_text(MODEL, QUESTION + sentence)
        except BotError:
            # Left alone, the error would end this bot's answer as well, in the model's words.
            return f"{MODEL} has no opinion today."
        return "How kind of you." if verdict.lower().startswith("yes") else "I beg your pardon?"

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={MODEL: 1})


bot = PolitenessBot()
