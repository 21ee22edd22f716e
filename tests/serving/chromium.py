"""A real browser without a screen, driven over its DevTools protocol."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from websockets.sync.client import ClientConnection, connect

from tests.waiting import eventually

PROGRAM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)


class Tab:
    """A page of the browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection, self._numbers = connection, itertools.count(1)
        self.errors: list[str] = []
        self.requests: list[str] = []  # addresses
        self.call('Runtime.enable')
        self.call('Log.enable')
        self.call('Network.enable')

    def call(self, method: str, **params) -> dict:
        """Send a command; gives its answer."""
        number = next(self._numbers)
        self._connection.send(json.dumps({'id': number, 'method': method, 'params': params}))
        while True:
            message = json.loads(self._connection.recv(60))
            if message.get('method') == 'Runtime.exceptionThrown':
                self.errors.append(json.dumps(message['params']['exceptionDetails']))
            if message.get('method') == 'Log.entryAdded' and message['params']['entry']['level'] == 'error':
                self.errors.append(message['params']['entry']['text'])
            if message.get('method') in ('Network.requestWillBeSent', 'Network.webSocketCreated'):
                self.requests.append(message['params'].get('url') or message['params']['request']['url'])
            if message.get('id') == number:
                assert 'error' not in message, message
                return message['result']

    def open(self, url: str) -> None:
        self.call('Page.navigate', url=url)
        eventually(lambda: self.eval('location.href !== "about:blank" && document.readyState') == 'complete')

    def eval(self, expression: str):
        """Value of a JavaScript expression."""
        result = self.call('Runtime.evaluate', expression=expression, awaitPromise=True, returnByValue=True)
        assert 'exceptionDetails' not in result, result
        return result['result'].get('value')


@contextmanager
def browsing(folder: Path, *flags: str) -> Iterator[Tab]:
    """Start the browser with a fake camera and an empty profile in ``folder``."""
    process = subprocess.Popen(
        [PROGRAM, '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
         '--disable-background-networking', '--use-fake-device-for-media-stream', '--remote-debugging-port=0',
         f'--user-data-dir={folder}', *flags, 'about:blank'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        active = folder / 'DevToolsActivePort'
        eventually(lambda: active.is_file() and active.read_text().count('\n') == 1)
        port = active.read_text().split()[0]
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/json/list') as answer:
            [address] = [tab['webSocketDebuggerUrl'] for tab in json.load(answer) if tab['type'] == 'page']
        with connect(address, max_size=None, proxy=None) as connection:
            yield Tab(connection)
    finally:
        process.terminate()
        process.wait()
