"""Videos with an annotation file each."""

from __future__ import annotations

from pathlib import Path

from tsm_det.errors import InputError

SUFFIXES = ('.mp4', '.mov', '.avi', '.mkv')
_OTHER_FILES = ('readme', 'license', 'classes', 'labels')


def pair_videos(folder: Path, suffix: str, endings: tuple[str, ...] = ('',)) -> list[tuple[Path, Path]]:
    """Pair each video with the file of its name; ignore hidden files and other kinds of files.

    Args:
        folder: holds videos and files.
        suffix: of the files, in lower case.
        endings: what may follow the video's name in the file's.

    Raises InputError when the folder has no video, a video or file lacks its partner, or two have one name.
    """
    kind = f'{suffix[1:].upper()} file'
    if not folder.is_dir():
        raise InputError(f'{folder} is not a folder: name one that holds NAME.mp4 and NAME{suffix}')
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith('.'))
    movies = [path for path in files if path.suffix.lower() in SUFFIXES]
    videos = {path.stem: path for path in movies}
    texts = [path for path in files if path.suffix.lower() == suffix and path.stem.lower() not in _OTHER_FILES]
    tables = {path.stem: path for path in texts}
    if not movies:
        raise InputError(f'{folder} holds no video ({", ".join(SUFFIXES)}): name the folder they are in')
    for kept, paths, what in ((videos, movies, 'video'), (tables, texts, kind)):
        if twice := [path.name for path in paths if kept[path.stem] != path]:
            raise InputError(f'{folder} has another {what} with the name of {", ".join(twice)}: rename one')
    found = {name: next((tables[name + ending] for ending in endings if name + ending in tables), None)
             for name in videos}
    if alone := sorted(name for name, table in found.items() if table is None):
        raise InputError(f'{folder} has no {kind} for the video {", ".join(alone)}: add it (without rows of boxes if '
                         'nothing is visible), or move the video elsewhere')
    if alone := sorted(path.name for path in set(tables.values()) - set(found.values())):
        raise InputError(f'{folder} has no video for {", ".join(alone)}: add it, or move the {kind} elsewhere')
    return [(videos[name], table) for name in sorted(videos) if (table := found[name])]
