const cell = ({ published, measured, mark, tone, clear, state, said, row, column }, choose) => {
  const button = document.createElement('button');
  button.className = [tone, clear && 'clear', state].filter(Boolean).join(' ');
  button.setAttribute('aria-label', said);
  button.title = said;
  button.dataset.cell = JSON.stringify([row, column]);
  for (const [name, words] of [['small', published], ['b', measured], ['i', mark]])
    button.append(Object.assign(document.createElement(name), { textContent: words }));
  button.onclick = () => choose(row, column);
  return button;
};

const head = (words, scope, baselines = []) => {
  const place = Object.assign(document.createElement('th'), { textContent: words, scope });
  if (baselines.includes(words)) place.append(Object.assign(document.createElement('small'), { textContent: 'baseline' }));
  return place;
};

export default function ({ parentElement, data, setStateValue }) {
  const { rows, columns, cells, baselines } = data, table = parentElement.querySelector('table');
  const pressed = () => table.querySelectorAll('button').forEach(button =>
    button.setAttribute('aria-pressed', button.dataset.cell === table.__chosen));
  const choose = (row, column) => {
    table.__chosen = JSON.stringify([row, column]);
    pressed();
    setStateValue('cell', [row, column]);
  };
  const of = new Map(cells.map(one => [JSON.stringify([one.row, one.column]), one]));
  const focused = parentElement.querySelector('button:focus')?.dataset.cell;
  const lead = document.createElement('tr');
  lead.append(head('', 'col'), ...columns.map(column => head(column, 'col', baselines)));
  const body = rows.map(row => {
    const line = document.createElement('tr');
    line.append(head(row, 'row', baselines), ...columns.map(column => {
      const place = document.createElement('td'), one = of.get(JSON.stringify([row, column]));
      if (one) place.append(cell(one, choose));
      return place;
    }));
    return line;
  });
  const [top, rest] = [document.createElement('thead'), document.createElement('tbody')];
  if (columns.some(Boolean)) top.append(lead);
  rest.append(...body);
  table.replaceChildren(top, rest);
  pressed();
  if (focused) [...table.querySelectorAll('button')].find(button => button.dataset.cell === focused)?.focus();
}
