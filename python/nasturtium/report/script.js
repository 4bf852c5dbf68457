"use strict";
(() => {
  const table = document.getElementById("table");
  if (table) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    const find = document.getElementById("find");
    const status = document.getElementById("status");
    const shown = document.getElementById("shown");
    const more = document.getElementById("more");
    let order = rows;
    let most = 200;

    const show = () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const row of order) {
        const match = words.every((word) => texts.get(row).includes(word)) &&
          (status.value === "" || row.cells[8].textContent === status.value);
        count += match;
        row.hidden = !match || count > most;
        row.classList.toggle("late", count > 60);
        row.classList.remove("rest");
      }
      const number = (n) => n.toLocaleString("en");
      shown.value = `${number(Math.min(count, most))} of ${number(rows.length)} trials`;
      if (count > most) shown.value += ` (${number(count)} match)`;
      more.hidden = count <= most;
    };

    const key = (row, column, numeric) => {
      const cell = row.cells[column];
      const text = cell.dataset.v ?? cell.textContent.trim();
      if (!numeric) return text;
      return text === "" ? NaN : Number(text);
    };
    const collator = new Intl.Collator("en", { numeric: true });
    const sort = (column) => {
      const head = heads[column];
      const numeric = "n" in head.dataset;
      const first = numeric && column > 0 ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const now = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((h) => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", now);
      const sign = now === "ascending" ? 1 : -1;
      const keyed = rows.map((row, i) => ({ row, i, key: key(row, column, numeric) }));
      keyed.sort((a, b) => {
        if (!numeric) return sign * collator.compare(a.key, b.key) || a.i - b.i;
        const blank = Number.isNaN(a.key) - Number.isNaN(b.key);
        return blank || sign * (a.key - b.key) || a.i - b.i;
      });
      order = keyed.map((entry) => entry.row);
      show();
      body.replaceChildren(...order);
    };

    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(column));
      head.append(button);
    });
    find.addEventListener("input", show);
    status.addEventListener("change", show);
    more.addEventListener("click", () => { most = Infinity; show(); });
    document.querySelector(".tools").hidden = false;
    show();
  }

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest("svg *");
    const title = mark && (mark.querySelector(":scope > title") ?? mark.parentNode.querySelector(":scope > title"));
    if (!title || title.parentNode.tagName === "svg") { tip.hidden = true; return; }
    tip.textContent = title.textContent;
    tip.hidden = tip.textContent === "";
  });
  document.addEventListener("pointermove", (event) => {
    if (tip.hidden) return;
    tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.max(event.clientY - tip.offsetHeight - 10, 4)}px`;
  });
})();
