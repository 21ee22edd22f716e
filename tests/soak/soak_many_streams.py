"""64 streams that come, leave, jump and change their size in any order: each gets what it gets alone."""

import random
import time

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.streams.test_many_streams import check, detector_of, histories

STREAMS, FRAMES, EXAMPLES = 64, 12, 6


@pytest.fixture(scope='module')
def detectors():
    return detector_of(STREAMS), detector_of(1)


@settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(streams=histories(STREAMS, FRAMES), seed=st.integers(0, 10**6))
def test_each_of_64_streams_gets_what_it_gets_alone(detectors, streams, seed):
    begin = time.perf_counter()
    px, score = check(*detectors, streams, random.Random(seed))
    print(f'\n{STREAMS} streams, {sum(map(len, streams))} frames in {time.perf_counter() - begin:.0f} s: boxes differ '
          f'by at most {px:.1e} px, scores by {score:.1e}')
