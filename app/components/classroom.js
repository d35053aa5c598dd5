// Every control of the page has a class of its own, by its key; a link can name those that it hides.
const controls = () => [...document.querySelectorAll('[data-testid=stMain] [class*="st-key-"]')].flatMap(element => {
  const label = element.querySelector('[data-testid=stWidgetLabel]') ?? element.querySelector('label, button');
  const words = [...(label?.querySelectorAll('p') ?? [])].map(part => part.textContent.trim()).join(' ')
    || label?.textContent.trim();
  const key = [...element.classList].find(name => name.startsWith('st-key-'))?.slice(7);
  return words && key ? [{ key, words }] : [];
});

export default function ({ parentElement, data }) {
  const list = parentElement.querySelector('.apprentice-controls');
  const copy = parentElement.querySelector('button'), shown = parentElement.querySelector('input');
  const chosen = () => [...list.querySelectorAll('input:checked')].map(box => box.value);
  const link = () => {
    const url = new URL(window.location.href);
    url.searchParams.delete('hide');
    const hide = chosen().join(',');
    return url.href + (hide ? (url.search ? '&' : '?') + 'hide=' + hide : '');
  };
  const fill = () => {
    const checked = new Set(list.childElementCount ? chosen() : data.hidden), seen = new Set();
    list.replaceChildren(...[{ key: 'menu', words: 'The menu at the left' }, ...controls()].flatMap(({ key, words }) => {
      if (seen.has(key)) return [];
      seen.add(key);
      const row = document.createElement('label'), box = document.createElement('input');
      Object.assign(box, { type: 'checkbox', value: key, checked: checked.has(key), onchange: tell });
      row.append(box, ' ' + words);
      return [row];
    }));
    tell();
  };
  const tell = () => { shown.value = link(); };
  parentElement.onpointerenter = fill;  // the page may have other controls by now
  parentElement.onfocusin = event => event.target === shown && fill();
  copy.onclick = async () => {
    tell();
    shown.select();
    const copied = navigator.clipboard ? await navigator.clipboard.writeText(shown.value).then(() => true, () => false)
                                       : document.execCommand('copy');  // on a server without TLS
    copy.textContent = copied ? 'Copied' : 'Copy it from the line above';
    setTimeout(() => { copy.textContent = 'Copy the link'; }, 2000);
  };
  fill();
}
