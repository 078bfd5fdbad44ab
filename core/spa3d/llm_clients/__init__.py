"""Clients of other LLMs, behind a URL or loaded here, and the log that no request is repeated for."""
