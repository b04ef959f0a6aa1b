// The page asks for itself again and takes over what changed; the chart is drawn from the table below it.
"use strict";

const REFRESH_MS = 2000;
const PATIENCE_MS = 15000;
const HEIGHT = 320;

const sign = (share) => (share > 0 ? "+" : share < 0 ? "−" : "");
const percent = (share) => (share === null ? "–" : sign(share) + Math.abs(100 * share).toFixed(2) + " %");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function points() {
  const rows = [...document.querySelectorAll("#moments tbody tr")];
  const column = (name) => rows.map((row) => (name in row.dataset ? Number(row.dataset[name]) : null));
  return {
    urls: rows.map((row) => row.dataset.url),
    data: ["at", "alwaysLower", "alwaysUpper", "onceLower", "onceUpper", "estimate"].map(column),
  };
}

function marks() {
  return [...document.querySelectorAll(".marks li")].map((item) => ({
    at: Number(item.dataset.at),
    words: item.dataset.words,
    isCrossing: "crossing" in item.dataset,
  }));
}

let chart = null;
let drawn = null;
let urls = [];

function options(place) {
  const isGood = place.classList.contains("good"), isBad = place.classList.contains("bad");
  const tone = isGood ? "blue" : isBad ? "orange" : "grey";
  const line = css("--" + tone), fill = css("--" + tone + "-s"), soft = css("--soft"), grid = css("--line");
  const edge = { stroke: "transparent", points: { show: false }, width: 0 };
  const value = (plot, share) => percent(share);
  const font = "12px system-ui, sans-serif";
  const pad = (whole) => String(whole).padStart(2, "0");
  const clock = (plot, ticks, place, space, step) => ticks.map((tick, index) => {
    const time = new Date(tick * 1e3), before = index ? new Date(ticks[index - 1] * 1e3) : null;
    const day = `${pad(time.getUTCDate())} ${time.toLocaleString("en", { month: "short", timeZone: "UTC" })}`;
    if (step >= 86400) return day;
    const hour = `${pad(time.getUTCHours())}:${pad(time.getUTCMinutes())}${step < 60 ? ":" + pad(time.getUTCSeconds()) : ""}`;
    return before && before.getUTCDate() === time.getUTCDate() ? hour : `${hour}\n${day}`;
  });
  const axis = { stroke: soft, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid } };
  return {
    width: Math.max(260, place.clientWidth),
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
    cursor: { drag: { x: true, y: false } },
    scales: {
      x: { range: (plot, first, last) => (first === last ? [first - 60, last + 60] : [first, last]) },
      y: { range: (plot, low, high) => scope(low, high) },
    },
    axes: [{ ...axis, values: clock }, { ...axis, size: 74, values: (plot, ticks) => ticks.map((tick) => percent(tick).replace(/\.?0+ %/, " %")) }],
    series: [
      { value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}", label: "UTC" },
      { ...edge, label: "always from", value },
      { ...edge, label: "to", value },
      { ...edge, label: "one look from", value },
      { ...edge, label: "to", value },
      { label: "difference", stroke: line, width: 2, value, points: { show: (plot) => plot.data[0].length < 3 } },
    ],
    bands: [
      { series: [2, 1], fill: fill + "88" },
      { series: [4, 3], fill },
    ],
    hooks: { ready: [showNewest], draw: [drawZero, drawMarks] },
  };
}

// Early intervals are wide beyond use: the middle of the story decides the scale, and zero is always on it.
// Below -100 % only an estimate may lead: an interval that reaches there is too wide, and runs off the drawing.
function scope(low, high) {
  const ends = [...points().data[1], ...points().data[2]].filter((end) => end !== null);
  const sizes = ends.map(Math.abs).sort((one, other) => one - other);
  const usual = sizes.length ? 3 * sizes[Math.floor(sizes.length / 2)] : 0.01;
  const least = Math.min(-1, ...points().data[5]);
  const from = Math.min(0, Math.max(low ?? 0, -usual, least)), to = Math.max(0, Math.min(high ?? 0, usual));
  const room = 0.08 * (to - from || 0.01);
  return [from - room, to + room];
}

function vertical(plot, x, colour, dash) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

function drawZero(plot) {
  const { ctx, bbox } = plot, y = plot.valToPos(0, "y", true);
  ctx.save();
  ctx.strokeStyle = css("--ink");
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

// The crossing is the interval's own moment: a full line with a pointer, where all other marks are dashed.
function pointer(ctx, x, top) {
  const size = 6 * devicePixelRatio;
  ctx.save();
  ctx.fillStyle = css("--ink");
  ctx.beginPath();
  ctx.moveTo(x - size, top);
  ctx.lineTo(x + size, top);
  ctx.lineTo(x, top + 1.5 * size);
  ctx.fill();
  ctx.restore();
}

function drawMarks(plot) {
  const { ctx, bbox } = plot;
  marks().forEach((mark, index) => {
    const x = plot.valToPos(mark.at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    vertical(plot, x, css("--ink"), mark.isCrossing ? [] : [4, 4]);
    if (mark.isCrossing) pointer(ctx, x, bbox.top);
    ctx.save();
    ctx.fillStyle = css("--ink");
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    const isRight = x > bbox.left + bbox.width / 2;
    ctx.textAlign = isRight ? "right" : "left";
    ctx.fillText(mark.words, x + (isRight ? -6 : 6), bbox.top + 16 * (1 + (index % 3)) * devicePixelRatio);
    ctx.restore();
  });
}

// Until somebody points at another moment, the legend tells the newest.
function showNewest(plot) {
  if (plot.cursor.left < 0) plot.setLegend({ idx: plot.data[0].length - 1 });
}

function drawChart() {
  const place = document.getElementById("chart");
  if (!place) {
    chart = drawn = null;
    return;
  }
  const found = points();
  urls = found.urls;
  const about = place.className + place.getAttribute("aria-label").split(":")[0];
  if (found.data[0].length === 0) return;
  if (chart && drawn === about && place.contains(chart.root)) {
    if (JSON.stringify(chart.data) === JSON.stringify(found.data)) return;
    chart.setData(found.data);
    showNewest(chart);
    return;
  }
  place.replaceChildren();
  drawn = about;
  chart = new uPlot(options(place), found.data, place);
  // A click shows the page as it was at that moment; dragging is for zooming.
  let pressedAt = 0;
  chart.over.addEventListener("mousedown", (event) => { pressedAt = event.clientX; });
  chart.over.addEventListener("click", (event) => {
    const index = chart.cursor.idx;
    if (index !== null && Math.abs(event.clientX - pressedAt) < 3) location.assign(urls[index]);
  });
}

const keep = {
  // What the reader has opened or is typing stays; what the script has drawn is the script's.
  beforeNodeMorphed(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) return true;
    if (old.tagName === "DETAILS" && old.open) fresh.setAttribute("open", "");
    if (old.id === "chart") {
      old.className = fresh.className;
      old.setAttribute("aria-label", fresh.getAttribute("aria-label"));
    }
    return old.dataset.morph !== "keep";
  },
};

async function refresh() {
  const away = document.getElementById("away");
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const content = fresh.getElementById("content");
    if (!content) throw new Error("this is no page of the console");
    document.title = fresh.title;
    Idiomorph.morph(document.getElementById("content"), content, { callbacks: keep });
    away.hidden = true;
    document.body.classList.remove("is-stopped");
    drawChart();
  } catch {
    away.hidden = false;
    document.body.classList.add("is-stopped");
  }
}

async function live() {
  if (document.getElementById("content").dataset.live !== "yes") return;
  if (!document.hidden) await refresh();
  setTimeout(live, REFRESH_MS);
}

drawChart();
addEventListener("resize", () => {
  if (chart) chart.setSize({ width: Math.max(260, document.getElementById("chart").clientWidth), height: HEIGHT });
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  drawn = null;
  drawChart();
});
setTimeout(live, REFRESH_MS);
