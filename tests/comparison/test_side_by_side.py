"""Two detectors side by side in a GIF."""

import pytest
import torch
from mmengine.structures import InstanceData
from PIL import Image

from tests.cocovid.csv_folder import write_video
from tests.tiny import frame_sample
from tsm_det.comparison.side_by_side import write_side_by_side
from tsm_det.errors import InputError
from tsm_det.locks import locked
from tsm_det.video.sources import open_source


class Recorder:
    """A detector that remembers its frames and finds nothing."""

    classes = ('a',)

    def __init__(self):
        self.seen = []

    def __call__(self, image):
        self.seen.append(image)
        sample = frame_sample()
        sample.pred_instances = InstanceData(
            bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0, dtype=torch.long))
        return sample


def test_every_detector_streams_from_the_start_and_the_chosen_frames_are_drawn(tmp_path):
    write_video(tmp_path / 'a.mp4')
    detectors = [Recorder(), Recorder()]
    write_side_by_side(detectors, ['2D', 'shift'], open_source(str(tmp_path / 'a.mp4')), tmp_path / 'a.gif',
                       range(1, 4), 0.3, 5, 48)
    assert [len(detector.seen) for detector in detectors] == [4, 4]
    with Image.open(tmp_path / 'a.gif') as picture:
        assert picture.n_frames == 3
        assert picture.width > 2 * 64


@pytest.mark.parametrize(('out', 'frames', 'message'), [
    ('a.png', range(2), 'a.png'), ('a.gif', range(99, 101), 'frame 99')])
def test_another_suffix_and_a_video_that_is_too_short_are_refused(tmp_path, out, frames, message):
    write_video(tmp_path / 'a.mp4')
    with pytest.raises(InputError, match=message):
        write_side_by_side([Recorder()], ['2D'], open_source(str(tmp_path / 'a.mp4')), tmp_path / out, frames, 0.3, 5)


def test_a_picture_that_another_run_writes_is_refused(tmp_path):
    write_video(tmp_path / 'a.mp4')
    detector = Recorder()
    with locked(tmp_path / 'a.gif'), pytest.raises(InputError, match='a.gif'):
        write_side_by_side([detector], ['2D'], open_source(str(tmp_path / 'a.mp4')), tmp_path / 'a.gif', range(2))
    assert not detector.seen
