"""The tool that opens a skill: instructions of the profile that are read only when they fit.

Names and descriptions stand in the worker's prompt (bridge/profile.py); a body costs tokens only
in the jobs that load it.
"""

from pathlib import Path

from bridge.agent.tool import Input, Tool
from bridge.profile import read_skills


def skill_tools(profile: Path) -> list[Tool]:
    """`load_skill`, or nothing when the profile has no valid skill.

    Bodies are read now, so that a job sees the same text however long it runs.
    """
    bodies = {skill.name: skill.body for skill in read_skills(profile)}
    if not bodies:
        return []

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
