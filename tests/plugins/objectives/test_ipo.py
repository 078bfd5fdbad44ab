import pytest
import torch

from spa3d_plugins.objectives.ipo import IPO


@pytest.mark.parametrize("beta", [0.01, 0.05, 0.1])
def test_losses_and_gradients_equal_trl(losses, beta) -> None:
    setting = f"trl_dpo/ipo/beta={beta}"
    losses.check(IPO(beta=beta), setting, logp_chosen="dloss_dchosen", logp_rejected="dloss_drejected")


def test_loss_is_0_at_the_target_margin_only(make_scores) -> None:
    # Beta 0.25 aims at 2 nats per token over the reference; the answers have 2 and 4 tokens.
    chosen, rejected = torch.tensor([-2.0, -2.0]), torch.tensor([-8.0, -12.0])
    inputs = {("chosen", "policy"): chosen, ("chosen", "reference"): torch.tensor([-4.0, -4.0])}
    inputs |= {("rejected", "policy"): rejected, ("rejected", "reference"): torch.tensor([-4.0, -4.0])}
    lengths = {"chosen": torch.tensor([2, 2]), "rejected": torch.tensor([4, 4])}
    scores = make_scores({(text, "clean", model): (logp, lengths[text]) for (text, model), logp in inputs.items()})

    (term,) = IPO(beta=0.25).terms(scores)

    assert (term.unit, term.coefficient) == ("sequence", 1)
    assert term.values.tolist() == [0, 1]


def test_sample_without_a_rejected_answer_has_loss_0(make_scores) -> None:
    one, none = torch.tensor([1]), torch.tensor([0])
    lengths = {"chosen": one, "rejected": none}
    keys = [(text, "clean", model) for text in lengths for model in ("policy", "reference")]
    scores = make_scores({key: (-1.0 * lengths[key[0]], lengths[key[0]]) for key in keys})
    (term,) = IPO().terms(scores)
    assert term.values.tolist() == [0]
