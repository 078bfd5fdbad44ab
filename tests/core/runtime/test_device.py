"""The device of a process: named, chosen, or that of its rank."""

from __future__ import annotations

import pytest
import torch

from spa3d.errors import ConfigError
from spa3d.runtime.device import choose_device


@pytest.fixture
def _two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("_two_gpus")
@pytest.mark.parametrize(
    ("requested", "rank", "result"),
    [
        ("auto", None, "cuda"),
        ("cuda", None, "cuda"),
        ("auto", "1", "cuda:1"),
        ("cuda", "1", "cuda:1"),
        ("cuda:0", "1", "cuda:0"),
        ("cpu", "1", "cpu"),
    ],
)
def test_choose_device_takes_the_gpu_of_the_rank(
    requested: str, rank: str | None, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rank is None:
        monkeypatch.delenv("LOCAL_RANK", raising=False)
    else:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert str(choose_device(requested)) == result


@pytest.mark.usefixtures("_two_gpus")
def test_choose_device_refuses_a_gpu_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"cuda:2: not on this machine; there is: auto, cpu, cuda, cuda:0, cuda:1"):
        choose_device("cuda:2")
