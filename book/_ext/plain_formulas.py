"""Formulas as a line of plain text: ``\\log\\sigma^2`` becomes "log σ²".

The search page shows lines of the book without MathJax, and looks for words in them. What is too
long for a line becomes "…".
"""

import re
from functools import partial

LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε",
    "theta": "θ", "vartheta": "ϑ", "kappa": "κ", "lambda": "λ", "mu": "μ", "pi": "π", "rho": "ρ",
    "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "eta": "η", "nu": "ν", "xi": "ξ", "zeta": "ζ", "ell": "ℓ", "Delta": "Δ", "Gamma": "Γ",
    "Lambda": "Λ", "Omega": "Ω", "Phi": "Φ", "Psi": "Ψ", "Sigma": "Σ", "Theta": "Θ",
}  # fmt: skip
SIGNS = {
    "mid": " | ", "|": " ‖ ", "lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "le": " ≤ ",
    "ge": " ≥ ", "ne": " ≠ ", "ll": " ≪ ", "gg": " ≫ ", "approx": " ≈ ", "sim": " ~ ",
    "propto": " ∝ ", "times": " × ", "cdot": " · ", "odot": " ⊙ ", "circ": " ∘ ", "pm": "±",
    "to": " → ", "mapsto": " ↦ ", "in": " ∈ ", "infty": "∞", "int": "∫", "sum": "∑", "prod": "∏",
    "partial": "∂", "nabla": "∇", "top": "ᵀ", "star": "*", "dots": "...", "ldots": "...",
    "cdots": "...", "langle": "⟨", "rangle": "⟩", ",": " ", ";": " ", ":": " ", " ": " ", "!": "",
    "quad": " ", "qquad": " ", "_": "_", "%": "%", "colon": ":",
}  # fmt: skip
NAMES = {"log", "exp", "det", "sin", "cos", "max", "min", "ln", "Pr", "arg", "tr", "sup", "inf"}
IGNORED = {"left", "right", "displaystyle", "big", "bigl", "bigr", "Big", "Bigl", "Bigr"}
FONTS = r"text|mathrm|mathbf|mathbb|mathcal|mathsf|operatorname|boldsymbol"
ACCENTS = {"hat": "\u0302", "tilde": "\u0303", "bar": "\u0304", "overline": "\u0304"}
RAISED = str.maketrans("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ")
LOWERED = str.maketrans("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋")

ARGUMENT = r"\s*(?:\{([^{}]*)\}|(\\[A-Za-z]+|[^\s\\{}(]))"


def grouped(text: str) -> str:
    """The text, in brackets if it is more than one word or number."""
    text = text.strip()
    return text if re.fullmatch(r"[\w.*\u0300-\u036f]*", text) else f"({text})"


def command(match: re.Match[str]) -> str:
    """A command without arguments, as a sign; one that is not known stays."""
    name = match[1] or match[2]
    if name in LETTERS:
        return LETTERS[name]
    if name in NAMES:
        return f" {name} "
    return "" if name in IGNORED else SIGNS.get(name, match[0])


def script(match: re.Match[str], table: dict[int, int], mark: str) -> str:
    """An exponent or an index: small digits where they exist."""
    inside = (match[1] if match[1] is not None else match[2]).strip()
    small = inside.translate(table)
    if inside and all(ord(character) in table for character in inside):
        return small
    return inside if inside in {"*", "ᵀ"} else mark + grouped(inside)


def either(match: re.Match[str]) -> str:
    """The argument, whether in braces or a single sign."""
    return match[1] if match[1] is not None else match[2]


def accented(accent: str, match: re.Match[str]) -> str:
    """The argument with an accent that combines with its last sign."""
    return either(match) + accent


def plain(tex: str) -> str:
    """A formula in one line of plain text, or "…" where that cannot be read."""
    text = tex.replace("\\{", "[").replace("\\}", "]").replace("\n", " ")
    text = re.sub(r"\\(?:([A-Za-z]+)|(.))", command, text)
    for _ in range(12):  # from the inside out
        before = text
        text = re.sub(rf"\\(?:{FONTS}){ARGUMENT}", either, text)
        for name, accent in ACCENTS.items():
            text = re.sub(rf"\\{name}{ARGUMENT}", partial(accented, accent), text)
        text = re.sub(rf"\\sqrt{ARGUMENT}", lambda m: "√" + grouped(either(m)), text)
        text = re.sub(
            rf"\\[dt]?frac{ARGUMENT}{ARGUMENT}",
            lambda m: (
                grouped(m[1] if m[1] is not None else m[2])
                + "/"
                + grouped(m[3] if m[3] is not None else m[4])
            ),
            text,
        )
        text = re.sub(rf"\^{ARGUMENT}", lambda m: script(m, RAISED, "^"), text)
        text = re.sub(rf"_{ARGUMENT}", lambda m: script(m, LOWERED, "_"), text)
        text = re.sub(r"(?<![A-Za-z^_\\])\{([^{}]*)\}", r"\1", text)
        if text == before:
            break
    text = re.sub(rf"\b({'|'.join(NAMES)}) +\(", r"\1(", text)
    text = re.sub(r"\s+([,)\]])", r"\1", re.sub(r"([(\[])\s+", r"\1", " ".join(text.split())))
    return "…" if re.search(r"[\\{}&]", text) or len(text) > 60 else text
