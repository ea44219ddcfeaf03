"""Formulas in TeX, as a line of Unicode where that can be read; `None` where it cannot.

A chat has no formulas, but most that a model writes are short: fractions, powers, Greek letters.
What is beyond this small table stays TeX, which a reader who asked for it can read.

Source: the commands of TeX and of amsmath; Unicode, superscripts and subscripts.
"""

import re
from typing import Final

_TABLE: Final = """
alpha=α beta=β gamma=γ delta=δ epsilon=ε varepsilon=ε zeta=ζ eta=η theta=θ iota=ι kappa=κ lambda=λ
mu=μ nu=ν xi=ξ pi=π rho=ρ sigma=σ tau=τ upsilon=υ phi=φ varphi=φ chi=χ psi=ψ omega=ω
Gamma=Γ Delta=Δ Theta=Θ Lambda=Λ Xi=Ξ Pi=Π Sigma=Σ Phi=Φ Psi=Ψ Omega=Ω
times=× cdot=· div=÷ pm=± mp=∓ ast=∗ le=≤ leq=≤ ge=≥ geq=≥ ne=≠ neq=≠ approx=≈ equiv=≡ sim=∼
propto=∝ ll=≪ gg=≫ infty=∞ sum=∑ prod=∏ int=∫ oint=∮ partial=∂ nabla=∇ to=→ rightarrow=→
leftarrow=← leftrightarrow=↔ Rightarrow=⇒ Leftarrow=⇐ Leftrightarrow=⇔ iff=⇔ implies=⇒ mapsto=↦
in=∈ notin=∉ subset=⊂ subseteq=⊆ supset=⊃ cup=∪ cap=∩ emptyset=∅ varnothing=∅ forall=∀ exists=∃
neg=¬ lnot=¬ land=∧ wedge=∧ lor=∨ vee=∨ ldots=… dots=… cdots=⋯ degree=° circ=∘ prime=′ angle=∠
perp=⊥ parallel=∥ mid=| langle=⟨ rangle=⟩ lfloor=⌊ rfloor=⌋ lceil=⌈ rceil=⌉ hbar=ℏ ell=ℓ euro=€
"""
_SIGNS: Final = dict(pair.split("=") for pair in _TABLE.split())
_NAMES: Final = frozenset({"sin", "cos", "tan", "log", "ln", "exp", "lim", "max", "min", "mod"})
_NOTHING: Final = frozenset({"left", "right", "big", "Big", "displaystyle", "limits"})
_WORDS: Final = frozenset({"text", "mathrm", "mathbf", "mathit", "operatorname", "textbf"})
_SPACES: Final = {",": " ", ";": " ", ":": " ", "!": "", " ": " ", "quad": "  ", "qquad": "    "}
_LETTERS: Final = {"R": "ℝ", "N": "ℕ", "Z": "ℤ", "Q": "ℚ", "C": "ℂ", "P": "ℙ"}
_UP: Final = str.maketrans("0123456789+-=()nixyabcdeTk", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣʸᵃᵇᶜᵈᵉᵀᵏ")
_DOWN: Final = str.maketrans("0123456789+-=()aeoxijknmpt", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓᵢⱼₖₙₘₚₜ")
_ENVIRONMENT: Final = re.compile(r"\\(?:begin|end)\{(?:aligned|align\*?|equation\*?|gathered)\}")
_PIECE: Final = re.compile(r"\\([A-Za-z]+)|\\(.)|([{}^_&])|(\s+)|([^\\{}^_&\s])", re.DOTALL)
DEPTH_MAX: Final = 20


class _Unreadable(Exception):
    """There is more to it than a line of text can show."""


def unicode_of(formula: str) -> str | None:
    """The formula as text, its lines kept; None when that would not be readable."""
    reader = _Reader(list(_PIECE.finditer(_ENVIRONMENT.sub("", formula.strip()))))
    try:
        text = reader.group(0)
    except _Unreadable:
        return None
    lines = (re.sub(r"[ \t]+", " ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line) or None


class _Reader:
    """Reads the pieces of a formula from left to right."""

    def __init__(self, pieces: list[re.Match[str]]) -> None:
        self._pieces = pieces
        self._at = 0

    def group(self, depth: int) -> str:
        """Everything up to the brace that closes it; at depth 0, everything."""
        written = ""
        while self._at < len(self._pieces):
            if self._pieces[self._at][3] == "}":
                if depth == 0:
                    raise _Unreadable
                self._at += 1
                return written
            written += self._one(depth)
        if depth:
            raise _Unreadable
        return written

    def _one(self, depth: int) -> str:
        """The next piece with what belongs to it."""
        if self._at >= len(self._pieces) or depth > DEPTH_MAX:
            raise _Unreadable
        command, escaped, mark, space, sign = self._pieces[self._at].groups()
        self._at += 1
        if command is not None:
            return self._command(command, depth)
        if escaped is not None:
            return self._escaped(escaped)
        if mark == "{":
            return self.group(depth + 1)
        if mark == "&" or space is not None:
            return " "
        if mark == "}":
            raise _Unreadable
        if mark is not None:
            return _raised(mark, self._argument(depth))
        return str(sign)

    def _escaped(self, sign: str) -> str:
        if sign == "\\":
            return "\n"
        if sign in _SPACES:
            return _SPACES[sign]
        if sign in "{}$%&#_|":
            return sign
        raise _Unreadable

    def _command(self, name: str, depth: int) -> str:
        if name in _SIGNS:
            return _SIGNS[name]
        if name in _NAMES:
            return f"{name} "
        if name in _SPACES:
            return _SPACES[name]
        if name in _NOTHING:
            return ""
        if name in _WORDS:
            return self._words()
        if name == "mathbb":
            letter = self._argument(depth)
            return _LETTERS.get(letter, letter)
        if name in ("frac", "dfrac", "tfrac"):
            return f"{_held(self._argument(depth))}/{_held(self._argument(depth))}"
        if name == "sqrt":
            return "√" + _held(self._argument(depth))
        raise _Unreadable

    def _words(self) -> str:
        """What stands in braces as plain words, its spaces kept."""
        at = self._at
        while at < len(self._pieces) and self._pieces[at][3] != "}":
            at += 1
        words = "".join(piece[0] for piece in self._pieces[self._at : at])
        if at == len(self._pieces) or not words.startswith("{") or "\\" in words:
            raise _Unreadable
        self._at = at + 1
        return words[1:]

    def _argument(self, depth: int) -> str:
        while self._at < len(self._pieces) and self._pieces[self._at][4] is not None:
            self._at += 1
        return self._one(depth + 1).strip()


def _held(text: str) -> str:
    """In parentheses where it would else be read apart."""
    return text if re.fullmatch(r"[\w.,′°√]*[²³]?", text) else f"({text})"


def _raised(mark: str, text: str) -> str:
    if mark == "^" and text in ("∘", "°"):
        return "°"
    table = _UP if mark == "^" else _DOWN
    if text and all(ord(letter) in table for letter in text):
        return text.translate(table)
    return mark + (text if len(text) == 1 else f"({text})")
