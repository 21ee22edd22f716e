"""A flipped bit or a missing end is noticed."""

import io
import random
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from tests.streams.conftest import make_detector as make_detector  # a fixture
from tests.tiny import tiny_detector
from tsm_det.errors import InputError
from tsm_det.models.checkpoint_file import read_checkpoint
from tsm_det.sealed import check_intact, seal
from tsm_det.streams.state_file import read_state

PUBLISHED = sorted((Path(__file__).parents[1] / 'data' / 'checkpoints').glob('*.pth'))
FLIPS = 200


def saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def bits(content, count=FLIPS):
    """Random bits, and those of both ends, where the checksum is."""
    ends = [*range(64), *range(8 * len(content) - 8 * 110, 8 * len(content))]
    return [*random.Random(0).sample(range(8 * len(content)), count), *ends]


def test_a_sealed_file_is_read_as_before(tmp_path):
    (tmp_path / 'file.pth').write_bytes(seal(saved({'a': torch.arange(3)})))
    check_intact(tmp_path / 'file.pth', sealed=True)
    assert torch.equal(torch.load(tmp_path / 'file.pth', weights_only=True)['a'], torch.arange(3))
    assert zipfile.ZipFile(tmp_path / 'file.pth').testzip() is None


def test_no_flipped_bit_of_a_checkpoint_loads(tmp_path):
    content = seal(saved({'state_dict': tiny_detector().state_dict()}))
    path = tmp_path / 'iter_3.pth'
    for bit in bits(content):
        path.write_bytes(flipped(content, bit))
        with pytest.raises(InputError, match='iter_3'):
            read_checkpoint(str(path))
    path.write_bytes(content)
    assert read_checkpoint(str(path))


@pytest.mark.parametrize('published', PUBLISHED, ids=lambda path: path.name)
def test_no_flipped_bit_of_published_weights_loads(tmp_path, published):
    content = published.read_bytes()
    path = tmp_path / published.name
    for bit in bits(content):
        path.write_bytes(flipped(content, bit))
        with pytest.raises(InputError, match=published.stem):
            read_checkpoint(str(path))
    path.write_bytes(content)
    assert read_checkpoint(str(path))


def test_a_flipped_weight_is_noticed_under_any_name(tmp_path):
    content = PUBLISHED[0].read_bytes()
    path = tmp_path / 'renamed.pth'
    for part in zipfile.ZipFile(PUBLISHED[0]).infolist()[:20]:
        start = part.header_offset + 30 + len(part.filename)
        start += int.from_bytes(content[part.header_offset + 28:part.header_offset + 30], 'little')
        path.write_bytes(flipped(content, 8 * (start + part.file_size // 2)))
        with pytest.raises(InputError, match=r'renamed\.pth'):
            read_checkpoint(str(path))


def test_no_flipped_bit_of_a_state_file_loads(make_detector, tmp_path):
    import numpy as np
    detector = make_detector()
    detector(np.zeros((64, 64, 3), np.uint8))
    detector.save_state(tmp_path / 'state.pt')
    content, signature = (tmp_path / 'state.pt').read_bytes(), detector.signature()
    assert len(read_state(tmp_path / 'state.pt', signature)[0]) == 1
    for bit in bits(content):
        (tmp_path / 'state.pt').write_bytes(flipped(content, bit))
        with pytest.raises(InputError, match=r'state\.pt'):
            read_state(tmp_path / 'state.pt', signature)


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
