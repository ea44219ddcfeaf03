"""A disk that takes longer to sync than the one at hand, for the processes of a bench.

A sync takes 0.1 ms on one machine and 10 ms on the card of a small board, and what a durable queue
is worth depends on it. A few lines of C, loaded before the C library, wait a while after each sync.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int slowly(const char *name, int fd) {
    int result = ((int (*)(int)) dlsym(RTLD_NEXT, name))(fd);
    usleep(atoi(getenv("BENCH_SYNC_US")));
    return result;
}
int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
"""


@contextmanager
def slower_syncs(more_ms: float) -> Iterator[bool]:
    """Every process started in this block waits so much longer for a sync; False: no C compiler."""
    compiler = which("cc") or which("gcc")
    if not more_ms or compiler is None:
        yield not more_ms
        return
    with TemporaryDirectory(prefix="kitt-bench-") as folder:
        library = Path(folder) / "slow.so"
        command = [compiler, "-shared", "-fPIC", "-O2", "-x", "c", "-", "-o", str(library), "-ldl"]
        if subprocess.run(command, input=SOURCE, text=True).returncode:
            yield False  # a compiler without its headers
            return
        os.environ |= {"LD_PRELOAD": str(library), "BENCH_SYNC_US": str(round(1000 * more_ms))}
        try:
            yield True
        finally:
            del os.environ["LD_PRELOAD"], os.environ["BENCH_SYNC_US"]
