/* What a written loss of a VAE says: the decoder's σ, β, and what a model trained so makes. */
vaebookExplorer.define("loss", (explorer) => {
  "use strict";
  const { element, unpack, fresh } = vaebookExplorer;
  const { root, live, data } = explorer;
  const OWN = "my own", SHOWN = 4;
  const photographs = unpack(data.photographs), [, height, width] = data.photographs.shape;
  const trained = data.trained.map((model) => ({ ...model, pictures: unpack(model.pictures) }));
  const named = (name) => data.conventions.find((how) => how.name === name);
  const described = (name) => {
    const { reconstruction, pixels, latents, weight, kl } = named(name);
    return { convention: name, reconstruction, pixels, latents, weight, kl };
  };
  Object.assign(explorer.state, { ...data.start, ...described(data.start.convention) });

  // ------------------------------------------------------------------ what is typed
  class Wrong extends Error {}
  const NUMBER = /^[-−+]?(\d+\.?\d*|\.\d+)(e[-−+]?\d+)?$/i;
  const SUCH = "Type a number above 0, such as 0.00025, 1e-4, 128/10000 or 1/M.";

  /** A weight: a number or a fraction, in which M and d stand for the sizes of picture and code. */
  function weight(text, letters) {
    if (!text.trim()) throw new Wrong(`This is empty. ${SUCH}`);
    const parts = text.split("/").map((part) => part.trim());
    if (parts.length > 2) throw new Wrong(`“${text}” has more than one stroke. ${SUCH}`);
    const values = parts.map((part) => {
      if (part in letters) return letters[part];
      if (/^\d*,\d+$/.test(part)) throw new Wrong(`“${part}” has a comma. Write a point: ${part.replace(",", ".")}.`);
      if (!NUMBER.test(part)) throw new Wrong(`“${part}” is no number. ${SUCH}`);
      return Number(part.replaceAll("−", "-"));
    });
    const value = values.length === 2 ? values[0] / values[1] : values[0];
    if (!(value > 0 && value < Infinity)) throw new Wrong(`“${text.trim()}” is not above 0, or no finite number. ${SUCH}`);
    return value;
  }
  function whole(text, what, such) {
    const value = Number(text);
    if (!/^\d+$/.test(text.trim()) || value < 1) throw new Wrong(`“${text.trim()}” is no ${what}. ${such}`);
    return value;
  }
  /** Channels, height, width. */
  function imageShape(text) {
    const such = "Type channels × height × width, such as 3 × 64 × 64.";
    const parts = text.trim().split(/\s*[×x*,\s]\s*/i).filter((part) => part !== "");
    if (parts.length !== 3) throw new Wrong(`“${text.trim()}” has ${parts.length} of three numbers. ${such}`);
    const sizes = parts.map((part) => whole(part, "whole number above 0", such));
    if ([1, 3, 4].includes(sizes[2]) && Math.min(sizes[0], sizes[1]) > 4) {
      throw new Wrong(`“${text.trim()}” has the channels at the end. Write ${sizes[2]} × ${sizes[0]} × ${sizes[1]}.`);
    }
    return sizes;
  }

  // ------------------------------------------------------------------ what the loss says
  /** The weights a and b of squared error and KL, per picture, and from them σ and β. */
  function translate({ reconstruction, pixels, latents, weight: written, kl, shape, code }) {
    const errors = {};
    const read = (key, parse) => {
      try { return parse(); } catch (error) {
        if (!(error instanceof Wrong)) throw error;
        errors[key] = error.message;
        return NaN;
      }
    };
    const sizes = read("shape", () => imageShape(shape)) || []; // of one pixel, where it is unknown
    const M = sizes.reduce((all, size) => all * size, 1);
    const d = read("code", () => whole(code, "whole number above 0", "Type how many numbers a code has, such as 16.")) || 1;
    const letters = { M, d };
    const first = read("weight", () => weight(written, letters)), second = read("kl", () => weight(kl, letters));
    const a = (first / (pixels === "mean" ? M : 1)) / (reconstruction === "half squared error" ? 2 : 1);
    const b = second / (latents === "mean" ? d : 1), crossed = reconstruction === "cross-entropy";
    return {
      errors, M, d, a, b, crossed,
      beta: crossed ? b / a : b / (2 * a), sigma: Math.sqrt(crossed ? b / a / 4 : b / a / 2),
    };
  }
  /** The trained model whose σ, or whose β of cross-entropy, is nearest, by their ratio. */
  function nearest({ crossed, sigma, beta }) {
    const value = Math.log(crossed ? beta : sigma);
    const family = trained.filter((model) => (model.family === "cross-entropy") === crossed);
    return family.reduce((best, model) =>
      (Math.abs(Math.log(model.at) - value) < Math.abs(Math.log(best.at) - value) ? model : best));
  }

  /** Three digits that count, thousands parted, no powers of ten unless very small. */
  function digits(value) {
    if (!Number.isFinite(value)) return "–";
    if (value < 1e-6 || value >= 1e9) return value.toExponential(1).replace("-", "−");
    return value.toLocaleString("en", { maximumSignificantDigits: value >= 1000 ? 4 : 3, maximumFractionDigits: 12 });
  }

  // ------------------------------------------------------------------ controls
  function field({ key, label }) {
    const id = fresh(), wrong = element("p", { class: "loss-wrong", id: `${id}-wrong` });
    const input = element("input", { type: "text", id, autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-wrong` });
    input.addEventListener("input", () => explorer.set({ [key]: input.value, ...(key in { weight: 1, kl: 1 } ? { convention: OWN } : {}) }));
    explorer.parts.push((state) => {
      if (input.value !== state[key]) input.value = state[key];
      const message = now.errors[key] || "";
      if (wrong.textContent !== message) wrong.textContent = message;
      input.setAttribute("aria-invalid", String(Boolean(message)));
    });
    return element("div", { class: "loss-field" }, element("label", { for: id }, label), input, wrong);
  }
  function pick() {
    const id = fresh(), select = element("select", { id });
    for (const { name } of [...data.conventions, { name: OWN }]) select.append(element("option", { value: name }, name));
    select.addEventListener("change", () => {
      explorer.set(select.value === OWN ? { convention: OWN } : described(select.value));
    });
    explorer.parts.push((state) => { select.value = state.convention; });
    return element("div", { class: "loss-field loss-pick" }, element("label", { for: id }, "A loss in circulation"), select);
  }
  /** Radio buttons; a change makes the loss one's own. */
  function choice(settings) {
    const box = explorer.choice(settings);
    box.addEventListener("change", () => explorer.set({ convention: OWN }));
    return box;
  }

  // ------------------------------------------------------------------ results
  let now = translate(explorer.state), last = now; // last: without a mistake
  explorer.parts.push((state) => {
    now = translate(state);
    if (!Object.keys(now.errors).length) last = now;
  });
  const wrong = () => Object.values(now.errors)[0];
  const headline = () => (last.crossed
    ? `Cross-entropy with β = ${digits(last.beta)}`
    : `Pixels with σ = ${digits(last.sigma)}`);
  const meaning = () => (last.crossed
    ? `On grey pixels like Gaussian ones of σ = ½√β = ${digits(last.sigma)} at mid-grey, and less elsewhere.`
    : `The ELBO of Gaussian pixels with this σ (β = 1). Or σ = 1 with β = ${digits(last.beta)}, or σ = 0.1 with β = ${digits(100 * last.beta)}.`);
  function working(state) {
    const { a, b, M, d, crossed, beta, sigma } = last;
    const first = [state.weight, state.pixels === "mean" ? `1/${M.toLocaleString("en")}` : "", state.reconstruction === "half squared error" ? "½" : ""];
    const second = [state.kl, state.latents === "mean" ? `1/${d}` : ""];
    const product = (parts, value) => {
      const written = parts.filter(Boolean).join(" × ");
      return written === digits(value) ? written : `${written} = ${digits(value)}`;
    };
    return [
      `This loss is a × ${crossed ? "cross-entropy" : "squared error"} + b × KL, both summed.`,
      `a = ${product(first, a)}, the weight of the error`, `b = ${product(second, b)}, the weight of the KL`,
      crossed ? `β = b / a = ${digits(beta)}` : `σ = √(b / 2a) = ${digits(sigma)}`,
    ].join("\n");
  }
  const model = () => nearest(last);
  /** What to say where the ladder of trained models ends before. */
  function farOff() {
    const value = last.crossed ? last.beta : last.sigma, times = value / model().at;
    const step = last.crossed ? 4 : 1.6; // within the ladder the nearest is nearer than this
    if (times < step && times > 1 / step) return "";
    return `None was trained at so ${times > 1 ? "large" : "small"} a ${last.crossed ? "β" : "σ"} as ${digits(value)}. `;
  }
  const trainedAt = ({ family, at }) => (family === "cross-entropy" ? `cross-entropy with β = ${digits(at)}` : `σ = ${digits(at)}`);
  const title = element("strong", { class: "loss-title" });
  const text = element("p", {}), steps = element("p", { class: "loss-steps" }), name = element("p", { class: "loss-name" });
  explorer.parts.push((state) => {
    title.textContent = wrong() ? "Something typed cannot be read" : headline();
    text.textContent = wrong() ? "" : meaning().replaceAll(" = ", "\u00a0=\u00a0");
    steps.textContent = wrong() ? "" : working(state);
    name.textContent = `${wrong() ? "These are still the pictures of what could be read before. " : farOff()}The nearest of our small models was trained at ${trainedAt(model())}:`;
  });
  /** Pictures side by side. */
  function strip(pixels, from) {
    const row = new Float32Array(SHOWN * height * width);
    for (let picture = 0; picture < SHOWN; picture++) {
      for (let y = 0; y < height; y++) {
        const start = ((from + picture) * height + y) * width;
        row.set(pixels.subarray(start, start + width), (y * SHOWN + picture) * width);
      }
    }
    return row;
  }
  const row = (label, pixels, from) => element("div", { class: "loss-row" }, element("span", {}, label), explorer.picture({
    height, width: SHOWN * width, pixels: () => strip(pixels(), from),
    label: () => `${label}: four small grey pictures of clothes${pixels === originals ? "" : `, trained at ${trainedAt(model())}`}`,
  }));
  const originals = () => photographs, made = () => model().pictures;

  explorer.describe = () => (wrong() ? `Something typed cannot be read: ${wrong()}` : `${headline()}. ${meaning()} Pictures of a model trained at ${trainedAt(model())}.`);
  root.explorer.loss = (change) => {
    const found = translate({ ...explorer.state, ...change });
    return { ...found, trained: Object.keys(found.errors).length ? null : nearest(found).at };
  };

  live.append(element("div", { class: "loss-columns" },
    element("div", { class: "loss-controls" },
      pick(),
      choice({ key: "reconstruction", label: "Reconstruction term", options: [["squared error", "MSE"], ["half squared error", "½ MSE"], ["cross-entropy", "BCE"]] }),
      choice({ key: "pixels", label: "Over the pixels", options: [["sum", "sum"], ["mean", "mean"]] }),
      choice({ key: "latents", label: "KL over the code", options: [["sum", "sum"], ["mean", "mean"]] }),
      field({ key: "weight", label: "Weight on the error" }),
      field({ key: "kl", label: "Weight on the KL" }),
      field({ key: "shape", label: "Picture, c × h × w" }),
      field({ key: "code", label: "Numbers in a code" })),
    element("div", { class: "loss-results" },
      element("div", { class: "explorer-stage loss-stage" }, title, name,
        row("photographs", originals, 0), row("reconstructed", made, 0), row("samples", made, SHOWN)),
      text, steps,
      element("p", { class: "explorer-note" }, "Fashion-MNIST, 784 pixels, codes of 16 numbers, 256 hidden units, 8 epochs. With more pixels the codes collapse at a larger σ."))));
});
