"""Writer of wrong answers: an LLM behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from spa3d.llm_clients.endpoint import Endpoint, EndpointClient, Patience
from spa3d.preferences.writers.contract import OnResult, RewriteRequest
from spa3d.preferences.writers.prompts import parse_reply, prompt_for


class EndpointWriter:
    """Writer that calls a model at a URL; the API key is read from ``OPENAI_API_KEY``.

    Args:
        url: base URL, such as ``http://localhost:8000/v1``.
        model: the endpoint's name of the model.
        patience: timeouts and number of tries.

    Raises:
        ConfigError: the openai package is missing, or `url` is not a URL.

    """

    def __init__(self, url: str, model: str, patience: Patience | None = None) -> None:
        self.name = f"endpoint:{model}"
        endpoint = Endpoint(url, model, "--pairs.url", "--pairs.llm", "--pairs.writer endpoint")
        self._client = EndpointClient(endpoint, patience)

    def rewrite(self, requests: Sequence[RewriteRequest], on_result: OnResult) -> None:
        """Rewrite every answer; `on_result` gets None after two bad replies.

        Raises:
            EndpointError: the endpoint is unusable or failed too often; received results are delivered first.

        """
        by_key = {request.key: request for request in requests}
        prompts = {key: prompt_for(request) for key, request in by_key.items()}
        self._client.ask(prompts, lambda key, reply: parse_reply(by_key[key], reply), on_result)
