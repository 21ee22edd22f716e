"""Options that make no sense are refused before anything is built."""

import pytest

from tsm_det.benchmark.options import Options
from tsm_det.errors import InputError


@pytest.mark.parametrize(('wrong', 'sentence'), [
    (dict(frames=0), '--frames is 0'), (dict(warmup=-1), '--warmup is -1'), (dict(streams=0), '--streams is 0'),
    (dict(proposals=0), '--proposals is 0'), (dict(detections=0), '--detections is 0'), (dict(train=0), '--train is 0'),
    (dict(clip_length=0), '--clip-length is 0'), (dict(threads=0), '--threads is 0'),
    (dict(size=(0, 4)), '--size is 0 4'), (dict(score_thr=1.0), '--score-thr is 1.0'),
    (dict(score_thr=float('nan')), '--score-thr is nan'), (dict(source='a.mp4', size=(4, 4)), 'leave one of them out'),
    (dict(engine='steam'), "the engine is steam but one of eager, fast"),
    (dict(device='abacus'), "the device is 'abacus'"), (dict(device='cuda:99'), "the device is 'cuda:99'"),
    (dict(plot='plot.jpg'), 'ends in .png'), (dict(json='/'), 'cannot be written'),
    (dict(report='/'), 'cannot be written')])
def test_what_cannot_work_is_one_sentence(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        Options('config.py', 'baseline.py', **wrong).check()


def test_what_can_work_passes(tmp_path):
    Options('config.py', 'baseline.py', warmup=0, streams=1, json=str(tmp_path / 'new' / 'a.json')).check()
