"""Making HTML. Text is escaped unless it is `Markup` already, so that forgetting is safe.

How the page looks: on a screen, light or dark, and on paper.
"""

from __future__ import annotations

import re
from html import escape
from typing import Final

_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What may not stand in a page, escaped or not."""


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Escape text, also for an attribute."""
    return value if isinstance(value, Markup) else Markup(escape(_CONTROLS.sub("\ufffd", value)))


def element(name: str, *content: str, **attributes: str | float) -> Markup:
    """An element: ``element("td", "a < b", class_="x")``. An underscore is a hyphen."""
    return Markup(f"{_start(name, attributes)}>{join(*content)}</{name}>")


def void(name: str, **attributes: str | float) -> Markup:
    """An element without content, as HTML and SVG both read it."""
    return Markup(f"{_start(name, attributes)}/>")


def join(*content: str) -> Markup:
    """Pieces one after the other."""
    return Markup("".join(map(text, content)))


def _start(name: str, attributes: dict[str, str | float]) -> str:
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(_written(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{words}"


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


STYLE: Final = """
:root{--paper:#fff;--ink:#1b2330;--soft:#5a6577;--line:#dfe3ea;--wash:#f5f7fa;
--good:#0b7a4b;--bad:#b3261e;--doubt:#8a5a00;--wait:#4a5a78;
--c0:#2a6fbb;--c1:#e08a1e;--c2:#1f9a78;--c3:#c2528b;--c4:#7a5cc0;--c5:#58aede;--c6:#b5492e;
--c7:#8b94a3;--texture:#ffffffb0}
@media screen and (prefers-color-scheme:dark){:root{--paper:#12161d;--ink:#e6eaf0;--soft:#9ba7b8;
--line:#2c3441;--wash:#1a2029;--good:#4cc38a;--bad:#ff8a80;--doubt:#e5b454;--wait:#9db2d6;
--c0:#4d8fdb;--c1:#e59b3c;--c2:#35b28d;--c3:#d970a3;--c4:#9b82dc;--c5:#7cc4ea;--c6:#d2694c;
--c7:#7d8797;--texture:#00000080}}
*{box-sizing:border-box}
html{background:var(--paper);color:var(--ink);color-scheme:light dark;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
-webkit-text-size-adjust:100%}
body{max-width:61rem;margin:0 auto;padding:3rem 1.5rem 4rem}
h1{font-size:2.1rem;line-height:1.2;margin:0 0 .4rem;letter-spacing:-.015em;
overflow-wrap:anywhere;text-wrap:balance}
h2{font-size:1.2rem;margin:3rem 0 .9rem;break-after:avoid}
p{margin:.4rem 0;max-width:46rem}
.kicker{color:var(--soft);font-size:.9rem;margin:0 0 .35rem}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.5rem;margin:1.2rem 0 0}
.facts dt{color:var(--soft)}.facts dd{margin:0;overflow-wrap:anywhere}
.verdict{font-size:1.35rem;line-height:1.4;font-weight:600;margin:2.2rem 0 .3rem}
.soft,.note{color:var(--soft)}.note{font-size:.88rem}
.share{display:block;width:100%;height:14px;margin:1.2rem 0 0}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:1.2rem;margin:1rem 0 0;padding:0;
list-style:none}
.tiles li{border-top:3px solid currentColor;padding:.55rem 0 0;break-inside:avoid}
.tiles b{display:block;font-size:1.7rem;line-height:1.25;font-variant-numeric:tabular-nums;
color:var(--ink);overflow-wrap:anywhere}
.tiles span{display:block;color:var(--soft);font-size:.88rem}
.tiles .name{color:inherit;font-weight:600;font-size:.95rem}
.sent{color:var(--good)}.failed{color:var(--bad)}.unresolved{color:var(--doubt)}
.pending{color:var(--wait)}
.wide{overflow-x:auto}.wide+.wide{margin-top:1.6rem}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{text-align:start;color:var(--soft);font-size:.88rem;padding:0 0 .5rem}
th,td{padding:.42rem .7rem;border-bottom:1px solid var(--line);text-align:end;
vertical-align:top;white-space:nowrap}
th:first-child,td:first-child{padding-inline-start:0}
th:last-child,td:last-child{padding-inline-end:0}
th{font-weight:600}thead th{color:var(--soft);font-size:.85rem;vertical-align:bottom}
tbody th{font-weight:400}tfoot th,tfoot td{font-weight:600;border-bottom:0}
th.text,td.text{text-align:start}
.long{white-space:normal;overflow-wrap:anywhere;width:100%;min-width:9ch}
.zero{color:var(--soft)}
tr{break-inside:avoid}
figure{margin:0}.chart{display:block;width:100%;height:auto;min-width:40rem;font-size:12px}
.chart text{fill:var(--soft)}.chart .value{text-anchor:end;font-variant-numeric:tabular-nums}
.chart .name,.chart .year{text-anchor:middle}.chart .year{fill:var(--ink);font-weight:600}
.chart path{fill:none}.grid{stroke:var(--line)}.base{stroke:var(--soft)}
.c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}.c4{fill:var(--c4)}
.c5{fill:var(--c5)}.c6{fill:var(--c6)}.c7{fill:var(--c7)}
.chart .texture{stroke:var(--texture);stroke-width:1.1;fill:none}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.3rem;margin:0 0 .8rem;padding:0;list-style:none;
font-size:.9rem}
.legend li{display:flex;align-items:center;gap:.45rem}
details{margin:1rem 0 0}summary{cursor:pointer;color:var(--soft);font-size:.92rem}
details table{margin-top:.8rem}
footer{margin:3.5rem 0 0;padding:1rem 0 0;border-top:1px solid var(--line)}
footer h2{margin:0 0 .6rem;font-size:1rem}
@media (max-width:40rem){body{padding-top:1.5rem}.tiles{grid-template-columns:repeat(2,1fr)}}
@media print{@page{size:A4;margin:16mm 14mm}html{font-size:10.5pt}
body{max-width:none;padding:0}h1{font-size:20pt}h2{margin-top:1.8rem}
figure,.tiles,.facts{break-inside:avoid}.chart{min-width:0}.wide{overflow:visible}
th,td{padding:.25rem .45rem}caption{break-after:avoid}thead{break-after:avoid}
tfoot{display:table-row-group}.long{min-width:22ch}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;height:auto;display:block}
details>*{display:block}summary{list-style:none}}
"""
