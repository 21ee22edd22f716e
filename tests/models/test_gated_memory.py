"""The gated memory is the recurrence that its docstring states, and keeps what its gate lets in."""

import math

import torch
from torch.testing import assert_close

from tests.models.families import randomized
from tsm_det.models.operators import GatedMemory

CHANNELS = 6


def made(seed=0, **values):
    torch.manual_seed(seed)
    module = randomized(GatedMemory(CHANNELS, hidden=3)).double()
    for name, value in values.items():
        torch.nn.init.constant_(getattr(module, name), value)
    return module


def maps(n, t, seed=0):
    return torch.randn(n * t, CHANNELS, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def quality(module, features):
    strength = [math.log(sum(abs(value) for value in channel.flatten().tolist()) / 20 + 1e-4) for channel in features]
    hidden = [max(0, bias.item() + sum(w.item() * s for w, s in zip(row, strength, strict=True)))
              for row, bias in zip(module.reduce, module.reduce_bias, strict=True)]
    return sum(w.item() * h for w, h in zip(module.expand[0], hidden, strict=True))


@torch.no_grad()
def test_it_equals_the_recurrence_frame_by_frame():
    module, given = made(), maps(2, 5)
    out, present, _ = module(given, (2, 5), None)
    for stream in range(2):
        memory = None
        for t in range(5):
            frame = given[5 * stream + t]
            if memory is None:
                memory = frame
            else:
                open_ = 1 / (1 + math.exp(quality(module, memory) - quality(module, frame) - module.gate_bias.item()))
                memory = open_ * frame + (1 - open_) * memory
            mix = torch.tanh(10 * module.mix)
            assert_close(out[5 * stream + t], (1 - mix) * frame + mix * memory)
        assert_close(present[stream], torch.cat([memory, torch.ones_like(memory[:1])]))


@torch.no_grad()
def test_an_open_gate_changes_no_frame():
    given = maps(2, 4)
    out, present, _ = made(gate_bias=100)(given, (2, 4), None)
    assert_close(out, given)
    assert_close(present[:, :-1], given.unflatten(0, (2, 4))[:, -1])


@torch.no_grad()
def test_a_closed_gate_keeps_the_first_frame_and_a_full_mix_shows_it():
    given = maps(2, 4)
    out, present, _ = made(gate_bias=-100, mix=100)(given, (2, 4), None)
    first = given.unflatten(0, (2, 4))[:, :1]
    assert_close(out.unflatten(0, (2, 4)), first.expand(-1, 4, -1, -1, -1))
    assert_close(present[:, :-1], first[:, 0])


@torch.no_grad()
def test_it_refuses_frames_that_the_network_of_quality_calls_bad():
    module = made(gate_bias=0, reduce=1, reduce_bias=100, expand=-10)  # the weaker the channels, the better the frame
    good, bad = maps(1, 1), 5 * maps(1, 1, seed=1)
    for frames in ((good, bad, bad), (bad, bad, good), (bad, good, bad)):
        present = module(torch.cat(frames), (1, 3), None)[1]
        assert_close(present[:, :-1], good)
