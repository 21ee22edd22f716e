"""The page in a real browser with a fake camera."""

from urllib.parse import urlsplit

import pytest

from tests.waiting import eventually
from tsm_det.serving import app

pytest.importorskip('gradio', reason='needs the extra [demo]')
chromium = pytest.importorskip('tests.serving.chromium', reason='needs websockets')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    chromium.PROGRAM is None, reason='no chromium, chromium-browser or google-chrome is installed')]
VISIBLE = "[...document.querySelectorAll('#camera button')].filter(button => button.offsetParent)"
STATUS = "document.querySelector('#status textarea')?.value ?? ''"


def frames(tab):
    """Number of frames since the last reset, and its reason."""
    number, _, _, reason = tab.eval(STATUS).split('frame ')[1].split()
    return int(number), reason


def test_annotated_camera_frames_arrive_and_nothing_outside_loopback_is_requested(detector, tmp_path):
    with (app.serving(detector, port=0, title='a model') as address,
          chromium.browsing(tmp_path / 'profile', '--use-fake-ui-for-media-stream') as tab):
        tab.open(address)
        eventually(lambda: tab.eval(f'{VISIBLE}.length > 0'))  # "click to access webcam"
        tab.eval(f'{VISIBLE}.at(-1).click()')
        eventually(lambda: tab.eval(f'{VISIBLE}.at(-1)?.ariaLabel') == 'capture photo')
        tab.eval(f'{VISIBLE}.at(-1).click()')
        eventually(lambda: 'since reset (new)' in tab.eval(STATUS) and frames(tab)[0] >= 3)
        shown = tab.eval("document.querySelector('#annotated img').src")
        eventually(lambda: tab.eval("document.querySelector('#annotated img').src") != shown)
        assert tab.eval("document.querySelector('#annotated img').naturalWidth") >= 2 * 640  # without and with memory
        assert 'a model' in tab.eval("document.querySelector('#heading').innerText")
        tab.eval("document.querySelector('#reset').click()")
        eventually(lambda: frames(tab)[1] == '(manual)')
        places = {urlsplit(url).hostname for url in tab.requests if not url.startswith(('data:', 'blob:'))}
    assert places == {'127.0.0.1'}
    assert tab.errors == []
