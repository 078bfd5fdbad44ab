"""Clients of other LLMs, remote or local, and the log of their responses."""
