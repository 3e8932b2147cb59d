"use strict";

// Tables sort by a click on a column's head; what has no score stays last.
function sortRows(table, column, descending) {
  const body = table.tBodies[0];
  const key = (row) => {
    const cell = row.cells[column];
    if (column === 0) return cell.textContent;
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  };
  const sign = descending ? -1 : 1;
  const order = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (column === 0 ? x.localeCompare(y) : x === y ? 0 : x < y ? -1 : 1);
  };
  body.append(...[...body.rows].sort(order));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const descending = before === "none" ? column > 0 : before === "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sortRows(table, column, descending);
    });
  });
}

// A field filters the rows of its table by their first cell.
for (const field of document.querySelectorAll("input[data-filters]")) {
  const rows = [...document.getElementById(field.dataset.filters).tBodies[0].rows];
  const told = field.parentElement.querySelector("output");
  const all = told.textContent;
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
    told.textContent = wanted ? `${rows.filter((row) => !row.hidden).length} of ${all}` : all;
  });
}

// A row that a plot leads to is shown, whatever the filter says.
addEventListener("hashchange", () => {
  const row = document.getElementById(location.hash.slice(1));
  if (!row?.hidden) return;
  const field = document.querySelector(`input[data-filters="${row.closest("table").id}"]`);
  field.value = "";
  field.dispatchEvent(new Event("input"));
  row.scrollIntoView({ block: "center" });
});

// What a mark in a plot stands for.
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
addEventListener("pointermove", (event) => {
  const mark = event.target.closest?.("[data-tip]");
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.dataset.tip;
  const left = Math.min(event.clientX + 12, document.documentElement.clientWidth - tip.offsetWidth - 8);
  const above = event.clientY - tip.offsetHeight - 12;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${above < 0 ? event.clientY + 20 : above}px`;
});
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true, capture: true });

// Players are made ready when they come near; one plays at a time, and a click in its picture goes there.
const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    target.preload = "metadata";
    near.unobserve(target);
  }
}, { rootMargin: "400px" });

for (const audio of document.querySelectorAll("audio")) {
  near.observe(audio);
  const picture = audio.previousElementSibling;
  const head = picture.querySelector(".playhead");
  const follow = () => {
    head.style.left = `${(100 * audio.currentTime) / audio.duration}%`;
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    picture.classList.add("playing");
    follow();
  });
  audio.addEventListener("pause", () => picture.classList.remove("playing"));
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    const from = (event.clientX - box.left) / box.width;
    const start = () => {
      audio.currentTime = from * audio.duration;
      audio.play().catch(() => {}); // stopped by the next one before it began
    };
    if (audio.readyState) return start();
    audio.addEventListener("loadedmetadata", start, { once: true });
    audio.preload = "metadata";
    audio.load();
  });
}
