"""Apache OpenDAL, a client that is not the vendor's, against the emulator."""

import hashlib
import os
import unittest
import urllib.parse

import opendal
from clients import fetch
from emulator import ACCESS_KEY_ID, ACCESS_KEY_SECRET, Emulator

BUCKET = "images"
MIB = 1 << 20


def setUpModule():
    global SERVER
    SERVER = Emulator(os.environ["OSSUP"], "--region", "cn-hangzhou", "--bucket", BUCKET)
    # It asks for `images.oss-cn-hangzhou.aliyuncs.com` as in earnest, by way of the emulator.
    os.environ["http_proxy"] = f"http://127.0.0.1:{SERVER.port}"


def tearDownModule():
    os.environ.pop("http_proxy")
    SERVER.stop()


def operator(secret: str = ACCESS_KEY_SECRET) -> opendal.Operator:
    return opendal.Operator(
        "oss",
        bucket=BUCKET,
        endpoint="http://oss-cn-hangzhou.aliyuncs.com",
        access_key_id=ACCESS_KEY_ID,
        access_key_secret=secret,
    )


class OpenDal(unittest.TestCase):
    def setUp(self):
        self.operator = operator()
        self.prefix = f"{self.id()}/"

    def test_write_stat_read_and_delete(self):
        key = self.prefix + "a b+c%d 镜像"
        self.operator.write(key, b"some bytes", content_type="text/x-test")
        self.assertEqual(bytes(self.operator.read(key)), b"some bytes")
        stat = self.operator.stat(key)
        self.assertEqual((stat.content_length, stat.content_type), (10, "text/x-test"))
        self.assertEqual(stat.etag.strip('"'), hashlib.md5(b"some bytes").hexdigest().upper())
        self.operator.delete(key)
        with self.assertRaises(opendal.exceptions.NotFound):
            self.operator.stat(key)

    def test_a_write_in_parts(self):
        key, data = self.prefix + "parts", hashlib.shake_128(b"parts").digest(5 * MIB + 123)
        with self.operator.open(key, "wb", chunk=MIB) as file:
            for at in range(0, len(data), MIB):
                file.write(data[at : at + MIB])
        self.assertEqual(bytes(self.operator.read(key)), data)
        self.assertTrue(self.operator.stat(key).etag.strip('"').endswith("-6"))

    def test_list(self):
        for name in ("a", "b/1", "b/2", "c"):
            self.operator.write(self.prefix + name, b"x")
        paths = sorted(entry.path for entry in self.operator.list(self.prefix))
        self.assertEqual([path for path in paths if path != self.prefix], [self.prefix + name for name in ("a", "b/", "c")])
        paths = sorted(entry.path for entry in self.operator.list(self.prefix, recursive=True))
        wanted = [self.prefix + name for name in ("a", "b/1", "b/2", "c")]
        self.assertEqual([path for path in paths if not path.endswith("/")], wanted)

    def test_a_wrong_secret_is_refused(self):
        with self.assertRaises(opendal.exceptions.PermissionDenied):
            operator("wrong").write(self.prefix + "never", b"x")


def send(asked, url: str | None = None, body: bytes = b""):
    """Sends a presigned request to the emulator, with the host that the URL names."""
    parts = urllib.parse.urlsplit(url or asked.url)
    here = parts._replace(netloc=f"127.0.0.1:{SERVER.port}")
    return fetch(asked.method, here.geturl(), body, {"Host": parts.netloc})


class Presigned(unittest.IsolatedAsyncioTestCase):
    async def test_presigned_write_stat_and_read(self):
        key = f"{self.id()}/presigned"
        client = operator().to_async_operator()
        # It names a length of 0, as it does not know what will be sent.
        asked = await client.presign_write(key, 60)
        self.assertEqual(send(asked, body=b"by URL")[0], 200)
        asked = await client.presign_read(key, 60)
        self.assertEqual(send(asked)[::2], (200, b"by URL"))
        asked = await client.presign_stat(key, 60)
        status, headers, _ = send(asked)
        self.assertEqual((status, headers["content-length"]), (200, "6"))
        # It is for this object alone.
        self.assertEqual(send(asked, asked.url.replace("presigned", "other"))[0], 403)


if __name__ == "__main__":
    unittest.main()
