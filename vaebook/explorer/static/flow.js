/* Points that a velocity field carries from noise to codes, by Runge and Kutta's method. */
vaebookExplorer.define("flow", (explorer) => {
  "use strict";
  const { element, number, clamp, unpack, network, scheme, still } = vaebookExplorer;
  const { root, live, data } = explorer;
  const COUNT = 200, SECONDS = 4, STEP = 1 / data.steps, SIDE = Math.sqrt(3);
  const layers = { normal: network(data.fields.normal), uniform: network(data.fields.uniform) };
  const codes = unpack(data.codes);
  const pictures = unpack(data.pictures), [, height, width] = data.pictures.shape;
  Object.assign(explorer.state, { time: 0, noise: "normal", start: data.start, playing: false });

  // ------------------------------------------------------------------ the field
  /** What a field sees of the time, beside the place. */
  function waves(t) {
    const found = [t];
    for (const wave of [Math.sin, Math.cos]) {
      for (let turn = 1; turn <= data.frequencies; turn++) found.push(wave(turn * Math.PI * t));
    }
    return found;
  }
  const velocity = (noise, [x, y], seen) => layers[noise]([x, y, ...seen]);

  /** One step from time t: the mean of four velocities, the two in the middle counted twice. */
  function step(noise, [x, y], t) {
    const [now, half, then] = [waves(t), waves(t + STEP / 2), waves(t + STEP)];
    const k1 = velocity(noise, [x, y], now);
    const k2 = velocity(noise, [x + (STEP / 2) * k1[0], y + (STEP / 2) * k1[1]], half);
    const k3 = velocity(noise, [x + (STEP / 2) * k2[0], y + (STEP / 2) * k2[1]], half);
    const k4 = velocity(noise, [x + STEP * k3[0], y + STEP * k3[1]], then);
    return [0, 1].map((i) => [x, y][i] + (STEP / 6) * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]));
  }

  /** All places of a point from time 0 to 1. */
  function path(noise, start) {
    const places = [start];
    for (let at = 0; at < data.steps; at++) places.push(step(noise, places[at], at * STEP));
    return places;
  }
  /** Where a path is at a time between two steps. */
  function along(places, time) {
    const at = Math.min(data.steps - 1, Math.floor(time * data.steps)), share = time * data.steps - at;
    return [0, 1].map((i) => (1 - share) * places[at][i] + share * places[at + 1][i]);
  }

  // ------------------------------------------------------------------ the crowd
  /** The same noise on every page: a small generator of numbers between 0 and 1 (mulberry32). */
  function generator(seed) {
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }
  const random = generator(14);
  const draw = {
    normal: () => {
      const far = Math.sqrt(-2 * Math.log(1 - random())), turn = 2 * Math.PI * random();
      return [far * Math.cos(turn), far * Math.sin(turn)];
    },
    uniform: () => [SIDE * (2 * random() - 1), SIDE * (2 * random() - 1)],
  };
  const starts = { normal: Array.from({ length: COUNT }, draw.normal), uniform: Array.from({ length: COUNT }, draw.uniform) };
  const crowd = { normal: [], uniform: [] };
  function more(noise, until) {
    for (let at = crowd[noise].length; at < until; at++) crowd[noise].push(path(noise, starts[noise][at]));
  }
  /** A few paths at a time, so that the page stays quick. */
  (function prepare() {
    const noise = crowd[explorer.state.noise].length < COUNT ? explorer.state.noise : "normal uniform".split(" ").find((name) => crowd[name].length < COUNT);
    if (!noise) {
      root.dataset.ready = "";
      return;
    }
    more(noise, Math.min(COUNT, crowd[noise].length + 10));
    if (noise === explorer.state.noise) explorer.set({}, { quiet: true });
    setTimeout(prepare, 8);
  })();

  // ------------------------------------------------------------------ what is known of a point
  function nearest([x, y]) {
    let least = Infinity, found = 0;
    for (let at = 0; at < codes.length / 2; at++) {
      const far = (x - codes[2 * at]) ** 2 + (y - codes[2 * at + 1]) ** 2;
      if (far < least) [least, found] = [far, at];
    }
    return { kind: data.kinds[found], distance: Math.sqrt(least) };
  }
  let own = { key: "", places: [], end: null, kind: 0 };
  function follow({ noise, start }) {
    const key = [noise, ...start].join();
    if (own.key !== key) {
      const places = path(noise, start);
      own = { key, places, ...nearest(places.at(-1)) };
    }
    return own;
  }
  let last = { key: "", share: 0 };
  function arrived({ noise, time }) {
    const key = [noise, time, crowd[noise].length].join();
    if (last.key !== key) last = { key, share: shareNear(noise, time) };
    return last.share;
  }
  function shareNear(noise, time) {
    const now = crowd[noise].map((places) => along(places, time));
    return now.filter((point) => nearest(point).distance < data.near).length / Math.max(1, now.length);
  }
  const dog = (kind) => `a dog of the kind “${data.names[kind]}”`;

  // ------------------------------------------------------------------ drawing
  const ink = (name) => getComputedStyle(root).getPropertyValue(`--${name}`);
  function paint(context, plane) {
    const { noise, time } = explorer.state, unit = plane.width / (2 * data.edge), large = plane.width > 420;
    context.fillStyle = ink("ink");
    context.globalAlpha = 0.3;
    for (let at = 0; at < codes.length; at += 2) {
      const [x, y] = plane.at(codes[at], codes[at + 1]);
      context.fillRect(x - 2, y - 2, 4, 4);
    }
    context.globalAlpha = 1;
    if (noise === "uniform") {
      context.strokeStyle = explorer.colour("prior");
      context.lineWidth = 1;
      const [left, top] = plane.at(-SIDE, SIDE);
      context.strokeRect(left, top, 2 * SIDE * unit, 2 * SIDE * unit);
    }
    context.strokeStyle = ink("quiet");
    context.lineWidth = 1;
    context.beginPath();
    const seen = waves(time), few = large ? 15 : 11;
    const edge = noise === "uniform" ? SIDE : data.edge, gap = (2 * edge) / few; // where there is noise
    for (let row = 0; row < few; row++) {
      for (let column = 0; column < few; column++) {
        const place = [-edge + (column + 0.5) * gap, -edge + (row + 0.5) * gap];
        const [right, up] = velocity(noise, place, seen), slope = Math.hypot(right, up);
        const length = Math.min(0.16 * slope, 0.9 * gap) * unit, way = [right / slope, -up / slope];
        const [x, y] = plane.at(...place), end = [x + way[0] * length, y + way[1] * length], head = Math.min(4, length);
        context.moveTo(x, y);
        context.lineTo(...end);
        context.moveTo(end[0] - head * (way[0] + 0.6 * way[1]), end[1] - head * (way[1] - 0.6 * way[0]));
        context.lineTo(...end);
        context.lineTo(end[0] - head * (way[0] - 0.6 * way[1]), end[1] - head * (way[1] + 0.6 * way[0]));
      }
    }
    context.stroke();
    context.fillStyle = explorer.colour("flow matching");
    context.beginPath();
    for (const places of crowd[noise]) {
      const [x, y] = plane.at(...along(places, time));
      context.moveTo(x, y);
      context.arc(x, y, large ? 3 : 2.3, 0, 2 * Math.PI);
    }
    context.fill();
    const { places } = follow(explorer.state), here = along(places, time);
    context.strokeStyle = explorer.colour("prior");
    context.lineWidth = 3;
    context.beginPath();
    for (const place of places) context.lineTo(...plane.at(...place));
    context.stroke();
    context.fillStyle = context.strokeStyle = ink("ink");
    context.beginPath();
    context.arc(...plane.at(...here), 6, 0, 2 * Math.PI);
    context.fill();
  }

  const plane = explorer.plane({
    x: [-data.edge, data.edge], y: [-data.edge, data.edge], paint,
    label: (state) => `${COUNT} points at time ${number(state.time)} of the flow from ${state.noise} noise; ${Math.round(100 * arrived(state))} % are near a code.`,
  });
  plane.handle({
    label: "your draw of noise", colour: "prior", anywhere: true, get: (state) => state.start,
    text: (state) => `${number(state.start[0])}, ${number(state.start[1])}, becomes the code of ${dog(follow(state).kind)}`,
    move: (place) => {
      const edge = explorer.state.noise === "uniform" ? SIDE : data.edge;
      explorer.set({ start: place.map((value) => clamp(Math.round(100 * value) / 100, -edge, edge)) });
    },
  });

  // ------------------------------------------------------------------ the clock
  let began = 0;
  function tick(moment) {
    if (!explorer.state.playing) return;
    began = began || moment - 1000 * SECONDS * explorer.state.time;
    const time = Math.min(1, (moment - began) / (1000 * SECONDS));
    explorer.set({ time, playing: time < 1 }, { quiet: time < 1 });
    if (time < 1) requestAnimationFrame(tick);
  }
  function play() {
    const { time, playing } = explorer.state;
    if (playing) return explorer.set({ playing: false });
    if (still()) return explorer.set({ time: time < 1 ? 1 : 0 }); // a jump, where motion is not wanted
    began = 0;
    explorer.set({ playing: true, time: time < 1 ? time : 0 }, { quiet: true });
    return requestAnimationFrame(tick);
  }
  const player = explorer.button("Play", play);
  const clock = explorer.slider({ key: "time", label: "time t", min: 0, max: 1, step: 0.01 });
  clock.input.addEventListener("input", () => explorer.set({ playing: false }, { quiet: true }));

  const picture = explorer.picture({
    height, width, pixels: (state) => pictures.subarray(follow(state).kind * height * width, (follow(state).kind + 1) * height * width),
    label: (state) => `${dog(follow(state).kind)}, as your noise becomes at time 1`,
  });
  const noise = explorer.choice({ key: "noise", label: "Start from", options: [["normal", "normal noise"], ["uniform", "uniform noise"]] });
  noise.addEventListener("change", () => {
    if (explorer.state.noise !== "uniform") return; // no noise lies outside
    explorer.set({ start: explorer.state.start.map((value) => clamp(value, -SIDE, SIDE)) });
  });
  const share = element("strong", {}), goal = element("p", { class: "flow-goal" });
  explorer.parts.push((state) => {
    player.textContent = state.playing ? "Pause" : "Play";
    share.textContent = `${Math.round(100 * arrived(state))} %`;
    goal.textContent = `Your draw becomes the code of ${dog(follow(state).kind)}.`;
  });
  explorer.describe = (state) => `Time ${number(state.time)}: ${Math.round(100 * arrived(state))} % of the points are near a code. Your draw becomes the code of ${dog(follow(state).kind)}.`;

  const note = element("p", { class: "explorer-note" });
  explorer.parts.push((state) => {
    note.textContent = "Squares: codes of an autoencoder with two numbers, of dogs of five kinds, brought to mean 0 and size 1. " +
      "Small dots: draws of noise on their way. Arrows: the field at this time, a network with 48 units in two layers, trained by flow matching. " +
      `Blue ring: your draw of noise. Blue line: its path; ${scheme() === "dark" ? "white" : "black"} dot: where it is at this time.` +
      (state.noise === "uniform" ? " Blue frame: the square that the noise fills; none lies outside." : "");
  });

  live.append(
    noise,
    element("div", { class: "flow-row" }, plane.box,
      element("div", { class: "flow-side" },
        element("div", { class: "flow-player" }, player, clock),
        element("p", { class: "flow-share" }, share, ` of ${COUNT} points are within ${data.near} of a code.`),
        element("div", { class: "flow-dog" }, picture, goal))),
    note,
  );
  root.explorer.flow = { path, velocity: (name, place, t) => [...velocity(name, place, waves(t))], arrived: (change) => arrived({ ...explorer.state, ...change }) };
});
