// Draws each chart out of its table, in the colours of the page; without this module the tables are there all the same.

const { Chart } = window;
const { lang } = document.documentElement;
const forms = {
  share: (value) => `${(100 * value).toLocaleString(lang, { maximumFractionDigits: 1 })} %`,
  seconds: (value) => `${value.toLocaleString(lang, { maximumFractionDigits: 2 })} s`,
};
const drawn = new Map();

/** The columns of a table that are drawn, with their values; what has no value is null. */
function read(section) {
  const rows = [...section.querySelectorAll("tbody tr")].slice(0, Number(section.dataset.most) || undefined);
  const columns = [...section.querySelectorAll("thead th")].slice(1).map((head, index) => ({
    ...head.dataset,
    label: head.textContent,
    data: rows.map((row) => {
      const { value } = row.querySelectorAll("td")[index].dataset;
      return value === "" ? null : Number(value);
    }),
  }));
  return { labels: rows.map((row) => row.querySelector("th").textContent), columns: columns.filter((each) => each.drawn) };
}

function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** What Chart.js draws of a column; the two ends of an interval are one bar. */
function dataset(column, columns) {
  const colour = colourOf(column.colour);
  const common = { label: column.label, data: column.data, borderColor: colour, backgroundColor: colour };
  if (column.drawn === "line") return { ...common, type: "line", borderWidth: 2, pointRadius: 2, spanGaps: true };
  if (column.drawn === "point") return { ...common, type: "line", showLine: false, pointRadius: 4, order: 0 };
  if (column.drawn === "high") return null;
  if (column.drawn === "bar") return { ...common, type: "bar", stack: "all", maxBarThickness: 34 };
  const high = columns.find((each) => each.drawn === "high");
  const data = column.data.map((low, index) => (low === null ? null : [low, high.data[index]]));
  return { ...common, label: `${column.label} – ${high.label}`, type: "bar", data, maxBarThickness: 9, order: 1, borderRadius: 4, borderSkipped: false };
}

function draw(section) {
  const { labels, columns } = read(section);
  const spell = forms[columns[0].form] ?? ((value) => value.toLocaleString(lang));
  const grid = { color: colourOf("line") };
  const ticks = { color: colourOf("muted") };
  const stacked = columns.some((each) => each.drawn === "bar");
  drawn.get(section)?.destroy();
  section.querySelector('[data-part="canvas"]').hidden = false;
  drawn.set(section, new Chart(section.querySelector("canvas"), {
    type: "bar",
    data: { labels, datasets: columns.map((each) => dataset(each, columns)).filter(Boolean) },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { stacked, grid: { display: false }, ticks: { ...ticks, maxRotation: 60 } },
        y: {
          stacked,
          grid,
          beginAtZero: true,
          max: columns[0].form === "share" ? 1 : undefined,
          ticks: { ...ticks, callback: spell },
        },
      },
      plugins: {
        legend: { display: columns.length > 1, position: "bottom", labels: { color: colourOf("text"), boxWidth: 12 } },
        tooltip: { callbacks: { label: ({ dataset: { label }, raw }) => `${label}: ${[raw].flat().map(spell).join(" – ")}` } },
      },
    },
  }));
}

function drawAll() {
  for (const section of document.querySelectorAll('[data-part="chart"]')) {
    if (section.querySelector("canvas")) draw(section);
  }
}

drawAll();
matchMedia("(prefers-color-scheme: light)").addEventListener("change", drawAll);
