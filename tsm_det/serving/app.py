"""Gradio page for a webcam or a video file."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from tempfile import TemporaryDirectory

import numpy as np
from mmengine.logging import print_log

from tsm_det.errors import InputError
from tsm_det.serving.annotating import Annotator, DemoStream
from tsm_det.streams.demo import make_sample
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.video.levels import ValueRange

_BESIDE = ('The same weights, started over at every frame, so that each frame is seen alone. A detector trained in '
           '2D is another one: docs/results.md compares with it.')
_CAMERA = {'video': {'width': {'ideal': 640}, 'height': {'ideal': 480}}}


def serve(detector: OnlineDetector, *options: float | str | ValueRange | None) -> None:
    """Serve the page until Ctrl-C; options and errors as in ``serving``."""
    with suppress(KeyboardInterrupt), serving(detector, *options) as address:
        print_log(f'open {address} in a browser; Ctrl-C ends it', 'current')
        threading.Event().wait()


@contextmanager
def serving(detector: OnlineDetector, host: str = '127.0.0.1', port: int = 8000, score_thr: float = 0.3,
            max_upload_mb: float = 200, value_range: ValueRange | None = None,
            title: str = 'tsm_det') -> Iterator[str]:
    """Serve the page for the duration of the with block; gives its address and deletes uploads at the end.

    The page names the model by ``title`` and has a synthetic sample video.

    Raises InputError when Gradio is missing, the port is taken, or a number is out of range.
    """
    if find_spec('gradio') is None:
        raise InputError('gradio cannot be imported but the page needs it: pip install "tsm_det[demo]"')
    for flag, value, most in (('--score-thr', score_thr, 1), ('--max-upload-mb', max_upload_mb, 1e6)):
        if not 0 <= value <= most:
            raise InputError(f'{flag} is {value} but a number from 0 to {most:g} is required: change it')
    with TemporaryDirectory(prefix='tsm_det_demo_') as folder:
        os.environ.update(GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED='False')
        page = _build_page(Annotator(detector, value_range), score_thr,
                           f'`{title}` finds {", ".join(detector.classes)}', str(make_sample(folder)))
        try:
            page.launch(server_name=host, server_port=port or None, max_file_size=round(max_upload_mb * 1e6),
                        share=False, state_session_capacity=64, prevent_thread_lock=True, quiet=True, ssr_mode=False,
                        footer_links=[], run_history=False, enable_monitoring=False)
        except (OSError, OverflowError) as error:
            raise InputError(f'the server cannot listen at {host}, port {port} ({error}): change --host or --port'
                             ) from error
        with closing(page):
            yield page.local_url


def _build_page(annotator: Annotator, score_thr: float, heading: str, sample: str):
    import gradio as gr  # an extra

    @contextmanager
    def page_errors(path: str = '') -> Iterator[None]:
        try:
            yield
        except InputError as error:
            raise gr.Error(str(error).replace(path, os.path.basename(path)), print_exception=False) from error

    def on_frame(image: np.ndarray, stream: DemoStream, score_thr: float, beside: bool) -> tuple[str, str]:
        with page_errors():
            return annotator.annotate(image[..., ::-1], stream, score_thr, beside)

    def on_video(path: str | None, stream: DemoStream, score_thr: float, beside: bool) -> Iterator[tuple[str, str]]:
        if path is None:
            raise gr.Error('a video is required: upload one, or choose the sample', print_exception=False)
        with page_errors(path):
            yield from annotator.annotate_video(path, stream, score_thr, beside)

    def on_reset(*streams: DemoStream) -> None:
        for stream in streams:
            stream.bank.drop(None)

    with gr.Blocks(title='tsm_det', analytics_enabled=False, delete_cache=(600, 3600)) as page, gr.Row():
        # Each visitor gets a copy, and a copy of a bank is empty.
        camera_stream, video_stream = gr.State(DemoStream()), gr.State(DemoStream())
        with gr.Column():
            with gr.Tab('Webcam'):
                camera = gr.Image(sources='webcam', streaming=True, show_label=False, elem_id='camera',
                                  webcam_options=gr.WebcamOptions(mirror=False, constraints=_CAMERA))
            with gr.Tab('Video'):
                video = gr.Video(sources='upload', show_label=False)
                gr.Examples([sample], video, label='Sample: synthetic shapes, some frames dark, blurred or noisy')
                play, stop = gr.Button('Detect', variant='primary'), gr.Button('Stop')
            threshold = gr.Slider(0, 1, score_thr, label='Score threshold')
            beside = gr.Checkbox(True, label='Show on the left what it finds without memory (2D)', info=_BESIDE)
            reset = gr.Button('Reset memory', elem_id='reset')
        with gr.Column():
            gr.Markdown(heading, elem_id='heading')
            # An image component would write each frame to disk.
            annotated = gr.HTML(html_template='<img src="${value}" alt="" width="100%">', elem_id='annotated')
            status = gr.Textbox(label='Status', elem_id='status')
        # A camera occupies its event until it stops: with a limit, other visitors would wait for that.
        options = {'outputs': [annotated, status], 'concurrency_limit': None, 'show_progress': 'hidden'}
        settings = [threshold, beside]
        camera.stream(on_frame, [camera, camera_stream, *settings], stream_every=0.05, api_name='frame', **options)
        playing = play.click(on_video, [video, video_stream, *settings], api_name='video', **options)
        stop.click(None, cancels=[playing])
        reset.click(on_reset, [camera_stream, video_stream], api_name='reset', queue=False)
    return page
