/* Sixteen numbers of a code. The state has z0 to z15, the two dogs of the way, and how far along. */
vaebookExplorer.define("latent-sliders", (explorer) => {
  "use strict";
  const { element, number, unpack, network } = vaebookExplorer;
  const { data, state } = explorer;
  const DIMS = data.rates.length, REACH = 3;
  const all = [...data.rates.keys()], asleep = all.filter((at) => !data.active.includes(at));
  const decode = network(data.layers), flat = unpack(data.codes);
  const dogs = Array.from({ length: flat.length / DIMS }, (_, row) => [...flat.slice(row * DIMS, (row + 1) * DIMS)]);
  const code = (of = state) => all.map((at) => of[`z${at}`]);
  const coded = (values) => Object.fromEntries(values.map((value, at) => [`z${at}`, value]));
  const between = (share, from, to) => dogs[from].map((value, at) => value + share * (dogs[to][at] - value));
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  Object.assign(state, coded(Array(DIMS).fill(0)), { rest: 0, from: 0, to: 1, share: 0 });

  /** A slider of one latent, with a bar of what it carries. */
  function latent(at) {
    const label = `z${at + 1}, ${number(data.rates[at])} nats`;
    const box = explorer.slider({ key: `z${at}`, label, min: -REACH, max: REACH, step: 0.05 });
    const bar = element("div", { class: "ls-rate" });
    bar.style.setProperty("--rate", data.rates[at] / Math.max(...data.rates));
    explorer.parts.push(() => bar.style.setProperty("--rate-colour", explorer.colour("posterior")));
    box.input.before(bar);
    return box;
  }
  const sliders = element("div", { class: "ls-sliders" }, ...data.active.map(latent));
  if (asleep.length) { // one for all that carry nothing
    const most = Math.max(...asleep.map((at) => data.rates[at]));
    const rest = explorer.slider({
      key: "rest", label: `The ${asleep.length} inactive latents together, ${number(most, 3)} nats each at most`,
      min: -REACH, max: REACH, step: 0.05,
    });
    rest.classList.add("ls-asleep");
    rest.input.addEventListener("input", () =>
      explorer.set(Object.fromEntries(asleep.map((at) => [`z${at}`, Number(rest.input.value)]))));
    sliders.append(rest);
  }
  const picture = (pixels, label) => explorer.picture({ height: data.height, width: data.width, pixels, label });
  const onWay = (share) =>
    between(share, state.from, state.to).every((value, at) => Math.abs(value - code()[at]) < 1e-6);
  const way = explorer.slider({
    key: "share", label: "From one dog to the other", min: 0, max: 1, step: 0.01,
    text: (share) => onWay(share) ? `${Math.round(100 * share)} %` : "–",
  });
  way.input.addEventListener("input", () =>
    explorer.set(coded(between(Number(way.input.value), state.from, state.to))));
  const start = (change) => explorer.set({ rest: 0, share: 0, ...change });
  explorer.live.append(
    element("div", { class: "ls-columns" },
      element("div", { class: "ls-dog" }, picture(() => decode(code()), () => "The decoded dog"),
        element("p", { class: "explorer-note" }, "With all numbers at 0 it is blurred: a decoder draws the mean of the dogs that a code may stand for, and the code in the middle may stand for many.")),
      sliders),
    element("div", { class: "ls-way" },
      picture(({ from }) => decode(dogs[from]), ({ from }) => `Dog ${from + 1} of the test set`), way,
      picture(({ to }) => decode(dogs[to]), ({ to }) => `Dog ${to + 1} of the test set`)),
    element("div", { class: "explorer-row ls-buttons" },
      explorer.button("Random sample", () => start(coded(all.map(normal)))),
      explorer.button("All at 0", () => start(coded(Array(DIMS).fill(0)))),
      explorer.button("Two other dogs", () => {
        const from = Math.floor(Math.random() * dogs.length);
        const to = (from + 1 + Math.floor(Math.random() * (dogs.length - 1))) % dogs.length;
        start({ from, to, ...coded(dogs[from]) });
      })));
  explorer.decode = decode;
  explorer.describe = () => "The code is " +
    data.active.map((at) => `z${at + 1} ${number(state[`z${at}`], 1)}`).join(", ") +
    (state.share ? `; ${Math.round(100 * state.share)} percent of the way from one dog to the other` : "");
});
