"""Degradations of real video, on decoded pixels: what a bad frame does to a detector, at a known level.

With a ``seed``, the same frame of the same video is always degraded in the same way, in any process. Without one, as in
training, each call draws new values.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Hashable, Iterator, Sequence
from numbers import Integral, Real

import av
import cv2
import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS

from tsm_det.errors import InputError


class Degradation(BaseTransform):
    """Makes frames worse, to train and to test on. Detectors of live frames leave it out of their pipeline."""


class _PixelDegradation(Degradation):
    """Changes ``img`` ``(H, W, 3)`` uint8, refuses others; ``seed`` None draws from numpy's global generator."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def generator(self, results: dict) -> np.random.Generator:
        """A generator of random numbers for this frame of this video, or, where there are no videos, for this image."""
        if self.seed is None:
            return np.random.default_rng(np.random.randint(2 ** 31))
        frame = next((results[key] for key in ('frame_id', 'img_id', 'img_path') if key in results), None)
        return _generator(self.seed, type(self).__name__, results.get('video_id'), frame)

    def transform(self, results: dict) -> dict:
        """Degrade the image."""
        image = results['img']
        if image.shape[2:] != (3,) or image.dtype != np.uint8:
            raise InputError(f'{type(self).__name__} got an image {image.shape} of {image.dtype} but needs (H, W, 3) '
                             'of uint8: load it in colour, and put this right after')
        results['img'] = self.degrade(image, self.generator(results)).clip(0, 255).round().astype(np.uint8)
        return results

    def degrade(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return the degraded pixels, of any number type and range."""
        raise NotImplementedError


@TRANSFORMS.register_module()
class SensorNoise(_PixelDegradation):
    """Add Gaussian noise of a standard deviation ``sigma``, levels of 0 to 255, the same in all three channels."""

    def __init__(self, sigma: float, seed: int | None = None) -> None:
        super().__init__(seed)
        _check(sigma=sigma)
        self.sigma = sigma

    def degrade(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """See the class."""
        return image + generator.normal(0, self.sigma, (*image.shape[:2], 1))


@TRANSFORMS.register_module()
class LowLight(_PixelDegradation):
    """Darken by ``gain`` (0 to 1) and add the noise of few photons and of reading them.

    The variance of a pixel of ``level`` is ``shot * gain * level + read ** 2`` (levels of 0 to 255).
    """

    def __init__(self, gain: float, shot: float = 1.0, read: float = 3.0, seed: int | None = None) -> None:
        super().__init__(seed)
        _check(1, gain=gain)
        _check(shot=shot, read=read)
        self.gain, self.shot, self.read = gain, shot, read

    def degrade(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """See the class."""
        dark = self.gain * image.astype(float)
        sigma = np.sqrt(self.shot * dark.mean(axis=2, keepdims=True) + self.read ** 2)
        return dark + sigma * generator.normal(size=(*image.shape[:2], 1))


@TRANSFORMS.register_module()
class Defocus(_PixelDegradation):
    """Blur by a Gaussian of ``sigma`` px."""

    def __init__(self, sigma: float, seed: int | None = None) -> None:
        super().__init__(seed)
        _check(sigma=sigma)
        self.sigma = sigma

    def degrade(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """See the class."""
        return cv2.GaussianBlur(image, (0, 0), self.sigma)


@TRANSFORMS.register_module()
class MotionBlur(_PixelDegradation):
    """Average along a line of ``length`` px in a random direction, as a moving camera does."""

    def __init__(self, length: float, seed: int | None = None) -> None:
        super().__init__(seed)
        _check(length=length)
        self.length = length

    def degrade(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """See the class."""
        angle, reach = generator.uniform(0, np.pi), int(np.ceil(self.length / 2))
        step = self.length / 2 * np.array([np.cos(angle), np.sin(angle)])
        # In sixteenths of a pixel, with smooth ends.
        ends = [tuple(np.round(16 * (reach + sign * step)).astype(int).tolist()) for sign in (-1, 1)]
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
        cv2.line(kernel, *ends, 1.0, lineType=cv2.LINE_AA, shift=4)
        kernel += kernel[::-1, ::-1].copy()  # OpenCV draws lines off centre, which moves the image off its boxes
        return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


@TRANSFORMS.register_module()
class LowBitrate(_PixelDegradation):
    """Encode and decode as a key frame of H.264 with x264's ``qp``, 0 (best) to 51.

    That is the quantiser of predicted frames; x264 codes key frames about 3 lower. Each frame stands alone, so it has
    the blocks of coarse quantisation but no errors carried over from other frames.
    """

    def __init__(self, qp: int, seed: int | None = None) -> None:
        super().__init__(seed)
        if not isinstance(qp, Integral) or not 0 <= qp <= 51:
            raise InputError(f'qp is {qp!r} but must be a whole number from 0 to 51')
        self.qp = qp

    def degrade(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """See the class."""
        height, width = image.shape[:2]
        even = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        file = io.BytesIO()
        with av.open(file, 'w', format='h264') as container:
            stream = container.add_stream('libx264', 25, options={'qp': str(int(self.qp)), 'threads': '1'})
            stream.height, stream.width, stream.pix_fmt = *even.shape[:2], 'yuv420p'
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format='bgr24')))
            container.mux(stream.encode())
        file.seek(0)
        with av.open(file, format='h264') as container:
            return next(container.decode(video=0)).to_ndarray(format='bgr24')[:height, :width]


@TRANSFORMS.register_module()
class FrozenFrames(Degradation):
    """Repeat the last frame before a burst while it lasts, as when frames are lost. Stands before ``LoadFrame``.

    Boxes stay those of the true frame. Takes ``frame_in_file`` and ``burst_place`` of :class:`Bursts`.

    Raises InputError when frames are image files, or outside of :class:`Bursts`, or when numbers in a video's file run
    otherwise than its frame ids.
    """

    @staticmethod
    def check_video(name: str, images: Sequence[dict]) -> None:
        """Raise InputError when counting frame ids back does not lead to the frame before a burst."""
        first = images[0]
        for image in images:
            if None not in (image['frame_in_file'], first['frame_in_file']) and (
                    image['frame_in_file'] - first['frame_in_file'] != image['frame_id'] - first['frame_id']):
                raise InputError(
                    f'FrozenFrames counts frame ids back, but in video {name} frame {image["frame_id"]} is frame '
                    f'{image["frame_in_file"]} of its file where frame {first["frame_id"]} is '
                    f'{first["frame_in_file"]}: keep the frame ids of the file (select without --renumber)')

    def transform(self, results: dict) -> dict:
        """Let ``frame_in_file`` name the frame before the burst, or the first of the video."""
        if 'burst_place' not in results:
            raise InputError('FrozenFrames is not among the transforms of Bursts: put it there')
        if results.get('frame_in_file') is None:
            raise InputError(f'{results["img_path"]} is an image but FrozenFrames needs frames inside video files')
        results['frame_in_file'] = max(0, results['frame_in_file'] - results['burst_place'] - 1)
        return results


@TRANSFORMS.register_module()
class Bursts(Degradation):
    """Apply transforms to ``length`` frames in a row, then leave ``gap`` frames alone, and so on.

    With a seed, where a video starts in this cycle depends on its ``video_id`` alone; without, it is drawn, and
    ``TransformBroadcaster`` shares it over a clip. Adds ``burst_place``: 0 in a burst's first frame, None outside.

    Args:
        transforms: of a pipeline, for example ``[dict(type='SensorNoise', sigma=30)]``.
        length: frames of a burst, at least 1.
        gap: frames between two bursts; 0 applies the transforms to every frame.
        seed: of the places of the bursts, and of transforms without one of their own that take one.
    """

    def __init__(self, transforms: Sequence[dict], length: int = 8, gap: int = 16, seed: int | None = None) -> None:
        if not (isinstance(length, int) and isinstance(gap, int) and length >= 1 and gap >= 0):
            raise InputError(f'length is {length} and gap {gap} but must be whole numbers, at least 1 and 0')
        self.length, self.gap, self.seed = length, gap, seed
        self.transforms = Compose(transforms)
        for transform in self.transforms:
            if getattr(transform, 'seed', 0) is None:
                transform.seed = seed

    @property
    def cycle(self) -> dict:
        """What the places of the bursts follow from."""
        return {'length': self.length, 'gap': self.gap, 'seed': self.seed}

    @cache_randomness
    def _random_start(self) -> int:
        return int(np.random.randint(self.length + self.gap))

    def place(self, video_id: Hashable, frame_id: int) -> int | None:
        """Number of degraded frames before a frame in its burst; None outside of bursts."""
        cycle = self.length + self.gap
        start = self._random_start() if self.seed is None else int(_generator(self.seed, video_id).integers(cycle))
        place = (frame_id + start) % cycle
        return place if place < self.length else None

    def transform(self, results: dict) -> dict:
        """Apply the transforms if the frame is in a burst."""
        if 'frame_id' not in results:
            raise InputError('Bursts got an image without frame_id: use a video data set, or leave Bursts out')
        place = self.place(results.get('video_id'), results['frame_id'])
        results['burst_place'] = place
        return results if place is None else self.transforms(results)


@TRANSFORMS.register_module()
class RandomBursts(Degradation):
    """One of several :class:`Bursts` per clip, drawn at random; ``TransformBroadcaster`` shares it over the clip.

    mmcv's ``RandomChoice`` cannot be shared so: mmdet's ``AutoAugment`` registers its random method a second time.

    Args:
        bursts: arguments of each :class:`Bursts`.
        prob: of a clip that gets one.
    """

    def __init__(self, bursts: Sequence[dict], prob: float = 1.0) -> None:
        _check(1, prob=prob)
        if not bursts:
            raise InputError('bursts is empty: give RandomBursts the arguments of at least one Bursts')
        self.transforms, self.prob = [Bursts(**one) for one in bursts], prob

    def __iter__(self) -> Iterator[Bursts]:
        return iter(self.transforms)

    @cache_randomness
    def _random_choice(self) -> int | None:
        return np.random.randint(len(self.transforms)) if np.random.rand() < self.prob else None

    def transform(self, results: dict) -> dict:
        """Apply the bursts that were drawn, if any."""
        chosen = self._random_choice()
        return results if chosen is None else self.transforms[chosen](results)


def _generator(*key: Hashable) -> np.random.Generator:
    """The generator of a key: numbers and names, whose text is the same in every process."""
    plain = tuple(part.item() if isinstance(part, np.generic) else part for part in key)
    return np.random.default_rng(zlib.crc32(repr(plain).encode()))


def _check(high: float = np.inf, **values: float) -> None:
    for name, value in values.items():
        if not isinstance(value, Real) or not 0 < value <= high or value == np.inf:
            raise InputError(f'{name} is {value!r} but must be a number above 0{f", at most {high}" * (high < np.inf)}')
