"""Responses, without I/O: OpenAI's Responses API, stateless, as queries and replies."""
