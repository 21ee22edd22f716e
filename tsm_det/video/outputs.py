"""All that detections of several streams are written to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from tsm_det.errors import InputError
from tsm_det.files import check_writable
from tsm_det.video.batches import StreamFrame
from tsm_det.video.drawing import draw_detections
from tsm_det.video.sinks import JsonLinesSink, VideoSink
from tsm_det.video.sources import Source

_SCREEN = ('an OpenCV with windows and a screen, which is not here: leave --show out, or look at the page of '
           'tools/serve.py')


class Outputs(AbstractContextManager):
    """One file of JSON lines for all streams, a video for each, and windows.

    Args:
        sources: the streams, with different names.
        out: mp4 file; with several sources a folder of such files.
        json_lines: file with one line of JSON a frame.
        show: draw into a window a stream.
        stride: of every so many frames one comes.
        last_frames: what a run that is gone on with has seen of each stream; see ``JsonLinesSink``. A video that is
            there already is then kept, under another name.
    """

    def __init__(self, sources: Sequence[Source], out: str | None = None, json_lines: str | None = None,
                 show: bool = False, stride: int = 1, last_frames: Mapping[str, int] | None = None) -> None:
        self.paths = dict(_video_paths([source.name for source in sources], out)) if out else {}
        if show and sys.platform == 'linux' and not {'DISPLAY', 'WAYLAND_DISPLAY'} & os.environ.keys():
            raise InputError(f'--show needs {_SCREEN}')  # OpenCV would end the process
        if last_frames is not None:
            for path in self.paths.values():
                _put_aside(path)
        self._videos = {source.name: VideoSink(self.paths[source.name], source.fps / stride)
                        for source in sources if out}
        self._live = {source.name for source in sources if source.is_live}
        self._lines = JsonLinesSink(json_lines, last_frames) if json_lines else None
        self._show = show
        self._files = ExitStack()

    def __enter__(self) -> Outputs:
        with ExitStack() as files:
            for sink in [*self._videos.values(), *([self._lines] if self._lines else [])]:
                files.enter_context(sink)
            self._files = files.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()
        if self._show:
            with suppress(cv2.error):  # an OpenCV without windows has none to close
                cv2.destroyAllWindows()

    def write(self, frame: StreamFrame, found: list[dict], reset: str | None) -> None:
        """Write one frame's detections everywhere.

        Raises:
            InputError: a file cannot be written, or there is no screen to show it on.
            KeyboardInterrupt: q was pressed in a window.
        """
        if self._lines:
            self._lines.write(frame.frame_id, frame.time_s, frame.stream, reset, found)
        if self._videos or self._show:
            drawn = draw_detections(frame.image, found)
            if self._videos:
                self._videos[frame.stream].write(drawn, frame.time_s if frame.stream in self._live else None)
            if self._show:
                _show(frame.stream, drawn)


def check_apart(sources: Sequence[Source], out: str | None = None, json_lines: str | None = None,
                save_state: str | None = None) -> None:
    """Raise InputError, before anything is written, when an output is a source or another output, or cannot be."""
    if save_state:
        check_writable(save_state)
    videos = [path for _, path in _video_paths([source.name for source in sources], out)] if out else []
    for path in videos:
        check_writable(path)
    taken = {os.path.realpath(file): 'a source' for source in sources for file in source.files}
    for path in [*videos, *(path.with_suffix('.part.mp4') for path in videos), *filter(None, (json_lines, save_state))]:
        if what := taken.get(os.path.realpath(path)):
            raise InputError(f'{path} is {what} and would be written over: name another file')
        taken[os.path.realpath(path)] = 'another output'


def _video_paths(names: list[str], out: str) -> Iterator[tuple[str, Path]]:
    if len(names) == 1:
        yield names[0], Path(out)
        return
    if out.lower().endswith('.mp4'):
        raise InputError(f'--out is {out} but {len(names)} sources need a folder for their videos: name a folder')
    taken = set()
    for name in names:
        stem = Path(name).stem or 'stream'
        stem = ''.join(letter if letter.isalnum() or letter in '-_.' else '_' for letter in stem)
        path = next(path for k in count() if (path := Path(out, f'{stem}{f"-{k}" * bool(k)}.mp4')) not in taken)
        taken.add(path)
        yield name, path


def _put_aside(path: Path) -> None:
    """Rename a video of an earlier run, finished or not."""
    for existing in (path, path.with_suffix('.part.mp4')):
        if existing.is_file():
            os.replace(existing, next(free for k in count(1) if not (free := path.with_suffix(f'.{k}.mp4')).exists()))


def _show(name: str, image: np.ndarray) -> None:
    try:
        cv2.imshow(name, image)
        pressed = cv2.waitKey(1) & 0xFF
    except cv2.error as error:
        raise InputError(f'--show needs {_SCREEN}') from error
    if pressed == ord('q'):
        raise KeyboardInterrupt
