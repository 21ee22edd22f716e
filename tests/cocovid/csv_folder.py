"""Tiny videos with CSV files beside them."""

from fractions import Fraction

import av
import numpy as np

HEADER = 'frame,label,x,y,width,height'


def write_video(path, num_frames=6, size=(48, 64), times=None):
    """A tiny H.264 video, 10 fps; ``times`` are the time stamps of its frames in tenths of a second."""
    with av.open(str(path), 'w', options={'movflags': 'faststart'} if path.suffix == '.mp4' else {}) as container:
        stream = container.add_stream('libx264', rate=10, options={'g': '4'})
        (stream.height, stream.width), stream.pix_fmt = size, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 10)
        for number in range(num_frames):
            pixels = np.random.default_rng(number).integers(0, 255, (*size, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format='rgb24')
            frame.pts, frame.time_base = (times or range(num_frames))[number], Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def add(folder, name='clip', rows=(), header=HEADER, **options):
    write_video(folder / f'{name}.mp4', **options)
    (folder / f'{name}.csv').write_text('\n'.join([header, *rows]) + '\n')
