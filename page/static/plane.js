// What of the timbre space the map shows: two coordinates as they are; of more, a map on which
// neighbours are alike, where the bank states one; else the two directions in which the patches
// differ most (principal axes).

import { neighbourMap } from "./neighbours.js";

const LEAST_PLACES = 3;

/** names: what the bank calls its coordinates, if it does; places: where its patches lie on its map. */
export function planeOf(patches, reach, names, places) {
  const size = reach.length;
  if (size <= 2) return coordinates(reach, names);
  // By their own places: a user may call a patch "constructor".
  const placed = patches.filter((p) => Object.hasOwn(places, p.name));
  const anchors = placed.map((p) => ({ at: places[p.name], embedding: p.embedding }));
  if (anchors.length >= LEAST_PLACES) return neighbourMap(anchors);
  const points = patches.map((p) => p.embedding);
  const middle = reach.map((_, i) => points.reduce((sum, p) => sum + p[i], 0) / points.length);
  const centred = points.map((p) => p.map((x, i) => x - middle[i]));
  const first = strongest(centred, []);
  const axes = [first, strongest(centred, [first])];
  const spans = axes.map((axis) => {
    const along = centred.map((p) => dot(p, axis));
    const margin = 0.15 * (Math.max(...along) - Math.min(...along)) || 1;
    return [Math.min(...along) - margin, Math.max(...along) + margin];
  });
  return {
    names: ["principal axis 1", "principal axis 2"],
    spans,
    note: () => {},
    flat: (e) => axes.map((axis) => dot(e.map((x, i) => x - middle[i]), axis)),
    // What lies outside the plane stays as it is.
    lifted: (at, from) => {
      const moved = axes.map((axis, k) => at[k] - dot(from.map((x, i) => x - middle[i]), axis));
      return from.map((x, i) => x + moved[0] * axes[0][i] + moved[1] * axes[1][i]);
    },
  };
}

function coordinates(reach, [first = "timbre 0", second = "timbre 1"]) {
  const one = reach.length === 1;
  return {
    names: one ? [first, ""] : [first, second],
    spans: one ? [reach[0], [-1, 1]] : reach,
    note: () => {},
    flat: (e) => (one ? [e[0], 0] : e.slice(0, 2)),
    lifted: (at) => (one ? [at[0]] : at),
  };
}

/** The direction of most variance that is at right angles to those found, by power iteration. */
function strongest(points, found) {
  let axis = points[0].map((_, i) => 1 + ((i * 7) % 5) / 10);
  for (let turn = 0; turn < 60; turn++) {
    const next = axis.map((_, i) => points.reduce((sum, p) => sum + p[i] * dot(p, axis), 0));
    for (const other of found) {
      const along = dot(next, other);
      other.forEach((x, i) => (next[i] -= along * x));
    }
    const length = Math.sqrt(dot(next, next)) || 1;
    axis = next.map((x) => x / length);
  }
  return axis;
}

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
