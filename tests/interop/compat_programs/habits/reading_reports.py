from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp

seen: list[str] = []


class LearningBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        for message in request.query:
            seen.extend(f"stored {feedback.type}" for feedback in message.feedback)
            seen.extend(f"stored {reaction.reaction}" for reaction in message.reactions)
        yield fp.PartialResponse(text=", ".join(seen) or "nothing yet")

    async def on_feedback(self, feedback_request: fp.ReportFeedbackRequest) -> None:
        seen.append(f"feedback {feedback_request.feedback_type}")

    async def on_reaction_with_context(
        self, reaction_request: fp.ReportReactionRequest, context: fp.RequestContext
    ) -> None:
        seen.append(f"reaction {reaction_request.reaction} {context.http_request.method}")

    async def on_error(self, error_request: fp.ReportErrorRequest) -> None:
        seen.append(f"error {error_request.message} {error_request.metadata}")


def main():
    return fp.make_app(LearningBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
