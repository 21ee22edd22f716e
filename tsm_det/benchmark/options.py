"""What a user can ask of a benchmark, and what of it makes no sense."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tsm_det.engines import check_engine
from tsm_det.errors import InputError
from tsm_det.files import check_writable
from tsm_det.models.loading import check_device

# Options that count something, and the least that makes sense.
_LEAST = {'frames': 1, 'warmup': 0, 'streams': 1, 'proposals': 1, 'detections': 1, 'train': 1, 'clip_length': 1,
          'threads': 1}


@dataclass(frozen=True)
class Options:
    """The options of ``tools/benchmark.py``, by the same names.

    Args:
        config: of the detector.
        baseline: of the 2D detector that it is compared with.
        checkpoint: weights of all arms, whose keys are the same; 'none' is the same random weights.
        source: what :func:`~tsm_det.video.sources.open_source` opens, read again from its beginning where it ends;
            None is random frames.
        size: (H, W) of random frames; None is the scale the config resizes to, else 256x320.
        frames: timed calls an arm.
        warmup: calls before that, not counted.
        streams: frames a call, one of each stream; when given, also timed for 1, 2, 4, ... up to it.
        device: e.g. 'cpu' or 'cuda:0'.
        engine: of both detectors of this project; mmdet's arm is always eager.
        vs_mmdet: time mmdet's ``inference_detector`` on its plain detector as a third arm.
        proposals: most that the RPN hands to the RoI head, for each frame.
        detections: most that come out, for each frame.
        score_thr: they score more than this; 0 makes their number the same whatever the weights say.
        train: how many training steps to time too; None is none.
        clip_length: frames of the clip of a training step.
        threads: of torch and OpenCV; None leaves them as they are.
        json: file for all figures.
        plot: PNG file for a picture of them.
        report: Markdown file for a page about them.
        cfg_options: dotted keys that override those of both configs.
    """

    config: str
    baseline: str
    checkpoint: str = 'none'
    source: str | None = None
    size: tuple[int, int] | None = None
    frames: int = 50
    warmup: int = 5
    streams: int | None = None
    device: str = 'cpu'
    engine: str = 'eager'
    vs_mmdet: bool = False
    proposals: int = 300
    detections: int = 100
    score_thr: float = 0.0
    train: int | None = None
    clip_length: int = 8
    threads: int | None = None
    json: str | None = None
    plot: str | None = None
    report: str | None = None
    cfg_options: dict | None = None

    def check(self) -> None:
        """Refuse what cannot work before anything is built or timed.

        Raises:
            InputError: a number is too small, two options exclude each other, there is no such engine or device, or a
                file cannot be written.
        """
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f'--{name.replace("_", "-")} is {value} but a number from {least} is needed')
        if self.size is not None and min(self.size) < 1:
            raise InputError(f'--size is {self.size[0]} {self.size[1]} but a height and a width from 1 px are needed')
        if not 0 <= self.score_thr < 1:
            raise InputError(f'--score-thr is {self.score_thr} but a score from 0 to below 1 is needed')
        if self.source is not None and self.size is not None:
            raise InputError('--source and --size were both given but frames of a source have their own size: '
                             'leave one of them out')
        check_engine(self.engine)
        check_device(self.device)
        if self.plot and Path(self.plot).suffix != '.png':
            raise InputError(f'--plot is {self.plot} but the picture is a PNG file: give it a name that ends in .png')
        for path in filter(None, (self.json, self.plot, self.report)):
            check_writable(path)
