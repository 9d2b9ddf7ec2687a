/* The book's search. It looks through window.BOOK, which search-data.js holds:
 *
 *   pages:    [{title, url, reference, passages: [[title, anchor, kind, lines], ...]}, ...]
 *   synonyms: [[phrase, phrase, ...], ...], each line phrases that mean the same
 *
 * A query is a list of terms; a term is the phrase that was typed and the phrases that mean the
 * same. Passages are ranked by BM25 over three fields (Robertson and Zaragoza, 2009), a term's
 * phrases counted together. A hit is a page: its best passage, with one line of it.
 */
"use strict";

(() => {
  const WEIGHT = { page: 1, title: 6, body: 1 }; // of a word in a field
  const SATURATION = 1.5; // k of BM25: from then on, more of the same word adds little
  const LENGTH = { page: 0, title: 0.6, body: 0.5 }; // b of BM25: what a long field costs
  const SYNONYM = 0.7; // of a phrase that means the same, beside the one typed
  const NEIGHBOURS = 0.5; // of two terms that stand side by side as typed
  const KIND = { section: 1, question: 1, theorem: 0.7, exercise: 0.4, term: 1, object: 0.5 };
  const REFERENCE = 0.3; // the questions, the glossary, the package stand behind the chapters
  const FURTHER = 0.5; // a page's second passage counts so much, the third its square, ...
  const MOST_PASSAGES = 4; // of a page
  const LINE = 220; // characters of text below a hit

  // ------------------------------------------------------------------ words

  const IGNORED = new Set(
    `a an and are as at be been but by can could did do does for from had has have how i if in into
    is it its me my of on or our should so such than that the their then there these they this to
    use was we were what when where which who why will with would you your`.split(/\s+/),
  );
  const GREEK =
    `alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma
    sigma tau upsilon phi chi psi omega`.split(/\s+/);
  // a Greek letter; a word of other letters, digits within; a number
  const WORD =
    /[\u0370-\u03ff]|(?![\u0370-\u03ff])[\p{L}\p{M}](?:(?![\u0370-\u03ff])[\p{L}\p{M}0-9])*|\p{N}+/gu;

  /** British spelling made American: "-ise", "-our", "-tre", "-yse", "-ogue", "grey". */
  const american = (word) =>
    word
      .replace(/is(e|es|ed|er|ers|ing|ation|ations)$/, "iz$1")
      .replace(/ys(e|es|ed|er|ers|ing)$/, "yz$1")
      .replace(/^(.{3,})our(s|ed|ing|al|hood)?$/, "$1or$2")
      .replace(/tre(s?)$/, "ter$1")
      .replace(/ogue(s?)$/, "og$1")
      .replace(/^grey/, "gray");

  /** The word without plural, "-ing", "-ed", "-ation", "-ment": "sampled", "samples", "sampling" are one. */
  const stem = (word) => {
    if (word.length < 4) return word;
    const short = word
      .replace(/ies$/, "y")
      .replace(/(.{4,})ments?$/, "$1")
      .replace(/([^su])s$/, "$1")
      .replace(/(.{3,})(?:ing|ed|ation|ate|ated|ating)$/, "$1")
      .replace(/([^aeiouls])\1$/, "$1")
      .replace(/(.{2,})e$/, "$1");
    return short.length < 3 ? word : short;
  };

  const known = new Map();
  const fold = (text) => {
    if (!known.has(text)) {
      const plain = text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
      const letter = plain.length === 1 ? plain.charCodeAt(0) - 0x3b1 : -1;
      known.set(text, GREEK[letter] || (IGNORED.has(plain) ? "" : stem(american(plain))));
    }
    return known.get(text);
  };

  /** The words of a text, each with its place: [{word, start, end}]. */
  const words = (text) =>
    [...text.matchAll(WORD)]
      .map((match) => ({
        word: fold(match[0]),
        start: match.index,
        end: match.index + match[0].length,
      }))
      .filter((found) => found.word);

  // ------------------------------------------------------------------ the book

  const passages = [];
  const vocabulary = new Set();
  const synonyms = [];

  const read = (book) => {
    for (const page of book.pages) {
      const name = page.url.replace(/^.*\//, "").replace(/\.html$/, "");
      const pageNames = [words(page.title), words(name)];
      page.passages.forEach(([title, anchor, kind, text], index) => {
        const lines = text ? text.split("\n") : [];
        const fields = { page: pageNames, title: [words(title)], body: lines.map(words) };
        passages.push({ page, title, anchor, kind, lines, fields, first: index === 0 });
      });
    }
    for (const passage of passages) {
      passage.length = {};
      for (const [name, parts] of Object.entries(passage.fields)) {
        passage.length[name] = parts.reduce((sum, part) => sum + part.length, 0);
        for (const part of parts) for (const { word } of part) vocabulary.add(word);
      }
    }
    for (const line of book.synonyms) synonyms.push(line.map((phrase) => typed(phrase)));
  };

  // ------------------------------------------------------------------ the query

  const typed = (text) => words(text).map((found) => found.word);
  const starts = (phrase, list, at) => phrase.every((word, i) => list[at + i] === word);

  /** Whether two words differ by one letter: left out, put in, exchanged, or swapped. */
  const nearly = (a, b) => {
    if (Math.abs(a.length - b.length) > 1) return false;
    let i = 0;
    while (i < a.length && a[i] === b[i]) i += 1;
    const [x, y] = [a.slice(i), b.slice(i)];
    return (
      x.slice(1) === y ||
      x === y.slice(1) ||
      x.slice(1) === y.slice(1) ||
      (x[0] === y[1] && x[1] === y[0] && x.slice(2) === y.slice(2))
    );
  };

  /** The words of the book that a word nobody wrote may stand for. */
  const guesses = (word) => {
    if (word.length < 4) return [];
    const all = [...vocabulary];
    const longer = all.filter((other) => other.startsWith(word));
    return (longer.length ? longer : all.filter((other) => nearly(word, other))).slice(0, 8);
  };

  /** The terms of a query: [{phrases: [{words, weight}], guessed: whether nobody wrote it}]. */
  const parse = (query) => {
    const list = typed(query);
    const terms = [];
    for (let at = 0; at < list.length; ) {
      let longest = [list[at]];
      for (const line of synonyms)
        for (const phrase of line)
          if (phrase.length > longest.length && starts(phrase, list, at)) longest = phrase;
      const phrases = [{ words: longest, weight: 1 }];
      for (const line of synonyms)
        if (line.some((phrase) => phrase.length === longest.length && starts(phrase, longest, 0)))
          for (const phrase of line)
            if (!phrases.some((other) => other.words.join(" ") === phrase.join(" ")))
              phrases.push({ words: phrase, weight: SYNONYM });
      const known = phrases.length > 1 || vocabulary.has(longest[0]);
      const similar = known ? [] : guesses(longest[0]);
      for (const word of similar) phrases.push({ words: [word], weight: SYNONYM });
      terms.push({ phrases, guessed: similar.length > 0 });
      at += longest.length;
    }
    return terms;
  };

  // ------------------------------------------------------------------ the ranking

  /** Where the phrases of a term stand in a list of words: [{at, length, weight}]. */
  const places = (term, part) => {
    const found = [];
    for (let at = 0; at < part.length; at += 1)
      for (const { words: phrase, weight } of term.phrases) {
        let i = 0;
        while (i < phrase.length && at + i < part.length && part[at + i].word === phrase[i]) i += 1;
        if (i === phrase.length) {
          found.push({ at, length: i, weight });
          break;
        }
      }
    return found;
  };

  /** How often a term stands in a passage, each field weighed, long fields discounted. */
  const frequency = (term, passage, mean) => {
    let sum = 0;
    for (const [name, parts] of Object.entries(passage.fields)) {
      let count = 0;
      for (const part of parts) for (const place of places(term, part)) count += place.weight;
      if (name === "page") count = Math.min(count, 1);
      const b = LENGTH[name];
      if (count) sum += (WEIGHT[name] * count) / (1 - b + (b * passage.length[name]) / mean[name]);
    }
    return sum;
  };

  const average = (name) =>
    passages.reduce((sum, passage) => sum + passage.length[name], 0) / passages.length || 1;

  const rank = (terms) => {
    const mean = { page: average("page"), title: average("title"), body: average("body") };
    const scores = passages.map(() => ({ sum: 0, matched: 0 }));
    let all = 0;
    const count = (term, share) => {
      const found = passages.map((passage) => frequency(term, passage, mean));
      const holders = found.filter((times) => times > WEIGHT.page).length;
      term.rarity = Math.log(1 + (passages.length - holders + 0.5) / (holders + 0.5));
      found.forEach((times, i) => {
        if (!times) return;
        scores[i].sum += (share * term.rarity * times) / (times + SATURATION);
        if (share === 1) scores[i].matched += term.rarity;
      });
      if (share === 1) all += term.rarity;
    };
    terms.forEach((term) => count(term, 1));
    for (let i = 1; i < terms.length; i += 1) {
      const pair = { phrases: [] };
      for (const left of terms[i - 1].phrases)
        for (const right of terms[i].phrases)
          pair.phrases.push({
            words: [...left.words, ...right.words],
            weight: left.weight * right.weight,
          });
      count(pair, NEIGHBOURS);
    }
    const byPage = new Map();
    passages.forEach((passage, i) => {
      if (!scores[i].sum) return;
      const share = scores[i].matched / all; // how much of the query it has
      const score = scores[i].sum * share * KIND[passage.kind];
      if (!byPage.has(passage.page)) byPage.set(passage.page, []);
      byPage.get(passage.page).push({ passage, score });
    });
    const hits = [...byPage].map(([page, found]) => {
      const best = found.sort((a, b) => b.score - a.score).slice(0, MOST_PASSAGES);
      const sum = best.reduce((total, { score }, i) => total + score * FURTHER ** i, 0);
      return { page, best, score: sum * (page.reference ? REFERENCE : 1) };
    });
    return hits.sort((a, b) => b.score - a.score);
  };

  /** The line of a passage that says most about the query: {text, part}. */
  const lineOf = (passage, terms) => {
    let best = { text: "", part: [], score: -Infinity };
    passage.lines.forEach((text, i) => {
      const part = passage.fields.body[i];
      let score = 0;
      for (const term of terms) {
        const weights = places(term, part).map((place) => place.weight);
        if (weights.length) score += term.rarity * Math.max(...weights);
      }
      score *= Math.min(1, text.length / 40); // a scrap says less than a sentence
      score -= (text.includes("…") ? 0.3 : 0) + i / 1000;
      if (score > best.score) best = { text, part, score };
    });
    if (best.text) return best;
    // a heading with nothing below it but the next heading
    const next = passages[passages.indexOf(passage) + 1];
    return next && next.page === passage.page ? lineOf(next, terms) : best;
  };

  // ------------------------------------------------------------------ the page

  const make = (tag, className, ...children) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...children);
    return made;
  };

  const link = (passage, ...children) => {
    const made = make("a", "", ...children);
    made.href = passage.page.url + (passage.first ? "" : `#${passage.anchor}`);
    return made;
  };

  /** Where the terms stand in a text: [[start, end], ...], in order. */
  const marksIn = (part, terms) =>
    terms
      .flatMap((term) => places(term, part))
      .map(({ at, length }) => [part[at].start, part[at + length - 1].end])
      .sort((a, b) => a[0] - b[0]);

  /** Put a text from start to end into an element, the marks as <mark>. */
  const fill = (element, text, marks, start = 0, end = text.length) => {
    let at = start;
    for (const [from, to] of marks) {
      if (from < at || to > end) continue;
      element.append(text.slice(at, from), make("mark", "", text.slice(from, to)));
      at = to;
    }
    element.append(text.slice(at, end));
    return element;
  };

  /** A line, cut to a readable length around its first mark. */
  const excerpt = (text, marks) => {
    let start = 0;
    let end = text.length;
    if (text.length > LINE) {
      const first = marks.length ? marks[0][0] : 0;
      start = first < LINE / 2 ? 0 : text.lastIndexOf(" ", first - LINE / 4) + 1;
      end = start + LINE < text.length ? text.lastIndexOf(" ", start + LINE) : text.length;
    }
    const shown = fill(make("p", "context", start ? "… " : ""), text, marks, start, end);
    if (end < text.length) shown.append(" …");
    return shown;
  };

  const hitItem = ({ page, best }, terms) => {
    const top = best[0].passage;
    const titled = (className, text) =>
      fill(make("span", className), text, marksIn(words(text), terms));
    const main = link(top, titled("search-page", page.title));
    if (!top.first) main.append(" ", titled("search-passage", top.title));
    const { text, part } = lineOf(top, terms);
    const item = make("li", "", main, excerpt(text, marksIn(part, terms)));
    const more = best.slice(1).filter(({ score }) => score > best[0].score * FURTHER);
    if (more.length) {
      const links = more.map(({ passage }) => make("li", "", link(passage, passage.title)));
      item.append(make("ul", "search-more", ...links));
    }
    return item;
  };

  const say = (box, ...children) => {
    const status = make("p", "search-summary");
    status.setAttribute("role", "status");
    status.setAttribute("aria-live", "polite");
    box.append(status);
    // a live region is read out when its text changes, not when it appears
    window.setTimeout(() => status.append(...children), 50);
  };

  const examples = () => {
    const list = make("ul", "search-help");
    for (const query of ["posterior collapse", "log_var", "why is the prior normal"]) {
      const made = make("a", "", query);
      made.href = `?q=${encodeURIComponent(query)}`;
      list.append(make("li", "", made));
    }
    return list;
  };

  const elsewhere = () => {
    const list = make("ul", "search-help");
    for (const page of window.BOOK.pages.filter((other) => other.reference)) {
      const made = make("a", "", page.title);
      made.href = page.url;
      list.append(make("li", "", made));
    }
    return list;
  };

  const show = () => {
    const query = (new URLSearchParams(window.location.search).get("q") || "").trim();
    const box = document.getElementById("search-results");
    const field = document.querySelector(".bd-search-container input[name=q]");
    document.querySelectorAll("input[name=q]").forEach((input) => (input.value = query));
    field.focus({ preventScroll: true }); // the next Tab goes to the first hit
    if (!query) {
      say(box, "Type a word, a symbol or a question, for instance:");
      box.append(examples());
      return;
    }
    document.title = `${query} - ${document.title}`;
    read(window.BOOK);
    const terms = parse(query);
    const hits = terms.length ? rank(terms) : [];
    if (!hits.length) {
      say(box, `Nothing found for “${query}”. Try other words, or fewer; or look here:`);
      box.append(elsewhere());
      return;
    }
    const pages = hits.length === 1 ? "One page" : `${hits.length} pages`;
    const guessed = terms.some((term) => term.guessed)
      ? " Not every word stands in the book; words like it were taken."
      : "";
    say(box, `${pages} for “${query}”, the best first.${guessed}`);
    box.append(make("ol", "search", ...hits.map((hit) => hitItem(hit, terms))));
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", show);
  else show();
})();
