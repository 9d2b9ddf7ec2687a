// What the document needs to know of the sheets that it will be printed on. All widths in pixels.
const paper = {
  ready: async () => {
    await MathJax.startup.promise;
    await document.fonts.ready;
  },

  // Shrink what is wider than its place; keep in one piece what is not too high.
  fit(height) {
    const wide = [];
    for (const box of document.querySelectorAll("table, mjx-container[display] > mjx-math")) {
      const room = box.parentElement.getBoundingClientRect().width;
      const own = box.getBoundingClientRect().width;
      if (own > room + 1) wide.push([box, room / own]);
    }
    for (const [box, ratio] of wide) box.style.zoom = ratio;
    const whole = [];
    for (const box of document.querySelectorAll("table, pre, .admonition, .literal-block-wrapper")) {
      const most = box.matches("table") ? height / 2 : height / 4;
      if (box.getBoundingClientRect().height < most) whole.push(box);
    }
    for (const box of whole) box.classList.add("whole");
  },

  // What would be wrong on paper, a line for each fault.
  faults(width) {
    const found = [];
    for (const each of document.querySelectorAll("[data-mml-node='merror'], mjx-merror"))
      found.push(`a formula fails: ${each.closest(".math").textContent}`);
    for (const each of document.querySelectorAll(".math:not(:has(mjx-container))"))
      found.push(`a formula is not set: ${each.textContent}`);
    for (const each of document.querySelectorAll("article *, nav *")) {
      const box = each.getBoundingClientRect();
      if (box.width && box.right > width + 2 && !each.closest("mjx-math, mjx-assistive-mml"))
        found.push(`${each.tagName} ${each.className} leaves the page by ${box.right - width} px: `
          + each.textContent.trim().slice(0, 60));
    }
    for (const each of document.images)
      if (!each.complete || !each.naturalWidth) found.push(`no image: ${each.src.slice(0, 200)}`);
    return found;
  },

  // Hidden things keep their places, and cost no time to print.
  hide() {
    document.body.style.visibility = "hidden";
  },

  // Show all, with the numbers of pages by the id of what is on them.
  fill(numbers) {
    document.body.style.visibility = "visible";
    for (const place of document.querySelectorAll(".number"))
      place.textContent = numbers[place.closest("a").getAttribute("href").slice(1)];
  },
};
