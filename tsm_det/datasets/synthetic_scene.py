"""Scenes of moving textured shapes, seen by an imperfect camera.

A scene can be drawn at any time: motion blur is the mean over the time that the shutter is open. Lengths in the
constants are px of a frame whose shorter side is 128 (``_unit`` scales them to other sizes); times are frames.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

MOTION_SHAKE = 14.0  # px of swing to each side
MOTION_SHUTTER = 0.9  # frames; exposure while the camera shakes
DEFOCUS_RADIUS = 11.0  # px
NOISE_SIGMA = 130.0  # grey levels of 255
NOISE_GRAIN = 2.0  # px
DARK_GAIN = 0.06  # share of the light
DARK_SIGMA = 14.0  # grey levels of sensor noise

OBJECTS = (2, 4)  # per scene, ends included
RADIUS = (15, 27)  # px
SPEED = (0.8, 2.4)  # px per frame
OCCLUDERS = (0, 2)  # per scene, ends included
HUE_SPREAD = 0.13  # to each side of a class's hue, which is from 0 to 1

DEGRADATIONS = ('motion', 'defocus', 'noise', 'dark')
_SHAKE_PERIOD = 2.7  # frames; far from whole numbers, so that the shake differs from frame to frame
_SHUTTER_SAMPLES = 10


class Shape(NamedTuple):
    """A class of objects: a regular polygon or star with its own texture, and colours around a hue.

    ``inner`` is the radius of every second corner. ``texture`` marks the second colour, as a function of coordinates
    that are 1 at the corners.
    """

    name: str
    hue: float
    corners: int
    inner: float
    texture: Callable[[np.ndarray, np.ndarray], np.ndarray]


SHAPES = (
    Shape('disc', 0.0, 64, 1.0, lambda u, v: np.hypot(u, v) * 2.5 % 1 < 0.5),
    Shape('square', 0.25, 4, 1.0, lambda u, v: (np.floor((u + v) * 2.12) + np.floor((u - v) * 2.12)) % 2 == 0),
    Shape('triangle', 0.5, 3, 1.0, lambda u, v: u * 2.5 % 1 < 0.5),
    Shape('star', 0.75, 10, 0.5, lambda u, v: np.hypot((u * 2.5) % 1 - 0.5, (v * 2.5) % 1 - 0.5) < 0.3),
)


@dataclass(frozen=True)
class Layer:
    """A picture that drifts between two limits, rotates and changes its size, in front of the layers before it.

    Args:
        picture: ``(h, w, 4)`` BGRA float32, colours 0..255 times alpha 0..1.
        start, velocity: of its centre at time 0, x and y, px and px per frame.
        low, high: where the centre turns back, x and y, px.
        angle, spin: radians and radians per frame.
        swell: relative change of its size.
        shape: index into SHAPES; None for background and occluders.
    """

    picture: np.ndarray
    start: np.ndarray
    velocity: np.ndarray
    low: np.ndarray
    high: np.ndarray
    angle: float = 0.0
    spin: float = 0.0
    swell: float = 0.0
    shape: int | None = None

    def draw(self, time: float, offset: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Draw the layer into a frame ``(H, W, 4)``, moved by ``offset`` px."""
        centre = _turn_back(self.start + self.velocity * time, self.low, self.high) + offset
        angle, zoom = self.angle + self.spin * time, self._zoom(time)
        turn = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        middle = (np.array(self.picture.shape[1::-1]) - 1) / 2
        matrix = np.column_stack([turn, centre - turn @ middle])
        return cv2.warpAffine(self.picture, matrix, size[::-1], flags=cv2.INTER_LINEAR)

    def area(self, time: float) -> float:
        """Area in px, inside the frame or not."""
        return float(self.picture[..., 3].sum()) * self._zoom(time) ** 2

    def _zoom(self, time: float) -> float:
        return 1 + self.swell * math.sin(self.angle + time / 10)


@dataclass(frozen=True)
class Scene:
    """Layers from the background to the nearest, and the degradation of each frame.

    Args:
        size: height and width, px.
        layers: the background, then objects, then occluders.
        degradations: one of DEGRADATIONS or 'none' per frame.
        seed: of the noise.
    """

    size: tuple[int, int]
    layers: tuple[Layer, ...]
    degradations: tuple[str, ...]
    seed: tuple[int, ...]

    def shake(self, time: float) -> np.ndarray:
        """Offset of the picture by camera shake, x and y, px."""
        shaken = [kind == 'motion' for kind in self.degradations]
        swing = MOTION_SHAKE * _unit(self.size) * np.interp(time, range(len(shaken)), shaken)
        phase = 2 * math.pi * time / _SHAKE_PERIOD
        return swing * np.array([math.cos(phase), math.sin(phase)])

    def masks(self, frame_id: int) -> list[np.ndarray]:
        """Mask of each layer with nothing in front of it, ``(H, W)`` bool."""
        offset = self.shake(frame_id)
        return [layer.draw(frame_id, offset, self.size)[..., 3] > 0.5 for layer in self.layers]

    def snapshot(self, time: float) -> np.ndarray:
        """Draw the scene at an instant without degradation, ``(H, W, 3)`` BGR float32."""
        offset, image = self.shake(time), np.zeros((*self.size, 3), np.float32)
        for layer in self.layers:
            drawn = layer.draw(time, offset, self.size)
            image = image * (1 - drawn[..., 3:]) + drawn[..., :3]
        return image

    def frame(self, frame_id: int) -> np.ndarray:
        """Draw a frame with its degradation, ``(H, W, 3)`` BGR uint8."""
        kind = self.degradations[frame_id]
        rng = np.random.default_rng((*self.seed, frame_id))
        lags = MOTION_SHUTTER * np.linspace(-0.5, 0.5, _SHUTTER_SAMPLES) if kind == 'motion' else [0.0]
        image = np.mean([self.snapshot(frame_id + lag) for lag in lags], axis=0)
        if kind == 'defocus':
            image = _defocus(image, DEFOCUS_RADIUS * _unit(self.size))
        elif kind == 'noise':
            image = image + _noise(rng, self.size, NOISE_SIGMA, NOISE_GRAIN * _unit(self.size))
        elif kind == 'dark':
            image = DARK_GAIN * image + _noise(rng, self.size, DARK_SIGMA, 1.0)
        return np.clip(image, 0, 255).round().astype(np.uint8)


def make_scene(seed: tuple[int, ...], degradations: tuple[str, ...], size: tuple[int, int]) -> Scene:
    """Make a random scene; the same seed gives the same scene.

    Args:
        seed: numbers from 0.
        degradations: one of DEGRADATIONS or 'none' per frame.
        size: height and width, px.
    """
    rng = np.random.default_rng(seed)
    background = _background(rng, size, rng.uniform(60, 180) + rng.uniform(-25, 25, 3))
    # At most two objects per class, which also keeps the classes about equally frequent.
    shapes = rng.permutation(2 * len(SHAPES))[:rng.integers(*OBJECTS, endpoint=True)] % len(SHAPES)
    # The nearest object stays in view, so that few frames are empty; the others come and go.
    objects = [_object(rng, int(shape), size, stays=number == len(shapes))
               for number, shape in enumerate(shapes, start=1)]
    occluders = [_occluder(rng, size) for _ in range(rng.integers(*OCCLUDERS, endpoint=True))]
    return Scene(size, (background, *objects, *occluders), degradations, seed)


def _object(rng: np.random.Generator, shape: int, size: tuple[int, int], stays: bool) -> Layer:
    unit, radius = _unit(size), _unit(size) * rng.uniform(*RADIUS)
    picture = _picture(SHAPES[shape], radius, *_colours(rng, SHAPES[shape].hue))
    beyond = unit * -10 if stays else radius
    heading, speed = rng.uniform(0, 2 * math.pi), unit * rng.uniform(*SPEED)
    high = np.array(size[::-1]) + beyond
    return Layer(picture, rng.uniform(-beyond, high), speed * np.array([math.cos(heading), math.sin(heading)]),
                 np.full(2, -beyond), high, rng.uniform(0, 2 * math.pi), rng.uniform(-0.03, 0.03),
                 rng.uniform(0, 0.15), shape)


def _occluder(rng: np.random.Generator, size: tuple[int, int]) -> Layer:
    """Make a bar across the frame, or a patch as long as an object, of blotchy grey."""
    unit = _unit(size)
    length = 3 * max(size) if rng.random() < 0.5 else 36 * unit
    grey = rng.uniform(40, 160) * np.ones(3)
    picture = _blotches(rng, int(length), int(unit * rng.uniform(12, 20)), unit, grey, 60)
    velocity = unit * rng.uniform(-0.8, 0.8, 2)
    high = np.array(size[::-1], float)
    return Layer(picture, rng.uniform(0, high), velocity, np.zeros(2), high, rng.uniform(0, math.pi))


def _background(rng: np.random.Generator, size: tuple[int, int], colour: np.ndarray) -> Layer:
    """Make a wall three frames wide and high; the camera pans over it without reaching its edge."""
    unit, middle = _unit(size), np.array(size[::-1]) / 2
    picture = _blotches(rng, 3 * size[0], 3 * size[1], unit, colour, 70)
    reach = 0.8 * np.array(size[::-1])
    return Layer(picture, middle, unit * rng.uniform(-1, 1, 2), middle - reach, middle + reach)


def _picture(shape: Shape, radius: float, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Draw a shape with its texture in two BGR colours at four times the resolution, and average."""
    side, fine = 2 * math.ceil(radius) + 4, 4
    v, u = (np.mgrid[:side * fine, :side * fine] + 0.5) / (fine * radius) - side / 2 / radius
    angles = 2 * math.pi * np.arange(shape.corners) / shape.corners
    reach = radius * fine * np.where(np.arange(shape.corners) % 2, shape.inner, 1.0)
    corners = side * fine / 2 + reach[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    alpha = cv2.fillPoly(np.zeros(u.shape, np.float32), [corners.round().astype(np.int32)], 1.0)[..., None]
    colours = np.where(shape.texture(u, v)[..., None], second, first)
    layers = np.concatenate([colours * alpha, alpha], axis=2).astype(np.float32)
    return cv2.resize(layers, (side, side), interpolation=cv2.INTER_AREA)


def _blotches(rng: np.random.Generator, height: int, width: int, unit: float, colour: np.ndarray,
              contrast: float) -> np.ndarray:
    """Draw soft blotches around a BGR colour: an opaque picture ``(height, width, 4)``."""
    soft = np.zeros((height, width))
    for cell in (4 * unit, 12 * unit, 32 * unit):
        coarse = rng.uniform(-0.5, 0.5, (int(height / cell) + 2, int(width / cell) + 2))
        soft += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    colours = np.clip(colour + contrast * soft[..., None] * rng.uniform(0.6, 1.2, 3), 0, 255)
    return np.concatenate([colours, np.ones((height, width, 1))], axis=2).astype(np.float32)


def _colours(rng: np.random.Generator, hue: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw two BGR colours: a vivid one near the hue, and one nearly black or white."""
    vivid = colorsys.hsv_to_rgb((hue + rng.uniform(-HUE_SPREAD, HUE_SPREAD)) % 1, *rng.uniform(0.7, 1, 2))
    return 255 * np.array(vivid[::-1]), rng.uniform(0, 50, 3) + 200 * rng.integers(2)


def _unit(size: tuple[int, int]) -> float:
    """Return px of a frame of this size per px of the constants."""
    return min(size) / 128


def _turn_back(position: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Fold a straight path into the box between ``low`` and ``high``."""
    span = high - low
    return high - np.abs((position - low) % (2 * span) - span)


def _defocus(image: np.ndarray, radius: float) -> np.ndarray:
    side = 2 * math.ceil(radius) + 1
    disc = (np.hypot(*(np.mgrid[:side, :side] - side // 2)) <= radius).astype(np.float32)
    return cv2.filter2D(image, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT)


def _noise(rng: np.random.Generator, size: tuple[int, int], sigma: float, grain: float) -> np.ndarray:
    coarse = rng.normal(0, sigma, (math.ceil(size[0] / grain), math.ceil(size[1] / grain), 3))
    return cv2.resize(coarse.astype(np.float32), size[::-1], interpolation=cv2.INTER_NEAREST)
