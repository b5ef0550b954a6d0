// Canvases that fit their place at the screen's own resolution.

/** Keep a canvas as large as it is shown; draw(context, width, height) in CSS pixels after a change. */
export function fitted(canvas, draw) {
  const context = canvas.getContext("2d");
  const redraw = () => {
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw(context, width, height);
  };
  new ResizeObserver(redraw).observe(canvas);
  addEventListener("theme", redraw);
  return redraw;
}

/** Call draw at most once a frame, however often it is asked for. */
export function onceAFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}
