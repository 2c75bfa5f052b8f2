"""The page in a real browser, its network blocked; skipped where there is no Chromium."""

from pathlib import Path
from typing import Any

import pytest
from hostile_report import hostile_page

import noptoolkit as nop
from noptoolkit.study import Comparison
from noptoolkit.units import format_quantity

COLOURS = """[...document.querySelectorAll('img.paper')].map((image) => {
  const sheet = document.createElement('canvas'), pen = sheet.getContext('2d');
  [sheet.width, sheet.height] = [image.naturalWidth, image.naturalHeight];
  pen.drawImage(image, 0, 0);
  return new Set(new Uint32Array(pen.getImageData(0, 0, sheet.width, sheet.height).data.buffer)).size;
})"""
"""How many colours each image on paper has."""


class Window:
    """A page that is open, and all that the browser said about it."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.context.set_offline(True)
        self.page.goto(path.as_uri())
        until(self.page, "nop.map !== undefined")

    def __enter__(self) -> Any:
        return self.page

    def __exit__(self, *_: object) -> None:
        self.context.close()
        assert self.said == []
        assert len([url for url in self.asked if not url.startswith("data:")]) == 1


def until(page: Any, condition: str) -> None:
    """Wait for a condition; Playwright's own way needs eval, which the page forbids."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within 10 s: {condition}")


def text(page: Any, selector: str) -> str:
    return str(page.locator(selector).first.inner_text())


def facts(page: Any, place: str) -> dict[str, str]:
    found = page.locator(f"{place} dl").first.evaluate(
        "list => [...list.children].map(one => one.textContent)"
    )
    return dict(zip(found[::2], found[1::2], strict=True))


def test_hover_shows_the_figures_of_the_comparison(browser: Any, page: Path, result: Comparison) -> None:
    run = result.runs[0]
    flow = run.dispatch
    with Window(browser, page, viewport={"width": 1600, "height": 1000}) as shown:
        for i in (int(flow.load.argmax()), 0):
            channel = run.package.channels[i]
            shown.locator(f'figure.map[data-p="0"] [data-c="{i}"]').first.dispatch_event(
                "pointermove", {"bubbles": True, "clientX": 50, "clientY": 50}
            )
            assert text(shown, "#tip b") == channel.name
            told = facts(shown, "#tip")
            assert told["bytes"] == format_quantity(float(flow.load[i]), "B")
            assert told["capacity"] == format_quantity(channel.bandwidth, "B/s")
            assert told["busy"] == format_quantity(float(flow.load[i]) / channel.bandwidth, "s")
            assert told["utilisation"] == f"{100 * flow.utilisation[i]:.1f} %"
            price = 1e9 * float(flow.dual[i]) * flow.time_bound
            assert told["price"].startswith(
                format_quantity(price, "s") if price > 1e-12 * flow.time_bound else "0:"
            )
        assert format_quantity(flow.time, "s") in text(shown, "figure.map .figures")


def test_hover_shows_what_was_simulated(browser: Any, tmp_path: Path) -> None:
    from noptoolkit.report import write_report
    from noptoolkit.simulate import Sampling, simulate

    mesh = nop.topology.mesh(2)
    run = simulate(mesh, "uniform", rate=0.4, sampling=Sampling(period=100))
    write_report(run, tmp_path / "page.html")
    with Window(browser, tmp_path / "page.html") as shown:
        i = mesh.channel_names.index(run.busiest)
        shown.locator(f'[data-c="{i}"]').first.dispatch_event("pointermove", {"bubbles": True})
        told = facts(shown, "#tip")
        assert told["utilisation"] == f"{100 * run.utilisation[i]:.1f} %"
        assert told["carried"] == format_quantity(float(run.flits[i] * run.flit_bytes), "B")
        assert run.busiest in text(shown, "figure.map .figures")


def test_a_click_keeps_and_tells_whose(browser: Any, page: Path, result: Comparison) -> None:
    run = result.runs[0]
    i = int(run.dispatch.load.argmax())
    with Window(browser, page) as shown:
        shown.locator(f'figure.map[data-p="0"] [data-c="{i}"]').first.dispatch_event("click")
        assert run.package.channels[i].name in text(shown, "#facts h3")
        assert "Sent by" in text(shown, "#facts") or "For" in text(shown, "#facts")
        assert shown.locator("path.kept").count() >= 1
        assert shown.locator(".node.from").count() >= 1
        node = run.package.index[run.package.with_role("attention")[0]]
        shown.locator(f'figure.map[data-p="0"] [data-n="{node}"]').dispatch_event("click")
        assert shown.locator("path.dim").count() >= 1
        assert "Sends to" in text(shown, "#facts")


def test_tables_sort_and_filter(browser: Any, page: Path, result: Comparison) -> None:
    with Window(browser, page) as shown:
        table = shown.locator("#figures table.sortable")
        heads = table.locator("thead th").all_inner_texts()
        place = [head.strip() for head in heads].index("step")
        names: dict[str, list[str]] = {}
        for way in ("ascending", "descending"):
            table.locator("thead button").nth(place).click()
            assert table.locator("thead th").nth(place).get_attribute("aria-sort") == way
            names[way] = table.locator("tbody th").all_inner_texts()
        order = sorted(result.runs, key=lambda run: run.plan.makespan)
        assert names["ascending"] == [run.package.name for run in order]
        assert names["descending"] == names["ascending"][::-1]
        proofs = shown.locator("#certificates")
        rows = proofs.locator("table.sortable tbody tr")
        whole = rows.count()
        proofs.locator(".filter").fill("combine")
        assert proofs.locator("table.sortable tbody tr:visible").count() == len(result.runs)
        longest = max(run.plan.makespan for run in result.runs)
        proofs.locator(".filter").fill(f"value >= {longest * 1e6} us")
        assert proofs.locator("table.sortable tbody tr:visible").count() >= 1
        proofs.locator(".filter").fill("")
        assert proofs.locator("table.sortable tbody tr:visible").count() == whole


def test_the_slider_moves_the_picture(browser: Any, page: Path, result: Comparison) -> None:
    shapes = "[...document.querySelectorAll('.channels path, .node .box')]"
    paint = shapes + ".map(p => p.getAttribute('class')).join()"
    with Window(browser, page) as shown:
        shown.locator('#pick-view [data-value="step"]').click()
        seen = [shown.evaluate(paint)]
        for slot in (20, 60):
            shown.evaluate(
                f"(() => {{ const s = nop.find('time'); s.value = {slot}; "
                "s.dispatchEvent(new Event('input')) })()"
            )
            seen.append(shown.evaluate(paint))
        assert len(set(seen)) == 3
        assert "slot 61 of 120" in text(shown, "#time-text")
        shown.locator("#play").click()
        until(shown, "nop.map.state.t > 61")
        shown.locator("#play").click()


def test_the_gantt_and_the_map_are_linked(browser: Any, page: Path, result: Comparison) -> None:
    with Window(browser, page) as shown:
        shown.evaluate("nop.charts.show('gantt-0').then(() => 1)")
        until(shown, "nop.charts.views['gantt-0'] !== undefined")
        shown.evaluate(
            "nop.charts.views['gantt-0'].figure.renderers.find(r => r.name !== 'critical')"
            ".data_source.selected.indices = [0]"
        )
        assert shown.evaluate("nop.map.state.v") == "step"
        assert shown.evaluate("nop.map.state.t") >= 0
        assert shown.locator(".kept").count() >= 1
        before = shown.evaluate("nop.charts.views['gantt-0'].figure.x_range.end")
        shown.locator('figure[data-chart="gantt-0"] .zoom [data-zoom="in"]').dispatch_event("click")
        assert shown.evaluate("nop.charts.views['gantt-0'].figure.x_range.end") < before


def test_the_keyboard_reaches_nodes_and_channels(browser: Any, page: Path, result: Comparison) -> None:
    with Window(browser, page) as shown:
        shown.locator("figure.map svg").first.focus()
        shown.keyboard.press("ArrowRight")
        first = text(shown, "#tip b")
        assert first == result.runs[0].package.nodes[0].name
        shown.keyboard.press("c")
        assert first in text(shown, "#tip b")
        shown.keyboard.press("Enter")
        assert shown.locator(".kept").count() >= 1
        shown.keyboard.press("Escape")
        assert shown.locator(".kept").count() == 0


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_and_wide_light_and_dark(browser: Any, page: Path, width: int, scheme: str) -> None:
    with Window(browser, page, viewport={"width": width, "height": 800}, color_scheme=scheme) as shown:
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        ink, paper = shown.evaluate(
            "['color', 'backgroundColor']"
            ".map(k => getComputedStyle(document.body)[k].match(/\\d+/g).map(Number))"
        )
        assert (sum(ink) > sum(paper)) == (scheme == "dark")
        shown.locator("#theme").click()
        turned = shown.evaluate("getComputedStyle(document.body).color.match(/\\d+/g).map(Number)")
        assert turned != ink


def test_paper_cuts_no_figure(browser: Any, page: Path) -> None:
    with Window(browser, page, viewport={"width": 720, "height": 1000}) as shown:  # as wide as A4
        shown.emulate_media(media="print")
        wide = shown.evaluate(
            "[...document.querySelectorAll('figure, table')].filter(f => f.offsetParent && f.scrollWidth > "
            "document.documentElement.clientWidth + 1).length"
        )
        assert wide == 0
        cut = shown.evaluate(
            "[...document.querySelectorAll('figure')]"
            ".filter(f => getComputedStyle(f).breakInside !== 'avoid').length"
        )
        assert cut == 0
        assert not shown.locator("#theme").is_visible()
        assert shown.pdf(format="A4").startswith(b"%PDF")


def test_charts_are_images_on_paper(browser: Any, page: Path) -> None:
    """A canvas keeps the width of the screen, and one that was never seen is not there: paper gets images."""
    with Window(browser, page, viewport={"width": 1200, "height": 300}, color_scheme="dark") as shown:
        charts = shown.locator("figure.chart:not([data-hidden])").count()
        until(shown, f"Object.keys(nop.charts.views).length === {charts}")
        shown.wait_for_timeout(300)
        shown.evaluate("window.dispatchEvent(new Event('beforeprint')); 1")
        shown.emulate_media(media="print")
        images = shown.locator("img.paper")
        assert images.count() == charts
        until(shown, "[...document.querySelectorAll('img.paper')].every(one => one.naturalWidth > 0)")
        wide = shown.evaluate("document.documentElement.clientWidth")
        inks = shown.evaluate(COLOURS)
        assert all(count > 20 for count in inks)  # not one empty sheet
        for i in range(charts):
            box = images.nth(i).bounding_box()
            assert box["width"] > 0.5 * wide
            assert box["x"] + box["width"] <= wide
        shown.evaluate("window.dispatchEvent(new Event('afterprint')); 1")
        assert images.count() == 0


def test_axe_finds_nothing(browser: Any, page: Path) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
    )
    context = browser.new_context(bypass_csp=True, color_scheme="light")  # axe-core is a script of its own
    shown = context.new_page()
    shown.goto(page.as_uri())
    until(shown, "nop.map !== undefined")
    shown.evaluate("document.querySelectorAll('#figures details').forEach(one => { one.open = true })")
    found = axe.Axe().run(shown).response["violations"]
    shown.emulate_media(color_scheme="dark")
    found += axe.Axe().run(shown, options={"runOnly": ["color-contrast"]}).response["violations"]
    context.close()
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def test_the_widget_draws_the_same_map(browser: Any, result: Comparison, tmp_path: Path) -> None:
    import json

    from noptoolkit.report.widget import map_parts

    run = result.runs[0]
    parts = map_parts(run)
    held = json.dumps({key: parts[key] for key in ("html", "style", "data")}).replace("</", "<\\/")
    script = parts["script"].replace("export default", "const widget =")
    (tmp_path / "cell.html").write_text(
        f"<meta charset=utf-8><div id=cell></div><script type=module>{script}; const held = {held}; "
        "widget.render({model: {get: key => held[key]}, el: document.getElementById('cell')}); "
        "window.drawn = true</script>",
        encoding="utf-8",
    )
    context = browser.new_context()
    shown = context.new_page()
    said: list[str] = []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.goto((tmp_path / "cell.html").as_uri())
    until(shown, "window.drawn === true")
    i = int(run.dispatch.load.argmax())
    shown.locator(f'[data-c="{i}"]').first.dispatch_event("pointermove", {"bubbles": True, "composed": True})
    assert facts(shown, "#tip")["bytes"] == format_quantity(float(run.dispatch.load[i]), "B")
    assert said == []
    context.close()


def test_hostile_names_run_nothing(browser: Any, tmp_path: Path) -> None:
    hostile_page(tmp_path / "page.html")
    with Window(browser, tmp_path / "page.html") as shown:
        dialogs: list[str] = []
        shown.on("dialog", lambda dialog: dialogs.append(dialog.message))
        for i in range(5):
            shown.locator(f'[data-n="{i}"]').first.dispatch_event("click")
            shown.locator(f'[data-n="{i}"]').first.dispatch_event("pointermove", {"bubbles": True})
        for button in shown.locator("#pick-view button, #traffic .choose button:visible").all():
            button.click()
        for key in shown.evaluate("[...document.querySelectorAll('[data-item]')].map(s => s.dataset.item)"):
            shown.evaluate(f"nop.charts.show('{key}').then(() => 1)")
        shown.wait_for_timeout(200)
        assert dialogs == []
        assert shown.locator("img").count() == 0
