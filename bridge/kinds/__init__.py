"""Kinds of jobs: what each is told, given and allowed, and what its data must look like.

A new kind is one file `profile/kinds/<name>.py` that says `KIND = Kind(…)` with these names.
"""

from bridge.kinds.kind import Budget, Done, Failed, Kind, Task

__all__ = ["Budget", "Done", "Failed", "Kind", "Task"]
