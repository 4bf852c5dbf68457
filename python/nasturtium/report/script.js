"use strict";
(() => {
  const table = document.getElementById("table");
  if (table) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const value = (row, column, numeric) => {
      const cell = row.cells[column];
      const text = cell.dataset.v ?? cell.textContent.trim();
      if (!numeric) return text;
      return text === "" ? NaN : Number(text.replaceAll(",", ""));
    };
    const sort = (column) => {
      const head = heads[column];
      const numeric = "n" in head.dataset;
      const first = numeric && column > 0 ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const now = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((h) => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", now);
      const sign = now === "ascending" ? 1 : -1;
      const keyed = rows.map((row, i) => ({ row, i, key: value(row, column, numeric) }));
      keyed.sort((a, b) => {
        if (!numeric) return sign * a.key.localeCompare(b.key) || a.i - b.i;
        const blank = Number.isNaN(a.key) - Number.isNaN(b.key);
        return blank || sign * (a.key - b.key) || a.i - b.i;
      });
      body.replaceChildren(...keyed.map((entry) => entry.row));
    };
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(column));
      head.append(button);
    });
    const find = document.getElementById("find");
    const status = document.getElementById("status");
    const shown = document.getElementById("shown");
    const filter = () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      rows.forEach((row, i) => {
        const keep = words.every((word) => texts[i].includes(word)) &&
          (status.value === "" || row.cells[8].textContent === status.value);
        row.hidden = !keep;
        count += keep;
      });
      shown.value = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
    };
    find.addEventListener("input", filter);
    status.addEventListener("change", filter);
    document.querySelector(".tools").hidden = false;
    filter();
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
