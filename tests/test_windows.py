"""Windows keep every frame once, with its margin, in bounded memory."""

from hypothesis import given
from hypothesis import strategies as st

from tsm_det.windows import windows


@given(st.integers(0, 60), st.integers(1, 12), st.integers(0, 12))
def test_every_frame_is_kept_once_in_order_with_its_margin(length, num_kept, margin):
    kept = []
    for window, keep in windows(iter(range(length)), num_kept, margin):
        assert window == list(range(window[0], window[-1] + 1))
        assert len(window) <= num_kept + 2 * margin
        for frame in window[keep]:
            assert window[0] <= max(0, frame - margin)
            assert min(length - 1, frame + margin) <= window[-1]
        kept += window[keep]
    assert kept == list(range(length))


@given(st.integers(1, 12), st.integers(0, 12))
def test_no_frame_is_read_before_it_is_needed(num_kept, margin):
    read = []
    video = windows((read.append(frame) or frame for frame in range(100)), num_kept, margin)
    for place in range(1, 4):
        next(video)
        assert len(read) == place * num_kept + margin
