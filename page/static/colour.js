// Colours: each patch has a hue by its direction from the middle of the map, so neighbours look alike.

export function huesOf(patches) {
  const middle = mean(patches.map((p) => p.embedding));
  const turned = patches
    .map((p) => ({ name: p.name, angle: angleOf(p.embedding, middle) }))
    .sort((a, b) => a.angle - b.angle);
  // Half by angle, half by order: patches in the same direction still differ.
  return new Map(
    turned.map(({ name, angle }, i) => {
      const byAngle = (angle / (2 * Math.PI)) * 360 + 180;
      const byOrder = (i / turned.length) * 360;
      return [name, (byAngle + wrapped(byOrder - byAngle) / 2 + 30) % 360];
    }),
  );
}

/** The hue at a point, the nearer patches counting more, and how much they agree, 0..1. */
export function blended(point, patches, hues) {
  let x = 0;
  let y = 0;
  let sum = 0;
  for (const patch of patches) {
    const weight = 1 / (squared(point, patch.embedding) + 0.004) ** 1.4;
    sum += weight;
    const hue = ((hues.get(patch.name) ?? 0) * Math.PI) / 180;
    x += weight * Math.cos(hue);
    y += weight * Math.sin(hue);
  }
  const hue = ((Math.atan2(y, x) * 180) / Math.PI + 360) % 360;
  return { hue, strength: sum ? Math.hypot(x, y) / sum : 0 };
}

/** OKLCH as [r, g, b], 0..255. (Björn Ottosson's OKLab) */
export function rgb(lightness, chroma, hue) {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((x) => 255 * Math.min(Math.max(x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055, 0), 1));
}

export function css(lightness, chroma, hue, alpha = 1) {
  return `rgb(${rgb(lightness, chroma, hue).map(Math.round).join(" ")} / ${alpha})`;
}

/** The page's own colours, as canvases need them; asked anew when the theme changes. */
export function theme() {
  const style = getComputedStyle(document.body);
  const get = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    dark: get("dark") === "1",
    paper: get("paper"),
    card: get("card"),
    ink: get("ink"),
    soft: get("soft"),
    line: get("line"),
    font: style.fontFamily,
  };
}

function squared(a, b) {
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum;
}

function mean(points) {
  const size = points[0]?.length ?? 0;
  return Array.from({ length: size }, (_, i) => points.reduce((sum, p) => sum + p[i], 0) / points.length);
}

function angleOf(point, middle) {
  const y = (point[1] ?? 0) - (middle[1] ?? 0);
  return (Math.atan2(y, point[0] - middle[0]) + 2 * Math.PI) % (2 * Math.PI);
}

function wrapped(degrees) {
  return ((((degrees + 180) % 360) + 360) % 360) - 180;
}
