"""Who may talk to the server."""

import http.client
from types import SimpleNamespace

import pytest
from websockets.exceptions import InvalidStatus

from tests.serving.pages import request, serving, visiting
from tsm_det.serving.limits import Limits

STRANGE_ORIGINS = ['http://evil.example', 'null', '', None, 'http://127.0.0.1:1', 'http://[', 'http://localhost']
STRANGE_HOSTS = ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '2130706433x', '']


@pytest.fixture
def detector():
    """None of these tests gets as far as the detector."""
    return SimpleNamespace(classes=('a',), reset=lambda _: None)


@pytest.mark.parametrize('origin', STRANGE_ORIGINS)
def test_another_page_in_the_same_browser_opens_no_stream(serve, origin):
    port = serve()
    with pytest.raises(InvalidStatus) as refusal, visiting(port, origin=origin):
        pass
    assert refusal.value.response.status_code == 403


def test_a_stream_that_is_refused_is_no_error_of_the_server(detector, capfd):
    with serving(detector, Limits()) as port:  # what is logged is there when the server has ended
        for origin in STRANGE_ORIGINS:
            with pytest.raises(InvalidStatus), visiting(port, origin=origin):
                pass
    assert 'ERROR' not in capfd.readouterr().err


@pytest.mark.parametrize('origin', [origin for origin in STRANGE_ORIGINS if origin is not None])
def test_another_page_in_the_same_browser_uploads_nothing(serve, origin):
    port = serve()
    with visiting(port) as page:
        status, answer = request(port, 'POST', '/upload', b'video',
                                 {'X-Visit': page.settings['key'], 'Origin': origin})
    assert (status, b'only the page of this server' in answer) == (403, True)


@pytest.mark.parametrize('host', STRANGE_HOSTS)
def test_a_name_that_was_made_to_point_here_is_refused(serve, host):
    port = serve()
    status, answer = request(port, 'GET', '/', headers={'Host': f'{host}:{port}' if host else ''})
    assert (status, b'the server is not known as' in answer) == (403, True)


def test_a_name_that_was_made_to_point_here_opens_no_stream(serve):
    port = serve()
    with pytest.raises(InvalidStatus) as refusal, visiting(port, 'evil.example'):
        pass
    assert refusal.value.response.status_code == 403


@pytest.mark.parametrize('host', ['localhost', 'LOCALHOST', '127.0.0.1', '[::1]', '192.168.0.7'])
def test_localhost_and_addresses_are_served(serve, host):
    port = serve()
    status, answer = request(port, 'GET', '/', headers={'Host': f'{host}:{port}'})
    assert (status, b'<canvas' in answer) == (200, True)


def test_a_proxy_with_https_may_stand_in_front(detector):
    with serving(detector, Limits(), ['127.0.0.1', 'Page.example.org']) as port:
        for name in ('localhost', 'page.example.org'):
            with visiting(port, name, f'https://{name}:{port}') as page:
                assert page.settings['type'] == 'hello'
            assert request(port, 'GET', '/', headers={'Host': f'{name}:{port}'})[0] == 200
        assert request(port, 'GET', '/', headers={'Host': 'example.org'})[0] == 403


@pytest.mark.parametrize('path', ['/', '/page.css', '/page.js', '/visit.js', '/sources.js', '/view.js'])
def test_the_page_may_load_nothing_from_elsewhere_and_stands_in_no_frame(serve, path):
    connection = http.client.HTTPConnection('127.0.0.1', serve())
    connection.request('GET', path)
    response = connection.getresponse()
    text, policy = response.read().decode(), response.headers['content-security-policy']
    connection.close()
    assert response.status == 200
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert 'unsafe' not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers['x-content-type-options'] == 'nosniff'
    assert not [word for word in ('://', 'innerHTML', ' style=', ' onclick=') if word in text]


@pytest.mark.parametrize('path', ['/../server.py', '/%2e%2e/server.py', '/..%2fserver.py', '//etc/passwd', '/nothing'])
def test_nothing_but_the_page_can_be_read(serve, path):
    assert request(serve(), 'GET', path)[0] == 404
