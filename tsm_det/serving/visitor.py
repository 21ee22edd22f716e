"""One page that is open somewhere: what it asks for and what it gets."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from starlette.websockets import WebSocket

from tsm_det.errors import InputError
from tsm_det.serving.images import decode_jpeg, encode_jpeg
from tsm_det.serving.limits import Limits
from tsm_det.serving.shared_detector import SharedDetector
from tsm_det.serving.uploads import check_pixels, open_upload, receive_file
from tsm_det.video.video_file import VideoFile


class Visitor:
    """Answers one page, which asks for one thing after the other over its WebSocket.

    The page sends a frame of its camera (binary, JPEG) or one of these texts::

        {"do": "camera"}                   a new camera stream begins
        {"do": "frame", "frame_id": 7}     look at frame 7 of the uploaded file
        {"do": "reset"}                    start the stream afresh

    A frame is answered by ``{"type": "found", "frame_id", "reset", "latency_ms", "size": [width, height],
    "has_picture", "detections"}``, a file's frame also by the frame itself (binary, JPEG). What cannot be done is
    answered by ``{"type": "error", "message"}``, and the page may go on.

    ``key`` proves that an upload comes from this page. The id of its stream never leaves the server, and is a new one
    for each camera or file.

    Args:
        socket: accepted.
        detector: with room for this visitor's stream.
        limits: see ``Limits``.
        folder: where a folder of this visitor is made, for its upload.
    """

    def __init__(self, socket: WebSocket, detector: SharedDetector, limits: Limits, folder: str) -> None:
        self.key = secrets.token_urlsafe()
        self._socket, self._detector, self._limits = socket, detector, limits
        self._folder = TemporaryDirectory(dir=folder)
        self._stream_id = secrets.token_urlsafe()
        self._next_frame_id = 0
        self._video: VideoFile | None = None
        self._is_uploading = False
        self._receiving: asyncio.Task | None = None

    async def answer_all(self) -> None:
        """Answer until the page is gone or has asked for nothing for too long."""
        while True:
            try:
                message = await asyncio.wait_for(self._socket.receive(), self._limits.idle_s)
            except asyncio.TimeoutError:
                if self._is_uploading:  # which has time limits of its own
                    continue
                await self._socket.close(1013, 'Nothing was asked for too long: press Start to go on.')
                return
            if message['type'] == 'websocket.disconnect':
                return
            try:
                await asyncio.wait_for(self._answer_or_refuse(message), self._limits.idle_s)
            except asyncio.TimeoutError:  # it does not read what it is sent
                return

    async def take_upload(self, chunks: AsyncIterator[bytes]) -> dict:
        """Take a video file in place of the one before; its frames are a new stream.

        Returns:
            ``{'frames', 'fps'}`` of the video.

        Raises:
            InputError: it is too large or no video, or another one of this page is just coming.
        """
        if self._is_uploading:
            raise InputError('another upload of this page is under way: wait for its end')
        self._is_uploading = True
        try:
            self._forget_video()
            path = Path(self._folder.name, secrets.token_hex())
            await self._receive(chunks, path)
            try:
                self._video = video = await open_upload(path, self._limits)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        finally:
            self._is_uploading = False
        await self._begin_stream()
        return {'frames': len(video), 'fps': video.fps}

    async def leave(self) -> None:
        """Forget the stream, and delete the upload, also one that is still coming."""
        self._video = None
        if self._receiving is not None:
            self._receiving.cancel()
        self._folder.cleanup()
        await self._detector.reset(self._stream_id)

    async def _receive(self, chunks: AsyncIterator[bytes], path: Path) -> None:
        self._receiving = asyncio.ensure_future(receive_file(chunks, path, self._limits))
        try:
            await asyncio.wait_for(asyncio.shield(self._receiving), self._limits.upload_s)
        except asyncio.TimeoutError as error:
            raise InputError(f'the file did not come in {self._limits.upload_s / 60:g} minutes: cut it, or use a '
                             'faster connection') from error
        except asyncio.CancelledError:
            if not self._receiving.cancelled():  # the server ends
                raise
            raise InputError('the page that this upload is for was closed: press Start') from None
        finally:
            self._receiving.cancel()
            self._receiving = None

    async def _answer_or_refuse(self, message: dict) -> None:
        try:
            await self._answer(message)
        except InputError as error:
            await self._socket.send_json({'type': 'error', 'message': str(error)})

    async def _answer(self, message: dict) -> None:
        start = time.perf_counter()
        if (data := message.get('bytes')) is not None:
            image = await asyncio.to_thread(decode_jpeg, data, self._limits.pixels)
            frame_id, self._next_frame_id = self._next_frame_id, self._next_frame_id + 1
            await self._send_found(image, frame_id, start, has_picture=False)
            return
        match _parse(message['text']):
            case {'do': 'camera'}:
                self._forget_video()
                await self._begin_stream()
            case {'do': 'reset'}:
                await self._detector.reset(self._stream_id)
            case {'do': 'frame', 'frame_id': int(frame_id)}:
                image = await self._read_frame(frame_id)
                await self._send_found(image, frame_id, start, has_picture=True)
            case _:
                raise InputError('the page asked for something that the server does not know: reload the page')

    async def _read_frame(self, frame_id: int) -> np.ndarray:
        if (video := self._video) is None:
            raise InputError('there is no video of this page on the server: choose the file again')
        try:
            image = await asyncio.to_thread(video.read, frame_id)
        except InputError as error:
            raise InputError(str(error).replace(video.path, 'the file')) from error
        height, width = image.shape[:2]
        check_pixels(width, height, self._limits)
        return image

    async def _send_found(self, image: np.ndarray, frame_id: int, start: float, has_picture: bool) -> None:
        found = await self._detector.detect(image, self._stream_id, frame_id)
        latency_ms = 1000 * (time.perf_counter() - start)
        height, width = image.shape[:2]
        await self._socket.send_json({
            'type': 'found', 'frame_id': frame_id, 'reset': found.reset, 'latency_ms': round(latency_ms, 2),
            'size': [width, height], 'has_picture': has_picture, 'detections': found.detections})
        if has_picture:
            await self._socket.send_bytes(await asyncio.to_thread(encode_jpeg, image))

    async def _begin_stream(self) -> None:
        old, self._stream_id = self._stream_id, secrets.token_urlsafe()
        self._next_frame_id = 0
        await self._detector.reset(old)

    def _forget_video(self) -> None:
        if self._video is not None:
            Path(self._video.path).unlink(missing_ok=True)
        self._video = None


def _parse(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
