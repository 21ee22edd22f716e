"""All outputs of a detection run: JSON lines, exports, one video per stream, windows."""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from tsm_det.errors import InputError
from tsm_det.files import check_writable, refuse_overwriting
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.csv_rows import is_other_table
from tsm_det.video.drawing import draw_detections
from tsm_det.video.exports import NO_EXPORTS, Exports, ExportSink
from tsm_det.video.sinks import DEFAULT_ENCODING, STDOUT, Encoding, JsonLinesSink, VideoSink
from tsm_det.video.sources import Source
from tsm_det.video.stream_paths import own_or_shared_paths, stream_paths
from tsm_det.video.trails import Trails

_NO_SCREEN = '--show needs an OpenCV with windows and a screen: leave it out, or use the page of tools/serve.py'


class Outputs(ExitStack):
    """JSON lines, one video and one window per stream; arguments as in ``detect_sources``.

    ``strides``: frames from one output frame to the next, by source. ``last_frames``: last frame id per stream of the
    run to resume; see ``JsonLinesSink``. Existing videos are then kept; see ``VideoSink``. ``classes`` and
    ``is_resumable`` are for the exports; see ``ExportSink``.
    """

    def __init__(self, sources: Sequence[Source], out: str | None = None, json_lines: str | None = None,
                 show: bool = False, strides: Mapping[str, int] = MappingProxyType({}),
                 last_frames: Mapping[str, int] | None = None, encoding: Encoding = DEFAULT_ENCODING,
                 exports: Exports = NO_EXPORTS, classes: Sequence[str] = (), is_resumable: bool = False) -> None:
        super().__init__()
        if show and sys.platform == 'linux' and not {'DISPLAY', 'WAYLAND_DISPLAY'} & os.environ.keys():
            raise InputError(_NO_SCREEN)  # OpenCV would abort the process
        paths = _video_paths(sources, out)
        if paths and encoding != DEFAULT_ENCODING:
            encoding.check()
        self._videos = {
            source.name: self.enter_context(VideoSink(
                paths[source.name], source.fps / strides.get(source.name, 1), encoding, keep=last_frames is not None))
            for source in sources if out}
        self._trails = {source.name: Trails() for source in sources}
        self._live = {source.name for source in sources if source.is_live}
        self._written: set[str] = set()
        # First, since it may refuse, and the lines are cut at the saved state when they are opened.
        self._exports = self.enter_context(
            ExportSink(exports, sources, classes, last_frames, is_resumable)) if any(exports) else None
        lines = _lines_paths(sources, json_lines)
        sinks = {path: self.enter_context(JsonLinesSink(path, last_frames)) for path in dict.fromkeys(lines.values())}
        self._lines = {name: sinks[path] for name, path in lines.items()}
        self._show = show

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if self._show:
            with suppress(cv2.error):  # an OpenCV without windows
                cv2.destroyAllWindows()

    def finish_others(self, streams: Container[str]) -> None:
        """Close the videos of the recorded sources that have ended: they have frames, but none in this batch."""
        for name in self._written - self._live:
            if name not in streams:
                self._written.remove(name)
                self._videos[name].close()

    def draw(self, frame: StreamFrame, detections: list[dict]) -> np.ndarray | None:
        """Return the frame with its detections drawn in, for :meth:`write`; None when no output is a picture."""
        if not (self._videos or self._show):
            return None
        return draw_detections(frame.image, detections, self._trails[frame.stream](detections))

    def write(self, frame: StreamFrame, detections: list[dict], reset: str | None, drawn: np.ndarray | None) -> None:
        """Write one frame's detections to all outputs; ``drawn`` comes from :meth:`draw`.

        Raises:
            InputError: a file cannot be written, or there is no screen.
            KeyboardInterrupt: q was pressed in a window.
        """
        if self._lines:
            self._lines[frame.stream].write(frame.frame_id, frame.time_s, frame.stream, reset, detections)
        if self._exports:
            self._exports.write(frame, reset, detections)
        if self._videos:
            self._videos[frame.stream].write(drawn, frame.time_s)
            self._written.add(frame.stream)
        if self._show:
            assert drawn is not None
            try:
                cv2.imshow(frame.stream, drawn)
                pressed = cv2.waitKey(1) & 0xFF
            except cv2.error as error:
                raise InputError(_NO_SCREEN) from error
            if pressed == ord('q'):
                raise KeyboardInterrupt


def check_outputs(sources: Sequence[Source], out: str | None = None, json_lines: str | None = None,
                  save_state: str | None = None, exports: Exports = NO_EXPORTS) -> list[str | os.PathLike]:
    """Return the outputs; raise InputError, before any is written, when one is also a source or another output.

    The state files, written last, must be writable too.
    """
    states = own_or_shared_paths([source.name for source in sources], save_state, '.state', '--save-state').values()
    for path in states:
        check_writable(path)
    videos = _video_paths(sources, out).values()
    files = [file for source in sources for file in source.files]
    for flag, folder in (('--mot', exports.mot), ('--cvat', exports.cvat)):
        if folder and os.path.realpath(folder) in {os.path.dirname(os.path.realpath(file)) for file in files}:
            raise InputError(f'{flag} is {folder}, the folder of a source, where NAME.txt or NAME.xml may be labels: '
                             'name another folder')
    exported = exports.paths([source.name for source in sources])
    lines = {path for path in _lines_paths(sources, json_lines).values() if path != STDOUT}
    outputs: list[str | os.PathLike] = [*videos, *lines, *dict.fromkeys(states), *exported]
    refuse_overwriting([*outputs, *(path.with_suffix('.part.mp4') for path in videos)], files)
    if exports.mot and any(path.name == 'labels.txt' for path in exported):
        raise InputError('--mot writes the names of the classes into labels.txt, which is the name of the rows of a '
                         'source here too: rename that source')
    for path in exported:  # they are written last
        check_writable(path)
    if exports.csv and is_other_table(exports.csv):
        raise InputError(f'--csv is {exports.csv}, which exists and holds something other than detections, perhaps '
                         'labels: name another file')
    return outputs


def _video_paths(sources: Sequence[Source], out: str | None) -> dict[str, Path]:
    return stream_paths([source.name for source in sources], out, '.mp4', '--out')


def _lines_paths(sources: Sequence[Source], json_lines: str | None) -> dict[str, Path]:
    return own_or_shared_paths([source.name for source in sources], json_lines, '.jsonl', '--json')
