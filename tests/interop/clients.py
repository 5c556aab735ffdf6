"""The vendor's two Python clients of OSS behind one interface, so that one list of scenarios drives both."""

import contextlib
import datetime
import http.client
import socket
import urllib.parse
from dataclasses import dataclass

import alibabacloud_oss_v2 as oss_v2
import oss2

REGION = "cn-hangzhou"
_resolve = socket.getaddrinfo


def resolve_vendor_hosts_to_loopback():
    """Makes `*.aliyuncs.com` this machine, so that the clients use the hosts that they use in earnest."""

    def resolve(host, *arguments, **options):
        vendor = isinstance(host, str) and host.endswith(".aliyuncs.com")
        return _resolve("127.0.0.1" if vendor else host, *arguments, **options)

    socket.getaddrinfo = resolve


@dataclass
class Keys:
    id: str
    secret: str
    token: str = ""


@dataclass
class Stored:
    """What a client tells about an object or a part."""

    etag: str = ""
    crc: str = ""
    size: int = -1
    type: str = ""
    meta: str = ""
    storage_class: str = ""
    position: int = -1


@dataclass
class Refused:
    """What a client tells about a refusal."""

    status: int = 0
    code: str = ""
    ec: str = ""
    request_id: str = ""


@contextlib.contextmanager
def refused():
    """Expects that the block is refused by the service, and yields how."""
    answer = Refused()
    try:
        yield answer
    except oss2.exceptions.ServerError as error:
        answer.status, answer.code, answer.request_id = error.status, error.code, error.request_id
        answer.ec = error.details.get("EC", "") if isinstance(error.details, dict) else ""
    except (oss_v2.exceptions.OperationError, oss_v2.uploader.UploadError) as error:
        inner = error.unwrap()
        while not isinstance(inner, oss_v2.exceptions.ServiceError):
            if not hasattr(inner, "unwrap"):
                raise
            inner = inner.unwrap()
        answer.status, answer.code, answer.request_id = inner.status_code, inner.code, inner.request_id
        answer.ec = inner.ec or ""
    else:
        raise AssertionError("the request was accepted")


def fetch(method: str, url: str, body: bytes = b"", headers: dict | None = None):
    """Sends a presigned request exactly as the URL says; returns status, headers and body."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        # http.client sets the body's length; it adds no Content-Type, which a signature would have to cover.
        connection.request(method, f"{parts.path}?{parts.query}", body=body or None, headers=headers or {})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read()
    finally:
        connection.close()


def endpoint(port: int, style: str) -> str:
    host = {"path": "127.0.0.1", "virtual": f"oss-{REGION}.aliyuncs.com"}[style]
    return f"http://{host}:{port}"


class Oss2:
    """`oss2`, the first Python SDK."""

    name = "oss2"

    def __init__(self, port: int, keys: Keys, sign: str = "v4", style: str = "path"):
        provider = oss2.credentials.StaticCredentialsProvider(keys.id, keys.secret, keys.token)
        self.auth = {"v1": oss2.ProviderAuth, "v4": oss2.ProviderAuthV4}[sign](provider)
        self.endpoint = endpoint(port, style)

    def _bucket(self, name: str) -> oss2.Bucket:
        return oss2.Bucket(self.auth, self.endpoint, name, region=REGION, connect_timeout=20)

    def create_bucket(self, bucket):
        self._bucket(bucket).create_bucket()

    def bucket_location(self, bucket) -> str:
        return self._bucket(bucket).get_bucket_location().location

    def bucket_info(self, bucket):
        info = self._bucket(bucket).get_bucket_info()
        return info.name, info.location, info.storage_class

    def put(self, bucket, key, data, **headers) -> Stored:
        result = self._bucket(bucket).put_object(key, data, headers=_headers(headers))
        return Stored(etag=result.etag, crc=str(result.crc))

    def get(self, bucket, key, first=None, last=None) -> bytes:
        span = None if first is None and last is None else (first, last)
        return self._bucket(bucket).get_object(key, byte_range=span).read()

    def head(self, bucket, key) -> Stored:
        result = self._bucket(bucket).head_object(key)
        headers = result.headers
        return Stored(
            result.etag,
            str(result.server_crc),
            result.content_length,
            result.object_type,
            headers.get("x-oss-meta-colour", ""),
            headers.get("x-oss-storage-class", ""),
        )

    def delete(self, bucket, key):
        self._bucket(bucket).delete_object(key)

    def copy(self, source_bucket, source_key, bucket, key) -> Stored:
        return Stored(etag=self._bucket(bucket).copy_object(source_bucket, source_key, key).etag)

    def append(self, bucket, key, position, data) -> Stored:
        result = self._bucket(bucket).append_object(key, position, data)
        return Stored(crc=str(result.crc), position=result.next_position)

    def initiate(self, bucket, key, **headers) -> str:
        return self._bucket(bucket).init_multipart_upload(key, headers=_headers(headers)).upload_id

    def upload_part(self, bucket, key, upload_id, number, data) -> Stored:
        result = self._bucket(bucket).upload_part(key, upload_id, number, data)
        return Stored(etag=result.etag, crc=str(result.crc))

    def upload_part_copy(self, bucket, key, upload_id, number, source_bucket, source_key, first, last) -> Stored:
        span = (first, last)
        target = self._bucket(bucket)
        return Stored(etag=target.upload_part_copy(source_bucket, source_key, span, key, upload_id, number).etag)

    def complete(self, bucket, key, upload_id, parts, **headers) -> Stored:
        listed = [oss2.models.PartInfo(number, etag) for number, etag in parts]
        result = self._bucket(bucket).complete_multipart_upload(key, upload_id, listed, headers=_headers(headers))
        return Stored(etag=result.etag, crc=str(result.crc))

    def abort(self, bucket, key, upload_id):
        self._bucket(bucket).abort_multipart_upload(key, upload_id)

    def list_parts(self, bucket, key, upload_id, page):
        parts, marker, pages = [], "", 0
        while True:
            result = self._bucket(bucket).list_parts(key, upload_id, marker=marker, max_parts=page)
            parts += [(part.part_number, part.size, part.etag) for part in result.parts]
            pages += 1
            if not result.is_truncated:
                return parts, pages
            marker = result.next_marker

    def list_uploads(self, bucket, prefix, page):
        uploads, key_marker, id_marker, pages = [], "", "", 0
        while True:
            result = self._bucket(bucket).list_multipart_uploads(
                prefix=prefix, key_marker=key_marker, upload_id_marker=id_marker, max_uploads=page
            )
            uploads += [(upload.key, upload.upload_id) for upload in result.upload_list]
            pages += 1
            if not result.is_truncated:
                return uploads, pages
            key_marker, id_marker = result.next_key_marker, result.next_upload_id_marker

    def list_objects(self, bucket, prefix, delimiter, page, version):
        keys, prefixes, marker = [], [], ""
        source = self._bucket(bucket)
        while True:
            if version == 2:
                result = source.list_objects_v2(prefix, delimiter, continuation_token=marker, max_keys=page)
                marker = result.next_continuation_token
            else:
                result = source.list_objects(prefix, delimiter, marker, page)
                marker = result.next_marker
            keys += [found.key for found in result.object_list]
            prefixes += result.prefix_list
            if not result.is_truncated:
                return keys, prefixes

    def presign(self, method, bucket, key, seconds=60, headers=None, params=None) -> str:
        return self._bucket(bucket).sign_url(method, key, seconds, headers=headers, params=params, slash_safe=True)

    def resumable_upload(self, bucket, key, path, part_size, state, fail_after=None):
        store = oss2.ResumableStore(root=state)
        target = self._bucket(bucket)
        if fail_after is not None:
            upload_part, sent = target.upload_part, []

            def failing(*arguments, **options):
                if len(sent) >= fail_after:
                    raise Interrupted
                sent.append(1)
                return upload_part(*arguments, **options)

            target.upload_part = failing
        oss2.resumable_upload(
            target, key, path, store=store, multipart_threshold=part_size, part_size=part_size, num_threads=1
        )


class OssV2:
    """`alibabacloud-oss-v2`, the second Python SDK."""

    name = "alibabacloud_oss_v2"

    def __init__(self, port: int, keys: Keys, sign: str = "v4", style: str = "path", additional_headers=None):
        config = oss_v2.config.load_default()
        config.region = REGION
        config.endpoint = endpoint(port, style)
        config.signature_version = sign
        config.additional_headers = additional_headers
        config.credentials_provider = oss_v2.credentials.StaticCredentialsProvider(keys.id, keys.secret, keys.token)
        # A refusal that the SDK retries would only cost time here.
        config.retry_max_attempts = 1
        self.client = oss_v2.Client(config)

    def create_bucket(self, bucket):
        self.client.put_bucket(oss_v2.PutBucketRequest(bucket=bucket))

    def bucket_location(self, bucket) -> str:
        return self.client.get_bucket_location(oss_v2.GetBucketLocationRequest(bucket=bucket)).location

    def bucket_info(self, bucket):
        info = self.client.get_bucket_info(oss_v2.GetBucketInfoRequest(bucket=bucket)).bucket_info
        return info.name, info.location, info.storage_class

    def put(self, bucket, key, data, **headers) -> Stored:
        request = oss_v2.PutObjectRequest(bucket=bucket, key=key, body=data, **_fields(headers))
        result = self.client.put_object(request)
        return Stored(etag=_bare(result.etag), crc=result.hash_crc64)

    def get(self, bucket, key, first=None, last=None) -> bytes:
        span = None
        if first is not None or last is not None:
            span = f"bytes={'' if first is None else first}-{'' if last is None else last}"
        request = oss_v2.GetObjectRequest(bucket=bucket, key=key, range_header=span)
        with self.client.get_object(request).body as body:
            return body.read()

    def head(self, bucket, key) -> Stored:
        result = self.client.head_object(oss_v2.HeadObjectRequest(bucket=bucket, key=key))
        return Stored(
            _bare(result.etag),
            result.hash_crc64,
            result.content_length,
            result.object_type,
            (result.metadata or {}).get("colour", ""),
            result.storage_class,
        )

    def delete(self, bucket, key):
        self.client.delete_object(oss_v2.DeleteObjectRequest(bucket=bucket, key=key))

    def copy(self, source_bucket, source_key, bucket, key) -> Stored:
        request = oss_v2.CopyObjectRequest(
            bucket=bucket, key=key, source_bucket=source_bucket, source_key=source_key
        )
        return Stored(etag=_bare(self.client.copy_object(request).etag))

    def append(self, bucket, key, position, data) -> Stored:
        request = oss_v2.AppendObjectRequest(bucket=bucket, key=key, position=position, body=data)
        result = self.client.append_object(request)
        return Stored(crc=result.hash_crc64, position=result.next_position)

    def initiate(self, bucket, key, **headers) -> str:
        request = oss_v2.InitiateMultipartUploadRequest(bucket=bucket, key=key, **_fields(headers))
        return self.client.initiate_multipart_upload(request).upload_id

    def upload_part(self, bucket, key, upload_id, number, data) -> Stored:
        request = oss_v2.UploadPartRequest(
            bucket=bucket, key=key, upload_id=upload_id, part_number=number, body=data
        )
        result = self.client.upload_part(request)
        return Stored(etag=_bare(result.etag), crc=result.hash_crc64)

    def upload_part_copy(self, bucket, key, upload_id, number, source_bucket, source_key, first, last) -> Stored:
        request = oss_v2.UploadPartCopyRequest(
            bucket=bucket,
            key=key,
            upload_id=upload_id,
            part_number=number,
            source_bucket=source_bucket,
            source_key=source_key,
            source_range=f"bytes={first}-{last}",
        )
        return Stored(etag=_bare(self.client.upload_part_copy(request).etag))

    def complete(self, bucket, key, upload_id, parts, **headers) -> Stored:
        listed = [oss_v2.UploadPart(part_number=number, etag=f'"{etag}"') for number, etag in parts]
        request = oss_v2.CompleteMultipartUploadRequest(
            bucket=bucket,
            key=key,
            upload_id=upload_id,
            complete_multipart_upload=oss_v2.CompleteMultipartUpload(parts=listed),
            **_fields(headers),
        )
        result = self.client.complete_multipart_upload(request)
        return Stored(etag=_bare(result.etag), crc=result.hash_crc64)

    def complete_all(self, bucket, key, upload_id) -> Stored:
        request = oss_v2.CompleteMultipartUploadRequest(
            bucket=bucket, key=key, upload_id=upload_id, complete_all="yes"
        )
        return Stored(etag=_bare(self.client.complete_multipart_upload(request).etag))

    def abort(self, bucket, key, upload_id):
        request = oss_v2.AbortMultipartUploadRequest(bucket=bucket, key=key, upload_id=upload_id)
        self.client.abort_multipart_upload(request)

    def list_parts(self, bucket, key, upload_id, page):
        request = oss_v2.ListPartsRequest(bucket=bucket, key=key, upload_id=upload_id)
        pages = list(self.client.list_parts_paginator(limit=page).iter_page(request))
        parts = [part for one in pages for part in one.parts or []]
        return [(part.part_number, part.size, _bare(part.etag), part.hash_crc64) for part in parts], len(pages)

    def list_uploads(self, bucket, prefix, page):
        request = oss_v2.ListMultipartUploadsRequest(bucket=bucket, prefix=prefix)
        pages = list(self.client.list_multipart_uploads_paginator(limit=page).iter_page(request))
        uploads = [upload for one in pages for upload in one.uploads or []]
        return [(upload.key, upload.upload_id) for upload in uploads], len(pages)

    def list_objects(self, bucket, prefix, delimiter, page, version):
        if version == 2:
            request = oss_v2.ListObjectsV2Request(bucket=bucket, prefix=prefix, delimiter=delimiter)
            pages = list(self.client.list_objects_v2_paginator(limit=page).iter_page(request))
        else:
            request = oss_v2.ListObjectsRequest(bucket=bucket, prefix=prefix, delimiter=delimiter)
            pages = list(self.client.list_objects_paginator(limit=page).iter_page(request))
        keys = [found.key for one in pages for found in one.contents or []]
        return keys, [found.prefix for one in pages for found in one.common_prefixes or []]

    def presign(self, method, bucket, key, seconds=60, headers=None, params=None) -> str:
        kind = {"GET": oss_v2.GetObjectRequest, "PUT": oss_v2.PutObjectRequest}[method]
        request = kind(bucket=bucket, key=key, headers=headers or {}, parameters=params or {})
        expires = datetime.timedelta(seconds=seconds)
        return self.client.presign(request, expires=expires).url

    def resumable_upload(self, bucket, key, path, part_size, state, fail_after=None):
        client = self.client
        uploader = client.uploader(
            part_size=part_size, parallel_num=1, enable_checkpoint=True, checkpoint_dir=f"{state}/"
        )
        if fail_after is not None:
            upload_part, sent = client.upload_part, []

            def failing(*arguments, **options):
                if len(sent) >= fail_after:
                    raise Interrupted
                sent.append(1)
                return upload_part(*arguments, **options)

            client.upload_part = failing
        try:
            uploader.upload_file(oss_v2.PutObjectRequest(bucket=bucket, key=key), path)
        except oss_v2.uploader.UploadError as error:
            if isinstance(error.unwrap(), Interrupted):
                raise Interrupted from error
            raise
        finally:
            client.__dict__.pop("upload_part", None)


class Interrupted(Exception):
    """The client was stopped in the middle of an upload."""


def _bare(etag: str | None) -> str:
    return (etag or "").strip('"')


def _headers(wishes: dict) -> dict:
    names = {
        "forbid_overwrite": ("x-oss-forbid-overwrite", "true"),
        "storage_class": ("x-oss-storage-class", wishes.get("storage_class")),
        "content_type": ("Content-Type", wishes.get("content_type")),
        "colour": ("x-oss-meta-colour", wishes.get("colour")),
    }
    return dict(names[wish] for wish in wishes)


def _fields(wishes: dict) -> dict:
    fields = dict(wishes)
    if "colour" in fields:
        fields["metadata"] = {"colour": fields.pop("colour")}
    return fields
