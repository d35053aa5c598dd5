// Bytes (channels, size, size) as a canvas of so many pixels.
const imageOf = ({ image, size, channels }, canvas) => {
  const bytes = atob(image), area = size * size, drawn = new ImageData(size, size);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) drawn.data[4 * i + c] = bytes.charCodeAt((channels === 1 ? 0 : c) * area + i);
    drawn.data[4 * i + 3] = 255;
  }
  canvas.width = canvas.height = size;
  canvas.getContext('2d').putImageData(drawn, 0, 0);
  return canvas;
};
