"""Calls of the kernel that no program of a job needs, and that holes in kernels were found in.

A filter answers them with "there is no such call". It is a small program for the kernel (seccomp,
classic BPF), made here, because the one library that makes them is not everywhere. On processors
this module does not know there is no filter: all the other walls stand without it.
"""

import errno
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# The number of each on x86_64 and on aarch64; None where it does not exist.
CALLS: Final[dict[str, tuple[int, int | None]]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vmsplice": (278, 75),
}
_PROCESSORS: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # linux/audit.h
# linux/bpf_common.h and linux/seccomp.h
_LOAD, _IS, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _PROCESSOR_AT = 0, 4
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.ENOSYS
_OTHER_NUMBERING: Final = 0x40000000  # calls of x32, which are those of x86_64 once more


def call_filter(machine: str = "") -> bytes:
    """The filter as the kernel takes it; empty where there is none for this processor."""
    known = _PROCESSORS.get(machine or platform.machine())
    if known is None:
        return b""
    column, processor = known
    numbers = [number for call in CALLS.values() if (number := call[column]) is not None]
    left = len(numbers)
    program = [
        (_LOAD, 0, 0, _PROCESSOR_AT),
        (_IS, 0, left + 3, processor),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, left + 1, 0, _OTHER_NUMBERING),
    ]
    program += [(_IS, left - place, 0, number) for place, number in enumerate(numbers)]
    program += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("HBBI", *step) for step in program)


@contextmanager
def filter_to_read() -> Iterator[tuple[int, ...]]:
    """A descriptor from which a program that is started can read the filter; none without one."""
    program = call_filter()
    if not program:
        yield ()
        return
    reading, writing = os.pipe()
    try:
        os.write(writing, program)  # it fits into a pipe
        os.close(writing)
        yield (reading,)
    finally:
        os.close(reading)
