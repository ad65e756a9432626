"use strict";
// Sorting: a click on a column's title; numbers by their value, text by name; cells without a value stay last.
function key(cell) {
  const value = cell.dataset.sort;
  if (value === undefined || value === "") return null;
  const number = Number(value);
  return Number.isNaN(number) ? value : number;
}
function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}
function sortBy(table, column, ascending) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows).map((row) => [key(row.cells[column]), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return ascending ? compare(a, b) : compare(b, a);
  });
  rows.forEach(([, row]) => body.append(row));
  Array.from(table.tHead.rows[0].cells).forEach((cell, index) => {
    cell.setAttribute("aria-sort", index !== column ? "none" : ascending ? "ascending" : "descending");
  });
}
document.querySelectorAll("table.sortable").forEach((table) => {
  Array.from(table.tHead.rows[0].cells).forEach((cell, column) => {
    cell.querySelector("button").addEventListener("click", () => {
      sortBy(table, column, cell.getAttribute("aria-sort") !== "ascending");
    });
  });
});

// Rows of a table: those that hold all words that are typed.
function words(input) { return input.value.toLowerCase().split(/\s+/).filter(Boolean); }
document.querySelectorAll("input[data-filters]").forEach((input) => {
  const rows = Array.from(document.getElementById(input.dataset.filters).tBodies[0].rows);
  input.addEventListener("input", () => {
    const wanted = words(input);
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
    });
  });
});

// All scores: filtered by what is typed, at most 300 rows at once.
function showScores(scores) {
  const MOST = 300;
  const filter = document.getElementById("scores-filter");
  const found = document.getElementById("scores-found");
  const body = document.querySelector("#all-scores tbody");
  function format(value) { return value === null ? "–" : String(Number(value.toPrecision(4))).replace("-", "−"); }
  function show() {
    const wanted = words(filter);
    const rows = [];
    scores.models.forEach((model, index) => {
      scores.rows[index].forEach(([metric, value, low, high, n]) => {
        const name = scores.metrics[metric];
        const text = (model + " " + name).toLowerCase();
        if (wanted.every((word) => text.includes(word))) rows.push([model, name, value, low, high, n]);
      });
    });
    found.textContent = rows.length + " scores" + (rows.length > MOST ? ", the first " + MOST + " shown" : "");
    body.replaceChildren(...rows.slice(0, MOST).map((row) => {
      const line = document.createElement("tr");
      row.forEach((value, index) => {
        const cell = line.insertCell();
        cell.textContent = index < 2 ? value : index === 5 ? value : format(value);
        cell.className = index < 2 ? "mono" : "number";
        cell.dataset.sort = value === null ? "" : value;
      });
      return line;
    }));
  }
  filter.addEventListener("input", show);
  show();
}
const data = document.getElementById("scores-data");
if (data) showScores(JSON.parse(data.textContent));
