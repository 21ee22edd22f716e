"""One sequence in MOTChallenge's layout: its frames and the rows of its gt.txt."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import NamedTuple

from tsm_det.cocovid.builder import Box
from tsm_det.cocovid.convert.frame_files import Frame, check_size, image_size, images_of, split_number
from tsm_det.errors import InputError

GT = Path('gt', 'gt.txt')
INFO = 'seqinfo.ini'
_COLUMNS = ('frame', 'track', 'left', 'top', 'width', 'height', 'flag', 'class')


class Row(NamedTuple):
    """A row of gt.txt as it stands there."""

    line: int
    frame: int
    track: int
    box: tuple[float, float, float, float]
    flag: float
    class_id: int | None

    def to_box(self, label: str, origin: int) -> Box:
        x, y, width, height = self.box
        track = None if self.track == -1 else str(self.track)
        return Box(self.line, self.frame - 1, label, (x - origin, y - origin, width, height), track)


class Sequence(NamedTuple):
    """A folder with ``gt/gt.txt``; ``info`` is the section of its seqinfo.ini, in lower case, or empty."""

    name: str
    folder: Path
    prefix: str  # of its file names
    info: dict[str, str]

    def frames(self) -> list[Frame]:
        """The frames in order: the image of the number k is frame k - 1; where numbers begin at 0, frame k.

        Raises:
            InputError: there are none, they are not those of seqinfo.ini, or they are not numbered.
        """
        folder = self.info.get('imdir', 'img1')
        images = images_of(self.folder / folder, *([(self.info['imext'].lower(),)] if 'imext' in self.info else []))
        numbers = _numbers(images)
        size = self._size(images[0])
        if (length := self._stated('seqlength')) not in (None, len(images)):
            raise InputError(f'{self.folder / folder} holds {len(images)} images but {INFO} states {length}: '
                             'fetch those that are missing, or mend seqLength')
        first = min(1, *numbers)
        return [Frame(number - first, f'{self.prefix}{folder}/{path.name}', size or image_size(path))
                for number, path in sorted(numbers.items())]

    def labels(self) -> list[str]:
        """The names in ``gt/labels.txt``, which CVAT writes; none without it."""
        path = self.folder / 'gt' / 'labels.txt'
        return [line.strip() for line in _lines(path) if line.strip()] if path.is_file() else []

    def _size(self, image: Path) -> tuple[int, int] | None:
        size = self._stated('imheight'), self._stated('imwidth')
        if None in size:
            return None
        check_size(image, size, INFO)
        return size

    def _stated(self, key: str) -> int | None:
        """A whole number of seqinfo.ini."""
        value = self.info.get(key)
        if value is not None and not value.isdecimal():
            raise InputError(f'{self.folder / INFO} has {key} = {value} but a whole number is needed: mend it')
        return value and int(value)


def find_sequences(root: Path) -> list[Sequence]:
    """The sequence that ``root`` is, or those in it, by name.

    Raises:
        InputError: there is none, or one without gt.txt.
    """
    if (root / GT).is_file():
        return [Sequence(root.resolve().name, root, '', _info(root))]
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    found = [Sequence(path.name, path, f'{path.name}/', _info(path)) for path in folders if (path / GT).is_file()]
    if not found:
        raise InputError(f'{root} holds no sequence (a folder with {GT}): name the folder that the sequences are in')
    for path in folders:
        if not (path / GT).is_file() and ((path / INFO).is_file() or (path / 'img1').is_dir()):
            raise InputError(f'{path} has no {GT}: add it (empty if there is nothing to see), or move the sequence '
                             'elsewhere')
    return found


def read_rows(path: Path) -> list[Row]:
    """The rows of a gt.txt.

    Raises:
        InputError: it cannot be read, or a row is not as it should be.
    """
    return [_row(line, number, f'{path} line {number}')
            for number, line in enumerate(_lines(path), start=1) if line.strip()]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path} cannot be read ({error}): it must be text in UTF-8') from error


def _row(line: str, number: int, place: str) -> Row:
    texts = [text.strip() for text in line.split(',')]
    if len(texts) < 6:
        raise InputError(f'{place} has {len(texts)} values but 6 to 10 are needed, with commas between them '
                         f'({",".join(_COLUMNS)},...): mend the row')
    values = {'flag': 1.0, 'class': -1.0}
    for name, text in zip(_COLUMNS, texts, strict=False):
        try:
            values[name] = float(text)
        except ValueError as error:
            raise InputError(f'{place}: {name} is {text!r} but must be a number: mend the row') from error
        if name in ('frame', 'track', 'class') and not values[name].is_integer():
            raise InputError(f'{place}: {name} is {text!r} but must be a whole number: mend the row'
                             + ', or leave out the columns from the class on' * (name == 'class'))
    class_id = None if values['class'] == -1 else int(values['class'])
    box = tuple(values[name] for name in ('left', 'top', 'width', 'height'))
    return Row(number, int(values['frame']), int(values['track']), box, values['flag'], class_id)


def _numbers(images: list[Path]) -> dict[int, Path]:
    numbers = {}
    for path in images:
        if (split := split_number(path.name)) is None:
            raise InputError(f'{path} has no number at the end of its name but gt.txt knows frames by it: '
                             'rename the images 000001, 000002, ...')
        if (other := numbers.setdefault(split[1], path)) != path:
            raise InputError(f'{path} and {other.name} have the same number but gt.txt knows frames by it: '
                             'rename or remove one')
    return numbers


def _info(folder: Path) -> dict[str, str]:
    """What seqinfo.ini says, keys in lower case; nothing without the file."""
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
