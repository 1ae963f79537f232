"""The values of the protocol: requests, messages, events, settings, controls, tools and HTTP messages: frozen."""
