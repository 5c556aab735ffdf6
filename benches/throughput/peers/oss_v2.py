"""Uploads a file with the vendor's second Python SDK and its defaults: FILE ENDPOINT BUCKET KEY REGION."""

import sys

import alibabacloud_oss_v2 as oss

file, endpoint, bucket, key, region = sys.argv[1:]
config = oss.config.load_default()
config.credentials_provider = oss.credentials.EnvironmentVariableCredentialsProvider()
config.endpoint, config.region = endpoint, region
config.use_path_style = "://127." in endpoint or "://localhost" in endpoint
uploader = oss.Client(config).uploader()
uploader.upload_file(oss.PutObjectRequest(bucket=bucket, key=key), filepath=file)
