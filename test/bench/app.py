"""What the bench's backends answer besides nginx's page: late, bit by bit, and to slow posts."""

import http.server
import subprocess
import threading
import time
import urllib.parse


# As a pool of workers: who comes when all are taken waits.
workers = threading.Semaphore(4)


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/healthz":
            self.answer("ok\n")
        elif url.path == "/slow":
            time.sleep(float(urllib.parse.parse_qs(url.query)["seconds"][0]))
            self.answer("done\n")
        elif url.path == "/work":
            with workers:
                time.sleep(float(urllib.parse.parse_qs(url.query)["seconds"][0]))
            self.answer("done\n")
        elif url.path == "/stream":
            self.stream(pieces=25, pause_seconds=0.2)
        elif url.path == "/kill-nginx":  # nginx does not pass this on
            subprocess.run(["systemctl", "kill", "--signal=KILL", "nginx"], check=True)
            self.answer("killed\n")
        else:
            self.send_error(404)

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        read = 0
        while left > 0 and (piece := self.rfile.read1(left)):
            left -= len(piece)
            read += len(piece)
        self.answer(f"{read}\n")

    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def stream(self, pieces, pause_seconds):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in [*(f"{number}\n" for number in range(pieces)), "end\n"]:
            self.wfile.write(f"{len(piece):x}\r\n{piece}\r\n".encode())
            time.sleep(pause_seconds)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


Server(("", 8000), App).serve_forever()
