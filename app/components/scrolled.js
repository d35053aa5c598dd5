// A screen before the end is reached, so that nobody who scrolls waits for what follows.
export default function ({ parentElement, setStateValue }) {
  const observer = new IntersectionObserver(
    ([end]) => { if (end.isIntersecting) { observer.disconnect(); setStateValue('seen', true); } },
    { root: document.querySelector('[data-testid=stMain]'), rootMargin: '900px' });
  observer.observe(parentElement.querySelector('div'));
  return () => observer.disconnect();
}
