// A map of a timbre space of many coordinates, on which patches that sound alike are neighbours. The
// bank states where its patches lie on it; a point between them is a mixture of the nearest ones.

const NEAREST = 6;
const GRID = [48, 32];
const STEPS = 12; // of a search from the nearest point of the grid
const MOST_NOTED = 2000;

/** anchors: [{at: [x, y], embedding}], at least three. */
export function neighbourMap(anchors) {
  const spans = [0, 1].map((axis) => {
    const along = anchors.map((a) => a.at[axis]);
    const [low, high] = [Math.min(...along), Math.max(...along)];
    const margin = 0.08 * (high - low) || 1;
    return [low - margin, high + margin];
  });
  const cell = spans.map(([low, high], axis) => (high - low) / GRID[axis]);
  const noted = new Map(); // where an embedding lies, as it was found or chosen
  let surface = null;

  function lifted(at) {
    const near = anchors.map((a) => ({ far: Math.hypot(a.at[0] - at[0], a.at[1] - at[1]), a }));
    near.sort((one, other) => one.far - other.far);
    if (near[0].far < 1e-6) return [...near[0].a.embedding];
    // Shares fall to nothing where the next one would come in, so that nothing ever jumps (Franke and
    // Little's weights).
    const reach = near[Math.min(NEAREST, near.length - 1)].far + 1e-6;
    const shares = near.map(({ far }) => (far < reach ? ((reach - far) / (reach * far)) ** 2 : 0));
    const sum = shares.reduce((a, b) => a + b, 0);
    const mixed = near[0].a.embedding.map(() => 0);
    near.forEach(({ a }, k) => shares[k] && a.embedding.forEach((x, i) => (mixed[i] += (shares[k] / sum) * x)));
    return mixed;
  }

  function grid() {
    const points = anchors.map((a) => ({ at: a.at, embedding: a.embedding }));
    for (let i = 0; i < GRID[0]; i++) {
      for (let j = 0; j < GRID[1]; j++) {
        const at = [spans[0][0] + (i + 0.5) * cell[0], spans[1][0] + (j + 0.5) * cell[1]];
        points.push({ at, embedding: lifted(at) });
      }
    }
    return points;
  }

  function inside(at) {
    return at.map((v, axis) => Math.min(Math.max(v, spans[axis][0]), spans[axis][1]));
  }

  /** The point of the map that is most like an embedding. */
  function nearest(embedding) {
    surface ??= grid();
    let best = surface[0];
    let least = Infinity;
    for (const point of surface) {
      const far = apart(point.embedding, embedding, least);
      if (far < least) [best, least] = [point, far];
    }
    let { at } = best;
    let [dx, dy] = [cell[0] / 2, cell[1] / 2];
    for (let step = 0; step < STEPS && least > 1e-9; step++) {
      const around = [[dx, 0], [-dx, 0], [0, dy], [0, -dy]].map(([x, y]) => inside([at[0] + x, at[1] + y]));
      const [next, far] = around
        .map((p) => [p, apart(lifted(p), embedding, Infinity)])
        .reduce((a, b) => (b[1] < a[1] ? b : a));
      if (far < least) [at, least] = [next, far];
      else [dx, dy] = [dx / 2, dy / 2];
    }
    return at;
  }

  function keep(name, at) {
    noted.delete(name); // so that those that were not asked for longest come first
    if (noted.size >= MOST_NOTED) noted.delete(noted.keys().next().value);
    noted.set(name, at);
  }

  return {
    names: ["", ""],
    curved: true,
    spans,
    anchors,
    lifted,
    note: (embedding, at) => keep(named(embedding), at),
    flat: (embedding) => {
      const name = named(embedding);
      const at = noted.get(name) ?? nearest(embedding);
      keep(name, at);
      return at;
    },
  };
}

function named(embedding) {
  return embedding.map((x) => x.toFixed(3)).join(" ");
}

/** Squared distance, or more than enough. */
function apart(a, b, enough) {
  let sum = 0;
  for (let i = 0; i < a.length && sum < enough; i++) sum += (a[i] - b[i]) ** 2;
  return sum;
}
