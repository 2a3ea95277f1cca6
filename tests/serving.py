"""A web server of files on this machine, behaving as well or badly as a test wants."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site:
    """Files by path, and what is wrong with the server that gives them.

    Attributes:
        files: content by path.
        url: of the root, with a slash at its end.
        asked: path and Range header of each request so far.
        tags: whether answers say what the file is (ETag).
        weak: whether such a tag may be of other bytes as well (RFC 9110, 8.8.1).
        ranges: whether a part of a file may be asked for.
        length: whether answers say how long the file is.
        kind: what answers say that the file is.
        cut_after: bytes after which the connection of each coming request ends.
        statuses: of each coming request, in place of the file.
        moved: where every request is sent on to, if anywhere.
        stalls: whether nothing comes after the head, until `go_on` is set.
    """

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.url = ""
        self.asked: list[tuple[str, str | None]] = []
        self.tags, self.ranges, self.stalls = True, True, False
        self.weak, self.length = False, True
        self.kind = "application/octet-stream"
        self.cut_after: list[int] = []
        self.statuses: list[int] = []
        self.moved = ""
        self.go_on = threading.Event()


@contextlib.contextmanager
def serving():
    """A site that can be reached until the block is left."""
    site = Site()
    handler = type("Handler", (_Handler,), {"site": site})
    server = _Server(("127.0.0.1", 0), handler)
    site.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Whoever asked has gone."""


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self):
        site = self.site
        asked = self.headers.get("Range")
        site.asked.append((self.path, asked))
        if site.moved:
            self.send_response(302)
            self.send_header("Location", site.moved)
            self.end_headers()
            return
        content = site.files.get(self.path)
        status = site.statuses.pop(0) if site.statuses else 200
        if status >= 400 or content is None:
            self.send_error(status if status >= 400 else 404)
            return
        tag = f'{"W/" if site.weak else ""}"{hash(content)}"'
        start = 0
        if asked and site.ranges and self.headers.get("If-Range") in (None, tag):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        if start:
            last = len(content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        if site.tags:
            self.send_header("ETag", tag)
        if site.length:
            self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Content-Type", site.kind)
        self.end_headers()
        if site.stalls:
            self.wfile.flush()
            site.go_on.wait()
        rest = content[start:]
        self.wfile.write(rest[: site.cut_after.pop(0)] if site.cut_after else rest)
        self.close_connection = True

    def log_message(self, *_):
        """Say nothing."""
