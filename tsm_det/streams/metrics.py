"""What Prometheus is told of the streams of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tsm_det.errors import InputError
from tsm_det.files import write_text
from tsm_det.video.cameras import LiveSource, StreamFrame
from tsm_det.video.sources import Source

try:
    from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
except ImportError as error:
    raise InputError(f"prometheus-client is needed but missing ({error}): pip install 'tsm_det[ray]'") from error

# 5 ms to 10 s, each 19 % above the one before it: so close are the quantiles.
_LATENCIES_S = [round(0.005 * 2 ** (k / 4), 4) for k in range(45)]


class StreamMetrics:
    """Counts frames, dropped frames, resets by reason and latencies of cameras; ``on_frame`` of ``detect_sources``.

    The latency of a frame is the time from when it was read to when its line is written. A recording has none.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.registry = CollectorRegistry()
        self._sources = {source.name: source for source in sources}
        self._seen_dropped = dict.fromkeys(self._sources, 0)
        self._frames, self._dropped = (
            Counter(f'tsm_det_{name}', text, ['camera'], registry=self.registry) for name, text in (
                ('frames', 'Frames whose results are written'),
                ('dropped_frames', 'Frames that a camera sent while the detector was busy')))
        self._resets = Counter('tsm_det_resets', 'Frames at which the stream started over', ['camera', 'reason'],
                               registry=self.registry)
        self._latency = Histogram('tsm_det_latency_seconds', 'From reading a frame to writing its results', ['camera'],
                                  registry=self.registry, buckets=_LATENCIES_S)
        for name in self._sources:  # 0 rather than nothing of a camera without frames
            for metric in (self._frames, self._dropped, self._latency):
                metric.labels(name)

    def __call__(self, frame: StreamFrame, reset: str | None) -> None:
        """Count a frame."""
        name, source = frame.stream, self._sources[frame.stream]
        self._frames.labels(name).inc()
        dropped = getattr(source, 'dropped', 0)
        self._dropped.labels(name).inc(dropped - self._seen_dropped[name])
        self._seen_dropped[name] = dropped
        if reset:
            self._resets.labels(name, reset).inc()
        if isinstance(source, LiveSource) and not source.is_recorded:
            self._latency.labels(name).observe(time.monotonic() - source.begin_s - frame.time_s)


@contextmanager
def served(metrics: StreamMetrics, host: str, targets: str | None = None, port: int = 0) -> Iterator[StreamMetrics]:
    """Context manager: serves metrics over HTTP at a port of ``host``, 0 for a free one.

    The file ``targets``, if any, names the address during that time; it is one of Prometheus' ``file_sd_configs``.

    Raises InputError when the port is not free.
    """
    try:
        server, _ = start_http_server(port, host, metrics.registry)
    except (OSError, OverflowError) as error:
        raise InputError(f'metrics cannot be served at {host}:{port} ({error}): give a free port') from error
    try:
        if targets:
            write_text(f'- targets: ["{host}:{server.server_port}"]\n', targets)
        yield metrics
    finally:
        if targets:
            Path(targets).unlink(missing_ok=True)
        server.shutdown()
        server.server_close()
