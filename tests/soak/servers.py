"""Cameras that behave as a script says, behind HTTP and RTSP, and a file whose connection breaks.

A camera's script has one list of steps a connection; a connection beyond the script is refused. A step is
``Send(frames, fps, size)``, ``Stall(seconds)`` (silence, the connection stays open) or, over HTTP, ``Damage()``
(rubbish instead of a frame). At the end of its steps the connection is cut. Frames carry the camera's number, which
runs on over all connections: what nobody was connected to see is not counted.
"""

from __future__ import annotations

import base64
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np


class Send(NamedTuple):
    frames: int
    fps: float = 50
    size: tuple[int, int] = (48, 64)


class Stall(NamedTuple):
    seconds: float


class Damage(NamedTuple):
    pass


class Camera:
    """What the connections to one camera share."""

    def __init__(self, script: Sequence[Sequence[Send | Stall | Damage]], draw: Callable[..., np.ndarray]) -> None:
        self.script = script
        self.draw = draw
        self.sent = 0  # frames, over all connections
        self.connections = 0
        self.transports: list[str] = []  # of each connection over RTSP
        self.closing = threading.Event()

    def connect(self) -> Sequence | None:
        """The steps of a new connection; None refuses it."""
        self.connections += 1
        return self.script[self.connections - 1] if self.connections <= len(self.script) else None

    def play(self, steps: Sequence) -> Iterator[np.ndarray | None]:
        """Pictures when they are due, None for a damaged one."""
        for step in steps:
            if isinstance(step, Stall):
                self.closing.wait(step.seconds)
            elif isinstance(step, Damage):
                yield None
            else:
                for _ in range(step.frames):
                    if self.closing.wait(1 / step.fps):
                        return
                    yield self.draw(self.sent, *step.size)
                    self.sent += 1


@contextmanager
def mjpeg_camera(script: Sequence, draw: Callable) -> Iterator[tuple[Camera, str]]:
    """A camera and its address, motion JPEG over HTTP."""
    camera = Camera(script, draw)

    class Handler(_Quiet):
        def do_GET(self) -> None:
            steps = camera.connect()
            if steps is None:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
            self.end_headers()
            for image in camera.play(steps):
                jpeg = b'rubbish' * 50 if image is None else cv2.imencode('.jpg', image)[1].tobytes()
                self.wfile.write(b'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n' % (
                    len(jpeg), jpeg))
                self.wfile.flush()

    with _serving(Handler) as address:
        yield camera, f'{address}/live'
        camera.closing.set()


@contextmanager
def file_server(path: Path, cuts: Sequence[float], has_length: bool = True) -> Iterator[tuple[list, str]]:
    """A file and the list of its downloads; each is cut at a share of the file, those beyond ``cuts`` are whole."""
    downloads: list[float] = []

    class Handler(_Quiet):
        def do_GET(self) -> None:
            content = path.read_bytes()
            share = cuts[len(downloads)] if len(downloads) < len(cuts) else 1
            downloads.append(share)
            self.send_response(200)
            if has_length:
                self.send_header('Content-Length', str(len(content)))
            self.end_headers()
            self.wfile.write(content[:round(share * len(content))])

    with _serving(Handler) as address:
        yield downloads, f'{address}/{path.name}'


@contextmanager
def rtsp_camera(script: Sequence, draw: Callable) -> Iterator[tuple[Camera, str]]:
    """A camera and its address, H.264 over RTSP, its packets by UDP or interleaved in the one TCP connection."""
    camera = Camera(script, draw)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            steps = camera.connect()
            while steps is not None and (request := self.rfile.readline().split()):
                headers = dict(line.split(b': ', 1) for line in iter(lambda: self.rfile.readline().strip(), b''))
                method = request[0].decode()
                if method == 'SETUP':
                    self.transport = headers[b'Transport'].decode()
                    camera.transports.append('tcp' if 'interleaved' in self.transport else 'udp')
                self._answer(method, headers[b'CSeq'])
                if method == 'PLAY':
                    with self._sender() as send:
                        _send_h264(send, camera.play(steps))
                    return

        @contextmanager
        def _sender(self) -> Iterator[Callable[[bytes], None]]:
            if camera.transports[-1] == 'tcp':
                yield lambda packet: self.connection.sendall(b'$\0' + len(packet).to_bytes(2, 'big') + packet)
                return
            port = int(re.search(r'client_port=(\d+)', self.transport).group(1))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                yield lambda packet: udp.sendto(packet, ('127.0.0.1', port))

        def _answer(self, method: str, number: bytes) -> None:
            body = ''
            lines = ['RTSP/1.0 200 OK', f'CSeq: {number.decode()}', 'Session: 1']
            if method == 'OPTIONS':
                lines.append('Public: OPTIONS, DESCRIBE, SETUP, PLAY')
            elif method == 'SETUP':
                lines.append(f'Transport: {self.transport}' + ';server_port=9-9' * (camera.transports[-1] == 'udp'))
            elif method == 'DESCRIBE':
                body = 'v=0\r\ns=camera\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:video\r\n'
                lines += ['Content-Type: application/sdp', f'Content-Length: {len(body)}']
            self.wfile.write('\r\n'.join([*lines, '', body]).encode())

    with _listening(socketserver.ThreadingTCPServer(('127.0.0.1', 0), Handler)) as port:
        yield camera, f'rtsp://127.0.0.1:{port}/live'
        camera.closing.set()


@contextmanager
def guarded_camera() -> Iterator[tuple[list[str], str]]:
    """A camera that refuses everybody: the names and passwords it was told over RTSP, and its host and port."""
    told: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                headers = dict(line.split(b': ', 1) for line in iter(lambda: self.rfile.readline().strip(), b''))
                if (words := headers.get(b'Authorization', b'').split()) and words[0] == b'Basic':
                    told.append(base64.b64decode(words[1]).decode())
                self.wfile.write(b'RTSP/1.0 401 Unauthorized\r\nCSeq: %s\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n'
                                 % headers[b'CSeq'])

    with _listening(socketserver.ThreadingTCPServer(('127.0.0.1', 0), Handler)) as port:
        yield told, f'127.0.0.1:{port}'


@contextmanager
def mute_server() -> Iterator[str]:
    """Host and port that take connections and never answer."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        yield f'127.0.0.1:{server.getsockname()[1]}'


def _send_h264(send: Callable[[bytes], None], images: Iterator[np.ndarray]) -> None:
    """Each NAL unit in one RTP packet (RFC 6184), which small pictures allow; a new encoder for a new size."""
    encoder, number, begin = None, 0, time.monotonic()
    for image in images:
        if encoder is None or image.shape[:2] != (encoder.height, encoder.width):
            encoder = _encoder(*image.shape[:2])
        stamp = round(90000 * (time.monotonic() - begin))
        units = [unit for packet in encoder.encode(av.VideoFrame.from_ndarray(image, format='bgr24'))
                 for unit in _nal_units(bytes(packet))]
        for unit in units:
            number += 1
            is_last = unit is units[-1]
            packet = (bytes([0x80, 96 | 0x80 * is_last]) + (number % 65536).to_bytes(2, 'big')
                      + stamp.to_bytes(4, 'big') + b'live' + unit)
            send(packet)


def _encoder(height: int, width: int) -> av.VideoCodecContext:
    encoder = av.CodecContext.create('libx264', 'w')
    encoder.height, encoder.width, encoder.pix_fmt, encoder.framerate = height, width, 'yuv420p', 25
    encoder.options = {'tune': 'zerolatency', 'g': '5', 'x264-params': 'repeat-headers=1:annexb=1:sliced-threads=0'}
    return encoder


def _nal_units(stream: bytes) -> list[bytes]:
    return [unit.rstrip(b'\0') for unit in stream.split(b'\0\0\1') if unit.rstrip(b'\0')]


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with _listening(ThreadingHTTPServer(('127.0.0.1', 0), handler)) as port:
        yield f'http://127.0.0.1:{port}'


@contextmanager
def _listening(server: socketserver.ThreadingTCPServer) -> Iterator[int]:
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # who was connected went away
    threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
