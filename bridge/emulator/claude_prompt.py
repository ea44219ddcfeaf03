"""A request's prompt as a row of segments, and the two things that hang on its exact wording.

The API sees tools, then system, then messages. Both the prompt cache and the signatures of
thinking blocks depend on every word before a point, so both read the same row: `Prompt.of` cuts a
request into segments once and keeps a running digest at each. How a request spells the same
prompt does not matter (a string or one text block, where cache marks stand, fields that are null);
everything else does.

`PromptCache` keeps the account of cache reads and writes; `Signer` makes and checks signatures.
Token counts are plausible, not exact: one for each four characters of the wire JSON, and what
`claude_files` says of pictures and PDF files.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from bridge.emulator.claude_files import tokens_of

Json = dict[str, Any]

CHARS_PER_TOKEN = 4
LOOK_BACK_BLOCKS = 20  # the API looks no further back than this from a mark
TTL_S = {"5m": 300.0, "1h": 3600.0}
DIGEST_BYTES = 8

MISMATCH = (
    "Invalid `signature` in `thinking` block. The block is bound to a different conversation. "
    'Remove the block, or set `thinking.block_binding.prefix_mismatch_behavior` to "drop_block". '
    "That setting requires the `thinking-binding-controls-2026-08-01` value in the "
    "`anthropic-beta` header. {} one this block was created with."
)
DIFFERS = {
    "tools": "The `tools` differ from the",
    "system": "The `system` prompt differs from the",
    "messages": "The earlier `messages` differ from the",
}

# One encoder for all blocks: json.dumps with options makes a new one at each call.
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def count_tokens(text: str) -> int:
    """Tokens of a text, at least one."""
    return max(1, -(-len(text) // CHARS_PER_TOKEN))


@dataclass(frozen=True, slots=True)
class Digests:
    """What stands before a point, part by part: each digest is chained onto the one before."""

    tools: bytes = b""
    system: bytes = b""
    messages: bytes = b""

    def then(self, part: str, role: str, words: str) -> Digests:
        """The digests after one more block; `words` is its `wording`."""
        chained = hashlib.blake2b(getattr(self, part), digest_size=DIGEST_BYTES)
        chained.update(f"{role}\0{words}".encode())
        digest = chained.digest()
        if part == "messages":
            return Digests(self.tools, self.system, digest)
        return Digests(digest) if part == "tools" else Digests(self.tools, digest)


@dataclass(frozen=True, slots=True)
class Segment:
    """One tool, system block or content block.

    `where` is its place as error messages name it; `mark` the TTL of its cache mark or None;
    `tokens_after` counts the whole prompt up to and with this segment.
    """

    part: str
    where: str
    block: Json
    mark: str | None
    before: Digests
    after: Digests
    tokens_after: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """The segments of one valid request in the API's order, never none."""

    segments: tuple[Segment, ...]
    settings: str
    model: str

    @classmethod
    def of(cls, body: Json) -> Prompt:
        """Cut a valid request. A top-level `cache_control` marks the last segment."""
        segments: list[Segment] = []
        after, tokens = Digests(), 0
        for part, where, role, block in _walk(body):
            words = wording(block)
            before, after = after, after.then(part, role, words)
            tokens += tokens_of(block) or count_tokens(words)
            segments.append(Segment(part, where, block, mark_of(block), before, after, tokens))
        whole = body.get("cache_control")
        if whole and segments[-1].mark is None:
            segments[-1] = replace(segments[-1], mark=whole.get("ttl") or "5m")
        settings = wording({key: body.get(key) for key in ("tool_choice", "thinking")})
        return cls(tuple(segments), settings, str(body["model"]))

    @property
    def tokens(self) -> int:
        return self.segments[-1].tokens_after

    @property
    def end(self) -> Digests:
        """What stands before the reply."""
        return self.segments[-1].after


def wording(block: Json) -> str:
    """The wire JSON of a block without what does not reach the model.

    The order of a block's own fields is left out of account, that of a tool input's or a
    schema's is not: the model reads those as they are written.
    """
    return _ENCODE(_bare(block))


def mark_of(block: Json) -> str | None:
    """The TTL of a block's cache mark, its own or one inside a tool result; None without one."""
    inner = block.get("content")
    nested = inner if block.get("type") == "tool_result" and isinstance(inner, list) else []
    marks = [item["cache_control"] for item in (block, *nested) if item.get("cache_control")]
    return (marks[0].get("ttl") or "5m") if marks else None


@dataclass(frozen=True, slots=True)
class Account:
    """How a prompt's tokens were paid for; the four add up to the prompt."""

    plain: int
    read: int
    written_5m: int
    written_1h: int

    def usage(self) -> Json:
        """The input side of the API's `usage`."""
        return {
            "input_tokens": self.plain,
            "cache_creation_input_tokens": self.written_5m + self.written_1h,
            "cache_read_input_tokens": self.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.written_5m,
                "ephemeral_1h_input_tokens": self.written_1h,
            },
        }


class PromptCache:
    """What the API remembers of marked prompts.

    A prefix is written at each mark and found again at a mark or at most 20 blocks before one.
    A read renews it. `clock`: seconds, monotonic.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._expires_at: dict[bytes, tuple[float, float]] = {}

    def account(self, prompt: Prompt, *, tokens_min: int) -> Account:
        """Read the longest known prefix, write the marked ones, and say what it came to."""
        self._forget()
        marks = [at for at, seg in enumerate(prompt.segments) if seg.mark is not None]
        marks = [at for at in marks if prompt.segments[at].tokens_after >= tokens_min]
        read = max((self._find(prompt, at) for at in marks), default=0)
        done, written = read, {"5m": 0, "1h": 0}
        for at in marks:
            ttl = prompt.segments[at].mark or "5m"
            tokens = prompt.segments[at].tokens_after
            written[ttl] += max(0, tokens - done)
            done = max(done, tokens)
            self._keep(_key(prompt, at), TTL_S[ttl])
        plain = prompt.tokens - done
        return Account(plain, read, written["5m"], written["1h"])

    def _find(self, prompt: Prompt, mark: int) -> int:
        for at in range(mark, max(-1, mark - LOOK_BACK_BLOCKS), -1):
            key = _key(prompt, at)
            if key in self._expires_at:
                self._keep(key, self._expires_at[key][1])
                return prompt.segments[at].tokens_after
        return 0

    def _keep(self, key: bytes, ttl_s: float) -> None:
        ttl_s = max(ttl_s, self._expires_at.get(key, (0.0, 0.0))[1])
        self._expires_at[key] = (self._clock() + ttl_s, ttl_s)

    def _forget(self) -> None:
        now = self._clock()
        gone = [key for key, (at, _) in self._expires_at.items() if at <= now]
        for key in gone:
            del self._expires_at[key]


class Signer:
    """Signs thinking blocks and checks the ones a caller sends back.

    The signature holds the model, the text and digests of everything before the block, so any
    change there is found. It depends on the key alone: an emulator that was restarted still
    honours what it signed before.
    """

    def __init__(self, key: str) -> None:
        self._key = hashlib.sha256(key.encode()).digest()

    def sign(self, model: str, before: Digests, thinking: str) -> str:
        """The signature of a thinking block that will stand after `before`."""
        pieces = (before.tools, before.system, before.messages, thinking.encode())
        claims = [
            model,
            *(hashlib.blake2b(p, digest_size=DIGEST_BYTES).hexdigest() for p in pieces),
        ]
        body = "|".join(claims).encode()
        return base64.b64encode(body + self._seal(body)).decode()

    def fault(self, segment: Segment, *, model: str, bound: bool) -> str | None:
        """What is wrong with a replayed thinking block, None when it is in order.

        `bound`: the model insists on an unchanged prefix. A block of another model is in order:
        the API leaves it out silently.
        """
        signature = str(segment.block["signature"])
        try:
            raw = base64.b64decode(signature, validate=True)
        except ValueError:
            raw = b""
        body, seal = raw[:-DIGEST_BYTES], raw[-DIGEST_BYTES:]
        if not body or not hmac.compare_digest(seal, self._seal(body)):
            return "Invalid `signature` in `thinking` block"
        expected = self.sign(model, segment.before, str(segment.block["thinking"]))
        mine = base64.b64decode(expected)[:-DIGEST_BYTES].decode().split("|")
        theirs = body.decode().split("|")
        if theirs[0] != model:
            return None
        if theirs[4] != mine[4]:
            return "Invalid `signature` in `thinking` block"
        changed = [part for at, part in enumerate(DIFFERS, 1) if theirs[at] != mine[at]]
        return MISMATCH.format(DIFFERS[changed[0]]) if changed and bound else None

    def _seal(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:DIGEST_BYTES]


def _key(prompt: Prompt, at: int) -> bytes:
    after = prompt.segments[at].after
    # Another tool_choice or thinking setting invalidates the messages, not tools and system.
    settings = prompt.settings if prompt.segments[at].part == "messages" else ""
    pieces = (prompt.model.encode(), after.tools, after.system, after.messages, settings.encode())
    return b"\0".join(pieces)


def _walk(body: Json) -> Iterator[tuple[str, str, str, Json]]:
    for at, tool in enumerate(body.get("tools") or []):
        yield "tools", f"tools.{at}", "tool", tool
    for at, block in enumerate(_blocks(body.get("system") or [])):
        yield "system", f"system.{at}", "system", block
    for at, message in enumerate(body["messages"]):
        for place, block in enumerate(_blocks(message["content"])):
            yield "messages", f"messages.{at}.content.{place}", message["role"], block


def _blocks(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _bare(block: Json) -> Json:
    bare = {key: block[key] for key in sorted(block) if key != "cache_control"}
    if bare.get("type") == "tool_result" and bare.get("content"):
        bare["content"] = [_bare(inner) for inner in _blocks(bare["content"])]
    if bare.get("caller") == {"type": "direct"}:
        del bare["caller"]
    return {key: value for key, value in bare.items() if value is not None}
