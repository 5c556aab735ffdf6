#!/usr/bin/env python3
"""Drives the vendor's own clients against `ossup emulator`, and against what `ossup` uploaded.

    python3 tests/interop/run.py --install target/interop --ossup target/debug/ossup

installs the clients at the versions of requirements.txt and package-lock.json into the directory, unless they are
there, and runs all suites. A suite alone: `--suite test_oss`.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
PYTHON_SUITES = ["test_oss", "test_ecs", "test_ossup", "test_opendal"]
# The vendor's own tests.
FOREIGN_SUITES = ["oss2_suite"]
NODE_SUITES = ["ali_oss"]


def install(where: pathlib.Path) -> None:
    """Installs the clients; a mark of what is installed saves doing it again."""
    wanted = "".join(
        (HERE / name).read_text() for name in ("requirements.txt", "constraints.txt", "package-lock.json")
    )
    mark = where / "installed"
    if mark.exists() and mark.read_text() == wanted:
        return
    print(f"installing the vendor's clients into {where}", flush=True)
    venv.create(where / "venv", with_pip=True, clear=True)
    pip = [where / "venv/bin/pip", "install", "--quiet", "-r", HERE / "requirements.txt"]
    subprocess.run([*pip, "-c", HERE / "constraints.txt"], check=True)
    node = where / "node"
    node.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        (node / name).write_text((HERE / name).read_text())
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=node, check=True)
    mark.write_text(wanted)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", type=pathlib.Path, default=pathlib.Path("target/interop"), metavar="DIR")
    parser.add_argument("--ossup", type=pathlib.Path, default=pathlib.Path("target/debug/ossup"), metavar="BINARY")
    parser.add_argument("--suite", action="append", choices=PYTHON_SUITES + NODE_SUITES + FOREIGN_SUITES)
    arguments = parser.parse_args()
    where = arguments.install.resolve()
    install(where)

    # Neither a proxy nor credentials of the machine may take part.
    ours = ("OSS_", "ALIBABA", "ALICLOUD", "OSSUP_")
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(ours)
    }
    env |= {"OSSUP": str(arguments.ossup.resolve()), "NODE_PATH": str(where / "node/node_modules")}
    env["OSS2_SOURCE"] = str(where)
    failed = []
    for suite in arguments.suite or PYTHON_SUITES + NODE_SUITES + FOREIGN_SUITES:
        print(f"--- {suite}", flush=True)
        if suite in PYTHON_SUITES:
            command = [where / "venv/bin/python", "-m", "unittest", suite]
        elif suite in FOREIGN_SUITES:
            command = [where / "venv/bin/python", HERE / f"{suite}.py"]
        else:
            command = ["node", "--dns-result-order=ipv4first", "--test", HERE / f"{suite}.test.cjs"]
        if subprocess.run(command, cwd=HERE, env=env).returncode != 0:
            failed.append(suite)
    if failed:
        print(f"interop: {', '.join(failed)} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
