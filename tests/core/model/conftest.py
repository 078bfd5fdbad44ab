"""Tokenizers of several kinds, and chat templates in the manner of well-known LLMs."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TEXT = 20 * [
    "What is this? A small red mug with a white handle.",
    "Describe the object: it is compact.",
    " user\nmodel\n",
    "assistant\n\n",
]
MARKS = [
    "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<|begin|>", "<|head|>", "<|/head|>", "<|eot|>", "[INST]",
    "[/INST]", "<turn>", "</turn>", "<|user|>", "<|assistant|>", "<|end|>", "<point_start>", "<point_patch>",
    "<point_end>",
]  # fmt: skip

QWEN_LIKE = (
    "{%- set ns = namespace(last=-1) %}{%- for m in messages %}{%- if m.role == 'user' %}"
    "{%- set ns.last = loop.index0 %}{%- endif %}{%- endfor %}{%- for m in messages %}"
    "{{- '<|im_start|>' + m.role + '\\n' }}{%- if m.role == 'assistant' and loop.index0 > ns.last %}"
    "{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{{- m.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
LLAMA3_LIKE = (
    "{{ '<|begin|>' }}{% for m in messages %}{{ '<|head|>' + m.role + '<|/head|>\\n\\n' }}"
    "{{ m.content | trim + '<|eot|>' }}"
    "{% if loop.first %}{{ strftime_now('%d %b %Y') }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|head|>assistant<|/head|>\\n\\n' }}{% endif %}"
)
MISTRAL_LIKE = (
    "{{ '<s>' }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ ' ' + m.content | trim + ' </s>' }}"
    "{% else %}{{ raise_exception('only user and assistant roles') }}{% endif %}{% endfor %}"
)
GEMMA_LIKE = (
    "{{ '<s>' }}{% for m in messages %}{{ '<turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' }}"
    "{{ m.content | trim + '</turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<turn>model\\n' }}{% endif %}"
)
PHI_LIKE = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ '</s>' }}{% endif %}"
)
TEMPLATES = {
    "qwen": (QWEN_LIKE, "<|im_end|>"),
    "llama 3": (LLAMA3_LIKE, "<|eot|>"),
    "mistral": (MISTRAL_LIKE, "</s>"),
    "gemma": (GEMMA_LIKE, "</turn>"),
    "phi 3": (PHI_LIKE, "<|end|>"),
}
"""Chat templates, each with its end token."""
KINDS = ("byte level", "trimmed offsets", "prefix space", "appended end", "sentencepiece")


def build(kind: str) -> PreTrainedTokenizerFast:
    """A small tokenizer of a `kind` with the marks of the templates."""
    result = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(train_vocabulary(kind)),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )
    result.add_tokens([AddedToken(mark, special="think" not in mark, normalized=False) for mark in MARKS])
    return result


@cache
def train_vocabulary(kind: str) -> str:
    """Byte-pair encoding whose pieces, spaces and offsets are those of a `kind`, as JSON."""
    metaspace = kind == "sentencepiece"
    tokenizer = Tokenizer(models.BPE(byte_fallback=metaspace, unk_token="<unk>" if metaspace else None))
    special = ["<unk>", "<s>", "</s>"]
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
        special += [f"<0x{byte:02X}>" for byte in range(256)]
        alphabet = []
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=kind == "prefix space")
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=special, initial_alphabet=alphabet, show_progress=False, max_token_length=16
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    if metaspace:  # as it is used: spaces may merge with each other
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    ends = [processors.ByteLevel(trim_offsets=kind == "trimmed offsets")] if not metaspace else []
    frame = "<s> $A </s>" if kind == "appended end" else "<s> $A"
    pairs = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.Sequence(
        [*ends, processors.TemplateProcessing(single=frame, special_tokens=pairs)]
    )
    return str(tokenizer.to_str())


@pytest.fixture(params=KINDS)
def any_tokenizer(request: pytest.FixtureRequest) -> Any:
    """A tokenizer of every kind, without a chat template."""
    return build(request.param)


@pytest.fixture
def tokenizer() -> Any:
    """A byte-level tokenizer without a chat template."""
    return build("byte level")


@pytest.fixture(params=TEMPLATES)
def any_template(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A chat template of every kind, and its end token."""
    return TEMPLATES[request.param]


@pytest.fixture
def templates() -> dict[str, str]:
    """Chat templates by the LLM whose manner they have."""
    return {name: template for name, (template, _) in TEMPLATES.items()}
