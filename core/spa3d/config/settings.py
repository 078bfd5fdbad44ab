"""Settings of a run: one frozen, complete model that can be saved and read back."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from spa3d.config.evaluate_settings import EvaluateSettings
from spa3d.config.settings_model import LARGEST_COUNT, LARGEST_SEED, Settings

Part = Literal["encoder", "projector", "llm", "embeddings"]


class Selection(Settings):
    """One chosen component: requested name, resolved component and complete configuration."""

    requested: str
    """The name the user gave: a component or a preset."""
    component: str
    """The component it resolves to."""
    preset: str = ""
    """The preset of its values: the requested one, or the run preset's default for a component's name."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Every field of the component's Config, with its value."""


class EncoderSelection(Selection):
    """The chosen encoder and the file of its weights."""

    checkpoint: str = ""
    """Published weights (ULIP, PointLLM, safetensors, a saved model); empty: fresh ones, pretrained in the base."""


class PointsSettings(Settings):
    """Preparation of a cloud before any encoder sees it."""

    count: int = Field(0, ge=0, le=10**7)
    """Points per cloud; 0 keeps what the dataset gives."""
    resample: Literal["fps", "random"] = "fps"
    """Way to reduce a larger cloud: farthest point sampling, or a keyed random subset."""
    normalize: bool = True
    """Subtract the centroid and divide by the largest distance to it."""
    missing_color: float = Field(0.0, ge=0, le=1)
    """Color given to clouds without one: 0 (PointLLM) or 0.4 (ULIP-2)."""


class LLMSettings(Settings):
    """The causal LM: a path for transformers, or the shape of a small LLaMA."""

    path: str = ""
    """Folder or hub name of a causal LM; empty: a fresh LLaMA of the shape below, pretrained in the base."""
    hidden_size: int = Field(96, ge=8, le=65536)
    """Width of the fresh LLaMA."""
    layers: int = Field(3, ge=1, le=1000)
    """Decoder layers of the fresh LLaMA."""
    heads: int = Field(3, ge=1, le=1024)
    """Attention heads of the fresh LLaMA."""
    intermediate_size: int = Field(256, ge=8, le=2**20)
    """Width of its feed-forward layers."""
    vocab_size: int = Field(2048, ge=300, le=10**6)
    """Largest vocabulary of the tokenizer trained on the training text (256 bytes included)."""
    max_length: int = Field(512, ge=16, le=2**20)
    """Longest prompt with answer, in tokens, point tokens included."""
    template: Literal["vicuna", "plain", "chat"] = "vicuna"
    """Conversation template; chat is the tokenizer's own."""
    system: str = ""
    """System prompt, put before the first turn."""
    point_start: str = Field("<point_start>", min_length=1)
    """Token before the point tokens."""
    point_patch: str = Field("<point_patch>", min_length=1)
    """Token that stands for one point embedding."""
    point_end: str = Field("<point_end>", min_length=1)
    """Token after the point tokens."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if len({self.point_start, self.point_patch, self.point_end}) < 3:
            raise ValueError("point_start, point_patch and point_end must be three different tokens")
        if not self.path and self.hidden_size % (2 * self.heads):
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of {2 * self.heads}, as its heads need")
        return self


class PartRates(Settings):
    """Learning rates of single parts; 0 leaves a part at the stage's own rate."""

    encoder: float = Field(0.0, ge=0, le=100)
    """Peak learning rate of the encoder."""
    projector: float = Field(0.0, ge=0, le=100)
    """Peak learning rate of the projector."""
    llm: float = Field(0.0, ge=0, le=100)
    """Peak learning rate of the LLM."""
    embeddings: float = Field(0.0, ge=0, le=100)
    """Peak learning rate of the point tokens' embeddings, if they train without the LLM."""


class StageSettings(Settings):
    """One stage of training; ``epochs`` is ignored if ``steps`` is not 0."""

    epochs: float = Field(1.0, ge=0, le=10**6)
    """Passes over the records; 0 leaves a stage of the base out. Set without steps, they replace those of a preset."""
    steps: int = Field(0, ge=0, le=LARGEST_COUNT)
    """Optimizer steps; 0: as many as the epochs need."""
    batch_size: int = Field(32, ge=1, le=10**6)
    """Samples per optimizer step, over all devices and accumulation steps."""
    accumulation: int = Field(1, ge=1, le=10**6)
    """Micro-batches per optimizer step; divides batch_size."""
    learning_rate: float = Field(1e-3, gt=0, le=100)
    """Peak learning rate of AdamW."""
    rates: PartRates = PartRates()
    """Peak learning rates of single parts."""
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    """Shape of the learning rate over the stage."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(0.0, ge=0, le=100)
    """AdamW weight decay."""
    beta2: float = Field(0.98, gt=0, lt=1)
    """AdamW's second-moment decay."""
    max_grad_norm: float = Field(1.0, gt=0, le=10**9)
    """Gradients are clipped to this norm."""
    train: tuple[Part, ...] = ()
    """Parts that train, of encoder, projector, llm, embeddings (of the point tokens); empty: the stage's usual ones."""
    truncate: bool = False
    """Cut conversations that are longer than the longest prompt, and list them; else they are refused."""
    save_every: int = Field(50, ge=1, le=LARGEST_COUNT)
    """Steps between checkpoints that a killed run resumes from."""
    log_every: int = Field(5, ge=1, le=LARGEST_COUNT)
    """Steps between lines in metrics.jsonl."""


class BaseSettings(Settings):
    """The base: the 3D LLM that post-training starts from. Built once, shared by runs."""

    path: str = ""
    """A complete 3D LLM to start from (folder of a saved model); empty: build one, or reuse it."""
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    """Seed of everything in the base, independent of the run's seed."""
    encoder: StageSettings = StageSettings()
    """Pretraining of an encoder without published weights: predict the words of the captions."""
    llm: StageSettings = StageSettings()
    """Pretraining of a fresh LLM on the training text."""
    align: StageSettings = StageSettings()
    """Projector alignment on captions, encoder and LLM frozen."""
    instruct: StageSettings = StageSettings()
    """Instruction tuning of projector and LLM, encoder frozen."""


class LoRASettings(Settings):
    """Low-rank adapters in the LLM (peft); its own weights are frozen."""

    rank: int = Field(0, ge=0, le=65536)
    """Rank of the adapters; 0: no adapters, the LLM's own weights train."""
    alpha: float = Field(16.0, gt=0, le=10**6)
    """The output of the adapters is scaled by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before the adapters, in training only."""
    targets: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Names of the layers with adapters, such as q_proj,v_proj; empty: every linear layer of the decoder."""


class TrainSettings(StageSettings):
    """Post-training with the chosen objective and noise."""

    lora: LoRASettings = LoRASettings()
    reference: Literal["auto", "precomputed", "adapters-off", "copy"] = "auto"
    """Source of an objective's reference model: scored beforehand, the model without its adapters, or a copy."""
    fresh: bool = False
    """Train on questions that the base was not trained on (for datasets that draw new questions each epoch)."""
    twin_share: float = Field(0.5, gt=0, le=1)
    """Share of the samples that are minimal pairs, for objectives that ask for twins."""
    relevance_share: float = Field(0.0, ge=0, le=1)
    """Share of the samples that become relevance questions, half of them with another's cloud and a refusal."""
    early_stop: bool = False
    """Stop when the watchdog warns that held-out log p(y|x) has fallen."""
    keep: Literal["last", "best"] = "last"
    """Weights to keep: those of the last step, or of the probe with the highest held-out log p(y|x)."""
    keep_checkpoints: bool = False
    """Keep the checkpoints of a finished run; a run that is not finished has them in any case."""
    save_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Data type of the weights in the saved model; training keeps float32 weights in any case."""
    probe_every: int = Field(10, ge=1, le=LARGEST_COUNT)
    """Steps between scorings of the held-out slice (log p of clean and noised, margin; the watchdog's data)."""
    probe_size: int = Field(64, ge=2, le=LARGEST_COUNT)
    """Records of the held-out slice, taken from the val split."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if not (self.steps or self.epochs):
            raise ValueError("--train.epochs 0: there would be no post-training; raise it, or give --train.steps")
        if self.reference == "adapters-off" and not self.lora.rank:
            raise ValueError("--train.reference adapters-off: there are no adapters; give --train.lora.rank")
        return self


class PairsSettings(Settings):
    """Preference pairs, for objectives that need rejected answers."""

    path: str = ""
    """Pairs to train on: JSON lines as ``spa3d pairs`` writes them."""
    mode: Literal["", "augmentation", "corruption"] = ""
    """Way to make rejected answers: the model's answer to the noised cloud, or a corrupted truth."""
    chosen: Literal["truth", "model"] = "truth"
    """Augmentation: chosen is the ground truth, or the model's own answer to the clean cloud."""
    writer: Literal["rule", "model", "endpoint"] = "rule"
    """Corruption: what rewrites the true answer: a rule (from facts), a local LLM, an OpenAI-compatible endpoint."""
    llm: str = ""
    """Corruption: folder or hub name of the local LLM, or the endpoint's name of the model."""
    url: str = ""
    """Corruption: base URL of the endpoint, such as http://localhost:8000/v1; its key is read from OPENAI_API_KEY."""
    limit: int = Field(0, ge=0, le=LARGEST_COUNT)
    """Largest number of pairs to make; 0: one per record that post-training uses."""
    batch_size: int = Field(64, ge=1, le=10**6)
    """Answers generated at once."""

    @field_validator("url")
    @classmethod
    def _check_no_secrets(cls, url: str) -> str:
        parts = urlsplit(url)
        if "@" in parts.netloc or parts.query:
            raise ValueError(
                "a URL with a user name, password or query would be kept in config.yaml and the report, secrets "
                "included; leave them out, and put the endpoint's key into OPENAI_API_KEY"
            )
        return url


class RunConfig(Settings):
    """All settings of a run."""

    preset: str
    """Run preset of the settings."""
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    """Seed of post-training: order, noise, new questions."""
    device: str = Field("auto", min_length=1)
    """auto, cpu, cuda, cuda:1, mps; auto takes the best available device."""
    threads: int = Field(0, ge=0, le=1024)
    """CPU threads; 0: torch's default. A tiny model is fastest with one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the model (bfloat16: autocast); auto is bfloat16 on CUDA and float32 elsewhere."""
    blind: bool = False
    """Train and evaluate without point clouds: a control that shows what the text alone gives."""
    cache: bool = True
    """Keep the tokens of a frozen encoder on disk (--no-cache turns it off)."""
    cache_limit_gb: float = Field(20.0, gt=0, le=10**6)
    """Size in GB at which the token cache stops growing."""
    on_bad_data: Literal["stop", "skip"] = "stop"
    """Treatment of a record that cannot be read: stop, or skip, count and list it."""
    encoder: EncoderSelection
    projector: Selection
    noise: Selection
    objective: Selection
    dataset: Selection
    benchmark: tuple[Selection, ...]
    ops: str = Field("auto", min_length=1)
    """Backend of the point operations; auto takes the fastest for the device."""
    llm_name: str = "tiny"
    """The preset or path given as --llm."""
    llm: LLMSettings = LLMSettings()
    points: PointsSettings = PointsSettings()
    base: BaseSettings = BaseSettings()
    pairs: PairsSettings = PairsSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    plugins: tuple[str, ...] = ()
    """Unpackaged plugins loaded with --plugin."""
    registry: str = ""
    """File given with --registry, whose rows are added to registry.yaml."""
