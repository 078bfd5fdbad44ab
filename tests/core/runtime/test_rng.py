import subprocess
import sys

import pytest
import torch

from spa3d.runtime.rng import Draws, keyed_generator

KEYS = [(0, epoch, f"record-{number}", "noised") for epoch in range(2) for number in range(8)]


def test_a_key_decides_the_numbers() -> None:
    assert keyed_generator("a", 1).random() == keyed_generator("a", 1).random()
    assert keyed_generator("a", 1).random() != keyed_generator("a", 2).random()
    assert keyed_generator(1, 2).random() != keyed_generator(2, 1).random()
    assert keyed_generator("1").random() != keyed_generator(1).random()


@pytest.mark.parametrize("split", [1, 3, 5])
def test_the_batch_a_sample_is_in_does_not_matter(split: int) -> None:
    whole = Draws(KEYS)
    parts = [Draws(KEYS[i : i + split]) for i in range(0, len(KEYS), split)]
    assert torch.equal(whole.uniform(4), torch.cat([part.uniform(4) for part in parts]))
    assert torch.equal(whole.normal(2, 3), torch.cat([part.normal(2, 3) for part in parts]))
    assert torch.equal(whole.integers(10, 5), torch.cat([part.integers(10, 5) for part in parts]))
    assert torch.equal(whole.permutation(7), torch.cat([part.permutation(7) for part in parts]))


def test_shapes_ranges_and_types() -> None:
    draws = Draws(KEYS)
    assert len(draws) == 16
    uniform = draws.uniform(1000)
    assert uniform.shape == (16, 1000)
    assert uniform.dtype == torch.float32
    assert 0 <= uniform.min() < 0.001
    assert 0.999 < uniform.max() < 1
    normal = draws.normal(5000)
    assert abs(normal.mean().item()) < 0.02
    assert normal.std().item() == pytest.approx(1, abs=0.02)
    integers = draws.integers(3, 100)
    assert integers.dtype == torch.int64
    assert integers.unique().tolist() == [0, 1, 2]
    assert draws.permutation(9).sort(dim=1).values.tolist() == [list(range(9))] * 16
    assert draws.uniform().shape == (16,)


def test_later_numbers_are_new_ones() -> None:
    draws = Draws(KEYS)
    assert not torch.equal(draws.uniform(4), draws.uniform(4))


def test_nothing_global_is_read_or_moved() -> None:
    torch.manual_seed(0)
    first = Draws(KEYS).uniform(4)
    state = torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(first, Draws(KEYS).uniform(4))
    Draws(KEYS).normal(4)
    torch.manual_seed(0)
    assert torch.equal(state, torch.get_rng_state())


def test_another_process_draws_the_same() -> None:
    script = "from spa3d.runtime.rng import Draws; print(Draws([(0, 'a')]).uniform(3).tolist())"
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(Draws([(0, "a")]).uniform(3).tolist())
