"""Detections as annotations for CVAT, which people correct there: "CVAT for video 1.1"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from tsm_det.files import write_atomically


class _Shape(NamedTuple):
    frame_id: int
    bbox: Sequence[float]
    is_outside: bool = False


class _Stream:
    """Shapes by track of one stream."""

    def __init__(self, name: str) -> None:
        self.name, self.size, self.last, self.length = name, (0, 0), -1, 0
        self.shapes: defaultdict[tuple, list[_Shape]] = defaultdict(list)
        self._open: dict[tuple, _Shape] = {}  # of the frame before

    def add(self, record: Mapping) -> None:
        """Add a frame. A track that lacks a box is outside from the frame after its last one."""
        frame_id, shown = record['frame_id'], {}
        for place, box in enumerate(record['detections']):
            # A detection without a track becomes a track of one frame.
            track = (box['class'], box['track_id']) if 'track_id' in box else (box['class'], frame_id, place)
            shown[track] = _Shape(frame_id, box['bbox'])
        self._leave(self._open.keys() - shown.keys())
        for track, shape in shown.items():
            self.shapes[track].append(shape)
        self.size, self.last, self._open = record['size'], frame_id, shown

    def end(self, num_frames: int | None) -> None:
        """End the tracks where the run stopped before its recording, if it is one, did."""
        self.length = num_frames or self.last + 1
        if self.last + 1 < self.length:
            self._leave(self._open)

    def _leave(self, tracks: Iterable[tuple]) -> None:
        for track in tracks:
            last = self._open[track]
            self.shapes[track].append(last._replace(frame_id=last.frame_id + 1, is_outside=True))


def write_cvat(records: Iterable[Mapping], paths: Mapping[str, Path], lengths: Mapping[str, int | None],
               classes: Sequence[str]) -> None:
    """Write one file per stream: tracks of key frames, between which CVAT interpolates where a stride left frames out.

    Args:
        records: of ``ExportSink``.
        paths: the file of each stream.
        lengths: number of frames of each stream; None if it has no end.
        classes: names of the labels.
    """
    streams = {name: _Stream(name) for name in paths}
    for record in records:
        streams[record['stream']].add(record)
    for name, stream in streams.items():
        stream.end(lengths[name])
        tree = ElementTree.ElementTree(_document(stream, classes))
        ElementTree.indent(tree)
        with write_atomically(paths[name]) as temporary:
            tree.write(temporary, encoding='utf-8', xml_declaration=True)


def _document(stream: _Stream, classes: Sequence[str]) -> Element:
    root = Element('annotations')
    SubElement(root, 'version').text = '1.1'
    meta = SubElement(root, 'meta')
    task = SubElement(meta, 'task')
    _texts(task, name=stream.name, size=stream.length, mode='interpolation', start_frame=0,
           stop_frame=max(stream.length - 1, 0))
    labels = SubElement(task, 'labels')
    for name in classes:
        _texts(SubElement(labels, 'label'), name=name)
    _texts(SubElement(task, 'original_size'), width=stream.size[0], height=stream.size[1])
    SubElement(meta, 'source').text = stream.name
    for number, (track, shapes) in enumerate(stream.shapes.items()):
        element = SubElement(root, 'track', id=str(number), label=track[0], source='auto')
        for shape in shapes:
            corners = zip(('xtl', 'ytl', 'xbr', 'ybr'), map(str, shape.bbox), strict=True)
            SubElement(element, 'box', dict(corners), frame=str(shape.frame_id), keyframe='1', occluded='0',
                       outside=str(int(shape.is_outside)), z_order='0')
    return root


def _texts(parent: Element, **texts: object) -> None:
    for tag, text in texts.items():
        SubElement(parent, tag).text = str(text)
