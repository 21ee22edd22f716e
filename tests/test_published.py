"""How the words of a command line name a detector."""

import pytest

from tsm_det.config import config_path
from tsm_det.errors import InputError
from tsm_det.published import DEFAULT, PUBLISHED, detector_files, published, split_detector
from tsm_det.streams.online_detector import OnlineDetector

SOURCES = [['a.mp4'], ['0'], ['rtsp://u:p@h/x', 'b.mp4'], ['frames/', 'list.txt', 'c.mkv']]


@pytest.mark.parametrize('sources', SOURCES)
@pytest.mark.parametrize(('words', 'config', 'checkpoint'), [
    ([], *published(DEFAULT)), *(([name], *published(name)) for name in PUBLISHED),
    (['m.onnx'], 'm.onnx', None), (['c.py', 'w.pth'], 'c.py', 'w.pth'), (['c.py', 'none'], 'c.py', None),
    (['tsm_faster_rcnn_r50_vid', 'w.pth'], 'tsm_faster_rcnn_r50_vid', 'w.pth')])
def test_the_first_words_name_the_detector_and_the_others_the_sources(words, config, checkpoint, sources):
    assert split_detector([*words, *sources]) == (config, checkpoint, sources)


@pytest.mark.parametrize('words', [['synthvid'], ['m.onnx'], ['c.py', 'w.pth'], ['c.py', 'none']])
def test_a_detector_without_a_source_is_refused(words):
    with pytest.raises(InputError, match='source'):
        split_detector(words)


@pytest.mark.parametrize('name', ['termal', 'tsm_faster_rcnn', 'my-birds', 'c3po'])
def test_a_word_that_is_neither_a_detector_nor_a_file_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as refusal:
        split_detector([name, 'street.mp4'])
    assert all(fact in str(refusal.value) for fact in (name, *PUBLISHED))
    (tmp_path / name).mkdir()  # a folder of images or videos
    assert split_detector([name]) == (*published(DEFAULT), [name])


@pytest.mark.parametrize('name', PUBLISHED)
@pytest.mark.parametrize('checkpoint', ['w.pth', 'none'])
def test_a_published_name_takes_no_other_weights(name, checkpoint):
    with pytest.raises(InputError) as refusal:
        detector_files(name, checkpoint)
    assert all(fact in str(refusal.value) for fact in (name, checkpoint, PUBLISHED[name]))


@pytest.mark.parametrize('config', ['c.py', 'tsm_faster_rcnn_r50_vid', 'synthvidd'])
def test_a_config_without_a_checkpoint_is_refused(config):
    with pytest.raises(InputError) as refusal:
        detector_files(config, None)
    assert all(fact in str(refusal.value) for fact in (config, *PUBLISHED))


@pytest.mark.parametrize('name', ['synth', 'tsm_faster_rcnn_r18_synthvid', ''])
def test_a_name_that_nothing_is_published_under_is_refused(name):
    with pytest.raises(InputError) as refusal:
        published(name)
    assert all(fact in str(refusal.value) for fact in (repr(name), *PUBLISHED))


@pytest.mark.parametrize('name', PUBLISHED)
def test_a_published_name_stands_for_config_and_weights_that_fit(name):
    config, weights = detector_files(name, None)
    assert config == config_path(PUBLISHED[name])
    assert OnlineDetector.from_config(config, weights).classes


@pytest.mark.parametrize('tool', ['detect_video', 'test'])
def test_the_help_lists_the_published_detectors(run, tool):
    _, out, _ = run(f'{tool} --help')
    text = ' '.join(out.split())
    assert ', '.join(PUBLISHED) in text
    assert tool != 'detect_video' or f'default: {DEFAULT}' in text
