"""The C++ backend: compilation, cache, errors, and equality with the reference."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

import spa3d_plugins.ops.cpp as backend
from spa3d.errors import PluginError
from spa3d_plugins.ops.cpp import LEVELS, CppOps
from spa3d_plugins.ops.torch import TorchOps

pytestmark = pytest.mark.skipif(
    not any(backend.shutil.which(name) for name in backend.COMPILERS), reason="there is no C++ compiler"
)


@pytest.fixture(scope="module")
def built_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, compiled for real into a new cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("CXX", raising=False)
        backend.load()
        (library,) = (Path(os.environ["XDG_CACHE_HOME"]) / "spa3d").glob("*.so")
    return library


class Fake:
    """A compiler that copies what was built before, and notes that it was called."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.log, self.cache = folder / "calls", folder / "cache" / "spa3d"
        self.program = folder / "fake-c++"
        self.write(f'echo call >> {self.log}\nwhile [ "$1" != -o ]; do shift; done\ncp {library} "$2"\n')

    def write(self, body: str) -> None:
        self.program.write_text(f'#!/bin/sh\ncase "$*" in *--version) echo fake 1; exit;; esac\n{body}')
        self.program.chmod(0o755)

    @property
    def calls(self) -> int:
        return self.log.read_text().count("call") if self.log.exists() else 0

    @property
    def library(self) -> Path:
        (library,) = self.cache.glob("*.so")
        return library


@pytest.fixture
def fake(tmp_path: Path, built_library: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake(tmp_path, built_library)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", str(fake.program))
    return fake


@pytest.fixture
def ops(built_library: Path, monkeypatch: pytest.MonkeyPatch) -> CppOps:
    monkeypatch.setenv("XDG_CACHE_HOME", str(built_library.parents[1]))
    monkeypatch.delenv("CXX", raising=False)
    return CppOps()


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_cache_contains_library_and_checksum_with_private_mode(built_library: Path) -> None:
    names = sorted(path.name for path in built_library.parent.iterdir())
    assert names == [f"{built_library.stem}.sha256", built_library.name, f"{built_library.name}.lock"]
    assert stat.S_IMODE(built_library.stat().st_mode) == stat.S_IMODE(built_library.parent.stat().st_mode) == 0o700
    assert built_library.with_suffix(".sha256").read_text() == hashlib.sha256(built_library.read_bytes()).hexdigest()


def test_library_is_compiled_once(fake: Fake) -> None:
    CppOps()
    CppOps()
    assert fake.calls == 1


def test_another_compiler_gives_another_cache_entry(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CppOps()
    fake.program = fake.program.rename(tmp_path / "other-c++")
    monkeypatch.setenv("CXX", f"{fake.program} -g")
    CppOps()
    assert (fake.calls, len(list(fake.cache.glob("*.so")))) == (2, 2)


def test_simultaneous_processes_compile_once(fake: Fake) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        levels = pool.map(level, range(8), chunksize=1)
    assert (levels, fake.calls) == ([CppOps().level] * 8, 1)


def level(_: int) -> int:
    return CppOps().level


def cut(library: Path) -> None:
    library.write_bytes(library.read_bytes()[:5000])


def exchange(library: Path) -> None:
    """As a file of another machine would be: whole, and not to be loaded."""
    library.write_bytes(b"not a library")
    library.with_suffix(".sha256").write_text(hashlib.sha256(b"not a library").hexdigest())


def open_to_others(library: Path) -> None:
    library.chmod(0o722)


def forget_checksum(library: Path) -> None:
    library.with_suffix(".sha256").unlink()


@pytest.mark.parametrize("damage", [cut, exchange, open_to_others, forget_checksum])
def test_untrusted_cache_file_is_compiled_again(fake: Fake, damage: Callable[[Path], None]) -> None:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.map(level, [0])  # in another process: a loaded library stays in this one
    library = fake.library
    damage(library)
    CppOps()
    assert fake.calls == 2
    assert stat.S_IMODE(fake.library.stat().st_mode) == 0o700
    CppOps()
    assert fake.calls == 2


def test_cache_folder_writable_by_others_is_not_used(fake: Fake) -> None:
    fake.cache.mkdir(parents=True)
    fake.cache.chmod(0o777)
    CppOps()
    assert fake.calls == 1
    assert not list(fake.cache.iterdir())


def test_compiles_without_a_cache_folder(fake: Fake) -> None:
    fake.cache.parent.write_text("a file where the folder should be")
    assert CppOps().fps(torch.eye(3)[None], 2, torch.tensor([1])).tolist() == [[1, 0]]


def test_missing_compiler_raises_plugin_error(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-c++ -O1")
    with pytest.raises(PluginError, match=r"\$CXX is 'no-such-c\+\+', which is not there.*--ops torch"):
        CppOps()
    monkeypatch.setenv("CXX", '"no end')
    with pytest.raises(PluginError, match=r"""\$CXX is '"no end', which is no command: No closing quotation"""):
        CppOps()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(
        PluginError, match=r"none of c\+\+, g\+\+, clang\+\+ is on the PATH\. Install one .*--ops torch"
    ):
        CppOps()


def test_compiler_failure_is_quoted(fake: Fake) -> None:
    fake.write("for i in 1 2 3 4 5 6 7 8 9; do echo line $i >&2; done; exit 3\n")
    with pytest.raises(PluginError, match=r"failed with code 3") as caught:
        CppOps()
    assert f"{fake.program} -std=c++17" in str(caught.value)
    assert str(caught.value).splitlines()[-8:] == [f"line {i}" for i in range(2, 10)]
    assert not list(fake.cache.glob("*.part"))


def clouds(kind: str, points: int) -> Tensor:
    """Two clouds of a kind that is hard on a search structure or on ties."""
    generator = torch.Generator().manual_seed(points)
    normal = torch.randn(2, points, 3, generator=generator)
    if kind == "surface":
        return normal / normal.norm(dim=-1, keepdim=True)
    if kind == "lattice":
        return torch.randint(-4, 5, (2, points, 3), generator=generator).float()
    if kind == "duplicates":
        return normal[:, torch.randint(0, points // 3, (points,), generator=generator)].contiguous()
    if kind == "collinear":
        return torch.linspace(-1, 1, points)[None, :, None] * torch.tensor([[[1.0, 2, 3]], [[0, 0, 1]]])
    if kind == "identical":
        return normal[:, :1].expand(-1, points, -1).contiguous()
    if kind == "outliers":
        normal[:, ::97] *= 1e5
    if kind == "beyond float32":  # infinite squared distances
        normal[:, ::5] *= 3e19
    return normal


KINDS = (
    *("volume", "surface", "lattice", "duplicates"),
    *("collinear", "identical", "outliers", "beyond float32"),
)


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_set_equals_the_reference(ops: CppOps, kind: str, name: str) -> None:
    level = LEVELS.index(name)
    if level > ops.level:
        pytest.skip(f"this CPU has no {name}")
    ops.level, reference = level, TorchOps()
    for points in (600, 4000):
        xyz = clouds(kind, points)
        query = torch.cat([xyz[:, ::97], clouds("volume", 25) * 2], dim=1)
        start = torch.tensor([0, points - 1])
        assert torch.equal(ops.fps(xyz, 300, start), reference.fps(xyz, 300, start))
        for k in (1, 3, 5, 32, 300, points):
            assert torch.equal(ops.knn(query, xyz, k), reference.knn(query, xyz, k)), k
        for radius, places, closed in ((0.1, 32, False), (0.3, 64, True), (1.0, 16, False), (9.0, points + 3, True)):
            arguments = (query, xyz, radius, places)
            actual, expected = (one.ball_query(*arguments, closed=closed) for one in (ops, reference))
            assert torch.equal(actual, expected), radius


@pytest.mark.parametrize("kind", ["volume", "surface", "outliers"])
def test_ten_thousand_points(ops: CppOps, kind: str) -> None:
    xyz, reference = clouds(kind, 10_000), TorchOps()
    start = torch.tensor([7, 42])
    assert torch.equal(ops.fps(xyz, 512, start), reference.fps(xyz, 512, start))
    query = xyz[:, :200].contiguous()
    assert torch.equal(ops.knn(query, xyz, 32), reference.knn(query, xyz, 32))
    assert torch.equal(ops.knn(xyz, query, 3), reference.knn(xyz, query, 3))


def test_more_points_than_the_threshold_of_the_fine_grid(ops: CppOps) -> None:
    xyz, start = clouds("surface", 20_000), torch.tensor([0, 1])
    assert torch.equal(ops.fps(xyz, 200, start), TorchOps().fps(xyz, 200, start))


def test_number_of_threads_does_not_change_results(ops: CppOps, threads: Callable[[int], None]) -> None:
    xyz = torch.cat([clouds(kind, 3000) for kind in ("volume", "surface", "lattice")])
    query = xyz[:, :700].contiguous()
    work: list[Callable[[], Tensor]] = [
        lambda: ops.fps(xyz, 100, torch.arange(6)),
        lambda: ops.knn(query, xyz, 16),
        lambda: ops.knn(xyz, query, 3),
        lambda: ops.ball_query(query, xyz, 0.2, 32, closed=True),
    ]
    threads(1)
    alone = [one() for one in work]
    threads(4)
    assert all(torch.equal(one(), expected) for one, expected in zip(work, alone, strict=True))
    with ThreadPoolExecutor(4) as pool:  # the interpreter's lock is released during a call
        together = [pool.submit(one) for _ in range(5) for one in work]
        assert all(torch.equal(done.result(), alone[i % 4]) for i, done in enumerate(together))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_data_loader_workers_can_use_the_backend(ops: CppOps, threads: Callable[[int], None], method: str) -> None:
    threads(2)
    batches = [clouds("volume", 1000), clouds("surface", 1200)]
    sample = partial(ops.fps, count=200, start=torch.zeros(2, dtype=torch.int64))
    here = [sample(batch) for batch in batches]  # with its own threads, before the fork
    loader = DataLoader(batches, batch_size=None, collate_fn=sample, num_workers=1, multiprocessing_context=method)
    assert all(torch.equal(got, expected) for got, expected in zip(loader, here, strict=True))


def test_pickled_copy_loads_the_library_again(ops: CppOps) -> None:
    copy = pickle.loads(pickle.dumps(ops))
    assert copy.fps(torch.eye(3)[None], 2, torch.tensor([2])).tolist() == [[2, 0]]
