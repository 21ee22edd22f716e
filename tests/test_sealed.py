"""A flipped bit or a missing end is noticed."""

import io
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.streams.conftest import make_detector as make_detector  # a fixture
from tests.tiny import tiny_detector
from tsm_det.errors import InputError
from tsm_det.models.checkpoint_file import read_checkpoint
from tsm_det.sealed import check_intact, seal
from tsm_det.streams.state_file import read_state

PUBLISHED = sorted((Path(__file__).parents[1] / 'data' / 'checkpoints').glob('*.pth'))
FLIPS = 200  # per file, some of them in both ends, where the checksum is


def saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def flip(path, bit):
    with path.open('r+b') as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def assert_no_flipped_bit_is_read(path, read):
    choice, size = random.Random(0), 8 * path.stat().st_size
    ends = [*choice.sample(range(64), 10), *choice.sample(range(size - 8 * 110, size), 40)]
    for bit in [*ends, *choice.sample(range(size), FLIPS - len(ends))]:
        flip(path, bit)
        with pytest.raises(InputError, match=path.stem):
            read(path)
        flip(path, bit)
    assert read(path)


def test_a_sealed_file_is_read_as_before(tmp_path):
    (tmp_path / 'file.pth').write_bytes(seal(saved({'a': torch.arange(3)})))
    check_intact(tmp_path / 'file.pth', sealed=True)
    assert torch.equal(torch.load(tmp_path / 'file.pth', weights_only=True)['a'], torch.arange(3))
    assert zipfile.ZipFile(tmp_path / 'file.pth').testzip() is None


def test_no_flipped_bit_of_a_checkpoint_loads(tmp_path):
    path = tmp_path / 'iter_3.pth'
    path.write_bytes(seal(saved({'state_dict': tiny_detector().state_dict()})))
    assert_no_flipped_bit_is_read(path, lambda path: read_checkpoint(str(path)))


@pytest.mark.parametrize('published', PUBLISHED, ids=lambda path: path.name)
def test_no_flipped_bit_of_published_weights_loads(tmp_path, published):
    path = Path(shutil.copy(published, tmp_path))
    assert_no_flipped_bit_is_read(path, lambda path: read_checkpoint(str(path)))


def test_a_flipped_weight_is_noticed_under_any_name(tmp_path):
    content = PUBLISHED[0].read_bytes()
    path = tmp_path / 'renamed.pth'
    for part in zipfile.ZipFile(PUBLISHED[0]).infolist()[:20]:
        start = part.header_offset + 30 + len(part.filename)
        start += int.from_bytes(content[part.header_offset + 28:part.header_offset + 30], 'little')
        path.write_bytes(content)
        flip(path, 8 * (start + part.file_size // 2))
        with pytest.raises(InputError, match=r'renamed\.pth'):
            read_checkpoint(str(path))


def test_no_flipped_bit_of_a_state_file_loads(make_detector, tmp_path):
    detector = make_detector()
    detector(np.zeros((64, 64, 3), np.uint8))
    detector.save_state(tmp_path / 'state.pt')
    signature = detector.signature()
    assert_no_flipped_bit_is_read(tmp_path / 'state.pt', lambda path: read_state(path, signature)[0])


@pytest.mark.parametrize('kept', [0, 1, 50, 0.5, 0.99, -1])
@pytest.mark.parametrize('sealed', [False, True])
def test_a_cut_file_is_damaged(tmp_path, kept, sealed):
    content = saved({'state_dict': {'a': torch.arange(1000)}})
    content = seal(content) if sealed else content
    (tmp_path / 'a.pth').write_bytes(content[:int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match=r'a\.pth'):
        read_checkpoint(str(tmp_path / 'a.pth'))


def test_a_date_in_a_name_is_no_hash(tmp_path):
    (tmp_path / 'best-20260801.pth').write_bytes(saved({}))
    check_intact(tmp_path / 'best-20260801.pth')
    shutil.copy(tmp_path / 'best-20260801.pth', tmp_path / 'best-01234567.pth')
    with pytest.raises(InputError, match='01234567'):
        check_intact(tmp_path / 'best-01234567.pth')
