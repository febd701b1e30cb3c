"""A server that says yes to wandb: what arrives when wandb's own reader replays the file of an
offline run."""

import gzip
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PROJECT = {"id": "p", "name": "normlab", "entity": {"id": "e", "name": "me"}}
BUCKET = {
    "id": "b",
    "displayName": "",
    "description": "",
    "config": "{}",
    "sweepName": None,
    "historyLineCount": 0,
}
COMMITTED = {
    "id": "a",
    "state": "COMMITTED",
    "artifactSequence": {"id": "s", "latestArtifact": None},
}
ANSWERS = {
    "upsertBucket": {"bucket": {**BUCKET, "name": "r", "project": PROJECT}, "inserted": True},
    "createArtifact": {"artifact": COMMITTED},
    "createRunFiles": {"runID": "b", "uploadHeaders": [], "files": []},
    "upsertView": {"view": {"id": "w", "name": "nw"}, "inserted": True},
    "project": None,  # no artifact is there before
    "serverInfo": {"features": []},
    "viewer": {"id": "v", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}},
}


class Received:
    """`calls[name]`: the variables of each GraphQL call; `history`: every step's values, in
    order."""

    def __init__(self):
        self.calls, self.history = {}, []

    def note(self, path, text):
        if not path.endswith(("/graphql", "/file_stream")):  # wandb's reports about itself
            return {}
        body = json.loads(text)
        if path == "/graphql":
            names = [name for name in ANSWERS if name in body["query"]]
            for name in names:
                self.calls.setdefault(name, []).append(body.get("variables") or {})
            return {"data": {name: ANSWERS[name] for name in names}}
        lines = body.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        self.history += [json.loads(line) for line in lines]
        return {"exitcode": None, "limits": {}}


@contextmanager
def wandb_server(status=200):
    """(address, Received) of a server on a free port of this machine; with a status of 401 it
    knows no key."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            answer = json.dumps(received.note(self.path, body)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", received
        finally:
            server.shutdown()
            thread.join()


def sync(run, folder):
    """What `wandb sync RUN`, from `folder`, sends to a server of ours."""
    with wandb_server() as (address, received):
        places = {f"WANDB_{name}_DIR": str(folder / "home") for name in ("CONFIG", "CACHE", "DATA")}
        environment = {**os.environ, **places, "WANDB_BASE_URL": address, "WANDB_API_KEY": "0" * 40}
        environment.pop("WANDB_MODE", None)
        done = subprocess.run(
            [sys.executable, "-m", "wandb", "sync", str(run)],
            env=environment,
            cwd=folder,
            timeout=600,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return received
