"""Encoder, projector and causal LM in one forward.

Follows transformers' multimodal conventions (LLaVA): point embeddings replace the embeddings of the patch tokens,
``generate`` sends the points with the prompt, ``save_pretrained`` writes safetensors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils.generic import TransformersKwargs

from spa3d.contracts.encoder import Encoder
from spa3d.contracts.projector import Projector
from spa3d.data.preparation import encoder_inputs
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.documents import Documented
from spa3d.model.llm import takes
from spa3d.model.parts import create_part
from spa3d.model.tokens import IGNORED, check_patches, score_answers
from spa3d.model.trained_parts import TrainedParts
from spa3d.registry.registry import load_registry


@dataclass
class Spa3dOutput(CausalLMOutputWithPast):
    """Model output with the log-probabilities of labeled tokens, in nats and float32.

    ``answer_logp`` ``(B, T)``: log p of each labeled token, 0 elsewhere. ``answer_vocabulary`` ``(A, V)``, if
    requested: log p of every token of the vocabulary at the labeled positions, in row-major order. ``cache_params``:
    the state of an LLM that names its cache so (Mamba); ``generate`` hands it on.
    """

    answer_logp: Tensor | None = None
    answer_vocabulary: Tensor | None = None
    cache_params: Any = None


class Spa3dModel(Documented, TrainedParts, PreTrainedModel, GenerationMixin):
    """A point-cloud encoder, a projector and a causal LM.

    Parts may be passed (`pipeline.assemble` does); otherwise they are built through the registry by the names in
    `config`.
    """

    config_class = Spa3dConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _keep_in_fp32_modules_strict = [r"^encoder\.", r"^projector\."]  # noqa: RUF012 - transformers' own protocol
    accepts_loss_kwargs = False

    def __init__(
        self,
        config: Spa3dConfig,
        encoder: Encoder | None = None,
        projector: Projector | None = None,
        language_model: nn.Module | None = None,
    ) -> None:
        super().__init__(config)
        self.language_model: Any = (
            language_model
            if language_model is not None
            else AutoModelForCausalLM.from_config(config.text_config, trust_remote_code=False)
        )
        if encoder is None:
            encoder = create_part(load_registry(), "encoder", config.encoder)
        if projector is None:
            embeddings: Any = self.get_input_embeddings()
            widths = {"dim": encoder.dim, "hidden": int(embeddings.embedding_dim)}
            projector = create_part(load_registry(), "projector", config.projector, **widths)
        self.encoder, self.projector = encoder, projector
        self.post_init()

    @classmethod
    def can_generate(cls) -> bool:
        """Whether ``generate`` works: always true."""
        return True

    @classmethod
    def is_custom_code(cls) -> bool:
        """False, because transformers leaves some buffers of foreign code without values."""
        return False

    def _init_weights(self, module: nn.Module) -> None:
        """Leave encoder and projector as their constructors made them; the LLM initializes itself."""

    @property
    def dtype(self) -> torch.dtype:
        """Widest data type of the LLM's weights."""
        weights = self.language_model.parameters()
        return reduce(torch.promote_types, {weight.dtype for weight in weights if weight.is_floating_point()})

    def get_input_embeddings(self) -> nn.Module:
        """The LLM's token embeddings."""
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the LLM's token embeddings."""
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The LLM's vocabulary projection."""
        return self.language_model.get_output_embeddings()

    def get_decoder(self) -> nn.Module:
        """The LLM without its vocabulary projection."""
        return self.language_model.get_decoder()

    def num_point_tokens(self, num_points: int | None = None) -> int:
        """Point embeddings per cloud of `num_points` (default: the configured number)."""
        return self.projector.num_tokens(self.encoder.num_tokens(num_points or self.config.num_points))

    def encode(self, points: Float[Tensor, "B N 6"]) -> Float[Tensor, "B M D"]:
        """Encoder tokens of normalized clouds; no gradient where the encoder is frozen.

        Autocast does not apply, so that all callers get the same tokens.
        """
        gradient = torch.is_grad_enabled() and "encoder" in self.trained
        with torch.set_grad_enabled(gradient), _without_autocast(points):
            return self.encoder(encoder_inputs(points, self.encoder.inputs, self.config.up_axis))

    def embed(
        self,
        input_ids: Int[Tensor, "B T"],
        point_tokens: Float[Tensor, "C M D"] | None,
        patch_count: int | None = None,
    ) -> Float[Tensor, "B T H"]:
        """Token embeddings, with the projected clouds instead of the patch tokens, in order.

        Text-only batches send a zero through the projector while it trains, so that every rank runs the same graph.
        `patch_count` is the number of patch tokens in `input_ids`; without it, counting them waits for the GPU.

        Raises:
            ValueError: clouds and patch tokens differ in number, or the projector's width is not that of the LLM.

        """
        embeddings = self.get_input_embeddings()(input_ids)
        places = input_ids == self.config.point_ids[1]
        if point_tokens is None:
            check_patches(places, patch_count, clouds=0, size=0)
            if self.training and "projector" in self.trained:
                nothing = embeddings.new_zeros(1, 1, self.encoder.dim)
                embeddings = embeddings + 0 * self.projector(nothing).sum().to(embeddings.dtype)
            return embeddings
        projected = self.projector(point_tokens).to(embeddings.dtype)
        check_patches(places, patch_count, clouds=projected.shape[0], size=projected.shape[1])
        if projected.shape[2] != embeddings.shape[2]:
            raise ValueError(
                f"the projector gives embeddings of width {projected.shape[2]}, and those of the LLM have "
                f"{embeddings.shape[2]}"
            )
        return embeddings.masked_scatter(places.unsqueeze(-1), projected)

    def forward(
        self,
        input_ids: Int[Tensor, "B T"] | None = None,
        attention_mask: Int[Tensor, "B S"] | None = None,
        points: Float[Tensor, "C N 6"] | None = None,
        point_tokens: Float[Tensor, "C M D"] | None = None,
        position_ids: Int[Tensor, "B T"] | None = None,
        past_key_values: Any = None,
        inputs_embeds: Float[Tensor, "B T H"] | None = None,
        labels: Int[Tensor, "B T"] | None = None,
        logits_to_keep: int | Tensor = 0,
        vocabulary: bool = False,
        patch_count: int | None = None,
        **kwargs: Any,
    ) -> Spa3dOutput:
        """One pass over prompts with clouds.

        Args:
            input_ids: prompts, patch tokens included.
            attention_mask: 1 on real tokens (past included when generating).
            points: normalized clouds, one per prompt with patch tokens, in order.
            point_tokens: the same clouds as encoder tokens (from the cache); used instead of `points`.
            position_ids: positions, if they do not follow from the mask.
            past_key_values: the cache of a generation.
            inputs_embeds: embeddings instead of `input_ids`.
            labels: with them, the vocabulary projection runs at answer positions only; ``answer_logp`` and
                ``loss`` (mean NLL per answer token, nats) are returned and ``logits`` are not.
            logits_to_keep: number of last positions with logits; 0: all.
            vocabulary: with labels, return ``answer_vocabulary`` as well.
            patch_count: number of patch tokens in `input_ids`; None: they are counted.
            kwargs: further arguments of the LLM's own forward.

        Raises:
            TypeError: the LLM knows no such argument.
            ValueError: there is no prompt, or clouds and prompts do not fit each other.

        """
        kwargs.pop("return_dict", None)  # generate passes it
        self._refuse_unknown(kwargs)
        if inputs_embeds is None:
            if point_tokens is None and points is not None:
                point_tokens = self.encode(points)
            if input_ids is None:
                raise ValueError("give input_ids or inputs_embeds")
            behind_cache = attention_mask is not None and attention_mask.shape[1] > input_ids.shape[1]
            if point_tokens is None and behind_cache:
                patch_count = 0  # a generation goes on; its cache has the clouds
            inputs_embeds = self.embed(input_ids, point_tokens, patch_count)
        elif points is not None or point_tokens is not None:
            raise ValueError("give clouds with input_ids; inputs_embeds have them already")
        optional = {"position_ids": position_ids, "past_key_values": past_key_values}
        kwargs |= {name: value for name, value in optional.items() if value is not None}
        inputs = {"inputs_embeds": inputs_embeds, "attention_mask": attention_mask, **kwargs}
        if labels is not None:
            labeled = labels[:, 1:] != IGNORED
            inputs.setdefault("use_cache", False)  # scored in one pass
            logits = self._run_llm(lambda hidden: hidden[:, :-1][labeled].unsqueeze(0), inputs).logits[0]
            answer_logp, whole = score_answers(logits, labels)
            return Spa3dOutput(
                loss=-answer_logp.sum() / labeled.sum().clamp(min=1),
                answer_logp=answer_logp,
                answer_vocabulary=whole if vocabulary else None,
            )
        kept: Any = logits_to_keep
        if isinstance(logits_to_keep, int):
            kept = slice(-logits_to_keep or None, None)
        outputs = self._run_llm(lambda hidden: hidden[:, kept], inputs)
        caches = {name: getattr(outputs, name, None) for name in ("past_key_values", "cache_params")}
        return Spa3dOutput(logits=outputs.logits, **caches)

    def project(self, hidden: Float[Tensor, "*places H"]) -> Float[Tensor, "*places V"]:
        """Logits of the vocabulary, computed in float32.

        Logits of bfloat16 between 16 and 32 lie 0.125 apart, as much as the margins that are trained and measured.
        """
        head = self.get_output_embeddings()
        weights = {name: weight.float() for name, weight in head.named_parameters() if weight.dtype != torch.float32}
        with _without_autocast(hidden):
            logits: Tensor = functional_call(head, weights, (hidden.float(),)) if weights else head(hidden.float())
        return logits

    def _run_llm(self, select: Callable[[Tensor], Tensor], inputs: dict[str, Any]) -> Any:
        """Run the LLM's own forward, with its projection at the selected hidden states alone.

        So whatever the LLM does to its logits (scales or caps them) is done in every score.
        """
        head, selected = self.get_output_embeddings(), list[Tensor]()

        def withhold(_: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
            selected.append(select(arguments[0]))
            return (arguments[0][:, :0],)

        def project(*_: object) -> Tensor:
            for handle in handles:
                handle.remove()
            return self.project(selected[0])

        handles = [head.register_forward_pre_hook(withhold), head.register_forward_hook(project)]
        try:
            return self.language_model(**inputs)
        finally:
            for handle in handles:
                handle.remove()

    def _refuse_unknown(self, arguments: dict[str, Any]) -> None:
        """Refuse arguments that the LLM would ignore."""
        named = inspect.signature(self.language_model.forward).parameters.keys()
        known = named | TransformersKwargs.__annotations__ | {"use_cache"}
        unknown = sorted(arguments.keys() - known)
        if unknown:
            raise TypeError(f"the 3D LLM takes no argument {', '.join(unknown)}; clouds are given as points")

    def prepare_inputs_for_generation(  # type: ignore[override]  # multimodal models add their own inputs
        self, input_ids: Any, points: Tensor | None = None, point_tokens: Tensor | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Transformers' hook: that of the LLM; clouds go in with the whole prompt only."""
        inputs: dict[str, Any] = self.language_model.prepare_inputs_for_generation(input_ids, **kwargs)
        ids = inputs.get("input_ids")
        if ids is not None and ids.shape[1] == input_ids.shape[1]:
            inputs.update(points=points, point_tokens=point_tokens)
        return inputs

    def _supports_default_dynamic_cache(self) -> bool:  # type: ignore[override]  # of the LLM, not of this class
        """Transformers' hook: whether ``generate`` makes the cache; some LLMs make their own."""
        return takes(self.language_model, "past_key_values") and self.language_model._supports_default_dynamic_cache()


def _without_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Context in which autocast does not apply to the device of `tensor`."""
    device = tensor.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()
