"""The program of level 1: the commit before levels, built from the history of this repository."""

import fcntl
import os
import shutil
import subprocess

from harness import BIN, ROOT, Failure, Skip

COMMIT = "b583b4b"  # The last one without levels (docs/upgrade.md).
DIR = os.path.join(ROOT, "build", "level1")
BUILT = os.path.join(DIR, "bin", "bin")


def _run(*command, **more):
    done = subprocess.run(command, capture_output=True, check=False, **more)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}: {done.stdout[-2000:].decode()}{done.stderr[-2000:].decode()}")
    return done.stdout


def _cached(key):
    """How the programs under test were configured: the same libraft, the same ccache."""
    try:
        with open(os.path.join(os.path.dirname(BIN), "CMakeCache.txt"), encoding="utf-8") as f:
            return next((line.partition("=")[2].strip() for line in f if line.startswith(key + ":")), "")
    except FileNotFoundError:
        return ""


def _build():
    source = os.path.join(DIR, "src")
    shutil.rmtree(source, ignore_errors=True)
    os.makedirs(source)
    _run("tar", "-x", "-C", source, input=_run("git", "-C", ROOT, "archive", COMMIT))
    launcher = _cached("CMAKE_C_COMPILER_LAUNCHER")
    _run("cmake", "-S", source, "-B", os.path.join(DIR, "bin"), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
         "-DSHARDGATE_FAULTS=ON", "-DSHARDGATE_TESTS=OFF", f"-DCMAKE_C_COMPILER_LAUNCHER={launcher}",
         f"-DSHARDGATE_RAFT_PREFIX={_cached('SHARDGATE_RAFT_PREFIX')}")
    _run("ninja", "-C", os.path.join(DIR, "bin"), "-j2", "shardgated", "shardgate")


def level1():
    """The directory of its shardgated and shardgate; built once. Skips where there is no history."""
    if shutil.which("git") is None or subprocess.run(
            ["git", "-C", ROOT, "cat-file", "-e", COMMIT + "^{commit}"], capture_output=True, check=False).returncode != 0:
        raise Skip(f"the history of this tree does not reach back to {COMMIT}, the program before levels")
    os.makedirs(DIR, exist_ok=True)
    with open(os.path.join(DIR, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.access(os.path.join(BUILT, "shardgate"), os.X_OK):
            _build()
    return BUILT
