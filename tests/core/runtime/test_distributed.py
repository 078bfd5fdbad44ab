"""Ranks and process counts from the environment variables of launchers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from spa3d.runtime import distributed


def test_without_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert (distributed.world_size(), distributed.rank(), distributed.local_rank()) == (1, 0, None)
    assert distributed.is_first()


def test_ranks_come_from_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WORLD_SIZE", "8"), ("RANK", "5"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert (distributed.world_size(), distributed.rank(), distributed.local_rank()) == (8, 5, 1)


def test_run_in_first_hands_on_what_the_work_raises() -> None:
    met: list[int] = []
    distributed.run_in_first(lambda: met.append(1))
    assert met == [1]
    with pytest.raises(KeyError):
        distributed.run_in_first(lambda: {}["nothing"])


def test_the_rank_is_known_without_torch() -> None:
    code = "import sys; from spa3d.runtime import distributed; distributed.rank(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_gather_gives_the_result_of_the_only_process() -> None:
    assert distributed.gather(lambda: 3) == [3]
    with pytest.raises(KeyError):
        distributed.gather(lambda: {}["nothing"])
