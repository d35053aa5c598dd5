// The library, once a page: from this server, never from elsewhere.
const plotly = () => window.Plotly ? Promise.resolve() : (window.__plotly ||= new Promise((done, failed) => {
  const script = document.createElement('script');
  script.src = new URL('app/static/plotly.min.js', document.baseURI.replace(/[^/]*$/, '')).href;
  script.onload = done;
  script.onerror = failed;
  document.head.appendChild(script);
}));
