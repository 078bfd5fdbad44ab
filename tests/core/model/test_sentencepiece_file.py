"""LLaMA's tokenizer file gives the ids of sentencepiece; other files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from spa3d.errors import CheckpointError
from spa3d.model.sentencepiece_file import read_sentencepiece

GOLDEN = Path(__file__).parents[2] / "golden" / "pointllm" / "tokenizer.model"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        # Ids of sentencepiece 0.2.3, piece by piece between special tokens, with bos in front.
        ("", [1]),
        ("     ʥat", [1, 1018, 1018, 1018, 205, 168, 270]),
        ("USER:</s> cup", [1, 432, 1439, 2, 1404, 788]),
        ("猫\x7f M", [1, 1404, 234, 143, 174, 130, 851]),
        ("     </s> ", [1, 1018, 1018, 1018, 2, 1018]),
    ],
)
def test_ids_are_those_of_sentencepiece(text: str, ids: list[int]) -> None:
    tokenizer = read_sentencepiece(GOLDEN)
    assert tokenizer(text)["input_ids"] == ids
    if "</s>" not in text:
        assert tokenizer.decode(ids[1:]) == text


def message(number: int, content: bytes) -> bytes:
    """A field of bytes of a protocol buffer."""
    return bytes([number << 3 | 2, len(content)]) + content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "cannot be read as a SentencePiece file"),
        (GOLDEN.read_bytes()[:5000], "cannot be read as a SentencePiece file"),
        (message(1, b"\x0a\x01a"), "model_type is 1 where LLaMA has 2"),
        (message(2, b"\x18\x02\x98\x02\x01"), "remove_extra_whitespaces is 1 where LLaMA has 0"),
        (message(2, b"\x18\x02\x98\x02\x01") + message(3, b"\x20\x00"), r"its special tokens are \[\], and LLaMA's"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "tokenizer.model").write_bytes(content)
    with pytest.raises(CheckpointError, match=reason):
        read_sentencepiece(tmp_path / "tokenizer.model")
