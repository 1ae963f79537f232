"""Chat completions, without I/O: an OpenAI request as a query, and a Poe reply as chunks or one response."""
