/* The KL divergence between two Gaussians, on a line or in a plane: its pieces, and where it pulls. */
vaebookExplorer.define("kl", (explorer) => {
  "use strict";
  const { element, number, clamp } = vaebookExplorer;
  const { root, live, data } = explorer;
  const LEAST = 0.2, ON_LINE = 3, IN_PLANE = 2.4; // standard deviations that the handles reach
  Object.assign(explorer.state, structuredClone(data.start));

  // ------------------------------------------------------------------ the divergence
  /** Σ of a Gaussian in the plane, [xx, xy, yy], from the spreads a and b along its turned axes. */
  function covariance({ a, b, turn }) {
    const c = Math.cos(turn), s = Math.sin(turn);
    return [a * a * c * c + b * b * s * s, (a * a - b * b) * c * s, a * a * s * s + b * b * c * c];
  }
  const determinant = ([xx, xy, yy]) => xx * yy - xy * xy;
  function inverse([xx, xy, yy]) {
    const all = xx * yy - xy * xy;
    return [yy / all, -xy / all, xx / all];
  }
  /** uᵀ S v for a symmetric S. */
  const form = ([xx, xy, yy], u, v) => xx * u[0] * v[0] + xy * (u[0] * v[1] + u[1] * v[0]) + yy * u[1] * v[1];

  /** The four pieces of KL(first ‖ second): trace, distance, dimensions, log of the determinants. */
  function pieces(first, second, dims) {
    if (dims === "1") {
      const ratio = first.spread ** 2 / second.spread ** 2;
      return [ratio, (first.mean - second.mean) ** 2 / second.spread ** 2, 1, Math.log(ratio)];
    }
    const [A, B] = [covariance(first), covariance(second)], precision = inverse(B);
    const gap = [first.x - second.x, first.y - second.y];
    return [
      precision[0] * A[0] + 2 * precision[1] * A[1] + precision[2] * A[2],
      form(precision, gap, gap), 2, Math.log(determinant(A) / determinant(B)),
    ];
  }
  const nats = ([trace, distance, dims, logDet]) => 0.5 * (trace + distance - dims - logDet);

  const onLine = (state) => [{ mean: state.mu, spread: state.sigma }, { mean: state.m, spread: state.tau }];
  const pair = (state) => (state.dims === "1" ? onLine(state) : [state.q, state.p]);
  const forward = (state) => state.direction === "qp";
  function current(state) {
    const [q, p] = pair(state);
    return forward(state) ? pieces(q, p, state.dims) : pieces(p, q, state.dims);
  }

  /** The derivatives by what q is made of: μ and σ on the line; in the plane x, y, a, b, turn. */
  function gradient(state) {
    const [q, p] = pair(state);
    if (state.dims === "1") {
      const gap = q.mean - p.mean;
      return forward(state)
        ? { mu: gap / p.spread ** 2, sigma: q.spread / p.spread ** 2 - 1 / q.spread }
        : { mu: gap / q.spread ** 2, sigma: 1 / q.spread - (p.spread ** 2 + gap ** 2) / q.spread ** 3 };
    }
    const gap = [q.x - p.x, q.y - p.y], S = covariance(p), precisionQ = inverse(covariance(q));
    const precision = forward(state) ? inverse(S) : precisionQ;
    const pull = [precision[0] * gap[0] + precision[1] * gap[1], precision[1] * gap[0] + precision[2] * gap[1]];
    const u = [Math.cos(q.turn), Math.sin(q.turn)], v = [-u[1], u[0]];
    /** The derivative by Σ, between two directions. */
    const byCovariance = (one, other) => {
      if (forward(state)) return 0.5 * (form(precision, one, other) - form(precisionQ, one, other));
      const turned = (w) => [precisionQ[0] * w[0] + precisionQ[1] * w[1], precisionQ[1] * w[0] + precisionQ[2] * w[1]];
      const seen = [S[0] + gap[0] ** 2, S[1] + gap[0] * gap[1], S[2] + gap[1] ** 2];
      return 0.5 * (form(precisionQ, one, other) - form(seen, turned(one), turned(other)));
    };
    return {
      x: pull[0], y: pull[1], a: 2 * q.a * byCovariance(u, u), b: 2 * q.b * byCovariance(v, v),
      turn: 2 * (q.a ** 2 - q.b ** 2) * byCovariance(u, v),
    };
  }

  // ------------------------------------------------------------------ drawing
  const ink = (name) => getComputedStyle(root).getPropertyValue(`--${name}`);
  const bell = (z, mean, spread) => Math.exp(-0.5 * ((z - mean) / spread) ** 2) / (spread * Math.sqrt(2 * Math.PI));
  const LETTERS = "italic 600 16px Georgia, 'Times New Roman', serif";
  const X = [-5, 5], STEPS = 500;
  const grid = Array.from({ length: STEPS + 1 }, (_, at) => X[0] + ((X[1] - X[0]) * at) / STEPS);

  function trace(context, plane, values) {
    context.beginPath();
    values.forEach((value, at) => context.lineTo(...plane.at(grid[at], value)));
  }

  /** The same down to 0 at both ends, to be filled. */
  function traceArea(context, plane, values) {
    trace(context, plane, values);
    for (const z of [X[1], X[0]]) context.lineTo(...plane.at(z, 0));
  }

  /** A line with ticks at the whole numbers. */
  function axis(context, plane) {
    context.strokeStyle = ink("quiet");
    context.fillStyle = ink("quiet");
    Object.assign(context, { lineWidth: 1, font: "12px system-ui, sans-serif", textAlign: "center", textBaseline: "top" });
    const [left, y] = plane.at(X[0], 0);
    context.beginPath();
    context.moveTo(left, y);
    context.lineTo(plane.width, y);
    for (let z = X[0] + 1; z < X[1]; z++) {
      const [x] = plane.at(z, 0);
      context.moveTo(x, y);
      context.lineTo(x, y + 4);
      if (z % 2 === 0) context.fillText(number(z, 0), x, y + 5);
    }
    context.stroke();
  }

  /** An arrow from a place in pixels: 30 pixels for a slope of 1, at most 90, none where it is flat.
      At the edge of the plane it is shorter, and where there is no room at all it stands beside. */
  function arrow(context, plane, place, [right, up]) {
    const slope = Math.hypot(right, up);
    if (slope < 0.02) return;
    const way = [right / slope, -up / slope], side = [-way[1], way[0]], start = 13, sizes = [plane.width, plane.height];
    const room = Math.min(...[0, 1].map((i) => {
      if (Math.abs(way[i]) < 1e-9) return Infinity;
      return ((way[i] > 0 ? sizes[i] - 5 : 5) - place[i]) / way[i];
    })) - start;
    const length = Math.min(clamp(30 * slope, 12, 90), Math.max(room, 24)), missing = Math.max(0, length - room);
    const inward = Math.sign((sizes[0] / 2 - place[0]) * side[0] + (sizes[1] / 2 - place[1]) * side[1]) || 1;
    const [x, y] = [0, 1].map((i) => place[i] - missing * way[i] + (missing ? 22 * inward * side[i] : 0));
    const end = [x + way[0] * (start + length), y + way[1] * (start + length)];
    context.strokeStyle = context.fillStyle = explorer.colour("gan");
    context.lineWidth = 3.5;
    context.beginPath();
    context.moveTo(x + way[0] * start, y + way[1] * start);
    context.lineTo(end[0] - 5 * way[0], end[1] - 5 * way[1]);
    context.stroke();
    context.beginPath();
    context.moveTo(...end);
    for (const to of [-1, 1]) context.lineTo(end[0] - 10 * way[0] + 6 * to * side[0], end[1] - 10 * way[1] + 6 * to * side[1]);
    context.fill();
  }

  /** Where the letters of the bells stand: q over its top, p beside the flank that is farther from it. */
  function letters(plane) {
    const { mu, sigma, m, tau } = explorer.state, high = bell(1.55, 0, 1) / tau;
    const within = ([x, y], right, up) => [clamp(x + right, 10, plane.width - 10), y - up];
    const q = within(plane.at(mu, bell(0, 0, sigma)), 0, 11);
    const flanks = [-1, 1].map((way) => within(plane.at(m + 1.55 * way * tau, high), 9 * way, 1));
    const [left, right] = flanks.map((place) => apart(place, q));
    return { q, p: flanks[left >= 20 || left >= right ? 0 : 1] };
  }
  const apart = ([a, b], [c, d]) => Math.hypot(a - c, b - d);

  function paintDensities(context, plane) {
    const { mu, sigma, m, tau } = explorer.state;
    const peak = 0.4 / Math.min(sigma, tau);
    const unit = peak / (plane.height - 62); // 22 pixels for the ticks below, 40 for handle and letter above
    plane.y = [-22 * unit, peak + 40 * unit];
    axis(context, plane);
    for (const [name, letter, mean, spread] of [["prior", "p", m, tau], ["posterior", "q", mu, sigma]]) {
      const top = bell(mean, mean, spread);
      context.strokeStyle = context.fillStyle = explorer.colour(name);
      const heights = grid.map((z) => bell(z, mean, spread));
      trace(context, plane, heights);
      context.lineWidth = 2.5;
      context.stroke();
      traceArea(context, plane, heights);
      context.globalAlpha = 0.16;
      context.fill();
      context.globalAlpha = 1;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(...plane.at(mean, 0));
      context.lineTo(...plane.at(mean, top));
      context.stroke();
      context.fillStyle = explorer.colour(name, "text");
      Object.assign(context, { font: LETTERS, textAlign: "center", textBaseline: "bottom" });
      context.fillText(letter, ...letters(plane)[letter]);
    }
    const slope = gradient(explorer.state);
    arrow(context, plane, plane.at(...places.mu(explorer.state)), [-slope.mu, 0]);
    arrow(context, plane, plane.at(...places.sigma(explorer.state)), [-slope.sigma, 0]);
  }

  /** What is integrated, over a grid wide and fine enough for its two areas. */
  function integrand(state) {
    const [q, p] = onLine(state), [first, second] = forward(state) ? [q, p] : [p, q];
    return (z) => {
      const logRatio = Math.log(second.spread / first.spread)
        - 0.5 * ((z - first.mean) / first.spread) ** 2 + 0.5 * ((z - second.mean) / second.spread) ** 2;
      return bell(z, first.mean, first.spread) * logRatio;
    };
  }
  function areas(state) {
    const [q, p] = onLine(state), first = forward(state) ? q : p, price = integrand(state);
    let paid = 0, refunded = 0;
    const step = first.spread / 100;
    for (let at = -1000; at <= 1000; at++) {
      const value = price(first.mean + at * step) * step;
      if (value > 0) paid += value; else refunded -= value;
    }
    return { paid, refunded };
  }

  let areasNow = areas(explorer.state), priceNow = grid.map(integrand(explorer.state)); // of what is shown
  function paintIntegrand(context, plane) {
    const values = priceNow, high = highest(values), low = Math.min(-0.12, ...values), room = 0.1 * (high - low);
    plane.y = [low - room, high + 2.4 * room];
    const paidBy = forward(explorer.state) ? "posterior" : "prior";
    for (const [name, keep] of [[paidBy, Math.max], ["autoencoder", Math.min]]) {
      traceArea(context, plane, values.map((value) => keep(value, 0)));
      context.fillStyle = explorer.colour(name);
      context.globalAlpha = 0.75;
      context.fill();
      context.globalAlpha = 1;
    }
    trace(context, plane, values);
    context.strokeStyle = ink("ink");
    context.lineWidth = 1.2;
    context.stroke();
    const [left, y] = plane.at(X[0], 0);
    context.beginPath();
    context.moveTo(left, y);
    context.lineTo(plane.width, y);
    context.stroke();
    context.fillStyle = ink("ink");
    Object.assign(context, { font: "italic 15px Georgia, 'Times New Roman', serif", textAlign: "left", textBaseline: "top" });
    context.fillText(forward(explorer.state) ? "q log(q/p)" : "p log(p/q)", 8, 6);
    markScale(context, plane, roundHeight(high));
  }
  const highest = (values) => Math.max(0.25, ...values);
  /** A round number below the top of the curve. */
  function roundHeight(high) {
    const power = 10 ** Math.floor(Math.log10(high));
    return [8, 5, 2, 1, 0.5].find((times) => times * power <= 0.8 * high) * power;
  }
  const heightText = (mark) => `${number(mark, mark < 1 ? 1 : 0)} ${mark === 1 ? "nat" : "nats"} per unit of z`;

  /** A dashed line there, so that the height of the curve can be read. */
  function markScale(context, plane, mark) {
    const [left, y] = plane.at(X[0], mark), [q, p] = onLine(explorer.state);
    const atRight = (forward(explorer.state) ? q : p).mean <= 0; // where the curve is not
    context.strokeStyle = context.fillStyle = ink("quiet");
    context.lineWidth = 1;
    context.setLineDash([4, 4]);
    context.beginPath();
    context.moveTo(left, y);
    context.lineTo(plane.width, y);
    context.stroke();
    context.setLineDash([]);
    Object.assign(context, { font: "12px system-ui, sans-serif", textAlign: atRight ? "right" : "left", textBaseline: "top" });
    context.fillText(heightText(mark), atRight ? plane.width - 8 : 8, y + 4);
  }

  /** Beyond an end of the first axis: with 1 the one without a handle, with −1 the other, past the handle. */
  function lettered(plane, { x, y, a, turn }, end) {
    const far = 2 * a * (plane.width / (plane.x[1] - plane.x[0])) + (end > 0 ? 12 : 24), [left, top] = plane.at(x, y);
    return [clamp(left - end * far * Math.cos(turn), 10, plane.width - 10), clamp(top + end * far * Math.sin(turn), 12, plane.height - 12)];
  }

  function paintPlane(context, plane) {
    const { q, p } = explorer.state, slope = gradient(explorer.state);
    context.strokeStyle = ink("line");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(...plane.at(plane.x[0], 0));
    context.lineTo(...plane.at(plane.x[1], 0));
    context.moveTo(...plane.at(0, plane.y[0]));
    context.lineTo(...plane.at(0, plane.y[1]));
    context.stroke();
    const unit = plane.width / (plane.x[1] - plane.x[0]);
    const [ofQ, ofP] = [lettered(plane, q, 1), lettered(plane, p, 1)]; // at the end without a handle
    const lettersAt = { q: ofQ, p: apart(ofQ, ofP) < 20 ? lettered(plane, p, -1) : ofP };
    for (const [name, letter, { x, y, a, b, turn }] of [["prior", "p", p], ["posterior", "q", q]]) {
      context.strokeStyle = context.fillStyle = explorer.colour(name);
      for (const times of [2, 1]) {
        context.beginPath();
        context.ellipse(...plane.at(x, y), times * a * unit, times * b * unit, -turn, 0, 2 * Math.PI);
        context.globalAlpha = 0.16;
        context.fill();
        context.globalAlpha = 1;
        context.lineWidth = times === 2 ? 2.5 : 1;
        context.stroke();
      }
      context.fillStyle = explorer.colour(name, "text");
      Object.assign(context, { font: LETTERS, textAlign: "center", textBaseline: "middle" });
      context.fillText(letter, ...lettersAt[letter]);
    }
    const u = [Math.cos(q.turn), Math.sin(q.turn)], v = [-u[1], u[0]], round = -slope.turn / (2 * q.a);
    arrow(context, plane, plane.at(q.x, q.y), [-slope.x, -slope.y]);
    arrow(context, plane, plane.at(...tip(q, "a")), [-slope.a * u[0] + round * v[0], -slope.a * u[1] + round * v[1]]);
    arrow(context, plane, plane.at(...tip(q, "b")), [-slope.b * v[0], -slope.b * v[1]]);
  }

  // ------------------------------------------------------------------ what is dragged
  const rounded = (value) => Math.round(value * 100) / 100;
  const places = {
    mu: ({ mu, sigma }) => [mu, bell(0, 0, sigma)],
    sigma: ({ mu, sigma }) => [Math.min(mu + sigma, X[1]), bell(1, 0, 1) / sigma],
    m: ({ m, tau }) => [m, bell(0, 0, tau) / 2],
    tau: ({ m, tau }) => [Math.max(m - tau, X[0]), bell(1, 0, 1) / tau],
  };
  const words = {
    mu: "μ, the mean of q", sigma: "σ, the standard deviation of q",
    m: "m, the mean of p", tau: "τ, the standard deviation of p",
  };
  const moves = {
    mu: (state, x) => clamp(rounded(x), -4, 4), m: (state, x) => clamp(rounded(x), -4, 4),
    sigma: (state, x) => clamp(rounded(x - state.mu), LEAST, ON_LINE),
    tau: (state, x) => clamp(rounded(state.m - x), LEAST, ON_LINE),
  };

  const said = (state) => {
    const title = forward(state) ? "KL from q to p" : "KL from p to q", value = number(nats(current(state)), 2);
    return `${title}: ${value} nats`;
  };
  const line = explorer.plane({
    x: X, y: [0, 1], ratio: 0.42, paint: paintDensities,
    label: ({ mu, sigma, m, tau }) =>
      `Two bells over a line: q with mean ${number(mu)} and standard deviation ${number(sigma)}, p with mean ${number(m)} and standard deviation ${number(tau)}.`,
  });
  for (const key of ["m", "tau", "mu", "sigma"]) {
    line.handle({
      label: words[key], horizontal: true, colour: key in { mu: 1, sigma: 1 } ? "posterior" : "prior",
      get: places[key], text: (state) => number(state[key]),
      move: ([x]) => explorer.set({ [key]: moves[key](explorer.state, x) }),
    });
  }
  const price = explorer.plane({
    x: X, y: [0, 1], ratio: 0.26, paint: paintIntegrand,
    label: () => {
      const { paid, refunded } = areasNow;
      return `What the KL divergence adds up along the line: ${number(paid)} nats paid, ${number(refunded)} refunded; a dashed line at ${heightText(roundHeight(highest(priceNow)))}.`;
    },
  });

  /** Where the handle of an axis lies: on the outer ellipse, two standard deviations out. */
  const tip = ({ x, y, a, b, turn }, axisName) => {
    const [right, up] = axisName === "a" ? [a * Math.cos(turn), a * Math.sin(turn)] : [-b * Math.sin(turn), b * Math.cos(turn)];
    return [clamp(x + 2 * right, -5, 5), clamp(y + 2 * up, -4, 4)];
  };
  const spread = (value) => clamp(rounded(value / 2), LEAST, IN_PLANE);
  const flat = explorer.plane({
    x: [-5, 5], y: [-4, 4], paint: paintPlane,
    label: ({ q, p }) => ["q", "p"].map((name) => {
      const { x, y, a, b } = { q, p }[name];
      return `${name}: an ellipse at ${number(x)}, ${number(y)}, spreads ${number(a)} and ${number(b)}`;
    }).join("; "),
  });
  flat.box.classList.add("kl-plane");
  for (const [name, colour] of [["p", "prior"], ["q", "posterior"]]) {
    const change = (values) => explorer.set({ [name]: { ...explorer.state[name], ...values } });
    flat.handle({
      label: `the mean of ${name}`, colour, get: (state) => [state[name].x, state[name].y],
      move: ([x, y]) => change({ x: clamp(rounded(x), -4, 4), y: clamp(rounded(y), -3, 3) }),
    });
    flat.handle({
      label: `the first axis of ${name}, its length and its turn`, colour, get: (state) => tip(state[name], "a"),
      text: (state) => `spread ${number(state[name].a)}, turned by ${number((state[name].turn * 180) / Math.PI, 0)} degrees`,
      move: ([x, y]) => {
        const away = [x - explorer.state[name].x, y - explorer.state[name].y];
        change({ a: spread(Math.hypot(...away)), turn: Math.atan2(away[1], away[0]) });
      },
    });
    flat.handle({
      label: `the second axis of ${name}, its length`, colour, get: (state) => tip(state[name], "b"),
      text: (state) => `spread ${number(state[name].b)}`,
      move: ([x, y]) => {
        const { x: atX, y: atY, turn } = explorer.state[name];
        change({ b: spread(-(x - atX) * Math.sin(turn) + (y - atY) * Math.cos(turn)) });
      },
    });
  }

  // ------------------------------------------------------------------ the numbers
  const SYMBOLS = { // of the pieces, on the line and in the plane, for each direction
    "1qp": ["σ² / τ²", "(μ − m)² / τ²", "1", "log (σ² / τ²)"],
    "1pq": ["τ² / σ²", "(m − μ)² / σ²", "1", "log (τ² / σ²)"],
    "2qp": ["tr S⁻¹Σ", "(μ − m)ᵀ S⁻¹ (μ − m)", "d", "log (det Σ / det S)"],
    "2pq": ["tr Σ⁻¹S", "(m − μ)ᵀ Σ⁻¹ (m − μ)", "d", "log (det S / det Σ)"],
  };
  const total = element("strong", { class: "kl-total" });
  const cells = Array.from({ length: 4 }, () => ({ symbol: element("span", { class: "kl-symbol" }), value: element("span", { class: "kl-value" }) }));
  const formula = element("div", { class: "kl-formula" });
  cells.forEach(({ symbol, value }, at) => {
    formula.append(element("span", { class: "kl-part" }, ["= ½ (", "+", "−", "−"][at],
      element("span", { class: "kl-piece" }, symbol, value), at === 3 ? ")" : ""));
  });
  const slopes = element("p", { class: "explorer-note kl-slopes" });
  const legend = element("p", { class: "explorer-note kl-legend" });

  function slopeText(state) {
    const slope = gradient(state);
    return state.dims === "1"
      ? `∂KL/∂μ = ${number(slope.mu, 2)},  ∂KL/∂σ = ${number(slope.sigma, 2)}`
      : `∂KL/∂μ = (${number(slope.x, 2)}, ${number(slope.y, 2)}). For each unit that q is made wider: ${number(slope.a, 2)} nats along the axis whose handle turns it, ${number(slope.b, 2)} along the other`;
  }
  const matrix = (gaussian) => {
    const [xx, xy, yy] = covariance(gaussian).map((value) => number(value));
    return `((${xx}, ${xy}), (${xy}, ${yy}))`;
  };
  function legendText(state) {
    const arrows = "Arrows: where gradient descent would move q.";
    if (state.dims === "2") {
      return `${arrows} Ellipses: one and two standard deviations.\nΣ = ${matrix(state.q)}\nS = ${matrix(state.p)}`;
    }
    const { paid, refunded } = areasNow;
    return `${arrows} Below, shaded: ${number(paid)} nats paid − ${number(refunded)} refunded.`;
  }
  explorer.parts.push((state) => {
    [areasNow, priceNow] = [areas(state), grid.map(integrand(state))];
    line.ratio = root.clientWidth < 500 ? 0.6 : 0.42; // high enough for a finger
    const found = current(state), symbols = SYMBOLS[state.dims + state.direction];
    total.textContent = `KL(${forward(state) ? "q ‖ p" : "p ‖ q"}) = ${number(nats(found), 3)} nats`;
    cells.forEach(({ symbol, value }, at) => {
      symbol.textContent = symbols[at];
      value.textContent = number(found[at], at === 2 ? 0 : 3);
    });
    slopes.textContent = slopeText(state);
    legend.textContent = legendText(state);
    oneDimension.hidden = sliders.hidden = state.dims !== "1";
    flat.box.hidden = state.dims === "1";
  });
  explorer.describe = (state) => `${said(state)}. ${slopeText(state)}.`;

  // ------------------------------------------------------------------ the page
  const oneDimension = element("div", {}, line.box, price.box);
  const sliders = element("div", { class: "kl-sliders" }, ...["mu", "sigma", "m", "tau"].map((key) => explorer.slider({
    key, label: words[key], step: 0.01, ...(key in { mu: 1, m: 1 } ? { min: -4, max: 4 } : { min: LEAST, max: ON_LINE }),
  })));
  live.append(
    element("div", { class: "explorer-row" },
      explorer.choice({ key: "dims", label: "Gaussians on", options: [["1", "a line"], ["2", "a plane"]] }),
      explorer.choice({ key: "direction", label: "Direction", options: [["qp", "KL(q ‖ p)"], ["pq", "KL(p ‖ q)"]] })),
    element("div", { class: "explorer-stage" }, oneDimension, flat.box, total), formula, slopes, legend, sliders,
    element("div", { class: "explorer-row kl-buttons" },
      explorer.button("Make q equal p", () => {
        const { m, tau, p } = explorer.state;
        explorer.set(explorer.state.dims === "1" ? { mu: m, sigma: tau } : { q: { ...p } });
      }),
      explorer.button("Start again", () => {
        const { dims, direction } = explorer.state;
        explorer.set({ ...structuredClone(data.start), dims, direction });
      })),
  );
  root.explorer.kl = (change) => {
    const state = { ...explorer.state, ...change }, found = current(state);
    return { pieces: found, nats: nats(found), gradient: gradient(state), areas: areas(state) };
  };
});
