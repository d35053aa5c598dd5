const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;  // 1, and more in a presentation

// Colours come from the theme in force, so that a switch between light and dark needs no new data.
const themed = (layout, style) => {
  const colour = name => style.getPropertyValue(name).trim();
  const axis = { gridcolor: colour('--st-border-color'), linecolor: colour('--st-border-color'),
                 zerolinecolor: colour('--st-border-color') };
  const out = { ...layout, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
                font: { size: 12 * rem(), ...layout.font, color: colour('--st-text-color'),
                        family: colour('--st-font') } };
  out.modebar = { bgcolor: 'rgba(0,0,0,0)', color: colour('--st-text-color'), activecolor: colour('--st-primary-color') };
  out.hoverlabel = { ...layout.hoverlabel, bgcolor: colour('--st-secondary-background-color'),
                     bordercolor: colour('--st-border-color'), font: { color: colour('--st-text-color') } };
  for (const key of Object.keys(layout))
    if (/^[xy]axis/.test(key)) out[key] = { ...axis, ...layout[key] };
  return out;
};

// In a presentation lines and marks grow with the letters, and so does what is around the plot.
const grown = (figure, times) => times === 1 ? figure : {
  data: figure.data.map(trace => ({
    ...trace, ...(trace.line && { line: { ...trace.line, width: times * (trace.line.width ?? 2) } }),
    ...(trace.textfont?.size && { textfont: { ...trace.textfont, size: times * trace.textfont.size } }),
    ...(typeof trace.marker?.size === 'number' && { marker: { ...trace.marker, size: times * trace.marker.size } }) })),
  layout: { ...figure.layout, height: figure.layout.height && times * figure.layout.height,
            margin: Object.fromEntries(Object.entries(figure.layout.margin).map(([side, px]) => [side, times * px])) },
};

const save = (target, format) => {
  const background = getComputedStyle(target).getPropertyValue('--st-background-color').trim();
  const { offsetWidth: width, offsetHeight: height } = target;
  const figure = { data: target.data, layout: { ...target.layout, paper_bgcolor: background } };
  window.Plotly.downloadImage(figure, { format, width, height, scale: 2,
    filename: target.getAttribute('aria-label').toLowerCase().replace(/[^\p{L}\d]+/gu, '-').slice(0, 60) });
};

// The same for the life of a chart: plotly draws one anew, without its zoom, whose configuration is another.
const config = (target, aspect) => target.__config ||= {
  responsive: !aspect, displaylogo: false,
  modeBarButtonsToRemove: ['toImage', 'lasso2d', 'select2d', 'autoScale2d', 'sendChartToCloud', 'sendDataToCloud'],
  modeBarButtonsToAdd: [
    { name: 'enlarge', title: 'Enlarge', icon: window.Plotly.Icons.autoscale, click: () => enlarge(target) },
    { name: 'png', title: 'Save as PNG', icon: window.Plotly.Icons.camera, click: () => save(target, 'png') },
    { name: 'svg', title: 'Save as SVG', icon: window.Plotly.Icons.disk, click: () => save(target, 'svg') }],
};

// The chart, or one tile {row, column} of a picture, over the whole window; Escape or a click beside it closes.
const enlarge = (target, place) => {
  const dialog = document.createElement('dialog'), plot = document.createElement('div');
  dialog.className = 'apprentice-large';
  dialog.setAttribute('aria-label', target.getAttribute('aria-label'));
  const close = Object.assign(document.createElement('button'), { textContent: '×', onclick: () => dialog.close() });
  close.setAttribute('aria-label', 'Close');
  dialog.append(close, plot);
  target.parentElement.append(dialog);
  dialog.onclick = event => event.target === dialog && dialog.close();
  dialog.onclose = () => { window.Plotly.purge(plot); dialog.remove(); target.focus(); };
  dialog.showModal();
  const [width, height] = [0.9 * window.innerWidth, 0.86 * window.innerHeight];
  const { aspect, tile } = target.layout.meta ?? {}, layout = { ...target.layout, width, height };
  if (place) {
    const [top, left] = [place.row * tile.down - 0.5, place.column * tile.across - 0.5];
    const side = Math.min((width - 130) / tile.width, (height - 80) / tile.height);
    Object.assign(layout, {
      annotations: [], title: { text: [tile.rows[place.row], tile.columns[place.column]].filter(Boolean).join(' · ') },
      width: side * tile.width + 130, height: side * tile.height + 80, margin: { l: 20, r: 110, t: 60, b: 20 },
      xaxis: { ...layout.xaxis, range: [left, left + tile.width] },
      yaxis: { ...layout.yaxis, range: [top + tile.height, top], domain: [0, 1] } });
  } else if (aspect) {
    const { l, r, t, b } = layout.margin, inner = Math.min(width - l - r, (height - t - b) / aspect);
    Object.assign(layout, { width: inner + l + r, height: inner * aspect + t + b });
  }
  const traces = place ? target.data.filter(trace => trace.type === 'heatmap' && trace.meta.includes(place.row))
                       : target.data;
  window.Plotly.newPlot(plot, traces, layout, { displaylogo: false, displayModeBar: false });
};

const tileAt = ({ x, y }, { down, across, columns, rows }) => {
  const row = Math.floor((y + 0.5) / down), column = Math.floor((x + 0.5) / across);
  return row >= 0 && row < rows.length && column >= 0 && column < columns.length && { row, column };
};

const inSight = target => {
  const { top, bottom } = target.getBoundingClientRect();
  return top < window.innerHeight && bottom > 0;
};
const later = call => requestAnimationFrame(() => setTimeout(call));  // once what is there has been seen

export default function ({ parentElement, data }) {
  const target = parentElement.querySelector('.apprentice-chart');
  target.setAttribute('aria-label', data.description);
  target.onkeydown = event => {  // returns nothing: what returns false keeps every other key from the browser
    if (event.key !== 'Enter' || event.target !== target) return;
    event.preventDefault();  // or the same key presses the button that closes it
    enlarge(target);
  };
  const figure = JSON.parse(data.figure), { aspect, tallest, readable, tile } = figure.layout.meta ?? {};
  // A picture with an aspect is as wide as its place allows, and high enough for square pixels.
  const place = ({ height, margin: { l, r, t, b } }) => {
    const room = target.clientWidth, inner = aspect && Math.min(room - l - r, tallest * rem() / aspect);
    const size = aspect ? { width: Math.round(inner + l + r), height: Math.round(inner * aspect + t + b) } : { height };
    target.style.height = size.height + 'px';
    target.__room = room;
    return { inner, size };
  };
  const draw = async () => {
    const { data: traces, layout } = grown(JSON.parse(data.figure), rem()), { inner, size } = place(layout);
    const drawn = { ...themed(layout, getComputedStyle(target)), ...size };
    if (inner < readable * rem()) drawn.font.size *= Math.max(0.58, inner / (readable * rem()));  // titles stay apart
    await window.Plotly.react(target, traces, drawn, config(target, aspect));
    target.removeAllListeners('plotly_click');
    if (tile) target.on('plotly_click', ({ points: [point] }) => {
      const place = point.data.type === 'heatmap' && tileAt(point, tile);
      if (place) enlarge(target, place);
    });
  };
  target.__observer?.disconnect();
  target.__observer = new ResizeObserver(() => {
    if (window.Plotly && (aspect ? target.clientWidth !== target.__room : rem() !== target.__rem)) draw();
    target.__rem = rem();
  });
  target.__rem = rem();
  target.__observer.observe(target);
  // What is in sight comes first, all else afterwards; its place has its height already.
  if (!target._fullData) place(grown(figure, rem()).layout);
  target.__due = draw;
  const draws = () => target.isConnected && target.__due === draw && draw();
  plotly().then(() => target._fullData || inSight(target) ? draws() : later(draws),
                () => { target.textContent = 'The chart library could not be loaded; reload the page.'; });
  return () => {  // when the page no longer has it
    target.__observer.disconnect();
    window.Plotly?.purge(target);
  };
}
