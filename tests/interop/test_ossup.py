"""What `ossup` stored reads back through the vendor's clients, and what they began is seen by `ossup`."""

import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from clients import REGION, Interrupted, Keys, Oss2, OssV2, fetch, refused
from emulator import ACCESS_KEY_ID, ACCESS_KEY_SECRET, Emulator

BUCKET = "images"
PERMANENT = Keys(ACCESS_KEY_ID, ACCESS_KEY_SECRET)
SIZE = (8 << 20) + 12_345
MIB = 1 << 20
KEYS = ["plain.raw", "with space+plus%25 100%.raw", "中文/镜像 🎉.raw", "it's*(odd)!?#&=;:@,$[]{}.raw", "a/../b/./c.raw"]


def setUpModule():
    global SERVER, FOLDER, IMAGE, SHA256
    SERVER = Emulator(os.environ["OSSUP"], "--region", REGION, "--bucket", BUCKET)
    FOLDER = tempfile.TemporaryDirectory(prefix="ossup-interop-")
    IMAGE = pathlib.Path(FOLDER.name) / "disk.raw"
    IMAGE.write_bytes(os.urandom(SIZE))
    SHA256 = hashlib.sha256(IMAGE.read_bytes()).hexdigest()


def tearDownModule():
    SERVER.stop()
    FOLDER.cleanup()


def clients():
    for kind in (Oss2, OssV2):
        for sign in ("v1", "v4"):
            yield f"{kind.name} {sign}", kind(SERVER.port, PERMANENT, sign)


class Ossup(unittest.TestCase):
    def ossup(self, *arguments, status=0):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": FOLDER.name,
            "OSSUP_STATE_DIR": f"{FOLDER.name}/state",
            "OSS_ACCESS_KEY_ID": PERMANENT.id,
            "OSS_ACCESS_KEY_SECRET": PERMANENT.secret,
        }
        shared = ["--endpoint", f"http://127.0.0.1:{SERVER.port}", "--region", REGION, "--output", "json"]
        done = subprocess.run(
            [os.environ["OSSUP"], *arguments, *shared], env=environment, capture_output=True, text=True, timeout=120
        )
        self.assertEqual(done.returncode, status, done.stderr)
        return json.loads(done.stdout)

    def test_what_it_uploads_reads_back_through_each_client(self):
        for sign in ("v4", "v1"):
            for key in KEYS:
                with self.subTest(key, sign=sign):
                    wish = ["--overwrite", "--no-inspect", "--sign-version", sign]
                    done = self.ossup("upload", str(IMAGE), f"oss://{BUCKET}/{key}", *wish)
                    self.assertEqual((done["size"], done["verified"]), (SIZE, "crc64"))
                    for name, client in clients():
                        if "/../" in key and name.startswith("alibabacloud"):
                            continue  # its HTTP library collapses such segments
                        head = client.head(BUCKET, key)
                        found = (head.size, head.crc, head.etag, head.type, head.storage_class)
                        want = (SIZE, done["crc64"], done["etag"].strip('"'), "Multipart", "Standard")
                        self.assertEqual(found, want, name)
                        self.assertEqual(hashlib.sha256(client.get(BUCKET, key)).hexdigest(), SHA256, name)

    def test_its_presigned_urls_are_good(self):
        key = "signed/ü +.raw"
        self.ossup("upload", str(IMAGE), f"oss://{BUCKET}/{key}", "--no-inspect")
        for sign in ("v4", "v1"):
            url = self.ossup("url", f"oss://{BUCKET}/{key}", "--sign", "10m", "--sign-version", sign)["url"]
            status, _, body = fetch("GET", url)
            self.assertEqual((status, hashlib.sha256(body).hexdigest()), (200, SHA256))

    def test_an_upload_begun_by_a_client_is_listed_and_aborted(self):
        for name, client in clients():
            with self.subTest(name):
                key = f"begun by {name}.raw"
                upload_id = client.initiate(BUCKET, key)
                client.upload_part(BUCKET, key, upload_id, 1, b"x" * 1000)
                listed = self.ossup("list", f"oss://{BUCKET}/begun")
                self.assertIn(upload_id, [upload["upload_id"] for upload in listed["uploads"]])
                self.ossup("abort", f"oss://{BUCKET}/{key}", "--upload-id", upload_id, "--yes")
                with refused() as answer:
                    client.list_parts(BUCKET, key, upload_id, 10)
                self.assertEqual(answer.code, "NoSuchUpload")
                listed = self.ossup("list", f"oss://{BUCKET}/begun")
                self.assertNotIn(upload_id, [upload["upload_id"] for upload in listed["uploads"]])

    def test_an_upload_begun_by_a_client_is_finished(self):
        for name, client in clients():
            with self.subTest(name), tempfile.TemporaryDirectory() as state:
                key = f"adopted from {name}.raw"
                # Parts of the smallest size of the plan for such a file, so that their numbers tell their bytes.
                with self.assertRaises(Interrupted):
                    client.resumable_upload(BUCKET, key, str(IMAGE), MIB // 4, state, fail_after=8)
                done = self.ossup("upload", str(IMAGE), f"oss://{BUCKET}/{key}", "--no-inspect", "--adopt")
                self.assertEqual((done["verified"], done["resumed_parts"]), ("crc64", 8))
                self.assertEqual(done["bytes_sent"], SIZE - 2 * MIB)
                self.assertEqual(hashlib.sha256(client.get(BUCKET, key)).hexdigest(), SHA256)
                self.assertEqual(client.list_uploads(BUCKET, key, 10)[0], [])


if __name__ == "__main__":
    unittest.main()
