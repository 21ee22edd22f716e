"""Files that appear whole or not at all."""

import errno
import os
import stat
from functools import partial

import pytest

from tsm_det.errors import InputError
from tsm_det.files import check_folder, check_writable, refuse_overwriting, write_atomically, write_json, write_text


def test_a_file_is_replaced_when_the_block_ends(tmp_path):
    path = tmp_path / 'new' / 'file.txt'
    write_json({}, path)
    with write_atomically(path) as temporary:
        temporary.write_text('new')
        assert temporary.parent.parent == path.parent and path.read_text() == '{}\n'
    assert path.read_text() == 'new'
    assert os.listdir(path.parent) == ['file.txt']


@pytest.mark.parametrize(('error', 'given', 'raised'), [
    (OSError(errno.ENOSPC, 'No space left on device'), (), InputError),
    (RuntimeError('iostream error'), (RuntimeError,), InputError), (RuntimeError('a bug'), (), RuntimeError)])
def test_a_failed_write_keeps_the_old_file(tmp_path, error, given, raised):
    (tmp_path / 'file.txt').write_text('old')
    with pytest.raises(raised, match=str(error.args[-1])) as report, write_atomically(
            tmp_path / 'file.txt', *given) as temporary:
        temporary.write_text('half')
        raise error
    assert raised is not InputError or str(tmp_path / 'file.txt') in str(report.value)
    assert [path.read_text() for path in tmp_path.iterdir()] == ['old']


@pytest.mark.parametrize('write', [
    lambda path: write_json({}, path), check_writable, lambda path: check_folder(path.parent / 'file' / 'folder')])
def test_a_place_that_cannot_be_written_is_named(tmp_path, write):
    (tmp_path / 'file').touch()
    (tmp_path / 'folder').mkdir()
    with pytest.raises(InputError, match=f'{tmp_path}/f'):
        write(tmp_path / 'folder')
    check_writable(tmp_path / 'a' / 'b.json')
    assert os.listdir(tmp_path / 'a') == []


@pytest.mark.parametrize('output', ['input', 'symbolic', 'hard', 'folder/../input', 'labels/boxes.csv'])
def test_an_input_is_not_overwritten_under_any_name(tmp_path, output):
    for folder in ('folder', 'labels'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'input').touch()
    (tmp_path / 'labels' / 'boxes.csv').touch()
    (tmp_path / 'symbolic').symlink_to('input')
    (tmp_path / 'hard').hardlink_to(tmp_path / 'input')
    with pytest.raises(InputError, match=f'{output} is '):
        refuse_overwriting([tmp_path / output], [tmp_path / 'input', tmp_path / 'labels'])


def test_new_files_and_json_files_in_an_input_folder_may_be_written(tmp_path):
    (tmp_path / 'all.json').touch()
    refuse_overwriting([tmp_path / 'all.json', tmp_path / 'new.csv', tmp_path], [tmp_path])
    with pytest.raises(InputError, match='another output'):
        refuse_overwriting([tmp_path / 'a', tmp_path / 'b' / '..' / 'a'], [])


def test_a_link_leads_to_the_new_content_and_stays_a_link(tmp_path):
    real, link = tmp_path / 'folder' / 'real.json', tmp_path / 'link.json'
    real.parent.mkdir()
    real.write_text('old')
    link.symlink_to(real)
    write_text('new', link)
    assert link.is_symlink() and real.read_text() == 'new'
    dangling = tmp_path / 'later.json'
    dangling.symlink_to(tmp_path / 'folder' / 'later.json')
    write_text('new', dangling)
    assert dangling.is_symlink() and (tmp_path / 'folder' / 'later.json').read_text() == 'new'


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='needs named pipes')
def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for write in (partial(write_text, 'new'), check_writable):  # now, and at the end of a run
        with pytest.raises(InputError, match='pipe cannot be written .*pipe'):
            write(tmp_path / 'pipe')
    assert stat.S_ISFIFO((tmp_path / 'pipe').stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ['pipe']
