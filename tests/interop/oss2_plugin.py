"""What oss2's own tests need of the world around them, as a pytest plugin. The tests themselves are the vendor's.

- Hosts of the service are this machine, at the emulator's port: the tests use the endpoints that the service tells.
- KMS, which is asked by the tests of encryption on the client's side, is played by a stand-in: the emulator has none.
- Choices by chance are the same in every run, and oss2's record of a download is read and written by one thread at a time.
- Failures that are expected are named, with reasons, in a file; one that does not fail is a failure too.
"""

import base64
import json
import os
import pathlib
import random
import secrets
import socket
import threading

import pytest
from aliyunsdkcore import client as kms
from oss2 import resumable

PORT = int(os.environ["OSS_EMULATOR_PORT"])
VERSION = os.environ["OSS_TEST_AUTH_VERSION"]
EXPECTED = pathlib.Path(__file__).with_name("oss2_expected_failures.txt")
_resolve = socket.getaddrinfo


def resolve(host, port, *arguments, **options):
    if isinstance(host, str) and host.endswith(".aliyuncs.com"):
        return _resolve("127.0.0.1", PORT, *arguments, **options)
    return _resolve(host, port, *arguments, **options)


socket.getaddrinfo = resolve


class Kms:
    """Wraps keys in base64, which is all that the tests can see of KMS."""

    def __init__(self, *_arguments, **_options):
        pass

    def do_action_with_exception(self, request):
        name = request.get_action_name()
        text = lambda value: value.decode() if isinstance(value, bytes) else value
        asked = {key: text(value) for key, value in request.get_query_params().items()}
        if name == "GenerateDataKey":
            plain = base64.b64encode(secrets.token_bytes(32)).decode()
            answer = {"Plaintext": plain, "CiphertextBlob": f"wrapped-{plain}"}
        elif name == "Encrypt":
            answer = {"CiphertextBlob": f"wrapped-{asked['Plaintext']}"}
        elif name == "Decrypt":
            answer = {"Plaintext": asked["CiphertextBlob"].removeprefix("wrapped-")}
        else:
            raise NotImplementedError(name)
        return json.dumps(answer).encode()


kms.AcsClient = Kms


def one_at_a_time(method, lock=threading.RLock()):
    """Wraps a method of the store that keeps oss2's records: it empties a file and then fills it, and a thread that reads
    in between takes the record for damaged and removes it."""

    def alone(*arguments):
        with lock:
            return method(*arguments)

    return alone


for name in ("get", "put", "delete"):
    store = resumable._ResumableStoreBase
    setattr(store, name, one_at_a_time(getattr(store, name)))


def expected():
    """Returns the reason for each test that is to fail, by its id, and whether it is not even run."""
    reasons, reason = {}, None
    for line in EXPECTED.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line:
            version, _, name = line.rpartition(" ")
            assert reason, f"{line} has no reason"
            if version in ("", "skip", VERSION):
                reasons[name] = reason, version == "skip"
    return reasons


def pytest_collection_modifyitems(items):
    reasons = expected()
    for item in items:
        name = item.nodeid.removeprefix("tests/")
        if name in reasons:
            reason, skipped = reasons[name]
            mark = pytest.mark.skip(reason=reason) if skipped else pytest.mark.xfail(reason=reason, strict=True)
            item.add_marker(mark)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    # The signature versions run side by side in one folder, and names of files are made by chance too.
    random.seed(VERSION + item.nodeid)
