"""Writer of wrong answers that is an LLM behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from spa3d.llm_clients.endpoint import Endpoint, EndpointClient, Patience
from spa3d.preferences.writers.contract import OnResult, RewriteRequest
from spa3d.preferences.writers.prompts import parse_reply, prompt_for


class EndpointWriter:
    """A model behind a URL; its key, if it wants one, is read from ``OPENAI_API_KEY``.

    Args:
        url: base URL, such as ``http://localhost:8000/v1``.
        model: the endpoint's name of the model.
        patience: how long to wait and how often to try.

    Raises:
        ConfigError: the openai package is missing, or `url` is none.

    """

    def __init__(self, url: str, model: str, patience: Patience | None = None) -> None:
        self.name = f"endpoint:{model}"
        endpoint = Endpoint(url, model, "--pairs.url", "--pairs.llm", "--pairs.writer endpoint")
        self._client = EndpointClient(endpoint, patience)

    def rewrite(self, requests: Sequence[RewriteRequest], on_result: OnResult) -> None:
        """Answer every request, `on_result` being called in this thread; None where two replies are of no use.

        Raises:
            EndpointError: the endpoint cannot be used, or failed too often; what has come is handed on before.

        """
        by_key = {request.key: request for request in requests}
        prompts = {key: prompt_for(request) for key, request in by_key.items()}
        self._client.ask(prompts, lambda key, reply: parse_reply(by_key[key], reply), on_result)
