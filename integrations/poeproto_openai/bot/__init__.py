"""The bot: an OpenAI-compatible endpoint as a Poe bot."""
