"""Convert ImageNet VID and the stills of DET to CocoVID."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tsm_det.cocovid.convert.imagenet_lists import read_stills, read_videos
from tsm_det.cocovid.convert.imagenet_parts import stills_part, video_part
from tsm_det.cocovid.convert.imagenet_xml import CATEGORIES, SYNSETS, XmlProblem
from tsm_det.cocovid.parts import join_parts, make_parts
from tsm_det.files import write_text
from tsm_det.text_table import aligned_table

# Counts of the published lists; the first is the number of entries.
_OFFICIAL = {
    'imagenet_vid_train': {'videos listed': 3862, 'videos': 3862, 'images': 1_122_397, 'key frames': 57_834},
    'imagenet_vid_val': {'videos listed': 555, 'videos': 555, 'images': 176_126},
    'imagenet_det_30classes': {'stills listed': 53_639, 'listed twice': 378, 'images': 53_261}}
_STILLS_PER_PART = 500


@dataclass
class ImageNetReport:
    """Counts of a file and of the official set, and all problems; ``str()`` shows the first problems in full."""

    file: Path
    counts: Counter[str]
    problems: list[XmlProblem]

    @property
    def problems_file(self) -> Path:
        """File with all problems, one per line."""
        return self.file.with_suffix('.problems.txt')

    @property
    def mismatches(self) -> list[str]:
        """Counts that differ from the official set; none for a sample, which lists less than half of it."""
        official = _OFFICIAL[self.file.stem]
        listed, number = next(iter(official.items()))
        is_sample = self.counts[listed] < number / 2
        return [what for what, count in official.items() if not is_sample and self.counts[what] != count]

    def __str__(self) -> str:
        official = _OFFICIAL[self.file.stem]
        rows = [['', 'here', 'official'], *(
            [what, f'{self.counts[what]:,}', f'{official[what]:,}' if what in official else '']
            for what in [*official, *sorted(self.counts.keys() - official.keys())])]
        lines = [f'{self.file}', *(f'  {line.rstrip()}' for line in aligned_table(rows))]
        kinds = Counter(problem.kind for problem in self.problems)
        lines += [f'  problem: {kind:26}{count:,}' for kind, count in kinds.most_common()]
        lines += [f'    {" ".join(filter(None, problem))}' for problem in self.problems[:20]]
        if len(self.problems) > 20:
            lines.append(f'    ... all {len(self.problems):,} are in {self.problems_file}')
        lines += [f'ERROR: the number of {what} differs from the official one: fix the problems and '
                  'convert again' for what in self.mismatches]
        return '\n'.join(lines)


class ImageNetReports(list):
    """The :class:`ImageNetReport` of each file."""

    @property
    def exit_status(self) -> int:
        """1 if a set has mismatches, else 0."""
        return int(any(report.mismatches for report in self))

    def __str__(self) -> str:
        return '\n'.join(map(str, self))


def _plain(items: Iterable, total: int) -> Iterable:
    """No progress bar."""
    return items


def convert_imagenet_vid(root: str | os.PathLike, out: str | os.PathLike, splits: Iterable[str] = ('train', 'val'),
                         lists: str | os.PathLike | None = None, workers: int | None = None,
                         progress: Callable[..., Iterable] = _plain) -> ImageNetReports:
    """Write ``imagenet_vid_train.json`` and ``imagenet_vid_val.json``.

    Frames without a JPEG or a readable XML file are left out. The report and ``NAME.problems.txt`` list these frames
    and all objects left out or clipped. An interrupted run continues where it stopped.

    Args:
        root: holds ``Annotations/VID``, ``Data/VID`` and ``ImageSets``.
        out: folder for the files; the file names in them are relative to ``root/Data``.
        splits: ``train``, ``val`` or both.
        lists: folder of the lists; None is ``root/ImageSets``.
        workers: number of processes; None is one per core.
        progress: wraps the finished parts and takes their ``total``, e.g. ``tqdm``.

    Raises InputError when a folder or list is missing, a line of a list is invalid, or ``out`` cannot be written.
    """
    root = Path(root)
    plans = {split: read_videos(root, split, lists) for split in splits}
    return ImageNetReports(
        _convert(plan, video_part, root, Path(out, f'imagenet_vid_{split}.json'),
                 Counter({'videos listed': len(plan)}), workers, progress) for split, plan in plans.items())


def convert_imagenet_det(root: str | os.PathLike, out: str | os.PathLike, lists: str | os.PathLike | None = None,
                         workers: int | None = None, progress: Callable[..., Iterable] = _plain) -> ImageNetReports:
    """Write ``imagenet_det_30classes.json``, the stills of DET with an object of VID's classes.

    Duplicates in the list are converted once. Otherwise like :func:`convert_imagenet_vid`.
    """
    listed = read_stills(Path(root), lists)
    stills = list(dict.fromkeys(listed))
    plan = [tuple(stills[start:start + _STILLS_PER_PART]) for start in range(0, len(stills), _STILLS_PER_PART)]
    counts = Counter({'stills listed': len(listed), 'listed twice': len(listed) - len(stills)})
    file = Path(out, 'imagenet_det_30classes.json')
    return ImageNetReports([_convert(plan, stills_part, Path(root), file, counts, workers, progress)])


def _convert(plan: list, convert: Callable[[Path, Any], dict], root: Path, out: Path, counts: Counter[str],
             workers: int | None, progress: Callable[..., Iterable]) -> ImageNetReport:
    parts = make_parts(plan, partial(convert, root), root, out, workers, progress)
    categories = [{'id': number, 'name': SYNSETS[synset], 'synset': synset} for synset, number in CATEGORIES.items()]
    joined = join_parts(parts, categories, out)
    report = ImageNetReport(out, counts + joined.counts, [XmlProblem(*problem) for problem in joined.problems])
    write_text(''.join(f'{" ".join(filter(None, problem))}\n' for problem in report.problems), report.problems_file)
    return report
