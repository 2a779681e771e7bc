"""A process, its time and its memory.

Linux counts the memory of the program that starts a process as the process's own. So a small one starts it: this file, run by itself.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time


@dataclasses.dataclass(frozen=True)
class Process:
    """What a process printed, its seconds from start to end, and its peak memory."""

    out: str
    seconds: float
    memory_mib: float


def run(command):
    """Runs `command`; ends the program where it fails."""
    command = [str(part) for part in command]
    with tempfile.NamedTemporaryFile() as report, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        starter = [sys.executable, "-S", __file__, report.name, *command]
        subprocess.run(starter, stdout=out, stderr=err, check=False)
        out.seek(0)
        err.seek(0)
        found = json.loads(report.read() or b'{"status": 1}')
        if found["status"]:
            sys.exit(f"error: {' '.join(command)} failed:\n{err.read().decode(errors='replace')[-3000:]}")
        return Process(out.read().decode(), found["seconds"], found["memory_mib"])


def start(report, command):
    """Runs `command` and writes its status, time and memory to the file `report`."""
    started = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    found = {"status": status, "seconds": time.perf_counter() - started, "memory_mib": usage.ru_maxrss / 1024}
    with open(report, "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    start(sys.argv[1], sys.argv[2:])
