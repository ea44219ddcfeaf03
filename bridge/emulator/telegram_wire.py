"""HTTP as the Bot API uses it: reading a call from any body, and ways to end a connection."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web

from bridge.emulator.telegram_media import UPLOAD_BYTES_MAX
from bridge.emulator.telegram_params import Params, Upload
from bridge.emulator.telegram_state import ApiError, Json, bad_request

BODY_BYTES_MAX = UPLOAD_BYTES_MAX + 1024 * 1024  # a file and the fields around it


async def read_params(request: web.Request) -> Params:
    """The arguments from the query and the body, which is JSON, multipart or urlencoded.

    Raises: ApiError 413 for a body no method takes, 400 for one that cannot be read.
    """
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise ApiError(413, "Request Entity Too Large")
    raw: Json = dict(request.query)
    files: dict[str, Upload] = {}
    if request.content_type == "application/json":
        raw |= await _read_json(request)
    elif request.content_type.startswith("multipart/"):
        fields, files = await read_multipart(request)
        raw |= fields
    else:
        body = await request.read()
        if body:
            raw |= parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    return Params.decode(raw, files)


async def read_multipart(request: web.Request) -> tuple[dict[str, str], dict[str, Upload]]:
    """The text fields and the files of a multipart body, all in memory."""
    fields: dict[str, str] = {}
    files: dict[str, Upload] = {}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            continue
        data = bytes(await part.read(decode=False))
        if part.filename is None:
            fields[part.name] = data.decode("utf-8", "replace")
        else:
            kind = part.headers.get("Content-Type", "application/octet-stream")
            files[part.name] = Upload(part.filename, kind, data)
    return fields, files


def error_answer(error: ApiError) -> web.Response:
    """An error as the Bot API answers it."""
    return web.json_response(error.body(), status=error.status)


def drop(request: web.Request) -> web.StreamResponse:
    """Close the connection with no answer at all."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # goes nowhere; the server needs something to return


async def cut(request: web.Request, status: int, payload: bytes, length: int) -> web.StreamResponse:
    """Promise the whole answer, send its first `length` bytes, and close the connection."""
    answer = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    answer.content_length = len(payload)
    await answer.prepare(request)
    await answer.write(payload[:length])
    if request.transport is not None:
        request.transport.close()
    return answer


async def _read_json(request: web.Request) -> Json:
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError as exc:
        raise bad_request("can't parse JSON body") from exc
    if not isinstance(body, dict):
        raise bad_request("can't parse JSON body: expected an Object")
    return body
