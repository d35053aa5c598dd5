export default function ({ parentElement, data }) {
  imageOf(data, parentElement.querySelector('canvas'));
  window.__apprenticePads?.answered?.(data.number);
}
