"use strict";
// Tables that sort, filter and turn their pages. Only the rows of one page are elements; all text is set as text.
(() => {
  const SHOWN_MAX = 50;
  const words = new Intl.Collator("en", { numeric: true });
  const said = (n) => n.toLocaleString("en");

  /** A row as {texts, keys, element}; element() makes it, or gives back the one that stands in the page. */
  function rowsOf(box, kinds) {
    const data = box.querySelector('script[type="application/json"]');
    if (!data) return [...box.querySelectorAll("tbody tr")].map(fromElement);
    return JSON.parse(data.textContent).map((cells) => {
      const texts = cells.map((cell) => (Array.isArray(cell) ? cell[0] : cell));
      const keys = cells.map((cell) => (Array.isArray(cell) ? cell[1] : cell));
      return { texts, keys, element: () => toElement(texts, kinds) };
    });
  }

  function fromElement(tr) {
    const cells = [...tr.cells];
    const texts = cells.map((cell) => cell.textContent);
    const keys = cells.map((cell, n) => {
      const key = cell.dataset.key;
      if (key === undefined) return texts[n];
      return key === "" ? null : Number.isNaN(Number(key)) ? key : Number(key);
    });
    return { texts, keys, element: () => tr };
  }

  function toElement(texts, kinds) {
    const tr = document.createElement("tr");
    texts.forEach((text, n) => {
      const cell = tr.appendChild(document.createElement(n ? "td" : "th"));
      if (!n) cell.scope = "row";
      cell.className = kinds[n];
      const holder = kinds[n] === "mark" && text ? cell.appendChild(document.createElement("span")) : cell;
      if (holder !== cell) holder.dataset.mark = text;
      holder.textContent = text;
    });
    return tr;
  }

  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null); // nothing stands last, either way
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : words.compare(a, b));
  }

  function wire(box) {
    const heads = [...box.querySelectorAll("thead th")];
    const body = box.querySelector("tbody");
    const form = box.querySelector("form");
    const status = box.querySelector('[role="status"]');
    const turn = box.querySelector("nav");
    const all = rowsOf(box, heads.map((head) => head.dataset.kind));
    let order = all;
    let found = all;
    let page = 0;

    function show() {
      const first = page * SHOWN_MAX;
      const shown = found.slice(first, first + SHOWN_MAX);
      body.replaceChildren(...shown.map((row) => row.element()));
      const pages = Math.ceil(found.length / SHOWN_MAX) || 1;
      turn.hidden = pages === 1;
      turn.querySelector(".page").textContent = `Page ${said(page + 1)} of ${said(pages)}`;
      for (const button of turn.querySelectorAll("button")) {
        const to = page + Number(button.dataset.turn); // aria-disabled, since a button that is disabled loses the focus
        button.setAttribute("aria-disabled", String(to < 0 || to >= pages));
      }
      const count = found.length === all.length ? `${said(all.length)} row${all.length === 1 ? "" : "s"}`
        : found.length ? `${said(found.length)} of ${said(all.length)} rows match` : `No row of ${said(all.length)} matches`;
      const part = pages > 1 ? `, ${said(first + 1)} to ${said(first + shown.length)} shown` : "";
      if (status.textContent !== count + part) status.textContent = count + part;
    }

    function filter() {
      const wanted = form ? form.querySelector("input").value.trim().toLowerCase().split(/\s+/).filter(Boolean) : [];
      const chosen = form ? [...form.querySelectorAll("select")].filter((one) => one.value) : [];
      found = order.filter((row) => {
        if (chosen.some((one) => (row.texts[one.dataset.column] || "(none)") !== one.value)) return false;
        row.hay ??= row.texts.join("\n").toLowerCase();
        return wanted.every((word) => row.hay.includes(word));
      });
      page = 0;
      show();
    }

    function sort(column) {
      const head = heads[column];
      const before = head.getAttribute("aria-sort");
      const largest = head.dataset.kind === "number"; // the most first: that is what one looks for
      const down = before ? before === "ascending" : largest;
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      order = [...all].sort((a, b) => compare(a.keys[column], b.keys[column], down ? -1 : 1));
      filter();
    }

    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(column));
      head.append(button);
    });
    turn.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button || button.getAttribute("aria-disabled") === "true") return;
      page += Number(button.dataset.turn);
      show();
    });
    if (form) {
      form.hidden = false;
      form.addEventListener("input", filter);
      form.addEventListener("reset", () => setTimeout(filter)); // fields are empty only after this event
      form.addEventListener("submit", (event) => event.preventDefault());
    }
    show();
  }

  document.querySelectorAll("[data-table]").forEach(wire);
})();
