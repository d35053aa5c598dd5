"""A Plotly chart that takes new data without flicker and keeps zoom and hidden lines."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

_PLOTLY = """
    const plotly = () => window.Plotly ? Promise.resolve() : (window.__plotly ||= new Promise((done, failed) => {
      const script = document.createElement('script');
      script.src = new URL('app/static/plotly.min.js', document.baseURI.replace(/[^/]*$/, '')).href;
      script.onload = done;
      script.onerror = failed;
      document.head.appendChild(script);
    }));
"""
fetch_library = st.components.v2.component(
    "apprentice_library", html="<div></div>", js=_PLOTLY + "export default () => { plotly(); }")
_CHART = st.components.v2.component(
    "apprentice_chart",
    html="<div class='apprentice-chart' role='img'></div>",
    css=".apprentice-chart { width: 100%; }",
    isolate_styles=False,
    js=_PLOTLY + """
    // Colours come from the theme in force, so that a switch between light and dark needs no new data.
    const themed = (layout, style) => {
      const colour = name => style.getPropertyValue(name).trim();
      const axis = { gridcolor: colour('--st-border-color'), linecolor: colour('--st-border-color'),
                     zerolinecolor: colour('--st-border-color') };
      const out = { ...layout, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
                    font: { ...layout.font, color: colour('--st-text-color'), family: colour('--st-font') } };
      out.hoverlabel = { ...layout.hoverlabel, bgcolor: colour('--st-secondary-background-color'),
                         bordercolor: colour('--st-border-color'), font: { color: colour('--st-text-color') } };
      for (const key of Object.keys(layout))
        if (/^[xy]axis/.test(key)) out[key] = { ...axis, ...layout[key] };
      return out;
    };

    export default function ({ parentElement, data }) {
      const target = parentElement.querySelector('.apprentice-chart');
      target.setAttribute('aria-label', data.description);
      const figure = JSON.parse(data.figure), { layout } = figure;
      const { aspect, tallest, readable } = layout.meta ?? {}, { l, r, t, b } = layout.margin;
      // A picture with an aspect is as wide as its place allows, and high enough for square pixels.
      const draw = () => {
        const room = target.clientWidth, inner = aspect && Math.min(room - l - r, tallest / aspect);
        const size = aspect ? { width: Math.round(inner + l + r), height: Math.round(inner * aspect + t + b) }
                            : { height: layout.height };
        target.style.height = size.height + 'px';
        target.__room = room;
        const drawn = { ...themed(layout, getComputedStyle(target)), ...size };
        if (inner < readable) drawn.font.size = Math.max(7, 12 * inner / readable);  // titles stay apart
        return window.Plotly.react(target, figure.data, drawn,
          { responsive: !aspect, displaylogo: false,
            modeBarButtonsToRemove: ['lasso2d', 'select2d', 'autoScale2d', 'sendChartToCloud', 'sendDataToCloud'] });
      };
      target.__observer?.disconnect();
      if (aspect) {
        target.__observer = new ResizeObserver(() => {
          if (window.Plotly && target.clientWidth !== target.__room) draw();
        });
        target.__observer.observe(target);
      }
      plotly().then(draw, () => { target.textContent = 'The chart library could not be loaded; reload the page.'; });
    }
    """,
)


def chart(figure: go.Figure, key: str, description: str) -> None:
    """Show a figure from `app.figures`; `description` is its alternative text. Its layout has a constant uirevision."""
    chart_of(figure.to_json(), key, description)


def chart_of(figure: str, key: str, description: str) -> None:
    """The same of a figure that is JSON already."""
    _CHART(key=key, data={"figure": figure, "description": description})
