"""What a page does, without a browser; and what it should not do."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
from mmengine.structures import InstanceData
from websockets.sync.client import ClientConnection, connect

from tsm_det.serving.limits import Limits
from tsm_det.serving.server import listen, make_server
from tsm_det.streams.online_detector import OnlineDetector


def eventually(condition: Callable[[], bool], limit_s: float = 60) -> None:
    """Wait until it is so."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, 'it did not happen'
        time.sleep(0.01)


@contextmanager
def serving(detector: OnlineDetector, limits: Limits, names: Sequence[str] = ()) -> Iterator[int]:
    """Serve in a thread; gives the port."""
    with listen('127.0.0.1', 0) as listening:
        port = listening.getsockname()[1]
        server = make_server(detector, limits, names)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            eventually(lambda: server.started)
            yield port
        finally:
            server.should_exit = True
            thread.join()


class Page:
    """A page whose WebSocket is open; ``settings`` is the server's first message."""

    def __init__(self, port: int, connection: ClientConnection) -> None:
        self.port, self.connection = port, connection
        self.texts: list[str] = []
        self.settings = self.receive()

    def receive(self) -> dict:
        self.texts.append(self.connection.recv(60))
        return json.loads(self.texts[-1])

    def tell(self, **message) -> None:
        self.connection.send(json.dumps(message))

    def show(self, image: bytes) -> dict:
        """The answer to a frame of the camera."""
        self.connection.send(image)
        return self.receive()

    def look(self, frame_id: int) -> tuple[dict, np.ndarray | None]:
        """The answer to a frame of the file, and its picture."""
        self.tell(do='frame', frame_id=frame_id)
        answer = self.receive()
        if answer['type'] == 'error':
            return answer, None
        return answer, cv2.imdecode(np.frombuffer(self.connection.recv(60), np.uint8), cv2.IMREAD_COLOR)

    def upload(self, data: bytes, **headers) -> tuple[int, dict]:
        """Status and answer."""
        status, answer = request(self.port, 'POST', '/upload', data, {'X-Visit': self.settings['key'], **headers})
        return status, json.loads(answer)


@contextmanager
def visiting(port: int, host: str = '127.0.0.1', origin: str | None = 'the same',
             max_queue: int | None = None) -> Iterator[Page]:
    """Open the page's WebSocket as a browser would that was led to ``host`` by a page of ``origin``.

    Of what it does not ask for it reads ``max_queue`` messages ahead.
    """
    origin = f'http://{host}:{port}' if origin == 'the same' else origin
    with connect(f'ws://{host}:{port}/stream', sock=socket.create_connection(('127.0.0.1', port)), origin=origin,
                 compression=None, proxy=None, max_size=None, max_queue=max_queue) as connection:
        yield Page(port, connection)


def request(port: int, method: str, path: str, body: bytes | Iterator[bytes] | None = None,
            headers: dict | None = None) -> tuple[int, bytes]:
    """Status and body of an answer; the origin is the server's own unless the headers say otherwise."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    own = {'Origin': f'http://127.0.0.1:{port}'} if method == 'POST' else {}
    try:
        connection.request(method, path, body, {**own, **(headers or {})})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def jpeg(image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode('.jpg', image, options)[1].tobytes()


def jpeg_that_claims(width: int, height: int) -> bytes:
    """A small picture whose header says that it is large."""
    data = bytearray(jpeg(np.zeros((16, 16, 3), np.uint8)))
    size = data.index(b'\xff\xc0') + 5
    data[size:size + 4] = height.to_bytes(2, 'big') + width.to_bytes(2, 'big')
    return bytes(data)


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def assert_same(answers: Sequence[dict], instances: Sequence[InstanceData]) -> None:
    """The answers say what a detector found, as exactly as they are written."""
    for answer, found in zip(answers, instances, strict=True):
        order = found.scores.argsort(descending=True)
        np.testing.assert_allclose([one['bbox'] for one in answer['detections']], found.bboxes[order], atol=0.02)
        np.testing.assert_allclose([one['score'] for one in answer['detections']], found.scores[order], atol=2e-4)
        assert [one['label'] for one in answer['detections']] == found.labels[order].tolist()
