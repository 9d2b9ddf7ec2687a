/* What all explorers share: theme, state, drawing, dragging, labelled controls, a small network.
   A widget is one call of `define(name, build)`; see vaebook/explorer/widget.py for how to add one.
   Nothing is asked from a network, and `vaebookExplorer` is the only name left on the page. */
(() => {
  "use strict";
  if (window.vaebookExplorer) return;
  const builders = {};

  // ------------------------------------------------------------------ small helpers
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === false || value == null) continue;
      made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  }

  /** A number in the book's style: a real minus sign. */
  const number = (value, digits = 2) => {
    const text = Math.abs(value).toFixed(digits);
    return (value < 0 && Number(text) !== 0 ? "\u2212" : "") + text;
  };

  // ------------------------------------------------------------------ packed numbers, networks
  const WHOLE = { uint8: Uint8Array, int8: Int8Array, int16: Int16Array };
  /** The numbers of `pack_array` in vaebook/explorer/weights.py: integers times a scale, one or one a row. */
  function unpack(packed) {
    const text = atob(packed.data);
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const whole = new WHOLE[packed.type](bytes.buffer);
    if (typeof packed.scale === "number") return Float32Array.from(whole, (value) => value * packed.scale);
    const scales = unpack(packed.scale), width = packed.shape[1];
    return Float32Array.from(whole, (value, at) => value * scales[Math.floor(at / width)]);
  }

  const ACTIVATIONS = {
    identity: (x) => x,
    relu: (x) => (x > 0 ? x : 0),
    silu: (x) => x / (1 + Math.exp(-x)),
    sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    tanh: Math.tanh,
  };

  /** A function from codes to outputs: linear layers, each followed by its activation. */
  function network(packed) {
    const layers = packed.map((layer) => ({
      weight: unpack(layer.weight), bias: unpack(layer.bias), act: ACTIVATIONS[layer.activation],
    }));
    return (code) => {
      let input = Float32Array.from(code);
      for (const { weight, bias, act } of layers) {
        const output = new Float32Array(bias.length), width = input.length;
        for (let row = 0, at = 0; row < bias.length; row++) {
          let sum = bias[row];
          for (let column = 0; column < width; column++) sum += weight[at++] * input[column];
          output[row] = act(sum);
        }
        input = output;
      }
      return input;
    };
  }

  // ------------------------------------------------------------------ pictures
  /** Put pixels in [0, 1], row by row, onto a canvas of as many pixels: grey, or planes of r, g, b. */
  function paint(canvas, pixels) {
    const count = canvas.width * canvas.height, channels = pixels.length / count;
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    for (let at = 0; at < count; at++) {
      for (let part = 0; part < 3; part++) {
        const value = pixels[channels === 3 ? part * count + at : at];
        image.data[4 * at + part] = Math.round(255 * clamp(value, 0, 1));
      }
      image.data[4 * at + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  // ------------------------------------------------------------------ theme
  /** "dark" or "light": as the built book says, else JupyterLab, else the browser. */
  function scheme() {
    const book = document.documentElement.dataset.theme;
    if (book === "light" || book === "dark") return book;
    const lab = document.body.dataset.jpThemeLight;
    if (lab) return lab === "false" ? "dark" : "light";
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }

  function onScheme(react) {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", react);
    const seen = new MutationObserver(react);
    seen.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    seen.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  }

  // ------------------------------------------------------------------ one explorer
  class Explorer {
    constructor(root, data) {
      this.root = root;
      this.data = data;
      this.state = {};
      this.live = element("div", { class: "explorer-live" });
      this.spoken = element("div", { class: "explorer-spoken", "aria-live": "polite" });
      this.parts = []; // what follows the state: functions that are called after each change
      this.planes = [];
    }

    /** The colour of a model or distribution, as a mark or, with `colours.text`, as words. */
    colour(name, use = "marks") {
      const found = this.data.colours[use][scheme()][name];
      if (!found) throw new Error(`no colour for ${name}`);
      return found;
    }

    /** Change the state now; everything that shows it follows in the next frame, or at once. */
    set(change, { now = false, quiet = false } = {}) {
      Object.assign(this.state, change);
      if (!quiet) this.sayLater();
      if (now) this.draw();
      else if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
    }

    draw() {
      cancelAnimationFrame(this.frame);
      this.frame = 0;
      const start = performance.now();
      this.root.dataset.scheme = scheme();
      for (const part of this.parts) part(this.state);
      for (const plane of this.planes) plane.draw();
      this.milliseconds = performance.now() - start; // decode and redraw, for the tests
    }

    /** What is seen, in words, once the hand rests: `describe` is the widget's. */
    sayLater() {
      clearTimeout(this.saying);
      this.saying = setTimeout(() => {
        const text = this.describe ? this.describe(this.state) : "";
        if (this.spoken.textContent !== text) this.spoken.textContent = text;
      }, 400);
    }

    // ---------------------------------------------------------------- controls
    /** A labelled slider bound to `state[key]`. `text(value)` is what is shown and read out. */
    slider({ key, label, min, max, step, text = (value) => number(value) }) {
      const id = fresh();
      const input = element("input", { type: "range", id, min, max, step });
      const shown = element("output", { for: id });
      input.addEventListener("input", () => this.set({ [key]: Number(input.value) }, { quiet: true }));
      this.parts.push((state) => {
        input.value = state[key];
        shown.textContent = text(state[key]);
        input.setAttribute("aria-valuetext", text(state[key]));
      });
      const box = element("div", { class: "explorer-slider" }, element("label", { for: id }, label), shown, input);
      return Object.assign(box, { input });
    }

    /** Radio buttons bound to `state[key]`; `options` is a list of [value, label]. */
    choice({ key, label, options }) {
      const name = fresh();
      const box = element("fieldset", { class: "explorer-choice" }, element("legend", {}, label));
      for (const [value, words] of options) {
        const input = element("input", { type: "radio", name, value });
        input.addEventListener("change", () => this.set({ [key]: value }));
        this.parts.push((state) => { input.checked = state[key] === value; });
        box.append(element("label", {}, input, words));
      }
      return box;
    }

    button(label, press) {
      const made = element("button", { type: "button", class: "explorer-button" }, label);
      made.addEventListener("click", press);
      return made;
    }

    /** A picture of `height` × `width` pixels; `pixels(state)` gives them, `label(state)` says what it is. */
    picture({ height, width, pixels, label }) {
      const canvas = element("canvas", { class: "explorer-image", role: "img", width, height });
      this.parts.push((state) => {
        paint(canvas, pixels(state));
        canvas.setAttribute("aria-label", label(state));
      });
      return canvas;
    }

    /** A plane with its own coordinates; see Plane. */
    plane(options) {
      const made = new Plane(this, options);
      this.planes.push(made);
      return made;
    }
  }

  /** A canvas for the range `x`, `y` (each [low, high]), `ratio` = height / width, sharp on every
      screen. `paint(context, plane)` draws it in CSS pixels: plane.at(x, y) is where a point lies. */
  class Plane {
    constructor(explorer, { x, y, ratio, label, paint: painter }) {
      Object.assign(this, { explorer, x, y, painter, label });
      this.ratio = ratio || (y[1] - y[0]) / (x[1] - x[0]);
      this.canvas = element("canvas", { role: "img" });
      this.box = element("div", { class: "explorer-plane" }, this.canvas);
      this.handles = [];
      new ResizeObserver(() => { // to read the width at each change would lay the page out anew
        this.width = this.box.clientWidth;
        this.draw();
      }).observe(this.box);
    }

    at(x, y) {
      return [
        ((x - this.x[0]) / (this.x[1] - this.x[0])) * this.width,
        ((this.y[1] - y) / (this.y[1] - this.y[0])) * this.height,
      ];
    }

    /** Coordinates of the plane under a pointer. */
    under(event) {
      const box = this.canvas.getBoundingClientRect();
      return [
        this.x[0] + ((event.clientX - box.left) / box.width) * (this.x[1] - this.x[0]),
        this.y[1] - ((event.clientY - box.top) / box.height) * (this.y[1] - this.y[0]),
      ];
    }

    draw() {
      this.width = this.width || this.box.clientWidth;
      if (!this.width) return; // not on the page yet
      const density = window.devicePixelRatio || 1;
      this.height = Math.round(this.width * this.ratio);
      const [wide, high] = [Math.round(this.width * density), Math.round(this.height * density)];
      if (this.canvas.width !== wide || this.canvas.height !== high) {
        Object.assign(this.canvas, { width: wide, height: high });
        this.canvas.style.height = `${this.height}px`;
      }
      const context = this.canvas.getContext("2d");
      context.setTransform(density, 0, 0, density, 0, 0);
      context.clearRect(0, 0, this.width, this.height);
      this.canvas.setAttribute("aria-label", this.label(this.explorer.state));
      this.painter(context, this);
      for (const place of this.handles) place();
    }

    /** A point that mouse, finger and arrow keys move (Shift: ten times as far).
        `get(state)` is [x, y]; `move([x, y])` changes the state; `text(state)` reads it out.
        With `anywhere`, a press on the bare plane brings the point there. */
    handle({ label, get, move, text, colour, step = 0.05, anywhere = false, horizontal = false }) {
      const { explorer } = this;
      const grip = element("div", {
        class: "explorer-handle", role: "slider", tabindex: 0, "aria-label": label,
        "aria-roledescription": horizontal ? null : "point in a plane",
        "aria-valuemin": this.x[0], "aria-valuemax": this.x[1],
      });
      this.box.append(grip);
      const to = ([x, y]) => move([clamp(x, ...this.x), clamp(y, ...this.y)]);
      this.handles.push(() => {
        const [x, y] = get(explorer.state), [left, top] = this.at(x, y);
        Object.assign(grip.style, { left: `${left}px`, top: `${top}px` });
        grip.style.setProperty("--handle", colour ? explorer.colour(colour) : "var(--ink)");
        grip.setAttribute("aria-valuenow", x.toFixed(2));
        grip.setAttribute("aria-valuetext", text ? text(explorer.state) : `${number(x)}, ${number(y)}`);
      });
      const drag = (target, start, offset) => {
        target.setPointerCapture(start.pointerId);
        const follow = (event) => {
          const [x, y] = this.under(event);
          to([x - offset[0], y - offset[1]]);
        };
        const end = () => {
          target.removeEventListener("pointermove", follow);
          for (const name of ["pointerup", "pointercancel"]) target.removeEventListener(name, end);
        };
        target.addEventListener("pointermove", follow);
        for (const name of ["pointerup", "pointercancel"]) target.addEventListener(name, end);
      };
      grip.addEventListener("pointerdown", (event) => {
        const [x, y] = this.under(event), [atX, atY] = get(explorer.state);
        drag(grip, event, [x - atX, y - atY]); // the point does not jump to the finger
        grip.focus({ preventScroll: true });
        event.preventDefault();
      });
      grip.addEventListener("keydown", (event) => {
        const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
        if (!way) return;
        const [x, y] = get(explorer.state), far = step * (event.shiftKey ? 10 : 1);
        to([x + way[0] * far, y + way[1] * far]);
        event.preventDefault();
      });
      if (anywhere) {
        this.canvas.style.cursor = "crosshair";
        this.canvas.addEventListener("pointerdown", (event) => {
          if (event.pointerType !== "mouse" || event.button) return;
          to(this.under(event));
          drag(this.canvas, event, [0, 0]);
          event.preventDefault();
          grip.focus({ preventScroll: true });
        });
        this.canvas.addEventListener("click", (event) => to(this.under(event))); // a tap
      }
      return grip;
    }
  }

  let count = 0;
  const fresh = () => `explorer-${Math.random().toString(36).slice(2, 8)}-${++count}`;

  // ------------------------------------------------------------------ start
  /** Bring one root to life. Twice is once. */
  function start(root) {
    if (!root || root.explorer) return;
    const build = builders[root.dataset.explorer];
    if (!build) return; // its own script comes later
    const data = JSON.parse(root.querySelector("script.explorer-data").textContent);
    const explorer = new Explorer(root, data);
    for (const left of root.querySelectorAll(".explorer-live")) left.remove(); // of a saved page
    root.explorer = {
      state: explorer.state,
      set: (change) => explorer.set(change, { now: true }),
      decode: null, // (code) => pixels, where the widget has a decoder
      get milliseconds() { return explorer.milliseconds; },
    };
    build(explorer);
    root.explorer.decode = explorer.decode;
    root.querySelector("script").before(explorer.live); // so that a saved page has it before it runs
    explorer.live.append(explorer.spoken);
    // JupyterLab takes the arrow keys to go from cell to cell, unless what has the focus says no.
    for (const part of explorer.live.querySelectorAll("input, select, button, .explorer-handle")) {
      part.dataset.lmSuppressShortcuts = "true";
    }
    explorer.draw();
    for (const picture of root.querySelectorAll(".explorer-still")) picture.hidden = true;
    root.dataset.live = "";
    onScheme(() => explorer.draw());
  }

  window.vaebookExplorer = {
    define: (name, build) => { builders[name] = build; },
    start, element, number, clamp, unpack, network, paint, scheme, still, fresh,
  };
})();
