"""Which annotated video a stream shows, by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile

from tsm_det.errors import InputError


def match_streams(streams: Sequence[str], videos: Mapping[int, str]) -> dict[str, int]:
    """Find the id of the video with the name of each stream; leave out streams that have the name of none.

    Names are equal without folders and suffixes; of several such videos it is the one with the most folders in common.

    Args:
        streams: paths.
        videos: names by id, with or without folders and suffixes.

    Raises InputError when no stream has the name of a video, or one may be several, or several may be one.
    """
    paths, shown = {video: _parts(name) for video, name in videos.items()}, {}
    for stream in streams:
        common = {video: _number_in_common(_parts(stream), path) for video, path in paths.items()}
        best = [video for video, number in common.items() if number and number == max(common.values())]
        if len(best) > 1:
            raise InputError(f'the stream {stream} may be the video {" or ".join(videos[video] for video in best)}: '
                             'run detect_video.py on paths that name their folders')
        shown |= dict.fromkeys([stream], *best) if best else {}
    if not shown:
        raise InputError(f'no stream has the name of an annotated video: streams are {", ".join(streams[:3])}, ..., '
                         f'videos {", ".join([*videos.values()][:3])}, ...: give the annotations of the videos that '
                         'were run')
    for video in shown.values():
        if len(alike := [stream for stream, other in shown.items() if other == video]) > 1:
            raise InputError(f'the streams {" and ".join(alike)} have the name of one video, {videos[video]}: give the '
                             'lines of one of them')
    return shown


def _parts(path: str) -> list[str]:
    """File name, without a suffix that is not a number, and folders, from the last."""
    *folders, name = path.replace('\\', '/').split('/')
    return [re.sub(r'(?<=.)\.(?!\d+$)\w+$', '', name), *reversed(folders)]


def _number_in_common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many entries from the first on are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
