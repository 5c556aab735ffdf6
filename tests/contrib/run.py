#!/usr/bin/env python3
"""Checks what is under contrib/, and runs what can be run against `ossup emulator`.

    python3 tests/contrib/run.py --install target/contrib --ossup target/debug/ossup

installs the checkers of requirements.txt into the directory, unless they are there. Each check is a function whose name
says what holds; one that the machine lacks a program for says `NOT CHECKED`.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import venv

HERE = pathlib.Path(__file__).resolve().parent
CONTRIB = HERE.parent.parent / "contrib"
DISK = 64 << 20


def install(where: pathlib.Path) -> pathlib.Path:
    """Installs the checkers, and returns the folder of their programs."""
    wanted = (HERE / "requirements.txt").read_text()
    mark = where / "installed"
    if not mark.exists() or mark.read_text() != wanted:
        venv.create(where / "venv", with_pip=True, clear=True)
        subprocess.run(
            [where / "venv/bin/pip", "install", "--quiet", "-r", HERE / "requirements.txt"], check=True
        )
        mark.write_text(wanted)
    return where / "venv/bin"


class World:
    """An emulator with a bucket, a disk image, and the variables that lead `ossup` there."""

    def __init__(self, ossup: pathlib.Path):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ossup-contrib-"))
        (self.folder / "bin").mkdir()
        (self.folder / "bin/ossup").symlink_to(ossup)
        self.env = {"HOME": str(self.folder), "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        command = [ossup, "emulator", "--quiet", "--listen=127.0.0.1:0", "--bucket=images", "--speed=64"]
        self.emulator = subprocess.Popen(
            [*command, "--data", self.folder / "data"], env=self.env, stdout=subprocess.PIPE, text=True
        )
        while "OSS_ENDPOINT" not in self.env:
            line = self.emulator.stdout.readline()
            assert line, "the emulator stopped"
            name, value = shlex.split(line)[1].split("=", 1)
            self.env[name] = value
        disk(self.folder / "disk.raw")

    def run(self, command, **env) -> str:
        """Runs a command, which must succeed, and returns what it printed."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.env | env, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def image(self, name: str) -> dict:
        """Returns the image of this name, which must be available."""
        images = json.loads(self.run(["ossup", "image", "list", "--output=json"]))["images"]
        found = [image for image in images if image["name"] == name]
        assert len(found) == 1 and found[0]["status"] == "Available", (name, images)
        return found[0]

    def close(self) -> None:
        self.emulator.terminate()
        self.emulator.wait()
        shutil.rmtree(self.folder)


def disk(path: pathlib.Path) -> None:
    """Makes a disk that the inspection takes: boot code, an active partition, and the mark of an ext4 in it."""
    start = 2048 * 512
    with path.open("wb") as file:
        file.truncate(DISK)
        sector = bytearray(os.urandom(446) + bytes(66))
        sector[446:454] = bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0])
        sector[454:458] = (2048).to_bytes(4, "little")
        sector[458:462] = ((DISK - start) // 512).to_bytes(4, "little")
        sector[510:512] = b"\x55\xaa"
        file.write(sector)
        block = bytearray(1024)
        block[4:8] = ((DISK - start) // 4096).to_bytes(4, "little")
        block[24:28] = (2).to_bytes(4, "little")
        block[56:58] = b"\x53\xef"
        block[92:96] = (4).to_bytes(4, "little")
        block[96:100] = (0xC2).to_bytes(4, "little")
        file.seek(start + 1024)
        file.write(block)
        file.seek(start + 65536)
        file.write(os.urandom(300_000))


# What is written in each file.


def every_yaml_file_is_what_its_schema_says(tools: pathlib.Path, _: World) -> None:
    schemas = {
        "vendor.github-actions": "github/action/action.yml",
        "vendor.github-workflows": "github/release.yml",
        "vendor.gitlab-ci": "gitlab/ossup.gitlab-ci.yml",
    }
    for schema, name in schemas.items():
        subprocess.run([tools / "check-jsonschema", "--quiet", "--builtin-schema", schema, CONTRIB / name], check=True)
    for version in ("1.31", "1.33"):
        subprocess.run(
            [tools / "kubernetes-validate", "--quiet", "--strict", "-k", version, CONTRIB / "kubernetes/job.yaml"],
            check=True,
        )  # fmt: skip


def every_schema_of_ours_is_one(tools: pathlib.Path, _: World) -> None:
    schemas = sorted((HERE.parent.parent / "docs").rglob("*.schema.json"))
    assert schemas
    subprocess.run([tools / "check-jsonschema", "--quiet", "--check-metaschema", *schemas], check=True)


def every_hcl_file_parses(tools: pathlib.Path, _: World) -> None:
    for file in [*CONTRIB.rglob("*.tf"), *CONTRIB.rglob("*.pkr.hcl")]:
        subprocess.run([tools / "hcl2tojson", file], check=True, stdout=subprocess.DEVNULL)
    for program in ("terraform", "packer"):
        if shutil.which(program) is None:
            print(f"    NOT CHECKED: {program} fmt, for {program} is not installed")
        else:
            subprocess.run([program, "fmt", "-check", "-recursive", CONTRIB], check=True, stderr=subprocess.DEVNULL)


def every_script_is_clean(tools: pathlib.Path, _: World) -> None:
    scripts = [
        file
        for file in CONTRIB.rglob("*")
        if file.is_file() and file.read_bytes()[:2] == b"#!"
    ]  # fmt: skip
    assert len(scripts) >= 3, scripts
    for file in scripts:
        assert os.access(file, os.X_OK), f"{file} cannot be run"
    subprocess.run(["shellcheck", *scripts], check=True)
    action = yaml(tools, CONTRIB / "github/action/action.yml")
    workflow = yaml(tools, CONTRIB / "github/release.yml")
    steps = [*action["runs"]["steps"], *(step for job in workflow["jobs"].values() for step in job["steps"])]
    for step in steps:
        if "run" not in step:
            continue
        assert "${{" not in step["run"], f"an expression inside a script is code: {step.get('name')}"
        subprocess.run(["shellcheck", "--shell=bash", "-"], input=step["run"], text=True, check=True)


def nothing_names_a_host_that_is_not_public(_: pathlib.Path, __: World) -> None:
    public = ("example.com", "aliyuncs.com", "alibabacloud.com", "github.com", "githubusercontent.com")
    for file in CONTRIB.rglob("*"):
        if not file.is_file() or file.suffix == ".tar":
            continue
        for host in re.findall(r"https?://([a-z0-9.-]+)", file.read_text()):
            assert host.endswith(public), f"{file}: {host}"


def the_release_has_the_names_that_others_ask_for(tools: pathlib.Path, _: World) -> None:
    manifest = (HERE.parent.parent / "Cargo.toml").read_text()
    url = re.search(r'^pkg-url = "(.*)"$', manifest, re.M)[1]
    assert url.endswith("/v{ version }/ossup-{ version }-{ target }{ archive-suffix }"), url
    workflow = (CONTRIB / "github/release.yml").read_text()
    action = (CONTRIB / "github/action/action.yml").read_text()
    assert 'name="ossup-$version-$TARGET"' in workflow and '"dist/$name.tar.gz"' in workflow
    assert 'archive="ossup-$VERSION-$target.tar.gz"' in action
    targets = re.findall(r"target: ([a-z0-9_-]+)", workflow)
    assert sorted(targets) == sorted(re.findall(r"target=([a-z0-9_-]+)", action)), targets


def systemd_takes_the_units(_: pathlib.Path, world: World) -> None:
    if shutil.which("systemd-analyze") is None:
        print("    NOT CHECKED: systemd-analyze is not installed")
        return
    units = world.folder / "units"
    shutil.copytree(CONTRIB / "systemd", units)
    for unit in units.glob("*.service"):
        # The command is looked for, and this machine has it elsewhere.
        unit.write_text(unit.read_text().replace("/usr/bin/ossup", f"{world.folder}/bin/ossup"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units.iterdir()],
        capture_output=True, text=True,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "ossup" in line]
    assert done.returncode == 0 and not ours, done.stderr


# What each does, against the emulator.


def the_action_publishes_and_names_the_image(tools: pathlib.Path, world: World) -> None:
    action = yaml(tools, CONTRIB / "github/action/action.yml")
    step = next(step for step in action["runs"]["steps"] if step.get("id") == "publish")
    inputs = {
        "image": "disk.raw", "target": "oss://images/action.qcow2", "name": "from-action", "region": "cn-hangzhou",
        "arguments": "--description=two words\n--tag=build=7\n", "role": "", "oidc-provider": "",
    }  # fmt: skip
    expression = re.compile(r"\$\{\{ inputs\.([a-z-]+) \}\}")
    env = {name: expression.sub(lambda match: inputs[match[1]], value) for name, value in step["env"].items()}
    output = world.folder / "output"
    world.run(
        ["bash", "-c", step["run"]], **env, GITHUB_OUTPUT=str(output), GITHUB_RUN_ID="1", RUNNER_TEMP=str(world.folder)
    )
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    image = world.image("from-action")
    assert outputs["image-id"] == image["image_id"], outputs
    manifest = json.loads(pathlib.Path(outputs["manifest"]).read_text())
    assert manifest["image_id"] == image["image_id"], manifest
    declared = {re.search(r"outputs\.([a-z-]+)", value["value"])[1] for value in action["outputs"].values()}
    assert declared == set(outputs), (declared, outputs)


def the_gitlab_job_publishes(tools: pathlib.Path, world: World) -> None:
    job = yaml(tools, CONTRIB / "gitlab/ossup.gitlab-ci.yml")[".ossup-publish"]
    env = {"CI_PROJECT_DIR": str(world.folder), "CI_JOB_ID": "7"}
    env |= {"OSSUP_IMAGE": "disk.raw", "OSSUP_TARGET": "oss://images/gitlab.qcow2", "OSSUP_NAME": "from-gitlab"}
    # The token is not asked for here: the emulator's key pair comes first.
    variables = {name: re.sub(r"\$(\w+)", lambda match: env[match[1]], value) for name, value in job["variables"].items()}
    for line in job["script"]:
        world.run(["bash", "-euo", "pipefail", "-c", line], **env, **variables)
    world.image("from-gitlab")
    for path in job["cache"]["paths"] + job["artifacts"]["paths"]:
        assert (world.folder / path).exists(), f"{path} is kept but is not there"


def the_post_processor_of_packer_publishes(_: pathlib.Path, world: World) -> None:
    template = (CONTRIB / "packer/ossup.pkr.hcl").read_text()
    names = set(re.findall(r'"([A-Z]+)=', template))
    env = {"IMAGE": "disk.raw", "TARGET": "oss://images/packer.qcow2", "REGION": "cn-hangzhou", "NAME": "from-packer"}
    assert names == set(env), names
    world.run([CONTRIB / "packer/publish.sh"], **env)
    world.image("from-packer")


def terraform_publishes_once(_: pathlib.Path, world: World) -> None:
    if shutil.which("terraform") is None:
        template = (CONTRIB / "terraform/main.tf").read_text()
        script = json.loads(re.search(r'command +=( ".*")\n', template)[1])
        env = {"IMAGE": "disk.raw", "TARGET": "oss://images/terraform.qcow2", "NAME": "from-terraform"}
        world.run(["/bin/sh", "-euc", script], **env, REGION="cn-hangzhou", MANIFEST="manifest.json")
        world.image("from-terraform")
        print("    NOT CHECKED: terraform apply, for terraform is not installed; its script ran")
        return
    root = world.folder / "terraform"
    shutil.copytree(CONTRIB / "terraform", root)
    values = {"image": world.folder / "disk.raw", "target": "oss://images/terraform.qcow2", "name": "from-terraform"}
    variables = [f"-var={name}={value}" for name, value in (values | {"region": "cn-hangzhou"}).items()]
    terraform = ["terraform", f"-chdir={root}"]
    world.run([*terraform, "init", "-input=false"])
    world.run([*terraform, "apply", "-input=false", "-auto-approve", *variables])
    image = world.image("from-terraform")["image_id"]
    manifest = json.loads((root / "from-terraform.ossup.json").read_text())
    assert manifest["image_id"] == image
    again = world.run([*terraform, "apply", "-input=false", "-auto-approve", *variables])
    assert "0 added, 0 changed, 0 destroyed" in again, again


def the_output_of_a_build_tool_is_published_under_its_name(_: pathlib.Path, world: World) -> None:
    script = CONTRIB / "build-tools/publish-output"
    out = world.folder / "out"
    out.mkdir()
    shutil.copy(world.folder / "disk.raw", out / "web_1.0.raw")
    (out / "web.raw").symlink_to("web_1.0.raw")
    (out / "web_1.0.manifest").write_text("{}")
    world.run([script, out, "oss://images/", "--progress=plain"])
    world.image("web_1.0")
    shutil.copy(world.folder / "disk.raw", out / "other.raw")
    done = subprocess.run([script, out, "oss://images/"], env=world.env, capture_output=True, text=True)
    assert done.returncode == 2 and "more than one image" in done.stderr, done


def the_commands_of_the_timers_run(_: pathlib.Path, world: World) -> None:
    for unit in (CONTRIB / "systemd").glob("*.service"):
        text = unit.read_text()
        variables = dict(re.findall(r"^Environment=([A-Z_]+)=(.*)$", text, re.M))
        variables["OSSUP_STATE_DIR"] = str(world.folder / "timer")
        command = re.search(r"^ExecStart=/usr/bin/(.*)$", text, re.M)[1]
        words = [re.sub(r"\$\{(\w+)\}", lambda match: variables[match[1]], word) for word in command.split()]
        world.run(words, **variables)


def the_kubernetes_job_runs_as_its_container_would(tools: pathlib.Path, world: World) -> None:
    job = yaml(tools, CONTRIB / "kubernetes/job.yaml")
    container = job["spec"]["template"]["spec"]["containers"][0]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    container_file = (CONTRIB / "container/Containerfile").read_text()
    user = re.search(r"^USER (\d+):", container_file, re.M)[1]
    assert job["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == int(user)
    assert "/tmp" in mounts
    local = str(world.folder)
    shutil.copy(world.folder / "disk.raw", world.folder / "disk.qcow2")
    env = {variable["name"]: variable["value"].replace("/images/", f"{local}/") for variable in container["env"]}
    arguments = [word.replace("/images/", f"{local}/", 1) if "oss://" not in word else word for word in container["args"]]
    world.run(["ossup", *arguments], **env)
    world.image("web-1.0")


def yaml(tools: pathlib.Path, path: pathlib.Path):
    """Returns a YAML file as JSON says it, the last of its documents. The checkers brought a parser along."""
    code = "import json, sys, ruamel.yaml; print(json.dumps(list(ruamel.yaml.YAML(typ='safe', pure=True).load_all(open(sys.argv[1])))[-1]))"
    return json.loads(subprocess.run([tools / "python", "-c", code, path], check=True, capture_output=True).stdout)


CHECKS = [
    every_yaml_file_is_what_its_schema_says,
    every_schema_of_ours_is_one,
    every_hcl_file_parses,
    every_script_is_clean,
    nothing_names_a_host_that_is_not_public,
    the_release_has_the_names_that_others_ask_for,
    systemd_takes_the_units,
    the_action_publishes_and_names_the_image,
    the_gitlab_job_publishes,
    the_post_processor_of_packer_publishes,
    terraform_publishes_once,
    the_output_of_a_build_tool_is_published_under_its_name,
    the_commands_of_the_timers_run,
    the_kubernetes_job_runs_as_its_container_would,
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", type=pathlib.Path, default=pathlib.Path("target/contrib"), metavar="DIR")
    parser.add_argument("--ossup", type=pathlib.Path, default=pathlib.Path("target/debug/ossup"), metavar="BINARY")
    parser.add_argument("--check", action="append", metavar="NAME", help="only this one; may be repeated")
    arguments = parser.parse_args()
    tools = install(arguments.install.resolve())
    failed = 0
    for check in CHECKS:
        if arguments.check and check.__name__ not in arguments.check:
            continue
        print(f"  {check.__name__.replace('_', ' ')}", flush=True)
        world = World(arguments.ossup.resolve())
        try:
            check(tools, world)
        except (AssertionError, subprocess.CalledProcessError) as error:
            failed += 1
            print(f"    FAILED: {error}", flush=True)
        finally:
            world.close()
    print(f"contrib: {failed} of {len(CHECKS)} checks failed" if failed else f"contrib: {len(CHECKS)} checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
