"""One self-contained HTML page of a result: verdict, tables, package map, schedule, provenance.

`page_of` makes a page of any result that it knows, `write_report` writes it; every such result has
``to_html``. The page needs no network and no server; to make it, the extra ``report`` (jinja2 and Bokeh).
"""

from noptoolkit.report.page import Block, Chart, Page, Section
from noptoolkit.report.results import page_of, write_report

__all__ = ["Block", "Chart", "Page", "Section", "page_of", "write_report"]
