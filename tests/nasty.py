"""Names that somebody may have given to a class or a file, to be drawn by hypothesis."""

from hypothesis import strategies as st

KNOWN = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "</td></tr></table><h1>x",
    "[c](javascript:alert(1))",
    "![p](https://evil.example/p.png)",
    "<javascript:alert(1)>",
    "https://evil.example/a",
    "www.evil.example",
    "a@evil.example",
    "$5$ note $x_$",
    "$\\frac{$",
    "$$x$$",
    "\\(a\\) \\begin{b} \\\\(c\\\\)",
    "a|b",
    "a\nb\r\nc",
    "| --- |",
    "**b** __b__ _i_ ~~s~~ `c` # h",
    "[^1] [a]: b [x] &lt; &#60; &amp;",
    "\x1b[2J\x1b]0;title\x07",
    "\u202egnp.exe\u2066",
    "\udcff\udcfe",
    "_hidden",
    "{0} {} {:percent}",
    "NA",
    "None",
    "nan",
    "007",
    "1e5",
    "0.50",
    "inf",
    "True",
    "a" * 255,
]
PARTS = st.one_of(
    st.sampled_from(KNOWN),
    st.sampled_from(list("<>&|$\\`*_[]()!~#:@/{}'\"-+=^.%0 \t\n\x1b\u202e\u200b")),
    st.text(max_size=4),
)
names = st.lists(PARTS, min_size=1, max_size=6).map("".join).filter(lambda name: name.strip())
