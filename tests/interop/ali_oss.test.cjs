// The vendor's JavaScript client (`ali-oss`), with V1 and V4 signatures, against `ossup emulator`.
//
// It throws on presigning for hosts that are IP addresses, so it goes to `localhost` with `sldEnable`, its name for
// path style.

'use strict';

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const OSS = require('ali-oss');

const KEY_ID = `LTAI${crypto.randomBytes(10).toString('hex')}`;
const SECRET = crypto.randomBytes(16).toString('hex');
const TEMPORARY = { accessKeyId: 'STS.NUossupInterop', accessKeySecret: 'temporary-secret', stsToken: 'token+with/odd==' };
const BUCKET = 'images';
const OTHER = 'archive';
const SMALLEST_PART = 100 * 1024;
const KEYS = [
  'plain.qcow2',
  'with space and  two',
  'plus+percent%25 100%',
  "star*quote'paren()bang!",
  'dir/sub/trailing/',
  'a?query=1&other=2#fragment',
  'semi;colon:at@comma,dollar$equals=[x]{y}|^`"<>',
  '~tilde_-.under',
  '中文/镜像 文件.raw',
  'emoji-🎉-é',
];

const noise = (size, seed = '') => crypto.createHash('shake128', { outputLength: size }).update(seed + size).digest();
const md5 = data => crypto.createHash('md5').update(data).digest('hex').toUpperCase();
const quoted = etag => `"${etag}"`;
const multipartEtag = (...etags) => quoted(`${md5(etags.map(etag => etag.replaceAll('"', '')).join(''))}-${etags.length}`);

// Sends a request exactly as the URL says.
function fetchRaw(method, url, body) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const target = url.slice(url.indexOf('/', 'http://'.length));
    const headers = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const request = http.request({ method, hostname, port, path: target, headers }, answer => {
      const chunks = [];
      answer.on('data', chunk => chunks.push(chunk));
      answer.on('end', () => resolve({ status: answer.statusCode, body: Buffer.concat(chunks) }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function startEmulator(...extra) {
  const port = await new Promise(resolve => {
    const probe = net.createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = probe.address();
      probe.close(() => resolve(free));
    });
  });
  const data = fs.mkdtempSync(path.join(os.tmpdir(), 'ossup-interop-'));
  const buckets = ['--bucket', BUCKET, '--bucket', OTHER];
  const keys = extra.includes('--access-key-id') ? [] : ['--access-key-id', KEY_ID, '--access-key-secret', SECRET];
  const store = ['--data', path.join(data, 'store')];
  const command = ['emulator', '--listen', `127.0.0.1:${port}`, ...store, ...keys, ...buckets, ...extra];
  const server = spawn(process.env.OSSUP, command, { stdio: 'ignore' });
  const deadline = Date.now() + 20_000;
  for (;;) {
    const open = await new Promise(resolve => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true));
      socket.on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (open) break;
    assert.ok(server.exitCode === null && Date.now() < deadline, 'the emulator did not start');
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  return {
    port,
    stop: () =>
      new Promise(resolve => {
        server.once('exit', () => {
          fs.rmSync(data, { recursive: true, force: true });
          resolve();
        });
        server.kill('SIGTERM');
      }),
  };
}

async function refused(status, code, attempt) {
  await assert.rejects(attempt, error => {
    assert.deepEqual([error.status, error.code], [status, code], error.message);
    assert.ok(error.requestId, 'a request id');
    return true;
  });
}

let server;
let temporary;

function client(v4, options = {}, port = server.port) {
  return new OSS({
    region: 'oss-cn-hangzhou',
    endpoint: `http://localhost:${port}`,
    sldEnable: true,
    accessKeyId: KEY_ID,
    accessKeySecret: SECRET,
    bucket: BUCKET,
    authorizationV4: v4,
    // Asked for by the client itself, which else warns about every token.
    refreshSTSToken: async () => TEMPORARY,
    refreshSTSTokenInterval: 3_600_000,
    ...options,
  });
}

before(async () => {
  server = await startEmulator();
  temporary = await startEmulator(
    ...['--access-key-id', TEMPORARY.accessKeyId, '--access-key-secret', TEMPORARY.accessKeySecret],
    ...['--sts-token', TEMPORARY.stsToken],
  );
});
after(async () => {
  await server.stop();
  await temporary.stop();
});

for (const v4 of [false, true]) {
  describe(v4 ? 'V4' : 'V1', () => {
    const prefix = `${v4 ? 'v4' : 'v1'}/`;
    const presign = (oss, name, { method = 'GET', expires = 60 } = {}) =>
      v4 ? oss.signatureUrlV4(method, expires, undefined, name) : oss.signatureUrl(name, { method, expires });

    test('put, get, head, delete', async () => {
      const oss = client(v4);
      const [name, data] = [`${prefix}object`, noise(70_001)];
      const put = await oss.put(name, data, { meta: { colour: 'blue' }, headers: { 'x-oss-storage-class': 'IA' } });
      assert.equal(put.res.headers.etag, quoted(md5(data)));
      assert.deepEqual((await oss.get(name)).content, data);
      assert.deepEqual((await oss.get(name, { headers: { Range: 'bytes=10-19' } })).content, data.subarray(10, 20));
      const head = await oss.head(name);
      assert.equal(head.meta.colour, 'blue');
      assert.equal(head.res.headers['content-length'], '70001');
      assert.equal(head.res.headers['x-oss-storage-class'], 'IA');
      assert.equal(head.res.headers['x-oss-object-type'], 'Normal');
      await oss.delete(name);
      await refused(404, 'NoSuchKey', () => oss.get(name));
      await assert.rejects(() => oss.head(name), { status: 404 });
      await oss.delete(name);
    });

    test('odd keys', async () => {
      const oss = client(v4);
      for (const name of KEYS) {
        const data = noise(100, name);
        await oss.put(name, data);
        assert.deepEqual((await oss.get(name)).content, data, name);
        const got = await fetchRaw('GET', await presign(oss, name));
        assert.deepEqual([got.status, got.body], [200, data], name);
        await oss.copy(`${prefix}copy`, name);
        assert.deepEqual((await oss.get(`${prefix}copy`)).content, data, name);
      }
      const found = [];
      for (let marker; ; ) {
        const page = await oss.list({ 'max-keys': 3, ...(marker && { marker }) }, {});
        found.push(...page.objects.map(object => object.name));
        if (!page.isTruncated) break;
        marker = page.nextMarker;
      }
      const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
      assert.deepEqual(found.filter(name => KEYS.includes(name)), [...KEYS].sort(byBytes));
      for (const name of KEYS) await oss.delete(name);
    });

    test('the life of a multipart upload', async () => {
      const oss = client(v4);
      const name = `${prefix}parts`;
      const parts = { 1: noise(SMALLEST_PART, '1'), 3: noise(SMALLEST_PART + 7, '3'), 10000: noise(11, 'last') };
      const { uploadId } = await oss.initMultipartUpload(name, { headers: { 'x-oss-storage-class': 'IA' } });
      const send = (number, data) => oss.uploadPart(name, uploadId, number, data, 0, data.length);
      await send(3, noise(5000, 'replaced'));
      const done = [];
      for (const number of [10000, 3, 1]) {
        const { etag } = await send(number, parts[number]);
        assert.equal(etag, quoted(md5(parts[number])));
        done.push({ number, etag });
      }
      const listed = [];
      let pages = 0;
      for (let marker = 0; ; pages += 1) {
        const page = await oss.listParts(name, uploadId, { 'max-parts': 2, 'part-number-marker': marker }, {});
        listed.push(...[].concat(page.parts).map(part => [Number(part.PartNumber), Number(part.Size)]));
        if (page.isTruncated !== 'true') break;
        marker = page.nextPartNumberMarker;
      }
      assert.deepEqual([listed, pages], [[[1, SMALLEST_PART], [3, SMALLEST_PART + 7], [10000, 11]], 1]);
      const complete = await oss.completeMultipartUpload(name, uploadId, done, {});
      const inOrder = [1, 3, 10000].map(number => done.find(part => part.number === number).etag);
      assert.equal(complete.etag, multipartEtag(...inOrder));
      assert.deepEqual((await oss.get(name)).content, Buffer.concat([parts[1], parts[3], parts[10000]]));
      const head = await oss.head(name);
      assert.equal(head.res.headers['x-oss-object-type'], 'Multipart');
      await refused(404, 'NoSuchUpload', () => oss.completeMultipartUpload(name, uploadId, done, {}));
      await refused(404, 'NoSuchUpload', () => oss.abortMultipartUpload(name, uploadId));
    });

    test('parts copied from objects', async () => {
      const oss = client(v4);
      const [source, name] = [`${prefix}source ü+`, `${prefix}target`];
      const data = noise(3 * SMALLEST_PART);
      await client(v4, { bucket: OTHER }).put(source, data);
      const from = { sourceBucketName: OTHER, sourceKey: source };
      const { uploadId } = await oss.initMultipartUpload(name);
      const first = await oss.uploadPartCopy(name, uploadId, 1, `5-${SMALLEST_PART + 4}`, from, {});
      const last = await oss.uploadPartCopy(name, uploadId, 2, `${2 * SMALLEST_PART}-${data.length - 1}`, from, {});
      assert.equal(first.etag, quoted(md5(data.subarray(5, SMALLEST_PART + 5))));
      await oss.completeMultipartUpload(name, uploadId, [{ number: 1, etag: first.etag }, { number: 2, etag: last.etag }], {});
      const want = Buffer.concat([data.subarray(5, SMALLEST_PART + 5), data.subarray(2 * SMALLEST_PART)]);
      assert.deepEqual((await oss.get(name)).content, want);
      await oss.multipartUploadCopy(`${prefix}whole`, from, { partSize: SMALLEST_PART });
      assert.deepEqual((await oss.get(`${prefix}whole`)).content, data);
    });

    test('a resumable upload is taken up again', async () => {
      const oss = client(v4);
      const name = `${prefix}resumed`;
      const data = noise(4 * SMALLEST_PART + 123);
      const file = path.join(os.tmpdir(), `ossup-interop-${process.pid}.raw`);
      fs.writeFileSync(file, data);
      try {
        let checkpoint;
        const stopped = oss.multipartUpload(name, file, {
          partSize: SMALLEST_PART,
          parallel: 1,
          progress: (share, at) => {
            if (at) checkpoint = JSON.parse(JSON.stringify(at));
            if (share >= 0.4) oss.cancel();
          },
        });
        await assert.rejects(stopped, { name: 'cancel' });
        const sent = checkpoint.doneParts.length;
        assert.ok(sent >= 2 && sent < 5, `${sent} parts`);
        const open = await oss.listUploads({ prefix: name, 'max-uploads': 10 }, {});
        assert.deepEqual(open.uploads.map(upload => upload.uploadId), [checkpoint.uploadId]);
        await client(v4).multipartUpload(name, file, { checkpoint, parallel: 2 });
        assert.deepEqual((await oss.get(name)).content, data);
      } finally {
        fs.rmSync(file);
      }
    });

    test('uploads listed over several pages', async () => {
      const oss = client(v4);
      const opened = [];
      for (const name of ['a', 'b', 'b', 'b', 'c/d']) {
        const { uploadId } = await oss.initMultipartUpload(`${prefix}open/${name}`);
        opened.push([`${prefix}open/${name}`, uploadId]);
      }
      const found = [];
      let query = { prefix: `${prefix}open/`, 'max-uploads': 2 };
      for (;;) {
        const page = await oss.listUploads(query, {});
        found.push(...page.uploads.map(upload => [upload.name, upload.uploadId]));
        if (!page.isTruncated) break;
        query = { ...query, 'key-marker': page.nextKeyMarker, 'upload-id-marker': page.nextUploadIdMarker };
      }
      assert.deepEqual(found, opened.sort());
      for (const [name, uploadId] of opened) await oss.abortMultipartUpload(name, uploadId);
      assert.deepEqual((await oss.listUploads({ prefix: `${prefix}open/` }, {})).uploads, []);
    });

    test('objects listed in pages and folders', async () => {
      const oss = client(v4);
      const names = ['a', 'b/1', 'b/2', 'c', 'd/1'].map(name => `${prefix}list/${name}`);
      for (const name of names) await oss.put(name, Buffer.from('x'));
      const one = await oss.list({ prefix: `${prefix}list/`, delimiter: '/' }, {});
      assert.deepEqual(one.objects.map(object => object.name), [names[0], names[3]]);
      assert.deepEqual(one.prefixes, [`${prefix}list/b/`, `${prefix}list/d/`]);
      const found = [];
      for (let token; ; ) {
        const page = await oss.listV2({ prefix: `${prefix}list/`, 'max-keys': 2, ...(token && { 'continuation-token': token }) });
        found.push(...page.objects.map(object => object.name));
        if (!page.isTruncated) break;
        token = page.nextContinuationToken;
      }
      assert.deepEqual(found, names);
    });

    test('append', async () => {
      const oss = client(v4);
      const name = `${prefix}appended`;
      assert.equal((await oss.append(name, Buffer.from('one '))).nextAppendPosition, '4');
      assert.equal((await oss.append(name, Buffer.from('two'), { position: 4 })).nextAppendPosition, '7');
      await refused(409, 'PositionNotEqualToLength', () => oss.append(name, Buffer.from('x'), { position: 3 }));
      assert.equal((await oss.get(name)).content.toString(), 'one two');
    });

    test('presigned GET and PUT', async () => {
      const oss = client(v4);
      const name = `${prefix}presigned &=+ü`;
      assert.equal((await fetchRaw('PUT', await presign(oss, name, { method: 'PUT' }), 'put by URL')).status, 200);
      const url = await presign(oss, name);
      const got = await fetchRaw('GET', url);
      assert.deepEqual([got.status, got.body.toString()], [200, 'put by URL']);
      const other = await fetchRaw('GET', url.replace('presigned', 'presignee'));
      assert.equal(other.status, 403);
      assert.match(other.body.toString(), /<Code>SignatureDoesNotMatch<\/Code>/);
    });

    test('a presigned URL ends', async () => {
      const oss = client(v4);
      const name = `${prefix}short`;
      await oss.put(name, Buffer.from('x'));
      const url = await presign(oss, name, { expires: 1 });
      let answer;
      const deadline = Date.now() + 10_000;
      do {
        answer = await fetchRaw('GET', url);
        await new Promise(resolve => setTimeout(resolve, 200));
      } while (answer.status === 200 && Date.now() < deadline);
      assert.equal(answer.status, 403);
      assert.match(answer.body.toString(), /<Code>AccessDenied<\/Code>.*Request has expired\./);
    });

    test('wrong keys', async () => {
      const never = oss => oss.put(`${prefix}never`, Buffer.from('x'));
      await refused(403, 'SignatureDoesNotMatch', () => never(client(v4, { accessKeySecret: 'wrong' })));
      await refused(403, 'InvalidAccessKeyId', () => never(client(v4, { accessKeyId: 'LTAInobody' })));
    });

    test('temporary keys', async () => {
      const oss = client(v4, TEMPORARY, temporary.port);
      const name = `${prefix}temporary`;
      await oss.put(name, Buffer.from('with a token'));
      assert.equal((await oss.get(name)).content.toString(), 'with a token');
      assert.equal((await fetchRaw('GET', await presign(oss, name))).body.toString(), 'with a token');
      const wrong = client(v4, { ...TEMPORARY, stsToken: 'another', refreshSTSToken: async () => ({}) }, temporary.port);
      await assert.rejects(() => wrong.get(name), { status: 403 });
    });

    test('buckets', async () => {
      const oss = client(v4);
      await oss.putBucket(`made-by-ali-oss-${v4 ? 'v4' : 'v1'}`);
      assert.equal((await oss.getBucketLocation(BUCKET)).location, 'oss-cn-hangzhou');
      const { bucket } = await oss.getBucketInfo(BUCKET);
      assert.deepEqual([bucket.Name, bucket.Location, bucket.StorageClass], [BUCKET, 'oss-cn-hangzhou', 'Standard']);
      await refused(404, 'NoSuchBucket', () => client(v4, { bucket: 'no-such-bucket' }).put('x', Buffer.from('y')));
    });
  });
}

test('what `ossup` uploads reads back', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ossup-interop-'));
  try {
    const data = crypto.randomBytes((8 << 20) + 12_345);
    const file = path.join(folder, 'disk.raw');
    fs.writeFileSync(file, data);
    for (const name of ['uploaded.raw', '中文/with space+plus%25.raw']) {
      const shared = ['--endpoint', `http://127.0.0.1:${server.port}`, '--region', 'cn-hangzhou', '--output', 'json'];
      const command = ['upload', file, `oss://${BUCKET}/${name}`, '--no-inspect', '--state-dir', `${folder}/state`, ...shared];
      const env = { PATH: process.env.PATH, HOME: folder, OSS_ACCESS_KEY_ID: KEY_ID, OSS_ACCESS_KEY_SECRET: SECRET };
      const done = spawnSync(process.env.OSSUP, command, { env, encoding: 'utf8', timeout: 120_000 });
      assert.equal(done.status, 0, done.stderr);
      const report = JSON.parse(done.stdout);
      for (const v4 of [false, true]) {
        const head = await client(v4).head(name);
        assert.equal(head.res.headers['x-oss-hash-crc64ecma'], report.crc64);
        assert.deepEqual((await client(v4).get(name)).content, data);
      }
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
