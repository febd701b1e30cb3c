"""The site in a headless Chromium: narrowed, linked, saved, 390 pixels wide, dark, by keyboard.

Marked, and left out with a word where no such browser is installed.
"""

import json
import re
import subprocess
from html import escape
from pathlib import Path
from urllib.parse import unquote

import pytest
from browser import chromium
from made_up import better, claim, fill

from normlab.claims.claim import Arm
from normlab.report import pages
from normlab.report.build import built, write

pytestmark = pytest.mark.browser
# Of a script in the page: types into the search, as a person does.
TYPE = """
const form = document.getElementById("choose");
form.elements.q.value = "never run";
form.elements.q.dispatchEvent(new Event("input", {bubbles: true}));
"""
SHOWN = (
    '[...document.querySelectorAll("tbody tr")].filter((row) => row.offsetHeight).map(r => r.id)'
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A site of two claims, of which one has records, in a folder of its own."""
    results = tmp_path_factory.mktemp("results")
    one = claim(statement=f"New is better than {'a long word' * 3}.")
    fill(results, one, better(0.03))
    arms = (Arm("new", ("norm=rmsnorm",)), Arm("old", ("norm=none",)))
    write(built(results, claims=[one, claim("other", arms=arms, statement="Never run.")]))
    return results / "report"


def seen(page: Path, script: str, fragment: str = "", dark: bool = False):
    """What `script`, at the end of the page, returns in the browser."""
    return dumped(
        page, page.read_text().replace("</body>", f"{kept(script)}</body>"), fragment, dark
    )


def narrow(page: Path, script: str):
    """The same in a frame of 390 pixels (a window has 500 at least), where `page` is its document;
    `screen` is its window."""
    names = "const screen = frames[0], page = screen.document;"
    frame = f'<iframe style="width: 390px; border: 0" srcdoc="{escape(page.read_text())}"></iframe>'
    after = f"onload = () => {{ {kept(names + script, tag=False)} }}"
    return dumped(page, f"<!doctype html><body>{frame}<script>{after}</script></body>")


def kept(script: str, tag: bool = True) -> str:
    """What writes the value of `script` into the page."""
    result = f"JSON.stringify((() => {{ {script} }})())"
    write_it = f"document.body.dataset.result = encodeURIComponent({result});"
    return f"<script>{write_it}</script>" if tag else write_it


def dumped(page: Path, text: str, fragment: str = "", dark: bool = False):
    """What a script has written into a page of this text that lies beside `page`."""
    copy = page.with_name(f"seen-{page.name}")
    copy.write_text(text)
    command = [
        str(chromium()), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={page.parent}/browser", "--window-size=1000,900", "--dump-dom",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        f"{copy.as_uri()}{fragment}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    copy.unlink()
    (found,) = re.findall(r'data-result="([^"]*)"', done.stdout)
    return json.loads(unquote(found))


def test_a_link_narrows_the_page(folder):
    index = folder / "index.html"
    assert seen(index, f"return {SHOWN}") == ["made-up", "other"]
    assert seen(index, f"return {SHOWN}", "#verdict=supported") == ["made-up"]
    # What this page does not have is as if nothing were asked.
    assert seen(index, f"return {SHOWN}", "#topic=gardening") == ["made-up", "other"]


def test_a_search_is_kept_in_the_address_and_reset(folder):
    index = folder / "index.html"
    script = f'{TYPE} return [{SHOWN}, location.hash, document.getElementById("shown").value]'
    assert seen(index, script) == [["other"], "#q=never%20run", "1 of 2 claims"]
    reset = f'{TYPE} form.querySelector("[type=reset]").click(); return [{SHOWN}, location.hash]'
    assert seen(index, reset) == [["made-up", "other"], ""]


def test_what_is_shown_is_saved(folder):
    script = f"""{TYPE}
    const saved = [];
    HTMLAnchorElement.prototype.click = function () {{ saved.push(this.download); }};
    for (const id of ["csv", "json"]) document.getElementById(id).click();
    return saved;"""
    assert seen(folder / "index.html", script) == ["claims.csv", "claims.json"]


def test_the_keyboard_reaches_what_a_mouse_does(folder):
    script = """
    const all = [...document.querySelectorAll("#choose input, #choose select, #choose button, a")];
    return all.filter((one) => one.tabIndex < 0 || one.disabled).length + ":" + all.length"""
    none, total = seen(folder / "index.html", script).split(":")
    assert none == "0" and int(total) > 10


@pytest.mark.parametrize("name", ["index.html", "claims/made-up.html", "claims/other.html"])
def test_a_narrow_screen_is_not_wider_than_itself(name, folder):
    open_all = 'page.querySelectorAll("details").forEach((one) => { one.open = true; });'
    script = f"{open_all} return [page.documentElement.scrollWidth, screen.innerWidth]"
    wide, screen = narrow(folder / name, script)
    assert screen == 390 and wide <= 390


def test_dark_is_dark(folder):
    script = "return getComputedStyle(document.body).backgroundColor"
    assert seen(folder / "index.html", script, dark=True) == "rgb(21, 22, 26)"
    assert seen(folder / "index.html", script) == "rgb(252, 251, 248)"


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_colour_of_text_stands_out_from_the_paper(theme):
    style = Path(pages.__file__).with_name("style.css").read_text()
    block = re.findall(r":root \{(.*?)\}", style, re.S)[theme]
    colours = dict(re.findall(r"--([\w]+): (#\w{6});", block))
    paper = luminance(colours["paper"])
    words = ["ink", "soft", "yes", "partly", "no", "open", "none", *(f"s{i}" for i in range(8))]
    for name in words:
        dark, light = sorted([paper, luminance(colours[name])])
        assert (light + 0.05) / (dark + 0.05) >= 4.5, name
