"""Find sequences in MOTChallenge's layout, or with a video in place of images."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import NamedTuple

from tsm_det.cocovid.convert.frame_files import (
    Frame,
    check_size,
    image_size,
    images_of,
    inner_name,
    parse_whole,
    video_frames,
)
from tsm_det.cocovid.convert.frame_numbers import are_time_stamps
from tsm_det.cocovid.convert.name_numbers import number_images
from tsm_det.cocovid.convert.text_records import read_lines
from tsm_det.cocovid.convert.video_pairs import SUFFIXES, pair_videos
from tsm_det.errors import InputError

GT = Path('gt', 'gt.txt')
INFO = 'seqinfo.ini'
_IMAGES = 'img1'


class MotSequence(NamedTuple):
    """A sequence: numbered images, or a video, and the file with its rows."""

    name: str
    folder: Path
    gt: Path
    prefix: str  # of its file names
    info: dict[str, str]  # [Sequence] of seqinfo.ini, keys in lower case; empty without the file
    video: Path | None = None

    def frames(self, rows: set[int], stamped: list[str]) -> list[Frame]:
        """List the frames in order: image number k is frame k - 1, or frame k where numbers begin at 0.

        Time stamps, unless the frames in ``rows`` are such numbers too, become places in order, and the name of the
        sequence is added to ``stamped``.
        """
        if self.video is not None:
            return video_frames(self.video, f'{self.prefix}{self.video.name}')
        folder = inner_name(self.info.get('imdir', _IMAGES), str(self.folder / INFO))
        images = images_of(self.folder / folder, *([(self.info['imext'].lower(),)] if 'imext' in self.info else []))
        length, height, width = map(self._stated, ('seqlength', 'imheight', 'imwidth'))
        size = None if height is None or width is None else (height, width)
        if length not in (None, len(images)):
            raise InputError(f'{self.folder / folder} holds {len(images)} images but {INFO} states {length}: '
                             'fetch the missing ones, or correct seqLength')
        if size is not None:
            check_size(images[0], size, INFO)
        numbers = dict(sorted(number_images(images).items()))
        if are_time_stamps(numbers) and max(rows, default=0) <= len(images):
            numbers = dict(enumerate(numbers.values(), start=1))
            stamped.append(self.name)
        return [Frame(number - min(1, *numbers), f'{self.prefix}{folder}/{path.name}',
                      size or image_size(path)) for number, path in numbers.items()]

    def labels(self) -> list[str]:
        """Return the names in ``labels.txt`` beside the rows, which CVAT writes."""
        path = self.gt.parent / 'labels.txt'
        return [line.strip() for line in read_lines(path) if line.strip()] if path.is_file() else []

    def _stated(self, key: str) -> int | None:
        return parse_whole(self.info[key], key, str(self.folder / INFO)) if key in self.info else None


def find_sequences(root: Path) -> list[MotSequence]:
    """Return the sequences in a folder: itself, its videos, or its subfolders.

    Raises InputError when there is none, or a sequence lacks its rows or its frames.
    """
    if not root.is_dir():
        raise InputError(f'{root} is not a folder: name a sequence, or the folder that the sequences are in')
    if (sequence := _sequence(root, root.resolve().name, '')) is not None:
        return [sequence]
    if _videos(root):
        pairs = pair_videos(root, '.txt', ('', '_gt'))
        return [MotSequence(video.stem, root, gt, '', {}, video) for video, gt in pairs]
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    found = [_sequence(path, path.name, f'{path.name}/') for path in folders]
    if not any(found):
        raise InputError(f'{root} holds no sequence (a folder with {GT}): name the folder that the sequences are in')
    for path, sequence in zip(folders, found, strict=True):
        if sequence is None and ((path / INFO).is_file() or (path / _IMAGES).is_dir() or _videos(path)):
            raise InputError(f'{path} has no {GT}: add it (empty if nothing is visible), or move the '
                             'sequence elsewhere')
    return [sequence for sequence in found if sequence is not None]


def _sequence(folder: Path, name: str, prefix: str) -> MotSequence | None:
    """Return the sequence of a folder with rows; None without them."""
    gt = next((folder / path for path in (GT, GT.name) if (folder / path).is_file()), None)
    if gt is None:
        return None
    info, videos = _info(folder), _videos(folder)
    if not videos or (folder / info.get('imdir', _IMAGES)).is_dir():
        return MotSequence(name, folder, gt, prefix, info)
    if len(videos) > 1:
        raise InputError(f'{gt} lies beside {len(videos)} videos ({videos[0].name}, {videos[1].name}): give each '
                         'its own rows in NAME.txt, or its own folder')
    return MotSequence(videos[0].stem if prefix == '' else name, folder, gt, prefix, info, videos[0])


def _videos(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir()
                  if path.suffix.lower() in SUFFIXES and path.name[0] != '.' and path.is_file())


def _info(folder: Path) -> dict[str, str]:
    path = folder / INFO
    if not path.is_file():
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding='utf-8-sig'), str(path))
        return dict(parser['Sequence'])
    except (configparser.Error, KeyError, OSError, UnicodeDecodeError) as error:
        reason = ' '.join(str(error).split())
        raise InputError(f'{path} cannot be read ({reason}): it must have a section [Sequence] with lines '
                         'such as seqLength=600, or be removed') from error
