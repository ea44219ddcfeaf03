"""The tool that opens a skill: instructions of the profile that are read only when they fit.

Names and descriptions stand in the worker's prompt (bridge/profile.py); a body costs tokens only
in the jobs that load it. What lies beside it, scripts above all, is seen by code of the job, in the
sandbox and nowhere else.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bridge.agent.tool import Input, Tool
from bridge.profile import read_skills

SHOWN_BELOW: Final = "/skills"  # inside the sandbox
FILES_NAMED: Final = 40


def skill_folders(profile: Path) -> dict[str, Path]:
    """The folders of skills with more than instructions in them; none that lies elsewhere."""
    above = (profile / "skills").resolve()
    folders = {skill.name: above / skill.name for skill in read_skills(profile)}
    return {
        name: folder
        for name, folder in folders.items()
        if folder.resolve() == folder and any(_files(folder))
    }


def skill_tools(profile: Path, *, code: bool = False) -> list[Tool]:
    """`load_skill`, or nothing when the profile has no valid skill. `code`: can the job run any?

    Bodies are read now, so that a job sees the same text however long it runs.
    """
    bodies = {skill.name: skill.body for skill in read_skills(profile)}
    if not bodies:
        return []
    for name, folder in skill_folders(profile).items() if code else ():
        bodies[name] += f"\n\n{_where(name, folder)}"

    async def load_skill(given: Input) -> str:
        return bodies[given["name"]]

    return [
        Tool(
            name="load_skill",
            description="Read the instructions of one of the skills listed in your prompt.",
            properties={"name": {"type": "string", "enum": sorted(bodies)}},
            run=load_skill,
            repeat="pure",
        )
    ]


def _where(name: str, folder: Path) -> str:
    files = [str(path.relative_to(folder)) for path in _files(folder)]
    more = f" and {len(files) - FILES_NAMED} more" if len(files) > FILES_NAMED else ""
    return (
        f"(The files of this skill lie in {SHOWN_BELOW}/{name}, where run_python and run_shell can "
        f"read and run them: {', '.join(files[:FILES_NAMED])}{more}.)"
    )


def _files(folder: Path) -> Iterator[Path]:
    """All but the instructions, sorted; what a link leads to is not there, inside."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path != folder / "SKILL.md":
            yield path
