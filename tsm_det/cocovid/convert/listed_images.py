"""Images that annotation files name, in a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tsm_det.cocovid.convert.frame_files import Frame, check_size, image_size, inner_name
from tsm_det.cocovid.convert.image_videos import images_below
from tsm_det.errors import InputError


class ListedImages:
    """Finds images by the names in annotation files, and counts those that no file names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found: set[str] = set()

    def find(self, names: Iterable[str], place: str) -> str:
        """Return the first of several possible names of an image, relative to the folder, that is there.

        Args:
            names: as the annotation file writes them, at ``place``; backslashes are separators.

        Raises InputError when the image is missing, or its name leads out of the folder.
        """
        inner = [inner_name(name, place) for name in names]
        found = next((name for name in inner if os.path.isfile(self.folder / name)), None)
        if found is None:
            raise InputError(f'{place} is of the image {inner[0]}, which is not in {self.folder}: fetch it, or name '
                             'the folder that the file names are relative to')
        self._found.add(found)
        return found

    def frames(self, names: dict[int, str], size: tuple[int, int] | None = None, where: str = '') -> list[Frame]:
        """List the frames of a video.

        Args:
            names: of the images, by frame id in any order.
            size: (H, W) that ``where`` states for all of them; the first is compared.

        Raises InputError when an image cannot be read or has another size.
        """
        if size is not None:
            check_size(self.folder / names[min(names)], size, where)
        return [Frame(frame_id, name, size or image_size(self.folder / name))
                for frame_id, name in sorted(names.items())]

    def left_out(self) -> Counter[str]:
        """Count the images in the folder that were not looked for."""
        number = len(images_below(self.folder)) - len(self._found)
        return Counter({f'images in {self.folder} that are not listed left out': number} if number > 0 else {})
