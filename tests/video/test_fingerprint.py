"""A recording is recognised by its bytes, not by its name."""

import shutil

import pytest

from tsm_det.video.fingerprint import fingerprint


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f'{k}.bin' for k in range(3)]
    for k, path in enumerate(paths):
        path.write_bytes(bytes([k]) * 300_000)
    return paths


def test_a_copy_of_another_name_is_the_same(files, tmp_path):
    copies = [shutil.copy(path, tmp_path / f'copy{path.name}') for path in files]
    assert fingerprint(copies) == fingerprint(files)
    assert fingerprint(copies[:1]) == fingerprint(files[:1])


@pytest.mark.parametrize('change', [
    lambda files: files[0].write_bytes(b'x' * 300_000), lambda files: files[1].write_bytes(b'short'),
    lambda files: files[2].write_bytes(bytes([2]) * 299_999 + b'x'), lambda files: files.pop(),
    lambda files: files.reverse()])
def test_other_recordings_differ(files, change):
    before = fingerprint(files)
    change(files)
    assert fingerprint(files) != before
