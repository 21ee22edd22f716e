"""Devices, and files that are to be checkpoints."""

import pytest
import torch

from tsm_det import config_path
from tsm_det.errors import InputError
from tsm_det.models.loading import build_detector, check_device

CONFIG = config_path('tsm_faster_rcnn_r18_synthvid')
WITHOUT_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason='says what happens without CUDA')
# Each is refused by torch with another exception: RuntimeError, NotImplementedError, ImportError, AssertionError.
STRANGE_DEVICES = ['foo', '', 'cuda:-1', 'cuda:1000', 'meta', 'hpu', 'mkldnn',
                   pytest.param('cuda', marks=WITHOUT_CUDA), pytest.param('cuda:0', marks=WITHOUT_CUDA)]


@pytest.mark.parametrize('device', STRANGE_DEVICES)
def test_a_device_that_is_not_there_gets_one_sentence_before_anything_is_built(device):
    with pytest.raises(InputError) as refusal:
        build_detector(None, 'none.pth', device)
    assert str(refusal.value).startswith(f'the device is {device!r} but torch {torch.__version__} finds cpu')
    assert len(str(refusal.value).splitlines()) == 1


def test_the_processor_is_there():
    assert check_device('cpu') is None


@pytest.mark.parametrize('line', [
    'detect_video {config} none {video} --device {device}', 'serve {config} none --port 0 --device {device}'])
@pytest.mark.parametrize('device', ['foo', pytest.param('cuda:0', marks=WITHOUT_CUDA)])
def test_a_tool_says_that_a_device_is_not_there(run, video_file, line, device):
    status, out, err = run(line.format(config=CONFIG, video=video_file(n=2), device=device))
    assert status == 2, out + err
    assert err.strip().splitlines()[-1].startswith(f"error: the device is '{device}' but torch")
    assert 'Traceback' not in out + err


@pytest.fixture
def checkpoint(tmp_path):
    """Writes bytes to a file that is to be a checkpoint."""
    def checkpoint(content):
        (tmp_path / 'file.pth').write_bytes(content)
        return str(tmp_path / 'file.pth')
    return checkpoint


@pytest.mark.parametrize('line', [
    'detect_video {config} {checkpoint} {video}', 'serve {config} {checkpoint} --port 0',
    'export_onnx {config} {checkpoint} --size 64 64 --out {checkpoint}.onnx',
    'benchmark {config} {checkpoint} --baseline {config} --size 64 64 --frames 1 --warmup 1'])
def test_a_tool_says_that_a_text_is_no_checkpoint(run, checkpoint, video_file, line):
    path = checkpoint(b'hello, this is a text\n')
    status, out, err = run(line.format(config=CONFIG, checkpoint=path, video=video_file(n=2)))
    assert status == 2, out + err
    last = err.strip().splitlines()[-1]
    assert last.startswith('error: ') and path in last
    assert 'Traceback' not in out + err
