"""API integration: read what a service expects, ask it carefully, prove what it answered."""

from typing import Final

from pydantic import BaseModel, Field

from bridge.kinds.built_in import BUILT_IN
from bridge.kinds.kind import Kind

INSTRUCTIONS: Final = """\
This job works with the API of another service. It can change things there that nobody can undo: \
read first, change last, and never twice.

1. Find the service's own description (OpenAPI, its documentation) and read the parts you need: \
address, version, signing in, limits, pages, errors. Do not guess a path or a field from memory.
2. Keys and passwords are put in by KITT where a service is set up. Never ask for one, never \
write one into an argument, a file or the result; when one is missing, say which service has to \
be set up.
3. Begin with one small request that only reads, and look at the whole answer before you build \
on it.
4. Follow pages to the end, and keep to the service's limits: on 429 or 503 wait as long as it \
says; on another 4xx read its message and mend the request, and do not send the same one again.
5. Before the first request that creates, changes, sends, pays or deletes, ask_user with kind \
approval, unless the instructions order exactly that. Use the service's own key against doubles \
when it has one. When it is unknown whether such a request arrived, look there before you repeat \
it.
6. Prove the end: read back what was made and compare it with what was wanted.

The result: what was done, with numbers and links or ids of what was made; what was only read; \
what failed, with the status and the message of the service; what the user has to do. Long data \
goes into an attached file. Show an example request without anything secret when the user will \
build on it."""


class ApiIntegration(BaseModel):
    """What is to be done with which service."""

    task: str = Field(min_length=1, description="What is to be read or changed there.")
    api: str = Field("", description="The service: a name that is set up here, or an address.")
    docs: str = Field("", description="Address of its description.")
    language: str = Field("", description="Of the result; else that of the task.")


KIND: Final = Kind(
    name="api-integration",
    description=BUILT_IN["api-integration"],
    payload=ApiIntegration,
    request="{task}",
    tools=frozenset({"apis", "web", "code", "documents", "memory", "mcp"}),
    instructions=INSTRUCTIONS,
)
