"""A bot that reads the whole answer of another bot before it answers: here, to find a verdict in it.

Serve it with: poeproto serve docs/examples/reading_an_answer.py:bot --access-key ...
"""

from poeproto import Bot, BotError, Context, QueryRequest, SettingsRequest, SettingsResponse

MODEL = "GPT-4o-Mini"
QUESTION = "Is the following sentence polite? Begin your answer with yes or no.\n\n"


class PolitenessBot(Bot):
    # Instead of yielding events, a bot can return one string.
    async def get_response(self, request: QueryRequest, context: Context) -> str:
        sentence = request.query[-1].content
        try:
            # A string queries without the conversation. Pass the request to send the whole conversation.
            verdict = await context.final_text(MODEL, QUESTION + sentence)
        except BotError:
            # If not caught, the error ends this bot's reply with the model's error text.
            return f"{MODEL} has no opinion today."
        return "How kind of you." if verdict.lower().startswith("yes") else "I beg your pardon?"

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={MODEL: 1})


bot = PolitenessBot()
