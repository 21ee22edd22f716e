"""What is read as a checkpoint, and that nothing in it runs unless it is trusted."""

import io
import os
import pickle
import zipfile
from contextlib import suppress

import mmengine
import numpy as np
import pytest
import torch
from mmengine.runner import CheckpointLoader
from torch import nn

from tsm_det.errors import InputError
from tsm_det.models import download
from tsm_det.models.checkpoint_file import plain_files_only, read_checkpoint
from tsm_det.models.download import cache_path, local_file

WEIGHTS = {'backbone.weight': torch.arange(3.0)}


class MakesFolder:
    """An object whose unpickling has a side effect."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def zip_of_a_text():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as file:
        file.writestr('a.txt', 'hello')
    return buffer.getvalue()


def saved(content, **options):
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


NO_CHECKPOINTS = {
    'empty': b'', 'text': b'hello, this is a text\n', 'json': b'{"a": 1}', 'noise': b'\x80\xb0L\x14\x04@\xc5\xba',
    'lfs': b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n',
    'page': b'\n<!DOCTYPE html><html></html>', 'pickle': pickle.dumps([1, 2], protocol=2),
    'zip head': b'PK\3\4' + bytes(100), 'zip': zip_of_a_text(), 'cut': saved(WEIGHTS)[:-200],
    'list': saved([1, 2]), 'number': saved({'state_dict': 3}), 'no tensors': saved({'state_dict': {'weight': 1}}),
    'meta none': saved({'state_dict': WEIGHTS, 'meta': None}), 'meta list': saved({'state_dict': WEIGHTS, 'meta': [1]}),
    'dataset_meta list': saved({'state_dict': WEIGHTS, 'meta': {'dataset_meta': ['disc']}}),
    'classes text': saved({'state_dict': WEIGHTS, 'meta': {'dataset_meta': {'classes': 'disc'}}})}


@pytest.mark.parametrize('content', NO_CHECKPOINTS.values(), ids=NO_CHECKPOINTS.keys())
def test_a_file_that_is_no_checkpoint_gets_one_sentence(tmp_path, content):
    (tmp_path / 'file.pth').write_bytes(content)
    with pytest.raises(InputError) as refusal:
        read_checkpoint(str(tmp_path / 'file.pth'))
    assert str(tmp_path / 'file.pth') in str(refusal.value) and '\n' not in str(refusal.value)


@pytest.mark.parametrize('name', ['gone.pth', '.', 's3://a/b.pth', 'http://127.0.0.1:9/a.pth', 'torchvision://nothing'])
def test_what_is_no_file_here_and_not_behind_https_is_refused(name):
    with pytest.raises(InputError) as refusal:
        read_checkpoint(name)
    assert name in str(refusal.value)


@pytest.mark.parametrize('content', [
    WEIGHTS, {'state_dict': WEIGHTS}, {'state_dict': WEIGHTS, 'meta': {'dataset_meta': None}},
    pytest.param(WEIGHTS, id='legacy')])
def test_weights_are_read_from_the_usual_files(tmp_path, content, request):
    is_legacy = 'legacy' in request.node.name
    torch.save(content, tmp_path / 'file.pth', _use_new_zipfile_serialization=not is_legacy)
    read = read_checkpoint(str(tmp_path / 'file.pth'))
    assert isinstance(read['meta'], dict)
    torch.testing.assert_close(dict(read['state_dict']), WEIGHTS)


def test_nested_weights_have_dotted_names(tmp_path):
    torch.save({'net': WEIGHTS, 'epoch': 3}, tmp_path / 'file.pth')
    assert list(read_checkpoint(str(tmp_path / 'file.pth'))['state_dict']) == ['net.backbone.weight']


@pytest.mark.parametrize(('entries', 'expected'), [
    ({'model': WEIGHTS, 'optimizer': {'state': {0: {'average': torch.ones(1)}}}}, ['backbone.weight']),
    ({'model': {'module': WEIGHTS}}, ['module.backbone.weight']),
    ({'model': 'a name', 'net': WEIGHTS}, ['net.backbone.weight']),
    ({'model': WEIGHTS, 'model_ema': {'module.backbone.weight': torch.ones(1)}},
     ['model.backbone.weight', 'model_ema.module.backbone.weight']),
    ({'model': {'module.backbone.weight': torch.ones(1)}, 'model_ema': WEIGHTS},
     ['model.module.backbone.weight', 'model_ema.backbone.weight']),
    ({'model': {'anchor': torch.ones(1), 'a.weight': torch.ones(1)}, 'backbone.weight': torch.ones(1)},
     ['model.anchor', 'model.a.weight', 'backbone.weight'])])
def test_the_entry_model_is_the_network_where_it_alone_has_one(tmp_path, entries, expected):
    torch.save(entries, tmp_path / 'file.pth')
    assert list(read_checkpoint(str(tmp_path / 'file.pth'))['state_dict']) == expected


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('place', ['top', 'meta', 'state_dict'])
def test_objects_are_unpickled_only_when_trusted(tmp_path, place, legacy):
    evil = MakesFolder(tmp_path / 'evil')
    content = {'state_dict': dict(WEIGHTS), 'meta': {}}
    (content if place == 'top' else content[place])['x'] = evil
    torch.save(content, tmp_path / 'file.pth', _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match='--trust-checkpoint'):
        read_checkpoint(str(tmp_path / 'file.pth'))
    assert not (tmp_path / 'evil').exists()
    read_checkpoint(str(tmp_path / 'file.pth'), trust=True)
    assert (tmp_path / 'evil').is_dir()


def test_a_whole_network_is_read_when_trusted(tmp_path):
    torch.save(nn.Sequential(nn.Linear(2, 1)), tmp_path / 'file.pth')
    with pytest.raises(InputError, match='--trust-checkpoint'):
        read_checkpoint(str(tmp_path / 'file.pth'))
    assert list(read_checkpoint(str(tmp_path / 'file.pth'), trust=True)['state_dict']) == ['0.weight', '0.bias']


def test_a_getattr_finds_methods_of_trusted_classes_only(tmp_path):
    class Asks:
        def __reduce__(self):
            return getattr, (MakesFolder, '__init__')
    torch.save({'state_dict': WEIGHTS, 'x': Asks()}, tmp_path / 'file.pth')
    with pytest.raises(InputError, match='trust'):
        read_checkpoint(str(tmp_path / 'file.pth'))


def test_the_program_in_meta_config_is_dropped_unless_trusted(tmp_path):
    torch.save({'state_dict': WEIGHTS, 'meta': {'config': 'import os', 'iter': 3}}, tmp_path / 'file.pth')
    assert read_checkpoint(str(tmp_path / 'file.pth'))['meta'] == {'iter': 3}
    assert 'config' in read_checkpoint(str(tmp_path / 'file.pth'), trust=True)['meta']


def test_mmengine_runs_no_file_in_the_block_and_reads_as_before_after_it(tmp_path):
    torch.save({'state_dict': WEIGHTS, 'x': MakesFolder(tmp_path / 'evil')}, tmp_path / 'file.pth')
    (tmp_path / 'proposals.pkl').write_bytes(pickle.dumps(MakesFolder(tmp_path / 'evil')))
    (tmp_path / 'plain.pkl').write_bytes(pickle.dumps({'a': 1}))
    with plain_files_only():
        with pytest.raises(InputError):
            CheckpointLoader.load_checkpoint(str(tmp_path / 'file.pth'))
        with pytest.raises(pickle.UnpicklingError):
            mmengine.load(tmp_path / 'proposals.pkl')
        assert mmengine.load(tmp_path / 'plain.pkl') == {'a': 1}
        assert not (tmp_path / 'evil').exists()
    assert mmengine.load(tmp_path / 'proposals.pkl') is None
    assert (tmp_path / 'evil').is_dir()


def test_an_address_is_downloaded_once_into_a_file_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv('TSM_DET_CACHE', str(tmp_path))
    fetched = []

    def fetch(address, path):
        fetched.append(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(WEIGHTS, path)
    monkeypatch.setattr(download, '_download', fetch)
    addresses = ['https://a.org/x/weights.pth', 'https://b.org/x/weights.pth']
    for address in addresses * 2:
        read_checkpoint(address)
    assert fetched == addresses
    assert len({cache_path(address) for address in addresses}) == 2
    assert all(cache_path(address).name.endswith('-weights.pth') for address in addresses)
    monkeypatch.setitem(download._TABLES, 'torchvision', lambda: {'resnet50': addresses[0]})
    assert local_file('torchvision://resnet50') == cache_path(addresses[0])


def test_a_redirect_away_from_https_is_refused():
    class Request:
        full_url = 'https://a.org/x'
    with pytest.raises(InputError, match='http://b.org/x'):
        download._HttpsOnly().redirect_request(Request(), None, 302, 'Found', {}, 'http://b.org/x')


def hierarchy_of(path):
    """What mmdet's dataset reads from the file."""
    from mmdet.datasets import OpenImagesChallengeDataset

    dataset = OpenImagesChallengeDataset.__new__(OpenImagesChallengeDataset)
    dataset.backend_args = None
    return dataset._get_relation_matrix(str(path))


def test_an_array_of_objects_runs_only_when_trusted(tmp_path):
    np.save(tmp_path / 'a.npy', np.array([[MakesFolder(tmp_path / 'evil')] * 2] * 2), allow_pickle=True)
    (tmp_path / 'b.np').write_bytes(pickle.dumps(MakesFolder(tmp_path / 'evil')))
    for name in ('a.npy', 'b.np'):
        with plain_files_only(), pytest.raises(InputError, match=f'{name} .*--trust-checkpoint'):
            hierarchy_of(tmp_path / name)
    assert not (tmp_path / 'evil').exists()
    with plain_files_only(trust=True), suppress(FileExistsError):
        hierarchy_of(tmp_path / 'a.npy')
    assert (tmp_path / 'evil').exists()


def test_a_plain_array_is_read_and_the_reader_is_put_back(tmp_path):
    np.save(tmp_path / 'a.npy', np.arange(4).reshape(2, 2))
    load = np.load
    with plain_files_only():
        assert hierarchy_of(tmp_path / 'a.npy').tolist() == [[3]]
    assert np.load is load
