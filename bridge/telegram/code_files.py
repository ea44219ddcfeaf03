"""Long code in an answer goes into a file: nobody reads, or copies, a hundred lines on a phone."""

from collections.abc import Iterator
from typing import Final

from markdown_it.token import Token

from bridge.telegram.render import clean, utf16_length
from bridge.telegram.syntax import tokens_of
from bridge.telegram.texts import say

LINES_MAX: Final = 80
UNITS_MAX: Final = 3_500

# name of a language after the fence, as models write it -> end of the name of a file
ENDINGS: Final = {
    "python": "py",
    "py": "py",
    "python3": "py",
    "javascript": "js",
    "js": "js",
    "jsx": "jsx",
    "typescript": "ts",
    "ts": "ts",
    "tsx": "tsx",
    "java": "java",
    "kotlin": "kt",
    "kt": "kt",
    "c": "c",
    "h": "h",
    "cpp": "cpp",
    "c++": "cpp",
    "csharp": "cs",
    "c#": "cs",
    "cs": "cs",
    "go": "go",
    "golang": "go",
    "rust": "rs",
    "rs": "rs",
    "ruby": "rb",
    "rb": "rb",
    "php": "php",
    "swift": "swift",
    "scala": "scala",
    "lua": "lua",
    "perl": "pl",
    "r": "r",
    "bash": "sh",
    "sh": "sh",
    "shell": "sh",
    "zsh": "sh",
    "powershell": "ps1",
    "ps1": "ps1",
    "sql": "sql",
    "html": "html",
    "css": "css",
    "scss": "scss",
    "json": "json",
    "xml": "xml",
    "yaml": "yaml",
    "yml": "yaml",
    "toml": "toml",
    "ini": "ini",
    "csv": "csv",
    "diff": "diff",
    "markdown": "md",
    "md": "md",
    "latex": "tex",
    "tex": "tex",
    "dockerfile": "dockerfile",
}


def take_out(markdown: str, *, language: str, stem: str) -> tuple[str, list[tuple[str, str]]]:
    """The text with a sentence in place of each long block of code, and the files: name, content.

    `stem` begins their names. Code inside lists and quotes stays where it is.
    """
    if markdown.count("\n") <= LINES_MAX and len(markdown) <= UNITS_MAX // 2:
        return markdown, []
    if not any(fence in markdown for fence in ("```", "~~~")):
        return markdown, []
    source = clean(markdown)
    lines = source.split("\n")
    files: list[tuple[str, str]] = []
    written, done = [], 0
    for token, (start, end) in _long_blocks(source):
        spoken = next(iter(token.info.split()), "").lower()
        name = f"{stem}-{len(files) + 1}.{ENDINGS.get(spoken, 'txt')}"
        count = token.content.count("\n")
        files.append((name, token.content))
        written += [*lines[done:start], "", say(language, "code_in_file", name=name, lines=count)]
        written.append("")
        done = end
    return "\n".join([*written, *lines[done:]]), files


def _long_blocks(source: str) -> Iterator[tuple[Token, tuple[int, int]]]:
    for token in tokens_of(source) or ():
        if token.type != "fence" or token.level or token.map is None:
            continue
        long = token.content.count("\n") > LINES_MAX
        if long or utf16_length(token.content) > UNITS_MAX:
            yield token, (token.map[0], token.map[1])
