"""How the page looks: on a desk, on a phone, in the dark and on paper."""

CSS = """
:root {
  color-scheme: light dark;
  --paper: #fbfbfa; --card: #fff; --ink: #202124; --muted: #5f6368;
  --rule: #dcdee1; --accent: #0b66a8; --failed: 200, 80, 40;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #141517; --card: #1c1d20; --ink: #e6e7e9; --muted: #a0a5ab;
    --rule: #37393d; --accent: #7cbcec; --failed: 230, 110, 70;
  }
}
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100% }
body {
  margin: 0 auto; max-width: 1000px; padding: 40px 24px 64px;
  background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; font-weight: 650 }
h2 { font-size: 22px; line-height: 1.3; margin: 56px 0 12px; font-weight: 650 }
h3 { font-size: 16px; line-height: 1.4; margin: 0 0 8px; font-weight: 650 }
h1, h2, h3, p, td, th, dd { overflow-wrap: anywhere }
p { margin: 0 0 12px; max-width: 76ch }
.name { color: var(--muted); font-size: 14px; margin: 0 0 20px }
.answer { border-left: 3px solid var(--accent); padding-left: 14px; margin: 0 0 16px }
.answer b { font-weight: 650 }
.answer span { display: block; margin-top: 2px }
.missing { border-left: 3px solid rgb(var(--failed)); padding-left: 14px }
nav { margin: 20px 0 0; font-size: 14px }
nav a { margin-right: 16px }
a { color: var(--accent); text-underline-offset: 2px }
figure, .card {
  margin: 0 0 20px; padding: 16px 18px; background: var(--card);
  border: 1px solid var(--rule); border-radius: 8px; min-width: 0;
}
figcaption, .caption {
  color: var(--muted); font-size: 13px; line-height: 1.5; margin: 8px 0 0;
  max-width: 92ch;
}
.pair { display: grid; gap: 0 20px; grid-template-columns: 1fr 1fr }
.scroll { overflow-x: auto }
svg { display: block; max-width: 100%; height: auto; overflow: visible }
svg * { stroke-linejoin: round; stroke-linecap: butt }
.wide svg { min-width: 500px }
.full table { width: 100% }
table {
  border-collapse: collapse; font-size: 13.5px; line-height: 1.35;
  font-variant-numeric: tabular-nums;
}
th, td {
  padding: 5px 10px 5px 0; text-align: right; vertical-align: top; white-space: nowrap;
  border-bottom: 1px solid var(--rule);
}
th { font-weight: 500; color: var(--muted) }
thead th { font-size: 13px; vertical-align: bottom }
th:first-child { text-align: left }
tbody th {
  color: var(--ink); font-weight: 400; white-space: normal; min-width: 10.5em;
  max-width: 16em; padding-left: 18px;
}
/* The names stay in sight while a wide table scrolls under them. */
.full th:first-child, .rates th:first-child {
  position: sticky; left: 0; background: var(--card);
}
th.group { text-align: center; border-bottom-color: var(--muted) }
th:last-child, td:last-child { padding-right: 2px }
tr:last-child > * { border-bottom: 0 }
thead tr:last-child > * { border-bottom: 1px solid var(--muted) }
tr.best > * { font-weight: 650 }
td small { display: block; color: var(--muted); font-size: 12px; font-weight: 400 }
td span { color: var(--muted); font-weight: 400 }
td.none { color: var(--muted) }
td.failed { background: rgba(var(--failed), calc(var(--share) * 0.38)) }
.rates th, .rates td { padding: 5px 6px; font-size: 13px; text-align: center }
.facts th { min-width: 0 }
.rates th:first-child { text-align: left }
.rates thead th:first-child { padding-left: 0 }
.rates tbody th:first-child { padding-left: 18px }
th i {
  position: absolute; left: 0; top: 9px; width: 10px; height: 10px; border-radius: 3px;
}
.plain th, .plain td { text-align: left; padding-right: 20px }
.plain td { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 12.5px }
abbr { text-decoration: none }
.wrap td { white-space: normal; min-width: 9em }
.wrap td:first-child { white-space: nowrap }
.facts th, .facts td { text-align: left; white-space: normal; padding-right: 20px }
.facts th {
  padding-left: 0; white-space: nowrap; color: var(--muted); font-weight: 400;
}
.facts td, code, pre { font-family: ui-monospace, Menlo, Consolas, monospace }
.facts td { font-size: 13px }
pre {
  font-size: 13px; margin: 0; white-space: pre-wrap; overflow-wrap: anywhere;
}
.seeds { display: none }
body:has(#seeds:checked) svg .seeds { display: inline; opacity: .75 }
svg g[class^="scheme"]:hover path { stroke-width: 2.6px }
.choose {
  margin: 16px 0 0; padding: 6px 12px 8px; border: 1px solid var(--rule);
  border-radius: 8px; font-size: 13.5px; background: var(--paper);
}
.choose legend { color: var(--muted); padding: 0 4px }
.choose label, .views label { margin-right: 14px; white-space: nowrap }
.choose i {
  display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin: 0 5px 0 3px;
}
.choose .each { color: var(--muted) }
.views { font-size: 13px; margin: 0 0 4px; color: var(--muted) }
figure:has(.second:checked) .view0, figure:not(:has(.second:checked)) .view1 {
  display: none;
}
.data { white-space: nowrap }
@media (max-width: 760px) {
  body { padding: 24px 14px 48px; font-size: 15px }
  h1 { font-size: 25px }
  .pair { grid-template-columns: 1fr }
  figure, .card { padding: 12px }
}
@media print {
  :root {
    --paper: #fff; --card: #fff; --ink: #000; --muted: #444; --rule: #bbb;
    --accent: #000;
  }
  body { max-width: none; padding: 0; font-size: 11pt }
  nav, .choose, .views, .data { display: none }
  figure, .card { break-inside: avoid; padding: 0; border: 0 }
  .scroll { overflow: visible }
  table { font-size: 8.5pt }
  th, td { padding-right: 6px }
  h2, h3 { break-after: avoid }
}
"""
