"""The gateway: Poe bots as an OpenAI-compatible endpoint, an ASGI application."""
