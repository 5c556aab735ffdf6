"""The vendor's clients of ECS, with signatures ACS3 and V1, drive every action that the emulator has."""

import base64
import json
import os
import re
import time
import unittest
import urllib.parse

import alibabacloud_ecs20140526.models as ecs_models
from alibabacloud_ecs20140526.client import Client as EcsClient
from alibabacloud_tea_openapi.client import Client as OpenApiClient
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config, OpenApiRequest, Params
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest
from darabonba.runtime import RuntimeOptions

from clients import Keys, Oss2
from emulator import ACCESS_KEY_ID, ACCESS_KEY_SECRET, Emulator

REGION, FAR = "cn-hangzhou", "us-west-1"
BUCKET = "images"
ROLE = "AliyunECSImageImportDefaultRole"
PATIENCE_SECONDS = 30


def setUpModule():
    global PERMANENT, SERVER
    PERMANENT = Keys(ACCESS_KEY_ID, ACCESS_KEY_SECRET)
    SERVER = Emulator(os.environ["OSSUP"], "--region", REGION, "--bucket", BUCKET, "--bucket", f"far@{FAR}")
    Oss2(SERVER.port, PERMANENT).put(BUCKET, "disk.raw", disk())
    Oss2(SERVER.port, PERMANENT).put(BUCKET, "not-a-disk.raw", b"<html>not found</html>" * 100)


def tearDownModule():
    SERVER.stop()


def disk() -> bytes:
    """A RAW disk with MBR boot code, an active Linux partition and an ext4 superblock in it."""
    image = bytearray(16 << 20)
    first, sectors = 2048, (16 << 20) // 512 - 2048
    image[0:3] = b"\xeb\x63\x90"
    image[446:462] = bytes([0x80, 0, 2, 0, 0x83, 0, 0, 0]) + first.to_bytes(4, "little") + sectors.to_bytes(4, "little")
    image[510:512] = b"\x55\xaa"
    superblock = first * 512 + 1024
    image[superblock + 56 : superblock + 58] = b"\x53\xef"
    return bytes(image)


class Refused(Exception):
    def __init__(self, status, code, message, request_id):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.request_id = status, code, message, request_id


class Current:
    """`alibabacloud-ecs20140526`; other services through the client that it is built on."""

    def __init__(self, keys, algorithm):
        config = Config(
            access_key_id=keys.id,
            access_key_secret=keys.secret,
            security_token=keys.token or None,
            endpoint=f"127.0.0.1:{SERVER.port}",
            protocol="http",
            region_id=REGION,
            signature_algorithm=algorithm,
        )
        self.client, self.other = EcsClient(config), OpenApiClient(config)

    def call(self, action, **parameters):
        request = getattr(ecs_models, f"{action}Request")().from_map(parameters)
        method = getattr(self.client, re.sub("(?<!^)(?=[A-Z])", "_", action).lower() + "_with_options")
        try:
            return method(request, RuntimeOptions(autoretry=False, max_attempts=1)).body.to_map()
        except AlibabaCloudException as error:
            raise refusal(error) from error

    def call_service(self, version, action, **parameters):
        params = Params(
            action=action,
            version=version,
            protocol="HTTP",
            pathname="/",
            method="POST",
            auth_type="AK",
            style="RPC",
            req_body_type="formData",
            body_type="json",
        )
        request = OpenApiRequest(query={name: str(value) for name, value in parameters.items()})
        try:
            return self.other.call_api(params, request, RuntimeOptions(autoretry=False, max_attempts=1))["body"]
        except AlibabaCloudException as error:
            raise refusal(error) from error


def refusal(error):
    message = error.message
    request_id = (getattr(error, "data", None) or {}).get("RequestId") or getattr(error, "request_id", None)
    return Refused(int(error.status_code), error.code, message, request_id)


class Legacy:
    """`aliyun-python-sdk-core` with `aliyun-python-sdk-ecs`: signature V1."""

    def __init__(self, keys):
        if keys.token:
            credential = StsTokenCredential(keys.id, keys.secret, keys.token)
        else:
            credential = AccessKeyCredential(keys.id, keys.secret)
        self.client = AcsClient(region_id=REGION, credential=credential, auto_retry=False, port=SERVER.port)

    def call(self, action, **parameters):
        module = __import__(f"aliyunsdkecs.request.v20140526.{action}Request", fromlist=["x"])
        request = getattr(module, f"{action}Request")()
        for name, value in parameters.items():
            setter = getattr(request, f"set_{name}s" if isinstance(value, list) else f"set_{name}", None)
            if setter:
                setter(value)
            else:
                # Younger than the SDK, or `RegionId`, which it takes from the client.
                request.add_query_param(name, value)
        return self._send(request)

    def call_service(self, version, action, **parameters):
        request = CommonRequest(domain="127.0.0.1", version=version, action_name=action)
        request.set_method("POST")
        for name, value in parameters.items():
            request.add_query_param(name, value)
        return self._send(request)

    def _send(self, request):
        request.set_endpoint("127.0.0.1")
        request.set_protocol_type("http")
        request.set_accept_format("json")
        try:
            return json.loads(self.client.do_action_with_exception(request))
        except ServerException as error:
            raise Refused(
                error.get_http_status(), error.get_error_code(), error.get_error_msg(), error.get_request_id()
            ) from error


class Scenarios:
    wrong_secret = "SignatureDoesNotMatch"

    def make(self, keys):
        raise NotImplementedError

    def setUp(self):
        self.ecs = self.make(PERMANENT)
        self.name = re.sub("[^a-z0-9-]", "-", self.id().lower())[-100:].lstrip("-")

    def refused(self, status, code, action, **parameters):
        with self.assertRaises(Refused) as caught:
            self.ecs.call(action, **parameters)
        self.assertEqual((caught.exception.status, caught.exception.code), (status, code), caught.exception.message)
        self.assertTrue(caught.exception.request_id)
        return caught.exception

    def submit(self, name=None, **more):
        disks = [{"OSSBucket": BUCKET, "OSSObject": "disk.raw", "Format": "RAW", "DiskImageSize": 20}]
        wishes = {"RegionId": REGION, "ImageName": name or self.name, "DiskDeviceMapping": disks, **more}
        answer = self.ecs.call("ImportImage", **wishes)
        self.assertRegex(answer["ImageId"], "^m-[a-z0-9]{20}$")
        self.assertRegex(answer["TaskId"], "^t-[a-z0-9]{20}$")
        self.assertEqual(answer["RegionId"], REGION)
        return answer["ImageId"], answer["TaskId"]

    def images(self, region=REGION, **wishes):
        wishes = {"Status": "Waiting,Creating,Available,UnAvailable,CreateFailed", **wishes}
        return self.ecs.call("DescribeImages", RegionId=region, **wishes)["Images"]["Image"]

    def wait(self, image_id, region=REGION):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            (image,) = self.images(region, ImageId=image_id)
            if image["Status"] not in ("Waiting", "Creating"):
                return image
            self.assertLess(time.monotonic(), deadline, image)
            time.sleep(0.2)

    def test_an_import_from_submission_to_deletion(self):
        image_id, task_id = self.submit(
            Platform="Ubuntu",
            OSType="linux",
            Architecture="x86_64",
            BootMode="BIOS",
            Description="made by a test: ü & = +",
            ClientToken=self.name[:64],
            Tag=[{"Key": "team", "Value": "a b"}],
        )
        again, same_task = self.submit(
            Platform="Ubuntu",
            OSType="linux",
            Architecture="x86_64",
            BootMode="BIOS",
            Description="made by a test: ü & = +",
            ClientToken=self.name[:64],
            Tag=[{"Key": "team", "Value": "a b"}],
        )
        self.assertEqual((again, same_task), (image_id, task_id))
        self.assertEqual(self.images(ImageId=image_id, Status="Available"), [])
        tasks = self.ecs.call("DescribeTasks", RegionId=REGION, TaskIds=task_id, TaskAction="ImportImage")
        (task,) = tasks["TaskSet"]["Task"]
        self.assertEqual((task["TaskId"], task["TaskAction"], task["TaskStatus"]), (task_id, "ImportImage", "Processing"))
        attribute = self.ecs.call("DescribeTaskAttribute", RegionId=REGION, TaskId=task_id)
        self.assertRegex(attribute["TaskProcess"], r"^\d+%$")
        self.refused(403, "ImageIsImporting", "DeleteImage", RegionId=REGION, ImageId=image_id)

        image = self.wait(image_id)
        self.assertEqual(
            (image["Status"], image["ImageName"], image["Platform"], image["Architecture"], image["BootMode"]),
            ("Available", self.name, "Ubuntu", "x86_64", "BIOS"),
        )
        self.assertEqual(image["Description"], "made by a test: ü & = +")
        self.assertEqual(image["Tags"]["Tag"], [{"TagKey": "team", "TagValue": "a b"}])
        (mapping,) = image["DiskDeviceMappings"]["DiskDeviceMapping"]
        self.assertEqual((mapping["ImportOSSBucket"], mapping["ImportOSSObject"]), (BUCKET, "disk.raw"))
        self.assertEqual(int(mapping["Size"]), 20)
        attribute = self.ecs.call("DescribeTaskAttribute", RegionId=REGION, TaskId=task_id)
        self.assertEqual((attribute["TaskStatus"], attribute["TaskProcess"]), ("Finished", "100%"))

        snapshot_id = mapping["SnapshotId"]
        listed = self.ecs.call("DescribeSnapshots", RegionId=REGION, SnapshotIds=json.dumps([snapshot_id]))
        (snapshot,) = listed["Snapshots"]["Snapshot"]
        self.assertEqual((snapshot["SnapshotId"], snapshot["Status"]), (snapshot_id, "accomplished"))

        renamed = f"r-{self.name}"[:128]
        self.ecs.call("ModifyImageAttribute", RegionId=REGION, ImageId=image_id, ImageName=renamed, ImageFamily="web")
        self.assertEqual([found["ImageId"] for found in self.images(ImageFamily="web", ImageName=renamed)], [image_id])
        self.ecs.call("DeleteImage", RegionId=REGION, ImageId=image_id, Force=False)
        self.assertEqual(self.images(ImageId=image_id), [])
        self.assertEqual(listed["TotalCount"], 1)
        self.ecs.call("DeleteSnapshot", SnapshotId=snapshot_id)
        listed = self.ecs.call("DescribeSnapshots", RegionId=REGION, SnapshotIds=json.dumps([snapshot_id]))
        self.assertEqual(listed["TotalCount"], 0)

    def test_several_disks(self):
        disks = [{"OSSBucket": BUCKET, "OSSObject": "disk.raw", "Format": "RAW", "DiskImageSize": 20 + n} for n in range(12)]
        image_id, _ = self.submit(DiskDeviceMapping=disks)
        sizes = [int(disk["Size"]) for disk in self.wait(image_id)["DiskDeviceMappings"]["DiskDeviceMapping"]]
        self.assertEqual(sizes, list(range(20, 32)))

    def test_a_cancelled_import(self):
        image_id, task_id = self.submit()
        self.ecs.call("CancelTask", RegionId=REGION, TaskId=task_id)
        attribute = self.ecs.call("DescribeTaskAttribute", RegionId=REGION, TaskId=task_id)
        self.assertEqual(attribute["TaskStatus"], "Deleted")
        self.assertEqual(self.images(ImageId=image_id), [])
        self.refused(403, "InvalidTaskId.IncorrectTaskStatus", "CancelTask", RegionId=REGION, TaskId=task_id)
        self.refused(400, "InvalidTaskId.NotFound", "CancelTask", RegionId=REGION, TaskId="t-none")

    def test_refused_imports(self):
        def import_image(status, code, name=self.name, bucket=BUCKET, key="disk.raw", **more):
            disks = [{"OSSBucket": bucket, "OSSObject": key, "Format": more.pop("format", "RAW")}]
            wishes = {"RegionId": REGION, "ImageName": name, "DiskDeviceMapping": disks, **more}
            return self.refused(status, code, "ImportImage", **wishes)

        import_image(400, "InvalidImageName.Malformed", name="1 x")
        import_image(400, "InvalidOSSBucket.NotFound", bucket="no-such-bucket")
        import_image(400, "InvalidOSSBucket.NotFound", bucket="far")
        import_image(400, "InvalidOSSObject.NotFound", key="missing.raw")
        import_image(400, "InvalidImageFormat.Malformed", format="ISO")
        import_image(400, "InvalidArchitecture.Malformed", Architecture="amd64")
        import_image(400, "InvalidBootMode.NotSupport", Architecture="arm64", BootMode="BIOS")
        import_image(400, "InvalidRegionId.NotFound", RegionId="mars-1")
        import_image(400, "DryRunOperation", DryRun=True)
        self.assertEqual(self.images(ImageName=self.name), [])
        self.submit()
        import_image(400, "InvalidImageName.Duplicated")

    def test_copied_images(self):
        image_id, _ = self.submit()
        self.wait(image_id)
        copy = {"RegionId": REGION, "ImageId": image_id, "DestinationRegionId": FAR}
        copied = self.ecs.call("CopyImage", **copy, DestinationImageName=self.name)["ImageId"]
        self.assertNotEqual(copied, image_id)
        self.refused(400, "InvalidImageName.Duplicated", "CopyImage", **copy, DestinationImageName=self.name)
        image = self.wait(copied, FAR)
        self.assertEqual((image["Status"], bool(image["IsCopied"])), ("Available", True))
        cancelled = self.ecs.call("CopyImage", **copy, DestinationImageName=f"{self.name}-2"[-100:])["ImageId"]
        self.ecs.call("CancelCopyImage", RegionId=FAR, ImageId=cancelled)
        self.assertEqual(self.images(FAR, ImageId=cancelled), [])
        self.refused(404, "InvalidImageId.NotFound", "CopyImage", **{**copy, "ImageId": "m-none"}, DestinationImageName="x1")

    def test_shared_images(self):
        image_id, _ = self.submit()
        self.wait(image_id)
        share = {"RegionId": REGION, "ImageId": image_id}
        self.ecs.call("ModifyImageSharePermission", **share, AddAccount=["1111111111111111", "2222222222222222"])
        self.ecs.call("ModifyImageSharePermission", **share, RemoveAccount=["1111111111111111"])
        shared = self.ecs.call("DescribeImageSharePermission", **share)
        self.assertEqual([account["AliyunId"] for account in shared["Accounts"]["Account"]], ["2222222222222222"])
        self.refused(403, "ImageUseShared", "DeleteImage", **share, Force=False)
        self.ecs.call("ModifyImageSharePermission", **share, RemoveAccount=["2222222222222222"])
        self.ecs.call("DeleteImage", **share, Force=False)

    def test_tags(self):
        image_id, _ = self.submit()
        resources = {"RegionId": REGION, "ResourceType": "image", "ResourceId": [image_id]}
        self.ecs.call("TagResources", **resources, Tag=[{"Key": "stage", "Value": self.name[-60:]}, {"Key": "team", "Value": "web"}])
        listed = self.ecs.call("ListTagResources", **resources)["TagResources"]["TagResource"]
        self.assertEqual({tag["TagKey"]: tag["TagValue"] for tag in listed}, {"stage": self.name[-60:], "team": "web"})
        self.ecs.call("UntagResources", **resources, TagKey=["stage"])
        listed = self.ecs.call("ListTagResources", **resources)["TagResources"]["TagResource"]
        self.assertEqual([tag["TagKey"] for tag in listed], ["team"])

    def test_instances(self):
        image_id, _ = self.submit()
        self.wait(image_id)
        wishes = {"RegionId": REGION, "ImageId": image_id, "InstanceType": "ecs.g7.large", "SecurityGroupId": "sg-emulated"}
        run = {**wishes, "VSwitchId": "vsw-emulated", "ClientToken": self.name[-60:]}
        (instance_id,) = self.ecs.call("RunInstances", **run)["InstanceIdSets"]["InstanceIdSet"]
        again = self.ecs.call("RunInstances", **run)["InstanceIdSets"]["InstanceIdSet"]
        self.assertEqual(again, [instance_id])
        self.refused(404, "InvalidVSwitchId.NotFound", "RunInstances", **wishes, VSwitchId="vsw-none")

        def described():
            return self.ecs.call("DescribeInstances", RegionId=REGION, InstanceIds=json.dumps([instance_id]))["Instances"]["Instance"]

        (instance,) = described()
        self.assertEqual((instance["InstanceId"], instance["ImageId"]), (instance_id, image_id))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while described()[0]["Status"] != "Running":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.ecs.call("GetInstanceConsoleOutput", RegionId=REGION, InstanceId=instance_id)
        self.ecs.call("DeleteInstance", InstanceId=instance_id, Force=True)
        self.assertEqual(described(), [])

    def test_regions(self):
        regions = [region["RegionId"] for region in self.ecs.call("DescribeRegions")["Regions"]["Region"]]
        self.assertIn(REGION, regions)
        self.assertIn(FAR, regions)

    def test_pages(self):
        for n in range(3):
            self.submit(f"{self.name}-{n}"[-100:])
        found = []
        for page in (1, 2):
            answer = self.ecs.call(
                "DescribeImages", RegionId=REGION, Status="Waiting,Creating,Available", ImageName=self.name[-90:], PageNumber=page, PageSize=2
            )
            self.assertEqual(answer["TotalCount"], 3)
            found.append([image["ImageId"] for image in answer["Images"]["Image"]])
        self.assertEqual([len(page) for page in found], [2, 1])
        self.assertEqual(len({image for page in found for image in page}), 3)

    def test_wrong_keys(self):
        for keys, status, code in (
            (Keys(ACCESS_KEY_ID, "wrong"), 400, self.wrong_secret),
            (Keys("LTAInobody", "x"), 404, "InvalidAccessKeyId.NotFound"),
        ):
            self.ecs = self.make(keys)
            self.refused(status, code, "DescribeRegions")
            self.refused(status, code, "DescribeImages", RegionId=REGION)

    def test_what_is_not_known_is_refused(self):
        with self.assertRaises(Refused) as caught:
            self.ecs.call("DescribeDisks", RegionId=REGION)
        self.assertIn("DescribeDisks", str(caught.exception.message))

    def test_temporary_keys_of_a_role(self):
        sts, ram = "2015-04-01", "2015-05-01"
        identity = self.ecs.call_service(sts, "GetCallerIdentity")
        self.assertRegex(identity["AccountId"], r"^\d{16}$")
        role = f"role-{self.name}"[:64]
        trust = {
            "Version": "1",
            "Statement": [
                {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"RAM": [f"acs:ram::{identity['AccountId']}:root"]}}
            ],
        }
        made = self.ecs.call_service(ram, "CreateRole", RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
        arn = made["Role"]["Arn"]
        assumed = self.ecs.call_service(sts, "AssumeRole", RoleArn=arn, RoleSessionName="interop", DurationSeconds=900)
        got = assumed["Credentials"]
        keys = Keys(got["AccessKeyId"], got["AccessKeySecret"], got["SecurityToken"])
        self.assertTrue(keys.id.startswith("STS."))
        self.assertGreaterEqual(len(self.make(keys).call("DescribeRegions")["Regions"]["Region"]), 2)
        Oss2(SERVER.port, keys).put(BUCKET, self.name, b"with a role's keys")
        with self.assertRaises(Refused) as caught:
            self.make(Keys(keys.id, keys.secret, "forged")).call("DescribeRegions")
        self.assertIn("SecurityToken", caught.exception.code)

    def test_roles(self):
        ram = "2015-05-01"
        role = f"ram-{self.name}"[:64]
        trust = {
            "Version": "1",
            "Statement": [
                {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": ["ecs.aliyuncs.com"]}}
            ],
        }
        with self.assertRaises(Refused) as caught:
            self.ecs.call_service(ram, "GetRole", RoleName=role)
        self.assertEqual((caught.exception.status, caught.exception.code), (404, "EntityNotExist.Role"))
        create = {"RoleName": role, "AssumeRolePolicyDocument": json.dumps(trust), "Description": "for a test"}
        self.ecs.call_service(ram, "CreateRole", **create)
        with self.assertRaises(Refused) as caught:
            self.ecs.call_service(ram, "CreateRole", **create)
        self.assertEqual((caught.exception.status, caught.exception.code), (409, "EntityAlreadyExists.Role"))
        attach = {"RoleName": role, "PolicyType": "System", "PolicyName": "AliyunECSImageImportRolePolicy"}
        self.ecs.call_service(ram, "AttachPolicyToRole", **attach)
        with self.assertRaises(Refused) as caught:
            self.ecs.call_service(ram, "AttachPolicyToRole", **attach)
        self.assertEqual(caught.exception.code, "EntityAlreadyExists.Role.Policy")
        (policy,) = self.ecs.call_service(ram, "ListPoliciesForRole", RoleName=role)["Policies"]["Policy"]
        self.assertEqual((policy["PolicyName"], policy["PolicyType"]), ("AliyunECSImageImportRolePolicy", "System"))
        trust["Statement"][0]["Principal"]["Service"].append("oss.aliyuncs.com")
        self.ecs.call_service(ram, "UpdateRole", RoleName=role, NewAssumeRolePolicyDocument=json.dumps(trust))
        document = self.ecs.call_service(ram, "GetRole", RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        self.assertEqual(json.loads(urllib.parse.unquote(document)), trust)


class CurrentAcs3(Scenarios, unittest.TestCase):
    def make(self, keys):
        return Current(keys, None)

    def test_an_assumed_role_with_an_oidc_token(self):
        sts, ram = "2015-04-01", "2015-05-01"
        role = f"oidc-{self.name}"[:64]
        provider = "acs:ram::1234567890123456:oidc-provider/ack"
        trust = {
            "Version": "1",
            "Statement": [
                {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Federated": [provider]}}
            ],
        }
        made = self.ecs.call_service(ram, "CreateRole", RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
        part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
        token = f"{part({'alg': 'RS256'})}.{part({'sub': 'pod', 'exp': int(time.time()) + 600})}.c2ln"
        assumed = self.ecs.call_service(
            sts,
            "AssumeRoleWithOIDC",
            RoleArn=made["Role"]["Arn"],
            OIDCProviderArn=provider,
            OIDCToken=token,
            RoleSessionName="interop",
        )
        self.assertTrue(assumed["Credentials"]["AccessKeyId"].startswith("STS."))


class CurrentV1(Scenarios, unittest.TestCase):
    def make(self, keys):
        return Current(keys, "v2")  # its name for the RPC signature, version 1.0


class LegacyV1(Scenarios, unittest.TestCase):
    # What it makes of SignatureDoesNotMatch when the service calculated from the same string to sign.
    wrong_secret = "InvalidAccessKeySecret"

    def make(self, keys):
        return Legacy(keys)


if __name__ == "__main__":
    unittest.main()
