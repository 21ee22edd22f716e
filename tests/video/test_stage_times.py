"""Times of the stages of a run, with a clock of the test's own."""

from tsm_det.video import stage_times as module
from tsm_det.video.stage_times import StageTimes


def test_each_stage_counts_its_own_work(monkeypatch):
    clock, closed = [0.0], []
    monkeypatch.setattr(module.time, 'perf_counter', lambda: clock[0])

    def frames():
        try:
            for k in range(4):
                clock[0] += 2
                yield k
        finally:
            closed.append(True)
    stages = StageTimes()
    for k in stages.timed('decode', frames()):
        with stages.measure('detect'):
            clock[0] += 5
        stages.num_frames += 1
        if k == 2:
            break
    assert stages.seconds == {'decode': 6, 'detect': 15}
    assert str(stages).endswith('decode 2000.0, detect 5000.0')
    assert list(stages.timed('decode', frames())) == [0, 1, 2, 3]
    assert closed == [True, True]


def test_no_frame_is_no_division_by_zero():
    assert str(StageTimes())
