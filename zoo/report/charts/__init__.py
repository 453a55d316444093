"""The charts of the page, as Vega-Lite and as SVG."""
