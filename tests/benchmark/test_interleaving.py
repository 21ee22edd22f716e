"""Arms are called in turn, on the same input."""

from itertools import count

from tsm_det.benchmark.interleaving import interleaved


def recorded(rounds, warmup):
    made = []
    calls = {name: lambda given, name=name: made.append((name, given)) or f'{name}{given}' for name in 'abc'}
    return list(interleaved(calls, count(), rounds, warmup)), made


def test_every_arm_gets_the_same_input_and_the_order_alternates():
    _, made = recorded(rounds=3, warmup=0)
    assert made == [('c', 0), ('b', 0), ('a', 0), ('a', 1), ('b', 1), ('c', 1), ('c', 2), ('b', 2), ('a', 2)]


def test_warm_up_is_made_and_not_given():
    given, made = recorded(rounds=1, warmup=2)
    assert len(made) == 9
    assert [(call.name, call.result) for call in given] == [('c', 'c2'), ('b', 'b2'), ('a', 'a2')]


def test_a_call_has_the_time_of_the_clock_and_that_of_the_processor(ticking):
    given, _ = recorded(rounds=1, warmup=0)
    assert [(call.wall_ms, call.processor_ms) for call in given] == [(1000, 500)] * 3
