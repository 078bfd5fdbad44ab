from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from spa3d.errors import DiskFullError
from spa3d.runtime.disk_space import explain_full_disk


def test_explain_full_disk_names_the_folder_and_how_to_continue() -> None:
    with (
        pytest.raises(DiskFullError, match=r"^out: no space is left.*--resume$") as caught,
        explain_full_disk(Path("out")),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.exit_code == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_explain_full_disk_knows_the_error_of_torch() -> None:
    with pytest.raises(DiskFullError), explain_full_disk(Path("out")):
        torch.save({"a": torch.ones(100_000)}, "/dev/full")


def test_explain_full_disk_passes_other_errors() -> None:
    with pytest.raises(ZeroDivisionError), explain_full_disk(Path("out")):
        raise ZeroDivisionError
