// What is drawn outlives the pad: Streamlit takes it away when one looks at another page.
const pads = window.__apprenticePads ||= { strokes: {}, settings: {}, number: 0 };
const THROTTLE = 200, PATIENCE = 3000;  // milliseconds

export default function ({ parentElement, data, setStateValue }) {
  const { size, channels, base } = data;
  const find = name => parentElement.querySelector(name);
  const canvas = find('canvas'), pen = canvas.getContext('2d', { willReadFrequently: true });
  const strokes = pads.strokes[base] ||= [];
  const here = canvas.__pad ||= {};  // outlives a new call of this function, which comes with every answer
  const cells = Math.max(1, Math.round(280 / size)), side = cells * size;

  const paint = () => {
    pen.imageSmoothingEnabled = false;
    pen.drawImage(here.below, 0, 0, side, side);
    pen.lineCap = pen.lineJoin = 'round';
    for (const { width, colour, points } of strokes) {
      pen.lineWidth = width * side;
      pen.strokeStyle = colour;
      pen.beginPath();
      points.forEach(([x, y], i) => pen[i ? 'lineTo' : 'moveTo'](x * side, y * side));
      if (points.length === 1) pen.lineTo(points[0][0] * side + 0.01, points[0][1] * side);
      pen.stroke();
    }
    find('[name=undo]').disabled = find('[name=clear]').disabled = !strokes.length;
    find('p').hidden = strokes.length || !data.empty;
  };
  const pixels = () => {  // the mean of each pixel's cells, channel by channel
    const seen = pen.getImageData(0, 0, side, side).data;
    let bytes = '';
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < size; y++)
        for (let x = 0; x < size; x++) {
          let sum = 0;
          for (let v = y * cells; v < (y + 1) * cells; v++)
            for (let u = x * cells; u < (x + 1) * cells; u++) sum += seen[4 * (v * side + u) + c];
          bytes += String.fromCharCode(Math.round(sum / (cells * cells)));
        }
    return btoa(bytes);
  };

  // One drawing is on its way at a time; what changes meanwhile follows when it is answered.
  const send = () => {
    here.timer = 0;
    here.changed = false;
    here.waits = true;
    here.sent = performance.now();
    setStateValue('drawn', { number: ++pads.number, base, pixels: strokes.length ? pixels() : '' });
    clearTimeout(here.patience);
    here.patience = setTimeout(() => pads.answered(pads.number), PATIENCE);
  };
  const soon = () => {
    if (here.changed && !here.waits && !here.timer)
      here.timer = setTimeout(() => here.send(), Math.max(0, here.sent + THROTTLE - performance.now()));
  };
  const changed = () => {
    here.changed = true;
    paint();
    soon();
  };
  here.send = send;
  here.sent ??= -THROTTLE;
  pads.answered = number => {
    if (number === pads.number) here.waits = false;
    soon();
  };

  const inputs = ['width', channels === 1 ? 'grey' : 'colour'].map(name => find(`[name=${name}]`));
  find('[name=grey]').parentElement.hidden = channels !== 1;
  find('[name=colour]').parentElement.hidden = channels === 1;
  for (const input of inputs) {
    input.value = pads.settings[input.name] ?? input.value;
    input.oninput = () => { pads.settings[input.name] = input.value; };
  }
  const colour = () => channels === 1 ? `rgb(${Array(3).fill(inputs[1].value)})` : inputs[1].value;
  const place = e => [e.offsetX / canvas.clientWidth, e.offsetY / canvas.clientHeight];
  canvas.onpointerdown = e => {
    if (e.button) return;
    canvas.setPointerCapture(e.pointerId);
    here.stroke = { width: inputs[0].value / 100, colour: colour(), points: [place(e)] };
    strokes.push(here.stroke);
    changed();
  };
  canvas.onpointermove = e => {
    if (!here.stroke) return;
    const between = e.getCoalescedEvents?.() ?? [];
    here.stroke.points.push(...(between.length ? between : [e]).map(place));
    changed();
  };
  canvas.onpointerup = canvas.onpointercancel = () => { here.stroke = null; };
  const undo = () => { if (strokes.pop()) changed(); };
  find('[name=undo]').onclick = undo;
  find('[name=clear]').onclick = () => { strokes.length = 0; changed(); };
  canvas.onkeydown = e => { if ((e.ctrlKey || e.metaKey) && e.key === 'z') { e.preventDefault(); undo(); } };

  canvas.setAttribute('aria-label', data.description);
  if (canvas.width !== side) canvas.width = canvas.height = side;
  if (here.base !== base || here.image !== data.image) {
    const below = imageOf(data, document.createElement('canvas'));
    Object.assign(here, { base, image: data.image, below, stroke: null });
    paint();
    if (strokes.length) changed();
  }
}
