"""Ingests docs/ into ./data, serves it on the loopback interface until Ctrl-C, and prints a query to try.

`make run` builds the binary first. Usage: run.py [--port N] [--data-dir DIR] [--binary FILE]
"""

import argparse
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NoReturn

READY_LIMIT_SECONDS = 60
STOP_LIMIT_SECONDS = 30
PAUSE_SECONDS = 0.1


def say(message: str) -> None:
    print(f"run: {message}", file=sys.stderr, flush=True)


def fail(message: str) -> NoReturn:
    say(message)
    sys.exit(1)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do it: an earlier server's connections that are winding down do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def readiness(url: str) -> str:
    """Empty when the server is ready, otherwise why not."""
    # Never through a proxy: the server is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/readyz", timeout=2):
            return ""
    except urllib.error.HTTPError as error:
        return f"status {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return str(error)


def wait_until_ready(server: subprocess.Popen, url: str) -> None:
    deadline = time.monotonic() + READY_LIMIT_SECONDS
    while (reason := readiness(url)) != "":
        if server.poll() is not None:
            fail(f"the server ended with status {server.returncode} before it was ready")
        if time.monotonic() > deadline:
            fail(f"the server was not ready within {READY_LIMIT_SECONDS} s ({reason})")
        time.sleep(PAUSE_SECONDS)


def stop(server: subprocess.Popen) -> None:
    if server.poll() is None:
        server.terminate()
    try:
        server.wait(STOP_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        say(f"the server did not stop within {STOP_LIMIT_SECONDS} s and was killed")
        server.kill()
        server.wait()


def serve(binary: str, data: str, port: int) -> int:
    url = f"http://127.0.0.1:{port}"
    command = [binary, "serve", "--data-dir", data, "--listen", f"127.0.0.1:{port}"]
    # In a session of its own, the server is told once to stop, here, not by the terminal as well.
    server = subprocess.Popen(command, start_new_session=True)
    try:
        wait_until_ready(server, url)
        body = '{"query": "What is Braid?", "top_k": 3}'
        print("\nBraid is ready. Ask it something (Ctrl-C here stops the server):\n")
        print(f"  curl -s {url}/retrieve -H 'content-type: application/json' -d '{body}'\n")
        print(f"Playground: {url}/    API reference: {url}/docs", flush=True)
        return server.wait()
    finally:
        stop(server)


def interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--data-dir", default="./data")
    parser.add_argument("--binary", default="./target/release/braid")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup keeps it ignored
        signal.signal(signal.SIGHUP, interrupt)

    if not Path(options.binary).is_file():
        fail(f"{options.binary} is not there; run 'make build' first")
    if not is_free(options.port):
        fail(
            f"127.0.0.1:{options.port} is in use, perhaps by another 'make run':"
            f" stop it, or take another port: make run PORT={options.port + 1}"
        )
    say(f"ingesting docs/ into {options.data_dir}")
    ingest = [options.binary, "ingest", "docs", "--data-dir", options.data_dir, "--collection", "default"]
    status = subprocess.run(ingest, check=False).returncode
    if status != 0:
        fail(f"ingesting docs/ ended with status {status}; the server was not started")
    return serve(options.binary, options.data_dir, options.port)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("stopped")
