// What is wider than its box scrolls. Mark such a box, so that the keyboard reaches it, a screen
// reader names it, and the style sheet shades the edges at which something is cut off.
(() => {
  "use strict";

  const KINDS = [
    ["mjx-container[display='true']", "Formula"],
    [".formula > .math mjx-container, span.math mjx-container:not([display])", "Formula"],
    [".table-scroll, .pst-scrollable-table-container", "Table"],
    [".cell_output .output", "Output"],
    ["pre", "Code"],
  ];
  const boxes = new Map(); // each box, and its name

  const nameOf = (box, kind) => {
    const number = kind === "Formula" && box.closest("div.math")?.querySelector(".eqno");
    const text = number ? number.firstChild.textContent.trim() : "";
    return `${kind}${text ? ` ${text}` : ""}, scrolls sideways`;
  };

  // A formula of a sentence becomes a box only if it is wider than its paragraph.
  const isInline = (box) => box.matches("mjx-container:not([display])");
  const isLong = (box) => {
    let block = box.parentElement;
    while (getComputedStyle(block).display.startsWith("inline")) block = block.parentElement;
    const style = getComputedStyle(block);
    const room = block.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const cell = block.closest("td, th");
    return room > 0 && !cell && box.firstElementChild.getBoundingClientRect().width > room - 20;
  };

  const cut = (box) => {
    const hidden = box.scrollWidth - box.clientWidth;
    if (hidden < 1 || box.clientWidth === 0) return "";
    const before = box.scrollLeft > 0;
    const after = box.scrollLeft < hidden - 0.5;
    return before && after ? "both" : before ? "start" : "end";
  };

  const mark = (box, where) => {
    if ((box.dataset.cut || "") === where) return;
    if (!where) {
      delete box.dataset.cut;
      if (box.dataset.named) {
        for (const name of ["role", "aria-label", "tabindex", "data-named"]) box.removeAttribute(name);
      }
      return;
    }
    box.dataset.cut = where;
    if (!box.hasAttribute("role")) {
      box.dataset.named = "true";
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", boxes.get(box));
    }
    box.tabIndex = 0;
  };

  const measure = (some) => {
    const inline = some.filter(isInline);
    for (const box of inline) delete box.dataset.long;
    const long = inline.filter(isLong);
    for (const box of long) {
      box.dataset.long = "";
      box.style.verticalAlign = box.firstElementChild.style.verticalAlign;
    }
    const found = some.map((box) => [box, isInline(box) && !("long" in box.dataset) ? "" : cut(box)]);
    for (const [box, where] of found) mark(box, where);
  };

  const start = () => {
    const resized = new ResizeObserver((entries) => measure(entries.map((entry) => entry.target)));
    for (const [selector, kind] of KINDS) {
      for (const box of document.querySelectorAll(`article :is(${selector})`)) {
        if (boxes.has(box)) continue;
        boxes.set(box, nameOf(box, kind));
        if (!isInline(box)) resized.observe(box);
        box.addEventListener("scroll", () => mark(box, cut(box)), { passive: true });
      }
    }
    const sentences = [...boxes.keys()].filter(isInline);
    let width = 0;
    const article = document.querySelector("article");
    const narrowed = new ResizeObserver(() => {
      if (article.clientWidth === width) return;
      width = article.clientWidth;
      measure(sentences);
    });
    if (article) narrowed.observe(article);
    for (const fold of document.querySelectorAll("article details, article .toggle")) {
      const inside = sentences.filter((box) => fold.contains(box));
      if (inside.length) new ResizeObserver(() => measure(inside)).observe(fold);
    }
    measure([...boxes.keys()]);
    document.documentElement.dataset.measured = "true";
  };

  // A link to what is folded away opens the fold.
  const unfold = () => {
    const target = document.querySelector(":target");
    let opened = false;
    for (let box = target; box; box = box.parentElement) {
      const closed = box.matches("details:not([open])") || box.classList.contains("toggle-hidden");
      if (!closed) continue;
      if (box.matches("details")) box.open = true;
      else box.querySelector(".toggle-button").click();
      opened = true;
    }
    if (opened) target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);

  addEventListener("load", () => {
    const formulas = window.MathJax?.startup?.promise;
    Promise.resolve(formulas)
      .then(start, start)
      .then(unfold);
  });

  // On a phone the outline of a page is a dialog: whoever chose a section wants to read it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("dialog a[href*='#']");
    const [page] = link?.href.split("#") ?? [];
    if (page === location.href.split("#")[0]) link.closest("dialog").close();
  });
})();
