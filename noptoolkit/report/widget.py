"""The package map as a widget in notebooks: the page's own map, in a shadow root of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from noptoolkit.collectives import CollectiveResult
from noptoolkit.errors import NopError
from noptoolkit.flow import FlowResult
from noptoolkit.package import Package
from noptoolkit.plans import PlanStep
from noptoolkit.report.escaping import inline_json
from noptoolkit.report.maps import MapRun, View, map_section
from noptoolkit.report.page import asset, environment_of, styles
from noptoolkit.simulate import Simulation
from noptoolkit.stages import Run
from noptoolkit.step import StepSchedule
from noptoolkit.study import Comparison

__all__ = ["map_parts", "map_widget"]

SCRIPT = """
function draw(nop) {
%s
%s
}
%s
export default {
  render({ model, el }) {
    const root = el.attachShadow({ mode: "open" });
    const style = document.createElement("style");
    style.textContent = model.get("style");
    const body = document.createElement("div");
    body.className = "body";
    body.innerHTML = model.get("html");
    root.append(style, body);
    const nop = nop_helpers(root, JSON.parse(model.get("data")));
    const told = document.documentElement.dataset.jpThemeLight;
    if (told !== undefined) el.dataset.theme = told === "false" ? "dark" : "light";
    draw(nop);
  },
};
"""


def map_parts(value: View | Run | Comparison) -> Mapping[str, str]:
    """Return markup, style, data and script of the map of a value.

    Raises
    ------
    NopError
        If the value has no map, or jinja2 is not installed.
    """
    runs = _runs_of(value)
    section, data = map_section(runs)
    try:
        jinja2 = import_module("jinja2")
    except ImportError as error:
        raise NopError("the map needs jinja2: pip install 'noptoolkit[notebook]'") from error
    html = environment_of(jinja2, {}).get_template("map.html").render(value=section.blocks[0].value)
    html += '<div id="tip" role="tooltip" hidden></div>'
    script = SCRIPT % (asset("tables.js"), asset("map.js"), asset("helpers.js"))
    return {"html": html, "style": _hosted(styles()), "data": inline_json({"map": data}), "script": script}


def map_widget(value: View | Run | Comparison) -> Any:
    """Return the map of a value as a widget of anywidget.

    Raises
    ------
    NopError
        If the value has no map, or the extra ``notebook`` is not installed.
    """
    try:
        anywidget, traitlets = import_module("anywidget"), import_module("traitlets")
    except ImportError as error:
        raise NopError("a map in a notebook needs anywidget: pip install 'noptoolkit[notebook]'") from error
    parts = map_parts(value)

    synced = {key: traitlets.Unicode().tag(sync=True) for key in ("html", "style", "data")}
    made = type("PackageMapWidget", (anywidget.AnyWidget,), {"_esm": parts["script"], **synced})
    return made(**{key: parts[key] for key in synced})


def _runs_of(value: Any) -> list[MapRun]:
    if isinstance(value, Comparison):
        return [run for one in value.runs for run in _runs_of(one)]
    if isinstance(value, Run):
        names = [name for name in ("dispatch", "combine", "uniform") if name in value.computed]
        views: dict[str, View] = {name: getattr(value, name) for name in names or ["dispatch", "combine"]}
        if "plan" in value.computed:
            views["step"] = value.plan
        return [MapRun(value.given.name, value.package, views)]
    if isinstance(value, FlowResult):
        return [MapRun("", value.package, {value.traffic.name or "traffic": value})]
    if isinstance(value, StepSchedule):
        return [MapRun(value.workload.name, value.package, {"step": value})]
    if isinstance(value, Package):
        return [MapRun("", value, {"package": value})]
    if isinstance(value, Simulation):
        return [MapRun("", value.package, {"simulated": value})]
    if isinstance(value, CollectiveResult):
        return [MapRun("", value.package, {value.title: value})]
    if isinstance(value, PlanStep):
        return [MapRun(value.workload.name, value.package, {str(value.plan): value})]
    raise NopError(
        f"a {type(value).__name__} has no map; give a package, a flow, a collective, a simulation, a plan's "
        "step, a schedule, a run or a comparison"
    )


def _hosted(style: str) -> str:
    """Return a style sheet for a shadow root: what it says of the document is said of the host."""
    style = re.sub(r":root:not\(([^)]*)\)", r":host(:not(\1))", style)
    style = re.sub(r":root(\[[^\]]*\])", r":host(\1)", style)
    return re.sub(r"(?<=[}\n])body\{", ".body{", style.replace(":root", ":host"))
