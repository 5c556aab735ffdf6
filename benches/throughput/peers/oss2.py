"""Uploads a file with the vendor's first Python SDK and its defaults: FILE ENDPOINT BUCKET KEY."""

import os
import sys

import oss2

file, endpoint, bucket, key = sys.argv[1:]
auth = oss2.Auth(os.environ["OSS_ACCESS_KEY_ID"], os.environ["OSS_ACCESS_KEY_SECRET"])
oss2.resumable_upload(oss2.Bucket(auth, endpoint, bucket), key, file, store=oss2.make_upload_store(root=sys.path[0]))
