"""Who may talk to the server: the page that it gave out, and no other page in the same browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

_HEADERS = {
    'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(self), microphone=()',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
}


class Guard:
    """Refuses what another web page could have a visitor's browser do, and tells browsers to be strict with ours.

    A page of another site that is open in the same browser can reach a server on loopback. It cannot hide its
    ``Origin``, which has to be the ``Host`` that it calls. Its site's own name may be made to point to this machine
    (DNS rebinding), which would make both equal: so the ``Host`` is one of our names, or a plain address, which
    nobody can make point elsewhere.

    Args:
        app: what is guarded.
        names: of the server, besides localhost.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app = app
        self._names = {'localhost', *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with status 403, and with one sentence where a browser would show it."""
        if scope['type'] == 'lifespan':
            await self._app(scope, receive, send)
        elif (sentence := self._refusal(scope)) is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope['type'] == 'websocket':
            # No browser shows the body of such a refusal, and uvicorn logs one that has a body as an error of ours.
            await WebSocket(scope, receive, send).close(1008)
        else:
            await PlainTextResponse(sentence, 403)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist('host'), headers.getlist('origin')
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return (f'the server is not known as {", ".join(hosts) or "nothing"}: open it as localhost or by its '
                    'address, or start it with --name and the name')
        is_harmless = scope['type'] == 'http' and scope['method'] in ('GET', 'HEAD')
        if not is_harmless and [_netloc(origin) for origin in origins] != hosts:
            return 'only the page of this server may ask for that: open the page and use it'
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f'//{host}').hostname or ''
        except ValueError:
            return False
        return name in self._names or _is_address(name)


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ''


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Callable:
    async def send_with_headers(message: Message) -> None:
        if message['type'] == 'http.response.start':
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)
    return send_with_headers
