"""LLaMA's tokenizer file (SentencePiece BPE) as a fast tokenizer with the same tokens.

The file is a protocol buffer of three messages (pieces, trainer, normalizer); the few fields that decide the tokens are
read here, so that neither sentencepiece nor protobuf is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, processors
from transformers import PreTrainedTokenizerFast

from spa3d.errors import CheckpointError
from spa3d.model.tokenizer import BOS, EOS

UNK = "<unk>"
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""SentencePiece's stand-in for a space."""
NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4
PIECES, TRAINER, NORMALIZER = 1, 2, 3
"""Field numbers of the file."""
BPE = 2
LLAMA = {
    (TRAINER, "model_type", 3, 1): BPE,
    (TRAINER, "byte_fallback", 35, 0): 1,
    (NORMALIZER, "precompiled_charsmap", 2, b""): b"",
    (NORMALIZER, "add_dummy_prefix", 3, 1): 1,
    (NORMALIZER, "remove_extra_whitespaces", 4, 1): 0,
    (NORMALIZER, "escape_whitespaces", 5, 1): 1,
}
"""Message, name, field number and default of each setting, and its value in LLaMA's file."""


def read_sentencepiece(path: Path) -> PreTrainedTokenizerFast:
    """Read LLaMA's ``tokenizer.model``.

    There is a space before each text and bos in front, and unknown characters are bytes. The tokens are those of
    ``LlamaTokenizer`` of transformers 4 (slow): each piece of text between special tokens gets its own space. Merges
    have the order of the scores, and those of one piece the order of their parts.

    Raises:
        CheckpointError: the file is broken, or no BPE model with LLaMA's settings.

    """
    try:
        fields = list(_fields(path.read_bytes()))
        pieces = [_piece(dict(_fields(value))) for number, value in fields if number == PIECES]
        messages = {number: dict(_fields(value)) for number, value in fields if number != PIECES}
    except (OSError, ValueError, IndexError, KeyError, TypeError, struct.error) as error:
        raise CheckpointError(f"{path}: cannot be read as a SentencePiece file ({error}); copy it again") from error
    for (message, name, number, default), expected in LLAMA.items():
        value = messages.get(message, {}).get(number, default)
        if value != expected:
            raise CheckpointError(f"{path}: {name} is {value!r} where LLaMA has {expected!r}; give LLaMA's tokenizer")
    names = {kind: [text for text, _, its in pieces if its == kind] for kind in (UNKNOWN, CONTROL)}
    special = [*names[UNKNOWN], *names[CONTROL]]
    if special != [UNK, BOS, EOS]:
        raise CheckpointError(f"{path}: its special tokens are {special}, and LLaMA's are {[UNK, BOS, EOS]}")
    return _make_tokenizer(pieces)


def _make_tokenizer(pieces: list[tuple[str, float, int]]) -> PreTrainedTokenizerFast:
    vocabulary = {text: number for number, (text, _, _) in enumerate(pieces)}
    scores = {text: score for text, score, kind in pieces if kind in (NORMAL, USER_DEFINED)}
    parts = [
        (-score, vocabulary[text[:cut]], vocabulary[text[cut:]], (text[:cut], text[cut:]))
        for text, score in scores.items()
        for cut in range(1, len(text))
        if text[:cut] in scores and text[cut:] in scores
    ]
    merges = [pair for *_, pair in sorted(parts)]
    model = models.BPE(vocab=vocabulary, merges=merges, unk_token=UNK, fuse_unk=True, byte_fallback=True)
    backend = Tokenizer(model)
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    start = (BOS, vocabulary[BOS])
    backend.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[start])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=BOS, eos_token=EOS, unk_token=UNK, pad_token=UNK)


def _piece(message: Mapping[int, Any]) -> tuple[str, float, int]:
    """Text, score and kind of a piece."""
    score = struct.unpack("<f", message[2])[0] if 2 in message else 0.0
    return message[1].decode(), score, message.get(3, NORMAL)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and values of a message: integers, or bytes."""
    position = 0

    def integer() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while position < len(data):
        key = integer()
        if key & 7 == 0:
            yield key >> 3, integer()
            continue
        length = integer() if key & 7 == 2 else {1: 8, 5: 4}.get(key & 7, len(data))
        if position + length > len(data):
            raise ValueError("a field goes beyond its end")
        yield key >> 3, data[position : position + length]
        position += length
