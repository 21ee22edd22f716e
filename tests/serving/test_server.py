"""The command line of the page."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests.serving.pages import visiting
from tests.tiny import TINY
from tsm_det import config_path
from tsm_det.config import load_config
from tsm_det.errors import InputError
from tsm_det.serving import server
from tsm_det.serving.limits import Limits

CONFIG = config_path('tsm_faster_rcnn_r18_synthvid')


@pytest.fixture
def taken():
    """A port that another program has."""
    with socket.create_server(('127.0.0.1', 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize(('line', 'message'), [
    ('none --port {taken}', 'the server cannot listen at 127.0.0.1, port {taken} (Address already in use): give'),
    ('none --port 70000', 'the port is 70000 but a number from 0 to 65535 is needed'),
    ('none --port -1', 'the port is -1 but'),
    ('none --port 0 --name https://page.example.org', '--name is https://page.example.org but a name alone is needed'),
    ('none --port 0 --host nowhere.invalid', 'the server cannot listen at nowhere.invalid, port 0'),
    ('none.pth --port 0', 'the checkpoint none.pth is missing'),
    ('none --port 0 --max-visitors 0', 'the limit visitors is 0 but a finite number above 0 is needed'),
    ('none --port 0 --max-visitors -1' + 400 * '0', 'the limit visitors is -1000'),
    ('none --port 0 --max-upload-mb -1', 'the limit upload_bytes is -1000000.0 but'),
    ('none --port 0 --max-upload-mb nan', 'the limit upload_bytes is nan but'),
    ('none --port 0 --max-upload-mb inf', 'the limit upload_bytes is inf but'),
    ('none --port 0 --max-upload-mb 1e308', 'the limit upload_bytes is inf but'),
    *((f'none --port 0 --score-thr {score_thr}', f'--score-thr is {score_thr} but a number from 0 to 1 is needed')
      for score_thr in (7.0, -0.1, float('nan'), float('inf'))),
    ('none --port 0 --device foo', "the device is 'foo' but torch"),
])
def test_what_keeps_the_server_from_starting_gets_one_sentence_and_status_2(run, taken, line, message):
    status, out, err = run(f'serve {CONFIG} {line.format(taken=taken)}')
    assert status == 2, out + err
    assert err.strip().splitlines()[-1].startswith(f'error: {message.format(taken=taken)}')
    assert 'Traceback' not in out + err


def test_missing_packages_are_named_with_what_installs_them(run, monkeypatch):
    for package in ('starlette', 'uvicorn'):
        monkeypatch.setitem(sys.modules, package, None)
    status, _, err = run(f'serve {CONFIG} none')
    assert (status, err.strip().splitlines()[-1]) == (
        2, 'error: starlette, uvicorn cannot be imported but the page needs it: pip install "tsm_det[serve]"')


@pytest.mark.parametrize(('host', 'place', 'is_warned'), [
    ('127.0.0.1', '127.0.0.1', False), ('localhost', 'localhost', False), ('::1', '[::1]', False),
    ('0.0.0.0', 'localhost', True), ('::', 'localhost', True)])
def test_who_opens_the_server_to_others_is_warned(monkeypatch, host, place, is_warned):
    said = []
    monkeypatch.setattr(server, 'run', lambda *_: None)
    monkeypatch.setattr(server.OnlineDetector, 'from_config', lambda *_, **__: None)
    monkeypatch.setattr(server, 'print_log', lambda text, *_: said.append(text))
    try:
        server.serve(load_config(CONFIG), host=host, port=0)
    except InputError:
        pytest.skip(f'this machine has no {host}')
    assert re.fullmatch(rf'open http://{re.escape(place)}:\d+ in a browser; Ctrl-C ends it', said[-1])
    assert any('no passwords' in sentence for sentence in said) == is_warned


def test_by_default_only_this_machine_is_listened_to(run, monkeypatch):
    def listen(host, port):
        raise InputError(f'asked for {host}, {port}')
    monkeypatch.setattr(server, 'listen', listen)
    assert run(f'serve {CONFIG} none')[2].strip().endswith('error: asked for 127.0.0.1, 8000')


def test_a_detector_has_room_for_every_visitor_and_the_engine_asked_for(monkeypatch):
    built = []
    monkeypatch.setattr(server, 'run', lambda *_: None)
    monkeypatch.setattr(server.OnlineDetector, 'from_config', lambda *_, **keys: built.append(keys))
    server.serve(load_config(CONFIG), port=0, limits=Limits(visitors=7), engine='fast')
    assert built == [dict(capacity=7, engine='fast')]


@pytest.mark.parametrize(('keys', 'names'), [
    ({}, ['127.0.0.1']), ({'host': '127.0.0.1', 'name': 'page.example.org'}, ['127.0.0.1', 'page.example.org'])])
def test_it_listens_at_the_host_and_answers_to_the_name_too(monkeypatch, keys, names):
    known = []
    monkeypatch.setattr(server, 'run', lambda *given: known.append((given[1].getsockname()[0], given[3])))
    monkeypatch.setattr(server.OnlineDetector, 'from_config', lambda *_, **__: None)
    server.serve(load_config(CONFIG), port=0, **keys)
    assert known == [('127.0.0.1', names)]


@pytest.mark.slow
@pytest.mark.parametrize('end', [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_polite_kill_end_it_with_visitors_there_and_leave_nothing(tmp_path, video_file, end):
    video = video_file(n=2).read_bytes()
    temp_folder = tmp_path / 'temp'
    temp_folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, '-W', 'ignore', 'tools/serve.py', CONFIG, 'none', '--port', '0', '--cfg-options',
         *TINY.split()],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, 'TMPDIR': str(temp_folder), 'PYTHONUNBUFFERED': '1'})
    try:
        said = ''
        while 'open http://' not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        with visiting(int(re.search(r'open http://127\.0\.0\.1:(\d+)', said)[1])) as page:
            assert page.upload(video)[0] == 200
            assert page.look(0)[0]['reset'] == 'new'
            process.send_signal(end)
            with pytest.raises(ConnectionClosed) as closed:
                page.receive()
            assert closed.value.rcvd.code == 1012
        said += process.communicate(timeout=60)[0]
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert 'Traceback' not in said
    assert [path for path in temp_folder.iterdir() if path.name.startswith('tsm_det')] == []
