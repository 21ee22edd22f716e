"""What a site refuses, and that a failing module leaves its input as it was."""

import pytest
import torch
from torch import nn

from tsm_det.shift_inplace import Shift
from tsm_det.sites import Tape, attach_sites


class Net(nn.Module):
    def __init__(self, runs=1, fails=False):
        super().__init__()
        self.a, self.b, self.runs, self.fails = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1), runs, fails

    def forward(self, x):
        for _ in range(self.runs):
            x = self.a(x)
        return self.b(x[:, :4] if self.fails else x)


def run(net, frames, past=()):
    attach_sites(net, ['a', 'b'], [Shift(2)] * 2)
    with torch.no_grad(), Tape(2, (1, 1), past) as tape:
        out = net(frames)
    return out, tape.present(['a', 'b'])


def test_pasts_are_read_and_presents_written_in_the_order_of_the_sites():
    frames, net = torch.randn(1, 8, 3, 3), Net()
    _, first = run(net, frames)
    assert torch.equal(first[0], frames[:, :4])
    assert [present.shape for present in first] == [(1, 4, 3, 3)] * 2


@pytest.mark.parametrize(('runs', 'message'), [(2, 'a .*twice'), (0, 'did not reach a')])
def test_a_site_that_runs_twice_or_never_is_an_error(runs, message):
    with pytest.raises(RuntimeError, match=message):
        run(Net(runs), torch.randn(1, 8, 3, 3))


def test_a_site_without_a_tape_is_an_error():
    net = Net()
    attach_sites(net, ['a'], [Shift(2)])
    with pytest.raises(RuntimeError, match='a has a temporal site'):
        net(torch.randn(1, 8, 3, 3))


def test_a_module_that_fails_leaves_its_input_as_it_was():
    frames = torch.randn(1, 8, 3, 3)
    before = frames.clone()
    net = Net()
    net.a.weight = nn.Parameter(torch.randn(8, 7, 1, 1))  # does not fit
    with pytest.raises(RuntimeError, match='channels'):
        run(net, frames)
    assert torch.equal(frames, before)


def test_a_wrong_number_of_pasts_is_an_error():
    with pytest.raises(ValueError, match='1 tensors .* 2 sites'):
        Tape(2, (1, 1), [torch.zeros(1)])
