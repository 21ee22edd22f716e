"""The page in a real browser."""

from contextlib import ExitStack

import pytest

from tests.serving.chromium import PROGRAM, browsing
from tests.serving.pages import eventually, serving, visiting
from tsm_det.serving.limits import Limits

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    PROGRAM is None, reason='no chromium, chromium-browser or google-chrome is installed')]
IS_DRAWN = '''(() => {
  const canvas = document.querySelector('canvas');
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size > 10;
})()'''
ALLOWED = '--use-fake-ui-for-media-stream'


@pytest.fixture
def browser(serve, tmp_path):
    """Opens a browser at the page."""
    with ExitStack() as stack:
        def browser(*flags, **limits):
            port = serve(**limits)
            tab = stack.enter_context(browsing(tmp_path / 'profile', *flags))
            tab.open(f'http://127.0.0.1:{port}/')
            return tab
        yield browser


def frame(tab):
    """The number of the last frame that is shown."""
    return int(tab.text('#frame').split()[0].replace('–', '-1'))


def log(tab):
    return tab.eval("[...document.querySelectorAll('#log li')].map((line) => line.textContent)")


def test_a_camera_is_shown_with_what_is_found_and_reset_begins_a_fresh_memory(browser, detector):
    tab = browser(ALLOWED)
    tab.click('#start')
    eventually(lambda: frame(tab) >= 3)
    assert log(tab) == ['Frame 0 – new: the first frame of a stream']
    assert tab.text('#state') == 'running'
    assert int(tab.text('#remembered')) >= 3
    assert float(tab.text('#latency')) > 0
    assert float(tab.text('#fps')) > 0
    assert tab.eval(IS_DRAWN)
    tab.click('#reset')
    eventually(lambda: len(log(tab)) == 2)
    assert log(tab)[0].endswith('manual: asked for by Reset')
    tab.click('#start')
    eventually(lambda: tab.text('#state') == 'stopped')
    tab.eval("document.querySelector('#threshold').value = 0; document.querySelector('#threshold').oninput()")
    assert int(tab.text('#objects')) > 0
    assert tab.errors == []
    assert len(detector.bank) == 1


def test_a_video_file_is_uploaded_and_each_of_its_frames_is_shown(browser, video_file):
    tab = browser(ALLOWED)
    tab.click('[value=file]')
    tab.choose_file('#file', video_file(n=6, fps=100))
    for expected in (['new'], ['seek', 'new']):
        tab.click('#start')
        eventually(lambda: tab.text('#message') == 'The video has ended; Start plays it again.')
        assert tab.text('#frame') == '5 / 5'
        assert [line.split()[3].rstrip(':') for line in log(tab)] == expected
    assert tab.eval(IS_DRAWN)
    assert tab.errors == []


def test_a_refused_camera_is_said(browser):
    tab = browser('--deny-permission-prompts')
    tab.click('#start')
    eventually(lambda: 'The camera was refused' in tab.text('#message'))
    assert tab.text('#state') == 'stopped'


def test_a_file_that_is_too_large_or_no_video_is_said(browser, tmp_path):
    tab = browser(upload_bytes=1000)
    tab.click('[value=file]')
    for size, sentence in ((1001, 'the file is larger than the 0.001 MB'), (1000, 'cannot be read as a video')):
        (tmp_path / 'file.mp4').write_bytes(bytes(size))
        tab.choose_file('#file', tmp_path / 'file.mp4')
        tab.click('#start')
        eventually(lambda sentence=sentence: sentence in tab.text('#message'))
    assert tab.text('#state') == 'stopped'


def test_one_visitor_too_many_is_told_so(serve, tmp_path):
    port = serve(visitors=1)
    with visiting(port), browsing(tmp_path / 'profile', ALLOWED) as tab:
        tab.open(f'http://127.0.0.1:{port}/')
        tab.click('#start')
        eventually(lambda: tab.text('#message') == 'All 1 places are taken: try again later.')


def test_a_server_that_ends_is_said(detector, temp_folder, tmp_path):
    with browsing(tmp_path / 'profile', ALLOWED) as tab:
        with serving(detector, Limits()) as port:
            tab.open(f'http://127.0.0.1:{port}/')
            tab.click('#start')
            eventually(lambda: frame(tab) >= 0)
        eventually(lambda: 'The server was stopped' in tab.text('#message'))
        tab.click('#start')
        eventually(lambda: 'The server is gone' in tab.text('#message'))
