"""Where things are drawn, whoever draws them: layouts, ribbons, rows and bars of schedules, colours.

Paper (`noptoolkit.plot`, by matplotlib) and page (`noptoolkit.report`, as SVG and in the browser) share this
geometry, so that one package looks alike in both. Nothing here draws, or needs matplotlib's figures.
"""
