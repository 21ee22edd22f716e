"""Video of a rotated or mirrored camera: frames, boxes and the drawn video have the displayed orientation."""

import json

import numpy as np
import pytest

from tests.displayed import MIRRORS, ROTATIONS, displayed, write_matrix
from tests.soak.servers import file_server
from tsm_det.streams.detect_sources import detect_sources, open_sources
from tsm_det.streams.detections import detections_of
from tsm_det.video.connection import connect
from tsm_det.video.video_file import VideoFile


@pytest.mark.parametrize('matrix', ROTATIONS + MIRRORS)
def test_boxes_of_a_turned_video_equal_those_of_upright_frames(make_detector, video_file, tmp_path, matrix):
    path = video_file(n=4, height=96, width=128)
    upright = [displayed(image, matrix) for image in VideoFile(path)]
    write_matrix(path, matrix)
    detect_sources(make_detector(), open_sources([str(path)]), out=str(tmp_path / 'out.mp4'),
                   json_lines=str(tmp_path / 'lines.jsonl'), score_thr=0)
    found = [json.loads(line)['detections'] for line in (tmp_path / 'lines.jsonl').read_text().splitlines()]
    detector = make_detector()
    expected = [detections_of(detector(image), detector.classes) for image in upright]
    assert found == expected
    assert all(found)
    assert {image.shape for image in VideoFile(tmp_path / 'out.mp4')} == {upright[0].shape}


@pytest.mark.parametrize('matrix', ROTATIONS + MIRRORS)
def test_a_turned_video_behind_http_equals_the_one_on_disk(video_file, matrix):
    path = video_file(n=3, muxer={'movflags': 'faststart'})
    write_matrix(path, matrix)
    with file_server(path, []) as (_, address):
        images = [shown.image for shown in connect(address, 60, 60).images]
    assert len(images) == 3
    assert all(map(np.array_equal, images, VideoFile(path)))
