"""The page through its real HTTP API."""

import base64
import json
import os
import re
import shutil
import socket
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import cv2
import pytest

from tsm_det.config import config_path, load_config
from tsm_det.errors import InputError
from tsm_det.serving import app
from tsm_det.streams.online_detector import OnlineDetector

gradio_client = pytest.importorskip('gradio_client', reason='needs the extra [demo]')


@pytest.fixture
def address(detector):
    with app.serving(detector, port=0) as address:
        yield address


class Camera:
    """A page whose camera is on; gradio_client cannot send streams."""

    def __init__(self, address):
        self.api, self.session, self.event = f'{address}gradio_api', {'session_hash': f'page {id(self)}'}, None
        with urlopen(f'{address}config') as config:
            [self.function] = [one['id'] for one in json.load(config)['dependencies'] if one['api_name'] == 'frame']

    def post(self, path, **body):
        request = Request(self.api + path, json.dumps({**self.session, **body}).encode(),
                          {'Content-Type': 'application/json'})
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def show(self, image):
        """Send a frame; gives the end of the status line."""
        url = f'data:image/png;base64,{base64.b64encode(cv2.imencode(".png", image)[1]).decode()}'
        body = {'fn_index': self.function, 'data': [{'url': url, 'meta': {'_type': 'gradio.FileData'}}, None, 0, False]}
        if self.event is None:
            self.event = self.post('/queue/join', **body)['event_id']
            self.answers = urlopen(f'{self.api}/queue/data?{urlencode(self.session)}', timeout=60)
        else:
            self.post(f'/stream/{self.event}', **body)
        for line in self.answers:
            if b'"process_streaming"' in line:
                return json.loads(line.removeprefix(b'data: '))['output']['data'][1].split('frame ')[1]

    def close(self):
        self.post(f'/stream/{self.event}/close')
        self.answers.close()


def test_each_visitor_has_a_memory_until_its_reset(address, detector, image):
    one, other = Camera(address), Camera(address)
    assert [one.show(image) for _ in range(3)] == [f'{k} since reset (new)' for k in (1, 2, 3)]
    assert other.show(image) == '1 since reset (new)'
    one.post('/run/reset', data=[None, None])
    assert [one.show(image), other.show(image)] == ['1 since reset (manual)', '2 since reset (new)']
    assert (detector.frames[0] == image).all()
    for camera in (one, other):
        camera.close()


def test_the_page_names_the_model_and_its_sample_is_a_video_that_runs(detector):
    with app.serving(detector, port=0, title='the model') as address, urlopen(f'{address}config') as config:
        components = json.load(config)['components']
        heading, = [one['props']['value'] for one in components if one['props'].get('elem_id') == 'heading']
        assert 'the model' in heading and 'ball' in heading
        [sample] = [one['props']['samples'] for one in components if one['type'] == 'dataset']
        path, = set(re.findall(r'"path": "([^"]+\.mp4)"', json.dumps(sample)))
        client = gradio_client.Client(address, verbose=False, analytics_enabled=False)
        job = client.submit(gradio_client.handle_file(path), 0, False, api_name='/video')
        job.result(60)
        assert [status.split('frame ')[1] for _, status in job.outputs()][2] == '3 since reset (new)'


def test_a_video_is_annotated_and_a_bad_one_is_refused(address, video_file, tmp_path):
    client = gradio_client.Client(address, verbose=False, analytics_enabled=False)
    (tmp_path / 'bad.mp4').write_text('not a video')

    def statuses(path):
        job = client.submit(gradio_client.handle_file(path), 0, api_name='/video')
        job.result(60)
        return [status.split('frame ')[1] for _, status in job.outputs()]

    assert statuses(video_file(n=4)) == [f'{k} since reset (new)' for k in (1, 2, 3, 4)]
    with pytest.raises(gradio_client.exceptions.AppError, match=r'^bad\.mp4 cannot be read'):
        statuses(tmp_path / 'bad.mp4')
    shutil.rmtree(os.environ['GRADIO_TEMP_DIR'])
    assert statuses(video_file(n=1)) == ['1 since reset (new)']


@pytest.mark.parametrize('name', ['tsm_retinanet_r18_synthvid', 'tsm_rtmdet_tiny_synthvid'])
def test_single_stage_detectors_are_served(name, video_file):
    detector = OnlineDetector.from_config(load_config(config_path(name)), None)
    with app.serving(detector, port=0) as address:
        client = gradio_client.Client(address, verbose=False, analytics_enabled=False)
        job = client.submit(gradio_client.handle_file(video_file(n=3)), 0, api_name='/video')
        job.result(60)
        assert [status.split('frame ')[1] for _, status in job.outputs()] == [
            f'{k} since reset (new)' for k in (1, 2, 3)]


def test_a_file_over_the_limit_is_refused(detector, video_file):
    with app.serving(detector, port=0, max_upload_mb=0.001) as address:
        client = gradio_client.Client(address, verbose=False, analytics_enabled=False)
        with pytest.raises(Exception, match='1000'):
            client.submit(gradio_client.handle_file(video_file()), 0, api_name='/video').result(60)


def test_a_page_that_cannot_be_served_is_refused(detector):
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
        for options, fact in (({'port': port}, f'port {port}'), ({'port': 70000}, '70000'),
                              ({'score_thr': 1.5}, '--score-thr is 1.5'), ({'max_upload_mb': -1}, '--max-upload-mb')):
            with pytest.raises(InputError, match=fact), app.serving(detector, **options):
                pass
