"""Configuration of a saved 3D LLM: the LLM's config, and encoder and projector by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import AutoConfig, PreTrainedConfig


class Spa3dConfig(PreTrainedConfig):
    """Configuration of `Spa3dModel`.

    Args:
        text_config: configuration of the causal LM.
        encoder: ``{name, distribution, version, config, plugin}``. Never an import target: the name is resolved
            through the registry, and the error for a missing plugin says what to install.
        projector: the same for the projector.
        num_points: points per cloud in training; determines the number of point tokens.
        up_axis: axis that ``height`` is measured along.
        point_ids: token ids of start, patch (stands for one point embedding) and end.

    """

    model_type = "spa3d"
    sub_configs = {"text_config": AutoConfig}  # noqa: RUF012 - transformers' own protocol
    has_no_defaults_at_init = True

    def __init__(
        self,
        text_config: dict[str, Any] | PreTrainedConfig | None = None,
        encoder: dict[str, Any] | None = None,
        projector: dict[str, Any] | None = None,
        num_points: int = 1024,
        up_axis: str = "y",
        point_ids: Sequence[int] = (0, 0, 0),
        **kwargs: Any,
    ) -> None:
        if isinstance(text_config, dict):
            text_config = AutoConfig.for_model(**text_config)
        self.text_config = text_config if text_config is not None else AutoConfig.for_model("llama")
        self.encoder = encoder or {}
        self.projector = projector or {}
        self.num_points = num_points
        self.up_axis = up_axis
        self.point_ids = list(point_ids)
        # Without this the base class passes its own undefined value to the LLM's config.
        kwargs.setdefault("attn_implementation", self.text_config._attn_implementation)
        super().__init__(**kwargs)
