"""Searching the web through a service that an owner has chosen, for providers that do not search.

A backend knows how its service is asked and how its answer is read; nothing else.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from bridge.settings import Secret, Settings

RESULTS_MAX: Final = 10
TAVILY: Final = "https://api.tavily.com/search"
BRAVE: Final = "https://api.search.brave.com/res/v1/web/search"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One result."""

    url: str
    title: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request to the service."""

    url: str
    method: str = "GET"
    headers: dict[str, str]
    body: bytes = b""


class Backend(Protocol):
    """One kind of service."""

    def question(self, query: str) -> Question:
        """How it is asked."""

    def hits(self, answer: Any) -> list[Hit]:
        """What its JSON says. Raises: LookupError, TypeError, AttributeError."""


def backend_of(settings: Settings) -> Backend | None:
    """The one that is set, or None."""
    url, key = settings.search_url, settings.search_key
    match settings.search:
        case "searxng":
            return SearXNG(url)
        case "brave":
            return Brave(url or BRAVE, key)
        case "tavily":
            return Tavily(url or TAVILY, key)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class SearXNG:
    """A SearXNG of one's own; its settings must allow the format json."""

    url: str

    def question(self, query: str) -> Question:
        """How it is asked."""
        address = f"{self.url}/search?{urlencode({'q': query, 'format': 'json'})}"
        return Question(url=address, headers={"Accept": "application/json"})

    def hits(self, answer: Any) -> list[Hit]:
        """What its JSON says."""
        return [_hit(item, "content") for item in answer["results"]]


@dataclass(frozen=True, slots=True)
class Brave:
    """The Brave Search API."""

    url: str
    key: Secret

    def question(self, query: str) -> Question:
        """How it is asked."""
        headers = {"Accept": "application/json", "X-Subscription-Token": self.key.reveal()}
        address = f"{self.url}?{urlencode({'q': query, 'count': RESULTS_MAX})}"
        return Question(url=address, headers=headers)

    def hits(self, answer: Any) -> list[Hit]:
        """What its JSON says; without results it has no part `web`."""
        return [_hit(item, "description") for item in answer.get("web", {}).get("results", [])]


@dataclass(frozen=True, slots=True)
class Tavily:
    """The Tavily API."""

    url: str
    key: Secret

    def question(self, query: str) -> Question:
        """How it is asked."""
        headers = {
            "Authorization": f"Bearer {self.key.reveal()}",
            "Content-Type": "application/json",
        }
        body = json.dumps({"query": query, "max_results": RESULTS_MAX}).encode()
        return Question(url=self.url, method="POST", headers=headers, body=body)

    def hits(self, answer: Any) -> list[Hit]:
        """What its JSON says."""
        return [_hit(item, "content") for item in answer["results"]]


def _hit(item: Any, words: str) -> Hit:
    return Hit(
        url=str(item["url"]), title=str(item.get("title") or ""), words=str(item.get(words) or "")
    )
