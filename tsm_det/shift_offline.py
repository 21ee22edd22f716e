"""The offline, bi-directional temporal shift, for recordings. Imports only torch."""

from __future__ import annotations

from torch import Tensor

from tsm_det.errors import InputError
from tsm_det.shift import check_clip
from tsm_det.shift_inplace import Shift

NO_STREAM = ("direction='both' needs frames of the future, so the detector cannot run frame by frame: give whole "
             "recordings to tools/test.py, tools/detect_video.py or OfflineDetector, or train with direction='past'")


def bidirectional_shift(clip: Tensor, num_shifted: int) -> Tensor:
    """Give each frame some channels of the frame after it and of the frame before it.

    The offline shift of Lin, Gan, Han, "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019,
    section 4.1, with the authors' order of channels: the first ``num_shifted`` come from the future frame, as many
    after them from the past frame. Zeros stand before the first frame and after the last.

    Args:
        clip: ``(N, T, C, H, W)``, oldest frame first.
        num_shifted: how many channels move in each direction, 1 to C // 2.

    Returns:
        The shifted clip, shaped like ``clip``.

    Raises:
        ValueError: the clip is not 5-D or empty, or ``num_shifted`` is out of range.
    """
    check_clip(clip.shape, num_shifted)
    if 2 * num_shifted > clip.shape[2]:
        raise ValueError(f'num_shifted is {num_shifted} but must be at most {clip.shape[2] // 2}, half the channels of '
                         'the clip: choose another shift_div')
    of_future, of_past = slice(num_shifted), slice(num_shifted, 2 * num_shifted)
    shifted = clip.clone()
    shifted[:, :-1, of_future], shifted[:, -1, of_future] = clip[:, 1:, of_future], 0
    shifted[:, 1:, of_past], shifted[:, 0, of_past] = clip[:, :-1, of_past], 0
    return shifted


class BidirectionalShift:
    """The offline shift as an operator of a site: it remembers nothing, so its present is empty, ``(N, 0)``."""

    def __init__(self, shift_div: int) -> None:
        self.shift_div = shift_div

    def __call__(self, frames: Tensor, clip_shape: tuple[int, int], past: Tensor | None) -> tuple[Tensor, Tensor, None]:
        """Apply the operator: see :class:`~tsm_det.sites.Operator`; InputError for a past, which it cannot continue."""
        if past is not None:
            raise InputError(NO_STREAM)
        clip = bidirectional_shift(frames.unflatten(0, clip_shape), frames.shape[1] // self.shift_div)
        return clip.flatten(0, 1), frames.new_empty(clip_shape[0], 0), None


def shift_operator(direction: str, shift_div: int) -> Shift | BidirectionalShift:
    """The shift of a site: 'past' is online, 'both' offline.

    Raises InputError when the direction is another, or a map has too few channels for both.
    """
    if direction not in ('past', 'both'):
        raise InputError(f"direction is {direction!r} but must be 'past' or 'both'")
    if direction == 'both' and shift_div < 2:
        raise InputError(f"shift_div is {shift_div} but must be at least 2 for direction='both': the paper uses 8")
    return (BidirectionalShift if direction == 'both' else Shift)(shift_div)
