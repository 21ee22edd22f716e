"""The server's pages, uploads and WebSockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from tsm_det.errors import InputError
from tsm_det.serving.guard import Guard
from tsm_det.serving.limits import Limits
from tsm_det.serving.shared_detector import SharedDetector
from tsm_det.serving.uploads import TooLargeError, too_large
from tsm_det.serving.visitor import Visitor
from tsm_det.streams.online_detector import OnlineDetector


def make_app(detector: OnlineDetector, limits: Limits, names: Sequence[str] = (), score_thr: float = 0.3) -> Starlette:
    """The ASGI application: ``/`` is the page, ``/stream`` its WebSocket, ``/upload`` takes its video file.

    Args:
        detector: with room for ``limits.visitors`` streams; nobody else uses it meanwhile.
        limits: see ``Limits``.
        names: by which visitors call the server, besides localhost and addresses.
        score_thr: where the page's threshold stands at first.
    """
    visits = _Visits(detector, limits, score_thr)
    return Starlette(
        routes=[WebSocketRoute('/stream', visits.stream), Route('/upload', visits.upload, methods=['POST']),
                Mount('/', StaticFiles(directory=Path(__file__).parent / 'page', html=True))],
        middleware=[Middleware(Guard, names=names)], lifespan=visits.lifespan)


class _Visits:
    """The visitors who are there, by their keys."""

    def __init__(self, detector: OnlineDetector, limits: Limits, score_thr: float) -> None:
        self._detector = SharedDetector(detector)
        self._limits, self._score_thr = limits, score_thr
        self._visitors: dict[str, Visitor] = {}
        self._folder = ''

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        with TemporaryDirectory(prefix='tsm_det_serve_') as self._folder:
            yield
            self._detector.close()

    async def stream(self, socket: WebSocket) -> None:
        await socket.accept()
        if len(self._visitors) >= self._limits.visitors:
            await socket.close(1013, f'All {self._limits.visitors} places are taken: try again later.')
            return
        visitor = Visitor(socket, self._detector, self._limits, self._folder)
        self._visitors[visitor.key] = visitor
        try:
            await socket.send_json({
                'type': 'hello', 'key': visitor.key, 'upload_bytes': self._limits.upload_bytes,
                'too_large': too_large(self._limits), 'score_thr': self._score_thr,
                'colours': self._detector.colours()})
            await visitor.answer_all()
        except WebSocketDisconnect:
            pass
        finally:
            # Its place is free when its stream is gone: there is never a stream too many.
            await visitor.leave()
            del self._visitors[visitor.key]

    async def upload(self, request: Request) -> JSONResponse:
        visitor = self._visitors.get(request.headers.get('x-visit', ''))
        if visitor is None:
            return _refused(403, 'the page that this upload is for is not open: press Start')
        length = request.headers.get('content-length', '0')
        if length.isdecimal() and int(length) > self._limits.upload_bytes:
            return _refused(413, too_large(self._limits))
        try:
            return JSONResponse(await visitor.take_upload(request.stream()))
        except TooLargeError as error:
            return _refused(413, str(error))
        except (InputError, ClientDisconnect) as error:
            return _refused(400, str(error))


def _refused(status: int, sentence: str) -> JSONResponse:
    # The rest of the body is not waited for.
    return JSONResponse({'error': sentence}, status, {'connection': 'close'})
