"""Runs `ossup emulator` for a suite."""

import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ACCESS_KEY_ID = f"LTAI{secrets.token_hex(10)}"
ACCESS_KEY_SECRET = secrets.token_hex(16)
START_SECONDS = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Emulator:
    """An emulator on a free port, with its data in a directory that goes with it."""

    def __init__(self, ossup: str, *arguments: str):
        self.port = free_port()
        self.data = tempfile.mkdtemp(prefix="ossup-interop-")
        self.log = open(pathlib.Path(self.data) / "log", "w+", encoding="utf-8")
        command = [ossup, "emulator", "--listen", f"127.0.0.1:{self.port}", "--data", f"{self.data}/store"]
        if "--access-key-id" not in arguments:
            command += ["--access-key-id", ACCESS_KEY_ID, "--access-key-secret", ACCESS_KEY_SECRET]
        self.process = subprocess.Popen([*command, *arguments], stdout=self.log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.log.seek(0)
                    said = self.log.read()
                    self.stop()
                    raise RuntimeError(f"the emulator did not start: {said}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
