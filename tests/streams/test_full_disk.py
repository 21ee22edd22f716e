"""A disk that fills up during a run: a one-line error, and complete files up to then."""

import errno
import json
import os

import cv2
import pytest
import torch

from tsm_det.errors import InputError
from tsm_det.streams.detect_sources import detect_sources, open_sources
from tsm_det.video import sinks
from tsm_det.video.video_file import VideoFile


def fails_from(call, original, error):
    """Raise the error from this call on, as a full disk does."""
    count = iter(range(10**9))

    def function(*arguments, **keys):
        if next(count) >= call:
            raise error
        return original(*arguments, **keys)
    return function


def run(make_detector, video_file, tmp_path):
    """The error of a run, which must fail."""
    with pytest.raises(InputError) as error:
        detect_sources(
            make_detector(), open_sources([str(video_file(n=12))]), out=str(tmp_path / 'out.mp4'),
            json_lines=str(tmp_path / 'lines.jsonl'), save_state=str(tmp_path / 'state.pt'), save_every=3)
    assert '\n' not in str(error.value)
    return str(error.value)


def num_lines(tmp_path):
    """Number of lines, which must all be complete."""
    return len(list(map(json.loads, (tmp_path / 'lines.jsonl').read_text().splitlines())))


@pytest.mark.parametrize('error', [
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), RuntimeError('PytorchStreamWriter failed writing file')],
    ids=type)
def test_no_room_for_the_state_keeps_lines_video_and_the_state_before(
        make_detector, video_file, tmp_path, monkeypatch, error):
    monkeypatch.setattr(torch, 'save', fails_from(1, torch.save, error))
    assert 'state.pt cannot be written' in run(make_detector, video_file, tmp_path)
    assert num_lines(tmp_path) == len(VideoFile(tmp_path / 'out.mp4')) == 6
    streams = torch.load(tmp_path / 'state.pt', weights_only=True)['streams']
    assert [stream['frame_id'] for stream in streams] == [2]


def test_no_room_for_the_video_keeps_the_lines_and_the_state(make_detector, video_file, tmp_path, monkeypatch):
    full = fails_from(5, cv2.copyMakeBorder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    monkeypatch.setattr(cv2, 'copyMakeBorder', full)
    assert 'out.mp4 cannot be written (No space left on device)' in run(make_detector, video_file, tmp_path)
    assert num_lines(tmp_path) == 6
    streams = torch.load(tmp_path / 'state.pt', weights_only=True)['streams']
    assert [stream['frame_id'] for stream in streams] == [4], 'of the last frame that was written everywhere'


def test_no_room_for_the_lines_keeps_the_video(make_detector, video_file, tmp_path, monkeypatch):
    full = fails_from(5, sinks.JsonLinesSink.write, InputError('lines.jsonl cannot be written (No space left)'))
    monkeypatch.setattr(sinks.JsonLinesSink, 'write', full)
    assert 'lines.jsonl cannot be written' in run(make_detector, video_file, tmp_path)
    assert num_lines(tmp_path) == len(VideoFile(tmp_path / 'out.mp4')) == 5
