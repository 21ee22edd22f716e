"""From a config and a checkpoint to a page in the browser: what tools/serve.py calls."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import ip_address

from mmengine.config import Config
from mmengine.logging import print_log

from tsm_det.errors import InputError
from tsm_det.serving.limits import Limits
from tsm_det.streams.online_detector import OnlineDetector

_PACKAGES = ('starlette', 'uvicorn', 'websockets')


def serve(config: Config, checkpoint: str | None = None, device: str = 'cpu', host: str = '127.0.0.1',
          port: int = 8000, score_thr: float = 0.3, limits: Limits | None = None, engine: str = 'eager',
          name: str | None = None) -> None:
    """Serve the page until Ctrl-C.

    Args:
        config: of the detector.
        checkpoint: path of its weights; None is random weights.
        device: e.g. 'cpu' or 'cuda:0'.
        host: address or name to listen at; any but loopback lets others in, which is said in the log.
        port: 0 takes a free one.
        score_thr: where the page's threshold stands at first.
        limits: on what visitors may ask for.
        engine: how the model is run, one of ``tsm_det.engines.ENGINES``.
        name: by which visitors call the server besides ``host``, as that of a reverse proxy in front of it.

    Raises:
        InputError: a package is missing, the port is taken, a number is out of its range, or the detector cannot
            be built.
    """
    if missing := [package for package in _PACKAGES if find_spec(package) is None]:
        raise InputError(f'{", ".join(missing)} cannot be imported but the page needs it: pip install "tsm_det[serve]"')
    limits = (limits or Limits()).check()
    if not 0 <= score_thr <= 1:
        raise InputError(f'--score-thr is {score_thr} but a number from 0 to 1 is needed: leave it out or change it')
    if name and not re.fullmatch(r'[\w.-]+', name):
        raise InputError(f'--name is {name} but a name alone is needed, as in page.example.org: leave out what is '
                         'before and behind it')
    # Before the detector is built: who gave a port that is taken need not wait to hear of it.
    with listen(host, port) as listening:
        detector = OnlineDetector.from_config(config, checkpoint, device, capacity=limits.visitors, engine=engine)
        address, port = listening.getsockname()[:2]
        if not ip_address(address).is_loopback:
            print_log('everybody who can reach this machine may use the page: it has no passwords and no encryption, '
                      'and away from localhost browsers give a camera only to pages behind https',
                      'current', logging.WARNING)
        place = 'localhost' if ip_address(address).is_unspecified else f'[{host}]' if ':' in host else host
        print_log(f'open http://{place}:{port} in a browser; Ctrl-C ends it', 'current')
        run(detector, listening, limits, [host, name] if name else [host], score_thr)


def run(detector: OnlineDetector, listening: socket.socket, limits: Limits, names: Sequence[str],
        score_thr: float) -> None:
    """Serve a detector at a socket until Ctrl-C."""
    with suppress(KeyboardInterrupt):  # passed on by uvicorn when all is closed
        make_server(detector, limits, names, score_thr).run([listening])


def make_server(detector: OnlineDetector, limits: Limits, names: Sequence[str] = (), score_thr: float = 0.3):
    """A ``uvicorn.Server`` with the application in it, not yet running."""
    import uvicorn  # an extra: everything but the page works without it

    from tsm_det.serving.app import make_app
    # No compression: pictures do not shrink, and a small message could unpack to a huge one.
    return uvicorn.Server(uvicorn.Config(
        make_app(detector, limits, names, score_thr), lifespan='on', log_level='warning', access_log=False,
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=5, ws_max_size=limits.message_bytes,
        ws_max_queue=1, ws_per_message_deflate=False))


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        InputError: the port is taken, or the machine is not known by that name.
    """
    if not 0 <= port < 1 << 16:  # the system would take what is left of it after a division
        raise InputError(f'the port is {port} but a number from 0 to 65535 is needed: give another --port')
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        # Python's own text for a port that is taken says the address once more.
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno)
        raise InputError(f'the server cannot listen at {host}, port {port} ({reason}): give another --port or --host, '
                         'or stop the program that has it') from error
