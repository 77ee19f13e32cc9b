"""Object stores for tests: an S3 on this machine, and a proxy before it that counts requests and makes faults."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from places import REPOSITORY

SERVER = REPOSITORY / "tests" / "support" / "store_server.py"
KEY = "AKIAVERYSECRETTEST"  # must be seen nowhere
SECRET = "wJalrSECRETSECRETtest"


@dataclass
class Fault:
    """What the proxy does to requests of a method and path.

    Attributes:
        kind: ``dropped`` (answered with 200, never handed on), ``answer lost`` (handed on, answered with 500), ``busy``
            (503), ``slow``, or ``wrong tag`` (another ETag in the answer).
        method, path: regular expression of what it meets. times: how often.
    """

    kind: str
    method: str
    path: str
    times: int = 1

    def meets(self, method: str, path: str) -> bool:
        """Whether it meets a request, which then counts."""
        if self.times < 1 or method != self.method or not re.search(self.path, path):
            return False
        self.times -= 1
        return True


@dataclass
class Proxy:
    """A proxy before a store.

    Attributes:
        target: port of the store. faults: to make; the first that meets a request. requests: (method, path) of all.
    """

    target: int
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)
    alone: Any = field(default_factory=threading.Lock)

    def counts(self) -> Counter[str]:
        """Requests by method; a GET that lists is LIST."""
        with self.lock:
            return Counter("LIST" if m == "GET" and "list-type" in p else m for m, p in self.requests)

    def fault_of(self, method: str, path: str) -> str:
        with self.lock:
            self.requests.append((method, path))
            return next((f.kind for f in self.faults if f.meets(method, path)), "")


class Handler(BaseHTTPRequestHandler):
    """Hands a request on."""

    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def log_message(self, *args: Any) -> None:
        pass

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.fault_of(self.command, self.path)
        if fault == "slow":
            time.sleep(0.2)
        if fault == "busy":
            return self.answer(503, {}, b"<Error><Code>SlowDown</Code><Message>Please wait</Message></Error>")
        if fault == "dropped":
            return self.answer(200, {"ETag": '"0123456789abcdef0123456789abcdef"'}, b"")
        store = http.client.HTTPConnection("127.0.0.1", self.proxy.target, timeout=60)
        try:
            # moto looks and writes in two steps; an S3 does not
            with self.proxy.alone if self.headers.get("If-None-Match") else nullcontext():
                store.request(self.command, self.path, body, dict(self.headers.items()))
                answer = store.getresponse()
                content, headers = answer.read(), dict(answer.getheaders())
        finally:
            store.close()
        if fault == "answer lost":
            return self.answer(500, {}, b"<Error><Code>InternalError</Code><Message>We met an error</Message></Error>")
        if fault == "wrong tag":
            headers["ETag"] = '"ffffffffffffffffffffffffffffffff"'
        return self.answer(answer.status, headers, content)

    def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = next((v for n, v in headers.items() if n.lower() == "content-length"), str(len(content)))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_one


@contextmanager
def store_process() -> Iterator[int]:
    """Port of an S3 that nothing else uses."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    process = subprocess.Popen(
        [sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@contextmanager
def proxy_before(port: int) -> Iterator[tuple[Proxy, int]]:
    """A proxy before a store, and its own port."""
    proxy = Proxy(port)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"proxy": proxy}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # of clients that were killed
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Bucket:
    """A new bucket.

    Attributes:
        name: of it. proxy: before the store. files: fsspec's file system of it, past the proxy.
    """

    name: str
    proxy: Proxy
    files: Any

    @property
    def url(self) -> str:
        """Of the bucket."""
        return f"s3://{self.name}"

    def put(self, folder: Path, prefix: str) -> str:
        """Copy a folder into the bucket; returns its URL."""
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            self.files.pipe_file(f"{self.name}/{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return f"{self.url}/{prefix}"

    def tree(self, prefix: str) -> dict[str, bytes]:
        """Name below a prefix -> content of every object."""
        start = f"{self.name}/{prefix}/"
        return {p.removeprefix(start): self.files.cat_file(p) for p in self.files.find(start)}


@contextmanager
def bucket_of(port: int, patch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A new bucket of a store, with a proxy of its own, which the environment names."""
    import s3fs

    patch.setenv("AWS_ACCESS_KEY_ID", KEY)
    patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.delenv("AWS_PROFILE", raising=False)
    files = s3fs.S3FileSystem(
        endpoint_url=f"http://127.0.0.1:{port}", key=KEY, secret=SECRET, skip_instance_cache=True,
        use_listings_cache=False,
    )  # fmt: skip
    name = f"b{uuid.uuid4().hex[:12]}"
    files.mkdir(name)
    with proxy_before(port) as (proxy, own):
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{own}")
        yield Bucket(name, proxy, files)
