/* The latent plane. The state holds the code z in the coordinates of the normal prior; another prior
   changes only where things are drawn, so what is decoded from z stays as it is. */
vaebookExplorer.define("latent-plane", (explorer) => {
  "use strict";
  const { element, number, clamp, unpack, network, still } = vaebookExplorer;
  const { data, state } = explorer;
  const STEP = 0.03; // of the half plane, by an arrow key
  const MOVING = 700; // milliseconds from one prior to another
  const WORST = 3 * data.threshold; // where the bar ends
  const SHADES = 72; // cells of the shading, a side

  // ------------------------------------------------------------------ the normal distribution
  /** P(Z > x) for x >= 0, to seven digits (Numerical Recipes, erfc). */
  function tail(x) {
    const a = x / Math.SQRT2, t = 1 / (1 + a / 2);
    const terms = [-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806,
      0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277];
    let sum = 0;
    for (let at = terms.length - 1; at >= 0; at--) sum = sum * t + terms[at];
    return (t * Math.exp(-a * a + sum)) / 2;
  }
  /** The x >= 0 with tail(x) = share, by bisection: exact to the last digit of `tail`. */
  function beyond(share) {
    let low = 0, high = 9;
    for (let turn = 0; turn < 50; turn++) {
      const middle = (low + high) / 2;
      if (tail(middle) > share) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  }
  const each = (map) => ([x, y]) => [map(x), map(y)];

  // ------------------------------------------------------------------ priors: there, back, extent
  const PRIORS = {
    normal: { to: (z) => z, from: (x) => x, middle: 0, half: data.edge },
    uniform: {
      to: each((z) => (z > 0 ? 1 - tail(z) : tail(-z))),
      from: each((u) => (u > 0.5 ? beyond(1 - u) : -beyond(u))),
      middle: 0.5, half: 0.54,
    },
    laplace: {
      to: each((z) => -Math.sign(z) * Math.log(2 * tail(Math.abs(z))) / Math.SQRT2),
      from: each((x) => Math.sign(x) * beyond(Math.exp(-Math.SQRT2 * Math.abs(x)) / 2)),
      middle: 0, half: 4.9,
    },
    "no name": {
      to: ([x, y]) => {
        const first = x + 0.7 * Math.sin(1.4 * y);
        return [first, y + 0.9 * Math.sin(1.3 * first + 0.6)];
      },
      from: ([x, y]) => {
        const second = y - 0.9 * Math.sin(1.3 * x + 0.6);
        return [x - 0.7 * Math.sin(1.4 * second), second];
      },
      middle: 0, half: 4.1,
    },
  };
  /** Where a code stands on the plane, both coordinates from -1 to 1, and which code stands there. */
  const place = (prior, z) => PRIORS[prior].to(z).map((x) => (x - PRIORS[prior].middle) / PRIORS[prior].half);
  const inside = (z) => z.map((value) => clamp(value, -data.edge, data.edge));
  const codeAt = (prior, spot) =>
    inside(PRIORS[prior].from(spot.map((x) => x * PRIORS[prior].half + PRIORS[prior].middle)));

  // ------------------------------------------------------------------ models
  const pairs = (packed) => {
    const flat = unpack(packed);
    return Array.from({ length: flat.length / 2 }, (_, row) => [flat[2 * row], flat[2 * row + 1]]);
  };
  const last = { weight: data.last.weight, bias: data.last.bias, activation: "identity" };
  const draw = network([last]); // one for all models
  const models = data.models.map((model) => {
    const inner = network(model.layers);
    const spreads = model.spreads && pairs(model.spreads);
    const codes = pairs(model.codes);
    const rate = spreads && codes.reduce((sum, code, row) => sum + code.reduce((part, mean, axis) => {
      const variance = spreads[row][axis] ** 2;
      return part + (mean * mean + variance - Math.log(variance) - 1) / 2;
    }, 0), 0) / codes.length;
    return { name: model.name, codes, spreads, rate, distances: unpack(model.distances), cache: {},
      decode: (code) => draw(inner(code)) };
  });
  const [autoencoder, ...vaes] = models;
  const betas = vaes.map((model) => Number(model.name.split(" ")[1]));
  const vae = () => vaes[state.place];
  const shares = new Map(); // worked out below, once a model is at hand

  /** How far from a dog, between the measured codes: bilinear. */
  function distance(model, [x, y]) {
    const size = Math.sqrt(model.distances.length);
    const along = (value) => clamp(((value + data.edge) / (2 * data.edge)) * (size - 1), 0, size - 1.001);
    const [column, row] = [along(x), along(y)], [left, low] = [Math.floor(column), Math.floor(row)];
    const at = (r, c) => model.distances[r * size + c], share = column - left;
    const mix = (r) => (1 - share) * at(r, left) + share * at(r, left + 1);
    return (1 - (row - low)) * mix(low) + (row - low) * mix(low + 1);
  }
  /** The share of codes drawn from N(0, I) that decode to a dog: a sum over a fine lattice. */
  function shareOfDogs(model) {
    const lattice = Array.from({ length: 81 }, (_, at) => (at / 40 - 1) * data.edge);
    let dogs = 0, all = 0;
    for (const x of lattice) {
      for (const y of lattice) {
        const weight = Math.exp(-(x * x + y * y) / 2);
        all += weight;
        if (isDog(distance(model, [x, y]))) dogs += weight;
      }
    }
    return dogs / all;
  }
  const isDog = (far) => far <= data.threshold;

  function nearest(model, [x, y]) {
    let best = 0, least = Infinity;
    model.codes.forEach(([a, b], row) => {
      const far = (a - x) ** 2 + (b - y) ** 2;
      if (far < least) [best, least] = [row, far];
    });
    return best;
  }

  // ------------------------------------------------------------------ what stands on a plane
  const TURN = Array.from({ length: 65 }, (_, at) => (at / 64) * 2 * Math.PI);
  const oval = ([x, y], [a, b]) => TURN.map((angle) => [x + a * Math.cos(angle), y + b * Math.sin(angle)]);
  const rings = [1, 2].map((radius) => oval([0, 0], [radius, radius]));

  /** Dots, ellipses, rings and shading of a model under a prior; worked out once. */
  function scene(model, prior) {
    if (!model.cache[prior]) {
      const put = (line) => line.map((z) => place(prior, z));
      const shades = new Float32Array(SHADES * SHADES);
      for (let row = 0, at = 0; row < SHADES; row++) {
        for (let column = 0; column < SHADES; column++, at++) {
          const spot = [((column + 0.5) / SHADES) * 2 - 1, 1 - ((row + 0.5) / SHADES) * 2];
          const off = prior === "uniform" && spot.some((x) => Math.abs(x) > 0.5 / 0.54);
          shades[at] = off ? 0 : distance(model, codeAt(prior, spot));
        }
      }
      model.cache[prior] = {
        dots: put(model.codes), rings: rings.map(put), shades,
        sheet: element("canvas", { width: SHADES, height: SHADES }),
        ovals: model.spreads ? model.codes.slice(0, data.ellipses)
          .map((code, row) => put(oval(code, model.spreads[row]))) : [],
      };
    }
    return model.cache[prior];
  }

  // A change of prior moves everything from where it stood to where it belongs.
  let moving = null, shown = null;
  function follow() {
    if (shown !== null && shown !== state.prior && !still()) {
      moving = { from: shown, start: performance.now() };
    }
    shown = state.prior;
  }
  const progress = () => {
    if (!moving) return 1;
    const share = clamp((performance.now() - moving.start) / MOVING, 0, 1);
    if (share === 1) moving = null;
    return share < 0.5 ? 2 * share * share : 1 - 2 * (1 - share) ** 2;
  };
  const between = ([a, b], [c, d], share) => [a + share * (c - a), b + share * (d - b)];

  function paintPlane(model, context, plane) {
    const share = progress(), prior = model.spreads ? state.prior : "normal";
    const from = moving && model.spreads ? moving.from : prior;
    const old = scene(model, from), now = scene(model, prior);
    const spot = (before, after) => plane.at(...between(before, after, share));
    const line = (before, after) => {
      context.beginPath();
      before.forEach((point, at) => context.lineTo(...spot(point, after[at])));
    };
    shade(context, plane, now, share);
    const dot = Math.max(1.3, plane.width / 190);
    context.fillStyle = explorer.colour(model.spreads ? "aggregate" : "autoencoder");
    now.dots.forEach((point, row) => {
      context.beginPath();
      context.arc(...spot(old.dots[row], point), dot, 0, 7);
      context.fill();
    });
    if (!model.spreads) return;
    context.strokeStyle = explorer.colour("prior");
    context.lineWidth = 2;
    context.setLineDash([6, 4]);
    now.rings.forEach((ring, at) => { line(old.rings[at], ring); context.stroke(); });
    context.setLineDash([]);
    context.strokeStyle = explorer.colour("posterior");
    context.lineWidth = 1;
    context.globalAlpha = 0.45;
    now.ovals.forEach((ring, at) => { line(old.ovals[at], ring); context.stroke(); });
    context.globalAlpha = 1;
    const row = nearest(model, state.code), ring = oval(model.codes[row], model.spreads[row]);
    line(ring.map((z) => place(from, z)), ring.map((z) => place(prior, z)));
    context.fillStyle = explorer.colour("posterior");
    context.globalAlpha = 0.3;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 2.5;
    context.stroke();
  }

  /** Grey where what is decoded is no dog. */
  function shade(context, plane, now, strength) {
    const scheme = vaebookExplorer.scheme();
    if (now.scheme !== scheme) {
      const image = new ImageData(SHADES, SHADES), ink = scheme === "dark" ? 235 : 25;
      image.data.fill(ink);
      now.shades.forEach((far, at) => {
        image.data[4 * at + 3] = 105 * clamp((far - data.threshold * 0.75) / (1.6 * data.threshold), 0, 1);
      });
      now.sheet.getContext("2d").putImageData(image, 0, 0);
      now.scheme = scheme;
    }
    context.globalAlpha = strength;
    context.drawImage(now.sheet, 0, 0, plane.width, plane.height);
    context.globalAlpha = 1;
  }

  // ------------------------------------------------------------------ the parts on the page
  Object.assign(state, { code: [...data.start], place: betas.indexOf(Number(data.first.split(" ")[1])), prior: "normal" });
  const words = (far) => (isDog(far) ? "counts as a dog" : "no dog");
  const codeText = () => `code ${state.code.map((value) => number(value)).join(", ")}`;

  function side({ name, title, model, prior, mark }) {
    const heading = element("p", { class: "lp-title" });
    const plane = explorer.plane({
      x: [-1, 1], y: [-1, 1],
      label: () => `${title()}: codes of ${model().codes.length} dogs of five kinds` +
        (model().spreads ? `, and the ${state.prior} prior` : ""),
      paint: (context, made) => paintPlane(model(), context, made),
    });
    plane.handle({
      label: `Code on the plane of the ${name}`, step: STEP, anywhere: true,
      get: () => between(place(moving && prior ? moving.from : prior ? state.prior : "normal", state.code),
        place(prior ? state.prior : "normal", state.code), progress()),
      move: (spot) => explorer.set({ code: codeAt(prior ? state.prior : "normal", spot) }),
      text: codeText,
    });
    const picture = explorer.picture({
      height: data.side, width: data.side, pixels: () => model().decode(state.code),
      label: () => `What the ${name} decodes: ${words(distance(model(), state.code))}`,
    });
    const said = element("p", { class: "lp-said" }), fill = element("i");
    const bar = element("div", { class: "lp-bar", "aria-hidden": "true" }, fill);
    const box = element("div", { class: "lp-side", "data-side": name }, heading, plane.box,
      element("div", { class: "lp-result" }, picture, bar, said));
    explorer.parts.push(() => {
      const far = distance(model(), state.code);
      const source = model().spreads ? "its prior" : "N(0, I)";
      const share = `${Math.round(100 * shares.get(model()))} % of draws from ${source} are dogs`;
      const rate = model().spreads ? `KL ${number(model().rate, 1)} nats` : "no KL term";
      heading.replaceChildren(title(), element("small", {}, `${rate}, ${share}`));
      said.replaceChildren(element("b", {}, words(far)), `${number(far, 3)} from the nearest dog (limit ${data.threshold})`);
      fill.style.transform = `scaleX(${clamp(far / WORST, 0.01, 1)})`;
      box.style.setProperty("--side", explorer.colour(mark));
      box.style.setProperty("--limit", data.threshold / WORST);
    });
    return box;
  }

  for (const model of models) shares.set(model, shareOfDogs(model));
  explorer.parts.push(follow);
  const sides = element("div", { class: "lp-sides" },
    side({ name: "autoencoder", title: () => "Autoencoder", model: () => autoencoder, prior: false, mark: "autoencoder" }),
    side({ name: "VAE", title: () => `VAE, β = ${betas[state.place]}`, model: vae, prior: true, mark: "vae" }));
  const slider = explorer.slider({
    key: "place", label: "Weight of the KL term", min: 0, max: betas.length - 1, step: 1,
    text: (at) => `β = ${betas[at]}`,
  });
  const choice = explorer.choice({
    key: "prior", label: "Prior of the VAE",
    options: [["normal", "normal"], ["uniform", "uniform"], ["laplace", "Laplace"], ["no name", "no name"]],
  });
  const chance = () => Math.sqrt(-2 * Math.log(1 - Math.random()));
  const button = explorer.button("Draw from the prior", () => {
    const radius = chance(), angle = 2 * Math.PI * Math.random();
    explorer.set({ code: inside([radius * Math.cos(angle), radius * Math.sin(angle)]) });
  });
  const legend = element("ul", { class: "lp-legend" });
  const items = [["codes of dogs, autoencoder", "autoencoder", ""], ["codes of dogs, VAE", "aggregate", ""],
    ["one dog's code q(z | x)", "posterior", ""], ["prior", "prior", "lp-ring"], ["decodes to no dog", null, "lp-gap"]]
    .map(([text, colour, kind]) => {
      const item = element("li", { class: kind }, element("i", { "aria-hidden": "true" }), text);
      legend.append(item);
      return [item, colour];
    });
  explorer.parts.push(() => {
    for (const [item, colour] of items) {
      item.style.setProperty("--mark", colour ? explorer.colour(colour) : "color-mix(in srgb, var(--ink) 40%, var(--paper))");
    }
    if (moving) requestAnimationFrame(() => explorer.draw());
  });
  explorer.live.append(sides, element("div", { class: "explorer-row lp-controls" }, slider, choice, button), legend);

  explorer.decode = (code, name = vae().name) => models.find((model) => model.name === name).decode(code);
  explorer.describe = () => {
    const far = [autoencoder, vae()].map((model) => distance(model, state.code));
    const kind = data.kindNames[data.kinds[nearest(vae(), state.code)]];
    return `${codeText()}. Autoencoder: ${words(far[0])}, ${number(far[0], 3)} from the nearest. ` +
      `VAE with β = ${betas[state.place]}: ${words(far[1])}, ${number(far[1], 3)}. ` +
      `The closest code is of a dog of the kind: ${kind}. Prior: ${state.prior}.`;
  };
  explorer.root.explorer.maps = { to: (prior, z) => PRIORS[prior].to(z), from: (prior, x) => PRIORS[prior].from(x) };
});
