from __future__ import annotations

import pytest

from spa3d.errors import ConfigError
from spa3d.runtime.shards import Shard


@pytest.mark.parametrize(("size", "count"), [(10, 1), (10, 3), (2, 5), (0, 2), (7, 7)])
def test_select_shards_in_order_are_the_whole(size: int, count: int) -> None:
    items = list(range(size))
    parts = [Shard(number, count).select(items) for number in range(1, count + 1)]
    assert [item for part in parts for item in part] == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_parse_takes_i_of_n() -> None:
    assert Shard.parse("2/3", "--shard", "x") == Shard(2, 3)
    assert str(Shard(2, 3)) == "2/3"


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "a/b", "1/0", "-1/2", "1/3/5", " 1/2"])
def test_parse_refuses_other_texts(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"--shard {text}: expected i/n with i from 1 to n, such as 1/4: a part"):
        Shard.parse(text, "--shard", "a part")
