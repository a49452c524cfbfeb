(() => {
"use strict";
const { events, reasons } = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const canvas = $("map"), stage = $("stage"), context = canvas.getContext("2d");
const CLASSES = { 0: "dry", 1: "permanent water", 2: "flood", 3: "excluded", 255: "not seen" };
const FILL = { permanent: "31,78,121", flood: "230,85,13" };
const RAMP = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const NO_DATA = 255;
let event = null, layers = {}, view = { scale: 1, x: 0, y: 0 }, swipe = 0.5, pending = false;

const number = (value, digits = 0) =>
  value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits }).replace(/,/g, "\u202f");
const areaText = (entry) => entry.ha === undefined ? `${number(entry.pixels)} px`
  : entry.ha >= 1000 ? `${number(entry.ha / 100, 1)} km²` : `${number(entry.ha, entry.ha < 10 ? 1 : 0)} ha`;

function pattern(size, paint) {
  const tile = document.createElement("canvas"), ratio = devicePixelRatio || 1;
  tile.width = tile.height = Math.round(size * ratio);
  const pen = tile.getContext("2d");
  pen.scale(tile.width / size, tile.height / size);
  paint(pen, size);
  return context.createPattern(tile, "repeat");
}
const hatch = pattern(8, (pen, size) => {
  pen.fillStyle = "rgba(255,255,255,.5)"; pen.fillRect(0, 0, size, size);
  pen.strokeStyle = "#2b2b2b"; pen.lineWidth = 1.5; pen.beginPath();
  for (const shift of [-size, 0, size]) { pen.moveTo(shift, size); pen.lineTo(shift + size, 0); }
  pen.stroke();
});
const dots = pattern(7, (pen, size) => {
  pen.fillStyle = "#f1efe8"; pen.fillRect(0, 0, size, size);
  pen.fillStyle = "#aaa698"; pen.beginPath(); pen.arc(size / 2, size / 2, 0.95, 0, 7); pen.fill();
});

function load(uri) {
  return new Promise((resolve) => {
    if (!uri) { resolve(null); return; }
    const image = new Image();
    image.onload = () => resolve(image); image.onerror = () => resolve(null); image.src = uri;
  });
}

async function show(index) {
  const chosen = events[index];
  const [after, before, values] = await Promise.all([chosen.after, chosen.before, chosen.values].map(load));
  event = chosen;
  layers = { after, before, values: readValues(values), likelihood: null, paths: {} };
  for (const [name, path] of Object.entries(event.paths)) layers.paths[name] = new Path2D(path);
  describe();
  fit();
}

function readValues(image) {
  if (!image) return null;
  const plane = document.createElement("canvas");
  plane.width = image.width; plane.height = image.height;
  const pen = plane.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  return pen.getImageData(0, 0, image.width, image.height);
}

function likelihood() {
  if (layers.likelihood || !layers.values) return layers.likelihood;
  const { width, height, data } = layers.values;
  const plane = document.createElement("canvas");
  plane.width = width; plane.height = height;
  const pen = plane.getContext("2d"), painted = pen.createImageData(width, height), colours = rampColours();
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 2] === NO_DATA) continue;
    const [red, green, blue] = colours[Math.min(data[i + 2], 100)];
    painted.data[i] = red; painted.data[i + 1] = green; painted.data[i + 2] = blue; painted.data[i + 3] = 235;
  }
  pen.putImageData(painted, 0, 0);
  layers.likelihood = plane;
  return plane;
}

function rampColours() {
  const stops = RAMP.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return Array.from({ length: 101 }, (_, percent) => {
    const place = percent / 100 * (stops.length - 1), low = Math.min(Math.floor(place), stops.length - 2);
    return stops[low].map((from, band) => Math.round(from + (stops[low + 1][band] - from) * (place - low)));
  });
}

function describe() {
  const { areas, dates } = event;
  $("flooded").textContent = areaText(areas.flood);
  $("floodedNote").textContent = areas.flood.ha === undefined
    ? "flooded; the scene has no georeference, so areas are in pixels"
    : areas.flood.ha >= 1000 ? `flooded, ${number(areas.flood.ha)} ha` : "flooded";
  const seen = dates.after ? `Seen ${dates.after} UTC` : "";
  $("dates").textContent = [seen + (event.sensor ? ` by ${event.sensor}` : ""), dates.before ? `compared with ${dates.all_before || dates.before} UTC` : ""].filter(Boolean).join("; ") + ".";
  for (const name of ["flood", "permanent", "excluded", "nodata"]) $(`area-${name}`).textContent = areaText(areas[name]);
  $("images").hidden = !layers.before;
  if (!layers.before) document.querySelector("input[name=base][value=after]").checked = true;
  $("layer-likelihood").hidden = !event.hasLikelihood;
  $("layer-truth").hidden = !event.paths.truth;
  $("leftOut").hidden = !event.leftOut;
  $("leftOut").textContent = `${number(event.leftOut)} of the smallest patches have no outline here; the GeoPackage holds all.`;
  $("north").hidden = event.crs === null;
  $("tagBefore").textContent = `before, ${dates.before.slice(0, 10)}`;
  $("tagAfter").textContent = `after, ${dates.after.slice(0, 10)}`;
  document.title = `${document.querySelector("h1").textContent}: ${event.name}`;
}

const base = () => document.querySelector("input[name=base]:checked").value;
const on = (name) => $(`show-${name}`).checked && !$(`layer-${name}`)?.hidden;

function draw() {
  pending = false;
  if (!event) return;
  const ratio = devicePixelRatio || 1, width = stage.clientWidth, height = stage.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  }
  const onScreen = () => context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const onMap = () => context.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.x, ratio * view.y);
  const painted = (path, filling) => {
    context.save(); onMap();
    context.clip(path, "evenodd");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = filling; context.fillRect(0, 0, canvas.width, canvas.height);
    context.restore();
  };
  onScreen(); context.clearRect(0, 0, width, height);
  onMap();
  const frame = new Path2D(); frame.rect(0, 0, event.width, event.height);
  painted(frame, dots);
  backdrops(onMap, onScreen, width, height);
  onMap();
  if (on("likelihood") && likelihood()) {
    context.imageSmoothingEnabled = false;
    context.drawImage(likelihood(), 0, 0, event.extent[1], event.extent[0]);
  }
  painted(layers.paths.nodata, dots);
  onMap();
  const opacity = on("likelihood") ? 0 : $("opacity").value / 100;
  const outline = Math.min(1.4, 0.5 + 1.6 * view.scale);
  for (const name of ["permanent", "flood"]) {
    if (!on(name)) continue;
    context.fillStyle = `rgba(${FILL[name]},${opacity})`; context.fill(layers.paths[name], "evenodd");
    context.strokeStyle = `rgb(${FILL[name]})`; context.lineWidth = outline / view.scale; context.stroke(layers.paths[name]);
  }
  if (on("excluded")) {
    painted(layers.paths.excluded, hatch); onMap();
    context.strokeStyle = "#2b2b2b"; context.lineWidth = 0.9 / view.scale; context.stroke(layers.paths.excluded);
  }
  if (layers.paths.truth && on("truth")) outlineTruth();
  context.strokeStyle = "#8d897d"; context.lineWidth = 1 / view.scale; context.strokeRect(0, 0, event.width, event.height);
  furniture(width);
}

function backdrops(onMap, onScreen, width, height) {
  const mode = base(), middle = swipe * width;
  for (const [name, left, right] of [["before", 0, mode === "compare" ? middle : width], ["after", mode === "compare" ? middle : 0, width]]) {
    if (!layers[name] || (mode !== "compare" && mode !== name)) continue;
    context.save(); onScreen();
    context.beginPath(); context.rect(left, 0, right - left, height); context.clip();
    onMap();
    context.imageSmoothingEnabled = view.scale * event.extent[1] / layers[name].width < 2;
    context.imageSmoothingQuality = "high";
    context.drawImage(layers[name], 0, 0, event.extent[1], event.extent[0]);
    context.restore();
  }
}

function outlineTruth() {
  context.lineWidth = 2.6 / view.scale; context.strokeStyle = "#fff"; context.stroke(layers.paths.truth);
  context.setLineDash([5 / view.scale, 4 / view.scale]);
  context.lineWidth = 1.3 / view.scale; context.strokeStyle = "#111"; context.stroke(layers.paths.truth);
  context.setLineDash([]);
}

function furniture(width) {
  const comparing = base() === "compare";
  $("handle").hidden = $("tagBefore").hidden = $("tagAfter").hidden = !comparing;
  $("handle").style.left = `${swipe * width}px`;
  $("handle").setAttribute("aria-valuenow", Math.round(swipe * 100));
  const unit = event.pixel ? event.pixel[0] : 1, most = 130 / view.scale * unit;
  const power = 10 ** Math.floor(Math.log10(most)), length = power * [5, 2, 1].find((step) => step * power <= most);
  $("scaleBar").style.width = `${length / unit * view.scale}px`;
  $("scaleText").textContent = !event.pixel ? `${number(length)} px` : length >= 1000 ? `${number(length / 1000)} km` : `${number(length)} m`;
}

function refresh() { if (!pending) { pending = true; requestAnimationFrame(draw); } }

function fit() {
  const width = stage.clientWidth, height = stage.clientHeight;
  view.scale = Math.min(width / event.width, height / event.height) * 0.94;
  view.x = (width - event.width * view.scale) / 2; view.y = (height - event.height * view.scale) / 2;
  refresh();
}

function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const whole = Math.min(stage.clientWidth / event.width, stage.clientHeight / event.height);
  const scale = Math.min(Math.max(view.scale * factor, whole * 0.4), Math.max(40, whole));
  view.x = x - (x - view.x) * scale / view.scale; view.y = y - (y - view.y) * scale / view.scale;
  view.scale = scale;
  pan(0, 0);
}

function pan(right, down) {
  const keep = 80;
  view.x = Math.min(Math.max(view.x + right, keep - event.width * view.scale), stage.clientWidth - keep);
  view.y = Math.min(Math.max(view.y + down, keep - event.height * view.scale), stage.clientHeight - keep);
  refresh();
}

function place(col, row) {
  const { side, longitude, latitude } = event.places;
  const x = Math.min(col / event.width * (side - 1), side - 1.000001), y = Math.min(row / event.height * (side - 1), side - 1.000001);
  const left = Math.floor(x), top = Math.floor(y), u = x - left, v = y - top, at = top * side + left;
  const mix = (table) => (table[at] * (1 - u) + table[at + 1] * u) * (1 - v) + (table[at + side] * (1 - u) + table[at + side + 1] * u) * v;
  return [mix(longitude), mix(latitude)];
}

function showReadout(x, y) {
  const col = (x - view.x) / view.scale, row = (y - view.y) / view.scale;
  if (col < 0 || row < 0 || col >= event.width || row >= event.height) { $("readout").textContent = ""; return; }
  const parts = [];
  if (event.places) {
    const [longitude, latitude] = place(col, row);
    parts.push(`${Math.abs(latitude).toFixed(5)}° ${latitude < 0 ? "S" : "N"}  ${Math.abs(longitude).toFixed(5)}° ${longitude < 0 ? "W" : "E"}`);
  } else parts.push(`column ${Math.floor(col)}, row ${Math.floor(row)}`);
  parts.push(...valueAt(col, row));
  $("readout").textContent = parts.join("  ·  ");
}

function valueAt(col, row) {
  if (!layers.values) return [];
  const { width, height, data } = layers.values;
  const x = Math.min(Math.floor(col / event.extent[1] * width), width - 1), y = Math.min(Math.floor(row / event.extent[0] * height), height - 1);
  const at = 4 * (y * width + x), lines = [CLASSES[data[at]] ?? ""];
  if (data[at + 1] && reasons[data[at + 1]]) lines[0] += ` (${reasons[data[at + 1]]})`;
  if (data[at + 2] !== NO_DATA) lines.push(`water ${data[at + 2]} %`);
  return lines;
}

const pointers = new Map();
canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); pointers.set(e.pointerId, [e.offsetX, e.offsetY]); showReadout(e.offsetX, e.offsetY); });
canvas.addEventListener("pointermove", (e) => {
  if (!event) return;
  const last = pointers.get(e.pointerId), now = [e.offsetX, e.offsetY];
  showReadout(...now);
  if (!last) return;
  if (pointers.size === 1) pan(now[0] - last[0], now[1] - last[1]);
  else if (pointers.size === 2) {
    const other = [...pointers].find(([id]) => id !== e.pointerId)[1];
    const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
    zoom(apart(now) / apart(last), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    pan((now[0] - last[0]) / 2, (now[1] - last[1]) / 2);
  }
  pointers.set(e.pointerId, now);
});
for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (e) => pointers.delete(e.pointerId));
canvas.addEventListener("pointerleave", () => { if (!pointers.size) $("readout").textContent = ""; });
canvas.addEventListener("wheel", (e) => {
  e.preventDefault();
  const lines = e.deltaMode === 1 ? 18 : e.deltaMode === 2 ? 400 : 1;
  zoom(Math.exp(-Math.max(-400, Math.min(400, e.deltaY * lines)) / 480), e.offsetX, e.offsetY);
}, { passive: false });
canvas.addEventListener("dblclick", (e) => zoom(e.shiftKey ? 0.5 : 2, e.offsetX, e.offsetY));
canvas.addEventListener("keydown", (e) => {
  const step = 60;
  const act = { ArrowLeft: () => pan(step, 0), ArrowRight: () => pan(-step, 0), ArrowUp: () => pan(0, step), ArrowDown: () => pan(0, -step), "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: fit }[e.key];
  if (act) { e.preventDefault(); act(); }
});
const handle = $("handle");
const slide = (share) => { swipe = Math.min(Math.max(share, 0.02), 0.98); refresh(); };
handle.addEventListener("pointerdown", (e) => { handle.setPointerCapture(e.pointerId); e.preventDefault(); handle.focus(); });
handle.addEventListener("pointermove", (e) => { if (handle.hasPointerCapture(e.pointerId)) slide((e.clientX - stage.getBoundingClientRect().left) / stage.clientWidth); });
handle.addEventListener("keydown", (e) => { const by = { ArrowLeft: -0.03, ArrowRight: 0.03 }[e.key]; if (by) { e.preventDefault(); slide(swipe + by); } });
$("zoomIn").addEventListener("click", () => zoom(1.6));
$("zoomOut").addEventListener("click", () => zoom(1 / 1.6));
$("zoomAll").addEventListener("click", fit);
for (const input of document.querySelectorAll("aside input")) input.addEventListener("input", refresh);
$("event").addEventListener("change", (e) => { location.hash = encodeURIComponent(events[e.target.value].name); show(Number(e.target.value)); });
new ResizeObserver(refresh).observe(stage);
$("ramp").style.background = `linear-gradient(90deg, ${RAMP.join(",")})`;
const wanted = events.findIndex((one) => one.name === decodeURIComponent(location.hash.slice(1)));
$("event").value = Math.max(wanted, 0);
show(Math.max(wanted, 0));
})();
