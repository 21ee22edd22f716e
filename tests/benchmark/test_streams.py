"""Throughput against the number of streams."""

import pytest

from tsm_det.benchmark.streams import stream_counts, throughput
from tsm_det.benchmark.workload import batches_of


@pytest.mark.parametrize(('streams', 'counts'), [
    (1, [1]), (2, [1, 2]), (5, [1, 2, 4, 5]), (16, [1, 2, 4, 8, 16])])
def test_numbers_double_up_to_the_one_asked_for(streams, counts):
    assert stream_counts(streams) == counts


def test_each_number_of_streams_starts_afresh_and_counts_all_its_frames(arms, images, ticking):
    """A call takes a second."""
    resets = []
    tsm = arms['tsm']

    def watched(images):
        samples = tsm(images)
        resets.append([sample.reset for sample in samples])
        return samples
    watched.forget = tsm.forget
    table = throughput({'tsm': watched}, lambda count: batches_of(iter(images), count), 2, frames=2, warmup=0)
    assert resets == [['new'], [None], ['manual', 'new'], [None, None]]
    assert [row['streams'] for row in table] == [1, 2]
    assert [row['arms'][0]['fps'] for row in table] == [1, 2]
