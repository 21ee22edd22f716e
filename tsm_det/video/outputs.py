"""All outputs of a detection run: JSON lines, one video per stream, windows."""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tsm_det.errors import InputError
from tsm_det.files import check_writable, refuse_overwriting
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.drawing import draw_detections
from tsm_det.video.sinks import DEFAULT_ENCODING, Encoding, JsonLinesSink, VideoSink
from tsm_det.video.sources import Source

_NO_SCREEN = '--show needs an OpenCV with windows and a screen: leave it out, or use the page of tools/serve.py'


class Outputs(ExitStack):
    """One file of JSON lines for all streams, one video and one window per stream; arguments as in ``detect_sources``.

    ``last_frames``: last frame id per stream of the run to resume; see ``JsonLinesSink``. Existing videos are then
    renamed, not overwritten.
    """

    def __init__(self, sources: Sequence[Source], out: str | None = None, json_lines: str | None = None,
                 show: bool = False, stride: int = 1, last_frames: Mapping[str, int] | None = None,
                 encoding: Encoding = DEFAULT_ENCODING) -> None:
        super().__init__()
        if show and sys.platform == 'linux' and not {'DISPLAY', 'WAYLAND_DISPLAY'} & os.environ.keys():
            raise InputError(_NO_SCREEN)  # OpenCV would abort the process
        paths = _video_paths(sources, out)
        if paths and encoding != DEFAULT_ENCODING:
            encoding.check()
        if last_frames is not None:
            _rename_old_videos(paths.values())
        self._videos = {source.name: self.enter_context(VideoSink(paths[source.name], source.fps / stride, encoding))
                        for source in sources if out}
        self._live = {source.name for source in sources if source.is_live}
        self._written: set[str] = set()
        self._lines = self.enter_context(JsonLinesSink(json_lines, last_frames)) if json_lines else None
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
        return draw_detections(frame.image, detections) if self._videos or self._show else None

    def write(self, frame: StreamFrame, detections: list[dict], reset: str | None, drawn: np.ndarray | None) -> None:
        """Write one frame's detections to all outputs; ``drawn`` comes from :meth:`draw`.

        Raises:
            InputError: a file cannot be written, or there is no screen.
            KeyboardInterrupt: q was pressed in a window.
        """
        if self._lines:
            self._lines.write(frame.frame_id, frame.time_s, frame.stream, reset, detections)
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
                  save_state: str | None = None) -> list[str | os.PathLike]:
    """Return the outputs; raise InputError, before any is written, when one is also a source or another output.

    The state file, written last, must be writable too.
    """
    if save_state:
        check_writable(save_state)
    videos = _video_paths(sources, out).values()
    outputs: list[str | os.PathLike] = [*videos, *filter(None, (json_lines, save_state))]
    refuse_overwriting([*outputs, *(path.with_suffix('.part.mp4') for path in videos)],
                       [file for source in sources for file in source.files])
    return outputs


def _video_paths(sources: Sequence[Source], out: str | None) -> dict[str, Path]:
    if not out:
        return {}
    is_folder = os.path.isdir(out) or out.endswith(('/', os.sep))
    is_file = out.lower().endswith('.mp4') and not is_folder
    if len(sources) == 1 and is_file:
        return {sources[0].name: Path(out)}
    if is_file or (len(sources) == 1 and not is_folder):
        raise InputError(f'--out is {out} but {len(sources)} source(s) need '
                         f'{"a file name ending in .mp4 or a folder/" if len(sources) == 1 else "a folder/"}')
    paths: dict[str, Path] = {}
    for source in sources:
        stem = ''.join(letter if letter.isalnum() or letter in '-_.' else '_' for letter in Path(source.name).stem)
        names = (Path(out, f'{stem or "stream"}{f"-{k}" * bool(k)}.mp4') for k in count())
        paths[source.name] = next(path for path in names if path not in paths.values())
    return paths


def _rename_old_videos(paths: Iterable[Path]) -> None:
    """Rename the videos of an earlier run, finished or not."""
    for path in paths:
        for existing in filter(Path.is_file, (path, path.with_suffix('.part.mp4'))):
            free = (name for k in count(1) if not (name := path.with_suffix(f'.{k}.mp4')).exists())
            os.replace(existing, next(free))
