"""Runs a video detector that tools/export_onnx.py wrote; needs only numpy, opencv-python and onnxruntime.

    detector = Detector('model.onnx')
    for image in frames:  # (H, W, 3) BGR uint8, as cv2.VideoCapture reads them
        boxes, scores, labels = detector(image)  # boxes: x1, y1, x2, y2 in px of the image

python runtime.py model.onnx video.mp4 prints one JSON line per frame.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

# In protobuf's encoding: an entry of an ONNX file's metadata, its key, and the start of a value of 64 characters.
_SEAL = b'\x72\x52\x0a\x0etsm_det_sha256\x12\x40'


class Detector:
    """Detects objects in streams, frame by frame, with one state per stream until ``reset``.

    ``meta`` is the file's metadata: classes, sizes, score threshold, layout of the state. ``streams`` maps each stream
    to its frame size and past. ``providers`` are onnxruntime's, e.g. ``('CUDAExecutionProvider',)``.

    Raises ValueError when the file is damaged or not from tools/export_onnx.py, or its graph does not fit its metadata.
    """

    def __init__(self, path, providers=('CPUExecutionProvider',)):
        check_intact(path)
        self.session = onnxruntime.InferenceSession(str(path), providers=list(providers))
        properties = self.session.get_modelmeta().custom_metadata_map
        if 'tsm_det' not in properties:
            raise ValueError(f'{path} is not a model of tsm_det: give a file of tools/export_onnx.py')
        self.meta = read_metadata(properties['tsm_det'], path)
        check_graph(self.session, self.meta, path)
        self.classes = tuple(self.meta['classes'])
        self._outputs = [output.name for output in self.session.get_outputs()]
        self.streams = {}

    def __call__(self, image, stream=None):
        """Detect in the next frame of a stream; another frame size starts it over.

        Returns boxes ``(k, 4)`` float32, scores ``(k,)`` float32 and labels ``(k,)`` int64, highest-scoring first.
        """
        size = image.shape[:2]
        small = self.prepare(image)
        held, past = self.streams.get(stream, (size, None))
        (boxes, scores, labels), present = self.step(small, past if held == size else None)
        self.streams[stream] = size, present
        to_frame = [full / side for full, side in zip(size[::-1], small.shape[1::-1], strict=True)]
        return boxes * np.float32(to_frame * 2), scores, labels

    def reset(self, stream=None):
        """Start a stream over at its next frame; without a name, all streams."""
        self.streams = {} if stream is None else {k: held for k, held in self.streams.items() if k != stream}

    def prepare(self, image):
        """Resize a frame for the graph, ``(h, w, 3)``; the graph normalises and pads it."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f'the image is {image.dtype} {image.shape} but must be uint8 (H, W, 3), BGR')
        try:
            small = resized(image, **self.meta['resize'])
        except cv2.error as error:
            raise ValueError('the image is {}x{} px, which cannot be resized for the model: give a less narrow one'
                             .format(*image.shape[:2])) from error
        if self.meta['image'] and list(small.shape[:2]) != self.meta['image']:
            raise ValueError('the frame is {0}x{1} px but the model needs the aspect ratio of {2}x{3} px: export one '
                             'with --size {0} {1}, or one for any size without --size'.format(
                                 *image.shape[:2], *self.meta['frame']))
        return small

    def step(self, small, past=None):
        """Run the graph: a prepared frame and a past go in, detections in its px and a present come out.

        A past maps 'backbone.0', ... to arrays; None is the past of a new stream, zeros.
        """
        if past is None:
            network = self.meta['network']
            if isinstance(network, int):
                network = [-(-side // network) * network for side in small.shape[:2]]
            past = {site: np.zeros(shape, np.float32)
                    for site, shape in state_shapes(self.meta['state'], network).items()}
        feeds = {'image': small[None], **{f'past.{site}': array for site, array in past.items()}}
        outputs = dict(zip(self._outputs, self.session.run(self._outputs, feeds), strict=True))
        detections = tuple(outputs.pop(name) for name in ('boxes', 'scores', 'labels'))
        if max(detections[2], default=0) >= len(self.classes):
            raise ValueError(f'the model found an object of label {max(detections[2])} but its metadata name '
                             f'{len(self.classes)} classes: export it again with tools/export_onnx.py')
        return detections, {name.removeprefix('present.'): array for name, array in outputs.items()}


def state_shapes(layout, network):
    """Shapes of the pasts for a network's input (H, W): 'h/4' in the layout is a quarter of H, rounded up."""
    sides = dict(zip('hw', network, strict=True))
    return {f'{part}.{site}': [size if isinstance(size, int) else -(-sides[size[0]] // int(size[2:])) for size in shape]
            for part, shapes in layout.items() for site, shape in enumerate(shapes)}


def seal_model(content):
    """Append the checksum of an ONNX file to its metadata."""
    return content + _SEAL + hashlib.sha256(content).hexdigest().encode()


def check_intact(path):
    """Raise ValueError when a file ends with a checksum that does not match its content; accept files without."""
    content = Path(path).read_bytes()
    body = content[:-len(_SEAL) - 64]
    if content[len(body):].startswith(_SEAL) and content != seal_model(body):
        raise ValueError(f'{path} is damaged (its checksum differs): take another copy of the file, or remove '
                         'tsm_det_sha256 from its metadata if you changed it on purpose')


def read_metadata(text, path):
    """Parse the JSON metadata; raise ValueError when a key that Detector needs is missing or has a wrong value."""
    try:
        meta = json.loads(text)
        wrong = [key for key, fits in _METADATA.items() if not fits(meta[key])]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        wrong = [' '.join(str(error).split())]
    if wrong:
        raise ValueError(f'{path} has metadata that are incomplete or damaged ({wrong[0]}): export the model again '
                         'with tools/export_onnx.py')
    return meta


def check_graph(session, meta, path):
    """Raise ValueError when names, ranks or sizes of the graph's inputs and outputs differ from the metadata."""
    sites = {f'{part}.{site}': [size if isinstance(size, int) else None for size in shape]
             for part, shapes in meta['state'].items() for site, shape in enumerate(shapes)}
    inputs = {'image': [1, *(meta['image'] or (None, None)), 3],
              **{f'past.{site}': shape for site, shape in sites.items()}}
    outputs = {'boxes': [None, 4], 'scores': [None], 'labels': [None],
               **{f'present.{site}': shape for site, shape in sites.items()}}
    for kind, tensors, stated in (('input', session.get_inputs(), inputs), ('output', session.get_outputs(), outputs)):
        found = {tensor.name: tensor.shape for tensor in tensors}
        for name in [*stated, *found]:
            if name not in found or name not in stated or not _agree(found[name], stated[name]):
                raise ValueError(f'{path} has the {kind} {name} of shape {found.get(name)} but its metadata state '
                                 f'{stated.get(name)}: export the model again with tools/export_onnx.py')


def _agree(shape, stated):
    """Compare sizes; those that the graph leaves open fit any."""
    return len(shape) == len(stated) and all(
        size == other or not isinstance(size, int) or other is None
        for size, other in zip(shape, stated, strict=True))


def _are_sizes(value, count):
    return isinstance(value, list) and len(value) == count and all(map(_is_size, value))


def _is_size(value):
    return type(value) is int and value > 0


def _are_shapes(value):
    # A memory of the present frame alone holds 0 frames.
    return all((type(size) is int and size >= 0) or re.fullmatch('[hw]/[1-9][0-9]{0,3}', size)
               for shapes in value.values() for shape in shapes for size in shape)


_METADATA = {
    'classes': lambda value: isinstance(value, list) and value and all(isinstance(name, str) for name in value),
    'frame': lambda value: value is None or _are_sizes(value, 2),
    'image': lambda value: value is None or _are_sizes(value, 2),
    'network': lambda value: _is_size(value) or _are_sizes(value, 2),
    'resize': lambda value: _are_sizes(value['scale'], 2) and isinstance(value['keep_ratio'], bool),
    'state': _are_shapes}


def resized(image, scale, keep_ratio):
    """Resize to ``scale`` (width, height), or with ``keep_ratio`` to the largest size inside it, upright or turned."""
    height, width = image.shape[:2]
    if keep_ratio:
        factor = min(max(scale) / max(height, width), min(scale) / min(height, width))
        scale = int(width * factor + 0.5), int(height * factor + 0.5)
    return cv2.resize(image, tuple(scale), interpolation=cv2.INTER_LINEAR)


def main():
    detector, video = Detector(sys.argv[1]), cv2.VideoCapture(sys.argv[2])
    if not video.isOpened():
        sys.exit(f'error: {sys.argv[2]} cannot be read as a video: check the path')
    for frame_id, (_, image) in enumerate(iter(video.read, (False, None))):
        detections = [{'bbox': box, 'score': score, 'label': label, 'class': detector.classes[label]}
                      for box, score, label in zip(*(array.tolist() for array in detector(image)), strict=True)]
        print(json.dumps({'frame_id': frame_id, 'detections': detections}))


if __name__ == '__main__':
    main()
