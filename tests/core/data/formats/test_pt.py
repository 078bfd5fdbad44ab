import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import spa3d
from spa3d.errors import DataError

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]


def read(path: Path, content: object, **options: bool) -> spa3d.Cloud:
    torch.save(content, path / "a.pt", **options)
    return spa3d.read_cloud(path / "a.pt")


def test_read_cloud_dict_of_tensors(sample: Sample, write_sample: Callable[[str], Path]) -> None:
    cloud = spa3d.read_cloud(write_sample("a.pt"))
    np.testing.assert_array_equal(cloud.points, sample[0].astype(np.float64))
    np.testing.assert_array_equal(cloud.colors, sample[1] / np.float32(255))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("new", [True, False])
def test_read_cloud_one_tensor_of_any_float(tmp_path: Path, sample: Sample, dtype: torch.dtype, new: bool) -> None:
    tensor = torch.from_numpy(np.concatenate([sample[0], sample[1] / 255], axis=1)).to(dtype)
    cloud = read(tmp_path, tensor.requires_grad_(), _use_new_zipfile_serialization=new)
    np.testing.assert_array_equal(cloud.points, tensor.detach()[:, :3].double().numpy())
    np.testing.assert_allclose(cloud.colors, tensor.detach()[:, 3:].float().numpy())


def test_read_cloud_turned_tensor_of_cap3d(tmp_path: Path, sample: Sample) -> None:
    tensor = torch.from_numpy(np.concatenate([sample[0], sample[1] / 255], axis=1)).T
    cloud = read(tmp_path, tensor)
    np.testing.assert_array_equal(cloud.points, sample[0].astype(np.float64))
    assert cloud.notes == ("the file was turned from (6, 60) to (60, 6)",)
    cloud = read(tmp_path, {"pos": tensor[:3].T, "label": 3, "batch": torch.zeros(60)})
    assert cloud.notes == ("arrays that are not used: batch", "values that are no tensors are not used: label")


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("writer", ["zip", "old", "pickle"])
def test_read_cloud_runs_no_code(tmp_path: Path, writer: str) -> None:
    path, target = tmp_path / "a.pt", tmp_path / "made by the pickle"
    if writer == "pickle":
        path.write_bytes(pickle.dumps(Bomb(target)))
    else:
        torch.save({"points": Bomb(target)}, path, _use_new_zipfile_serialization=writer == "zip")
    with pytest.raises(DataError, match=r"a\.pt: it holds more than tensors, or would run code") as caught:
        spa3d.read_cloud(path)
    assert "\n" not in str(caught.value)
    assert not target.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "it holds a list; save a tensor, or a dict of tensors"),
        ({"points": 3}, "no plain tensors in it"),
        (torch.zeros(2, 4), "the file has the shape (2, 4); a cloud is (N, 6)"),
        (torch.zeros(1).expand(10**12, 3), "1,000,000,000,000 points; thin them out"),
        (torch.eye(3).to_sparse(), "no plain tensors in it"),
        (torch.zeros(4, 3, dtype=torch.complex64), "the type complex64; points are floats"),
    ],
)
def test_read_cloud_other_content(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        read(tmp_path, content)
