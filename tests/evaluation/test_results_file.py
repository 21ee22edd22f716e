"""Reading results without running them."""

import io
import os
import pickle

import mmengine
import numpy as np
import pytest
import torch

from tsm_det.errors import InputError
from tsm_det.evaluation.evaluation_set import read_results


class Evil:
    """Unpickled plainly, it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


class Stored:
    """Pickled as the memory of a tensor is."""

    def __init__(self, content):
        self.content = content

    def __reduce__(self):
        return torch.storage._load_from_bytes, (self.content,)


def frame(**fields):
    found = dict(bboxes=torch.rand(3, 4), scores=torch.rand(3), labels=torch.tensor([0, 2, 1]))
    return dict(img_id=4, video_id=('image', 4), scale_factor=np.array([1.0, 2.0]), weight=np.float64(0.5), flip=False,
                pred_instances=found, **fields)


def test_tensors_and_arrays_come_back_as_they_were_written(tmp_path):
    written = [frame(), frame()]
    mmengine.dump(written, str(tmp_path / 'r.pkl'))
    read = read_results(tmp_path / 'r.pkl')
    for before, after in zip(written, read, strict=True):
        torch.testing.assert_close(after['pred_instances'], before['pred_instances'])
        assert np.array_equal(after['scale_factor'], before['scale_factor'])
        assert (after['video_id'], after['weight']) == (('image', 4), 0.5)


def test_a_pickle_that_would_run_something_is_refused_before_it_does(tmp_path):
    trap = tmp_path / 'trap'
    (tmp_path / 'r.pkl').write_bytes(pickle.dumps([frame(extra=Evil(str(trap)))]))
    with pytest.raises(InputError, match='it asks for posix.mkdir'):
        read_results(tmp_path / 'r.pkl')
    assert not trap.exists()
    pickle.loads((tmp_path / 'r.pkl').read_bytes())
    assert trap.exists()


def test_a_tensor_that_would_run_something_is_refused_before_it_does(tmp_path):
    """Tensors are pickles within the pickle."""
    trap = tmp_path / 'trap'
    stored = io.BytesIO()
    torch.save(Evil(str(trap)), stored, _use_new_zipfile_serialization=False)
    (tmp_path / 'r.pkl').write_bytes(pickle.dumps([frame(extra=Stored(stored.getvalue()))]))
    with pytest.raises(InputError, match='cannot be read'):
        read_results(tmp_path / 'r.pkl')
    assert not trap.exists()
    pickle.loads((tmp_path / 'r.pkl').read_bytes())
    assert trap.exists()


@pytest.mark.parametrize('content', [
    b'', b'not a pickle\n', pickle.dumps([]), pickle.dumps({}), pickle.dumps([1, 2]), pickle.dumps([{'img_id': 1}]),
    pickle.dumps([{'img_id': 1, 'pred_instances': {'bboxes': []}}]), pickle.dumps([frame()])[:-40]])
def test_anything_but_results_gets_a_sentence(tmp_path, content):
    (tmp_path / 'r.pkl').write_bytes(content)
    with pytest.raises(InputError, match='results are the .pkl file that tools/test.py --out writes') as caught:
        read_results(tmp_path / 'r.pkl')
    assert '\n' not in str(caught.value)


def test_a_missing_file_gets_a_sentence(tmp_path):
    with pytest.raises(InputError, match='none.pkl are missing'):
        read_results(tmp_path / 'none.pkl')
