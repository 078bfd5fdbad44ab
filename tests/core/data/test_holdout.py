from spa3d.data.holdout import held_out_groups


def test_held_out_groups_is_a_share_and_does_not_depend_on_the_others() -> None:
    names = [f"object-{number}" for number in range(2000)]
    held = held_out_groups(names, 0.1)
    assert 150 < len(held) < 250  # 200, standard deviation 13
    assert held_out_groups([*names[:1000], *names[:5]], 0.1) == held & set(names[:1000])
    assert held <= held_out_groups(names, 0.2)
    assert held_out_groups(names, 0.1, purpose="test") != held


def test_held_out_groups_takes_one_at_least() -> None:
    assert len(held_out_groups(["a", "b"], 1e-9)) == 1
    assert held_out_groups(["a", "b"], 0) == frozenset()
    assert held_out_groups(["a"], 1e-9) == frozenset()
    assert held_out_groups(["a", "b"], 1) == {"a", "b"}
