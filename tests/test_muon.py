import pytest
import torch
from torch import Generator, Tensor, nn

from foster.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(16, 40), (40, 16), (8, 8), (1, 5)])
def test_steps_are_those_of_torchs_muon_up_to_its_coarser_numbers(shape: tuple[int, int]) -> None:
    draw = Generator().manual_seed(0)
    ours = nn.Parameter(torch.randn(shape, generator=draw))
    theirs = nn.Parameter(ours.detach().clone())
    pair = (Muon([ours], lr=0.1, weight_decay=0.1), torch.optim.Muon([theirs], lr=0.1, weight_decay=0.1, ns_steps=3))
    for _ in range(5):
        gradient = torch.randn(shape, generator=draw)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for optimizer in pair:
            optimizer.step()
    torch.testing.assert_close(ours, theirs, atol=5e-3, rtol=0)


def test_many_iterations_bring_every_singular_value_near_one() -> None:
    draw = Generator().manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(n, 6, generator=draw))[0] for n in (10, 7))
    gradient = left * torch.tensor([1.0, 0.5, 0.3, 0.2, 0.1, 0.05]) @ right.T
    update = orthogonalised(gradient, iterations=8)
    assert _between(torch.linalg.svdvals(update)[:6], 0.65, 1.25)
    assert torch.allclose(left.T @ update @ right, torch.diag(torch.diag(left.T @ update @ right)), atol=1e-4)


def test_no_gradient_is_no_step_and_no_division_by_nothing() -> None:
    still, unused = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(3, 4))
    still.grad = torch.zeros(3, 4)
    Muon([still, unused], lr=1.0).step()
    assert torch.equal(still, torch.ones(3, 4))
    assert torch.equal(unused, torch.ones(3, 4))


def _between(numbers: Tensor, low: float, high: float) -> bool:
    return bool(((numbers > low) & (numbers < high)).all())
