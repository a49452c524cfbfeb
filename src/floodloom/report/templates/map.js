(() => {
const { events, reasons } = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const canvas = $("map"), stage = $("stage"), context = canvas.getContext("2d"), scratch = plane(1, 1);
const CLASSES = { [DRY]: "dry", [PERMANENT]: "permanent water", [FLOOD]: "flood", [EXCLUDED]: "excluded", [NO_DATA]: "not seen" };
const COLOURS = new Map([[PERMANENT, [31, 78, 121, 255]], [FLOOD, [230, 85, 13, 255]]]);
const NAMES = { [PERMANENT]: "permanent", [FLOOD]: "flood", [EXCLUDED]: "excluded" };
const OPAQUE = [0, 0, 0, 255];
const RAMP = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const LIKELIHOOD = rampColours();
let event = null, layers = {}, view = { scale: 1, x: 0, y: 0 }, swipe = 0.5, pending = false, touched = false, patterns = null;
let measuring = false, measured = [];
const streets = new Basemap(refresh);

const number = (value, digits = 0) =>
  value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits }).replace(/,/g, "\u202f");
const SMALL_HA = 99.5; // below 1 km²
const hectares = (ha) => (ha >= SMALL_HA ? `${number(ha / 100, ha < 1000 ? 2 : 1)} km²` : `${number(ha, ha < 9.95 ? 1 : 0)} ha`);
const areaText = (entry) => (entry.ha === undefined ? `${number(entry.pixels)} px` : hectares(entry.ha));
const lengthText = (m) => (m >= 1000 ? `${number(m / 1000, m < 10000 ? 2 : 1)} km` : `${number(m)} m`);
const roundText = (m) => (m >= 1000 ? `${number(m / 1000)} km` : `${number(m)} m`);
const sizeText = (bytes) => (bytes >= 1e6 ? `${number(bytes / 1e6, 1)} MB` : `${number(Math.max(bytes / 1e3, 1))} kB`);
const percentText = (share) => `${number(100 * share, share < 0.1 ? 1 : 0)}\u202f%`;

function rampColours() {
  const stops = RAMP.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return new Map(Array.from({ length: 101 }, (_, percent) => {
    const place = percent / 100 * (stops.length - 1), low = Math.min(Math.floor(place), stops.length - 2);
    return [percent, [...stops[low].map((from, band) => Math.round(from + (stops[low + 1][band] - from) * (place - low))), 235]];
  }));
}

function pattern(size, paint) {
  const tile = plane(1, 1), ratio = devicePixelRatio || 1;
  tile.width = tile.height = Math.round(size * ratio);
  const pen = tile.getContext("2d");
  pen.scale(tile.width / size, tile.height / size);
  paint(pen, size);
  return context.createPattern(tile, "repeat");
}

function madePatterns() {
  const style = getComputedStyle(document.documentElement);
  return {
    hatch: pattern(8, (pen, size) => {
      pen.fillStyle = "rgba(255,255,255,.5)"; pen.fillRect(0, 0, size, size);
      pen.strokeStyle = "#2b2b2b"; pen.lineWidth = 1.5; pen.beginPath();
      for (const shift of [-size, 0, size]) { pen.moveTo(shift, size); pen.lineTo(shift + size, 0); }
      pen.stroke();
    }),
    dots: pattern(7, (pen, size) => {
      pen.fillStyle = style.getPropertyValue("--unseen"); pen.fillRect(0, 0, size, size);
      pen.fillStyle = style.getPropertyValue("--unseen-dot"); pen.beginPath(); pen.arc(size / 2, size / 2, 0.95, 0, 7); pen.fill();
    }),
    frame: style.getPropertyValue("--frame"),
  };
}

function show(index) {
  event = events[index];
  const made = { values: (image) => new ValueTile(image), percent: (image) => new PercentTile(image) };
  layers = {};
  for (const [name, levels] of Object.entries(event.layers)) {
    layers[name] = new Pyramid(levels, [event.width, event.height], made[name] ?? ((image) => image), refresh);
  }
  measured = []; touched = false;
  describe();
  fit();
}

function describe() {
  const { areas, dates } = event;
  $("flooded").textContent = areaText(areas.flood);
  $("floodedNote").textContent = areas.flood.ha === undefined
    ? "flooded; the scene has no georeference, so areas are in pixels"
    : areas.flood.ha >= SMALL_HA ? `flooded, ${number(areas.flood.ha)} ha` : "flooded";
  const seen = dates.after ? `Seen ${dates.after} UTC` : "Seen";
  $("dates").textContent = [seen + (event.sensor ? ` by ${event.sensor}` : ""), dates.before ? `compared with ${dates.all_before || dates.before} UTC` : ""].filter(Boolean).join("; ") + ".";
  for (const name of ["flood", "permanent", "excluded", "nodata"]) $(`area-${name}`).textContent = areaText(areas[name]);
  $("images").hidden = !layers.before;
  if (!layers.before) document.querySelector("input[name=base][value=after]").checked = true;
  $("layer-likelihood").hidden = !layers.percent;
  $("layer-truth").hidden = !event.hasTruth;
  $("north").hidden = $("layer-streets").hidden = event.crs === null;
  for (const [id, name] of [["tagBefore", "before"], ["tagAfter", "after"]]) {
    $(id).textContent = [name, dates[name].slice(0, 10)].filter(Boolean).join(", ");
  }
  document.title = `${document.querySelector("h1").textContent}: ${event.name}`;
  describeDetail();
  describeZones();
  $("products").replaceChildren(...event.products.map(({ title, href, size }) => {
    const link = Object.assign(document.createElement("a"), { href, textContent: title });
    const row = document.createElement("li");
    row.append(link, ` ${sizeText(size)}`);
    return row;
  }));
  $("downloads").hidden = !event.products.length;
}

// What the page leaves out: layers whose pixels here are larger than those of the map.
function describeDetail() {
  const names = { values: "map", after: "radar image", before: "image before", percent: "likelihood" };
  const unit = event.pixel ? (event.pixel[0] + event.pixel[1]) / 2 : 1;
  const text = (factor) => (event.pixel ? lengthText(Math.round(factor * unit)) : `${factor} px`);
  const parts = Object.keys(names).filter((name) => event.layers[name])
    .map((name) => ({ name: names[name], factor: event.layers[name][0].factor }));
  $("detail").hidden = parts.every(({ factor }) => factor === 1);
  $("detail").textContent = `So that this page stays small, a pixel of it is ${parts.map(({ name, factor }) => `${text(factor)} (${name})`).join(", ")}. The map's file has ${text(1)}.`;
}

function describeZones() {
  const sum = (zone, names) => names.reduce((total, name) => total + zone[name], 0);
  const rows = [...event.zones].sort((one, other) => other.flood - one.flood).map((zone) => {
    const seen = sum(zone, ["dry", "permanent", "flood"]), unknown = sum(zone, ["excluded", "nodata", "outside"]);
    const texts = [zone.zone, hectares(zone.flood), seen ? percentText(zone.flood / seen) : "–", seen + unknown ? percentText(unknown / (seen + unknown)) : "–"];
    const row = document.createElement("tr");
    row.append(...texts.map((text, at) => Object.assign(document.createElement(at ? "td" : "th"), { textContent: text, ...(at ? {} : { scope: "row" }) })));
    return row;
  });
  $("zones").hidden = !rows.length;
  $("zoneRows").replaceChildren(...rows);
}

const base = () => (on("streets") ? "streets" : document.querySelector("input[name=base]:checked").value);
const on = (name) => $(`show-${name}`).checked && !$(`layer-${name}`).hidden;

function draw() {
  pending = false;
  if (!event) return;
  patterns ??= madePatterns();
  const ratio = devicePixelRatio || 1, width = stage.clientWidth, height = stage.clientHeight;
  for (const one of [canvas, scratch]) {
    if (one.width !== Math.round(width * ratio) || one.height !== Math.round(height * ratio)) {
      one.width = Math.round(width * ratio); one.height = Math.round(height * ratio);
    }
  }
  const screen = screenOf(ratio);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.save();
  if (on("streets")) drawStreets(screen, ratio);
  context.beginPath(); context.rect(...screen.rect([0, 0, event.width, event.height])); context.clip();
  if (!on("streets")) { context.fillStyle = patterns.dots; context.fillRect(0, 0, canvas.width, canvas.height); }
  backdrops(screen, ratio);
  if (on("likelihood")) drawTiles(context, layers.percent, screen, (tile) => tile.coloured(LIKELIHOOD));
  const shown = [FLOOD, PERMANENT].filter((value) => on(NAMES[value]));
  if (!on("likelihood") && shown.length) {
    const colours = new Map(shown.map((value) => [value, COLOURS.get(value)]));
    context.globalAlpha = $("opacity").value / 100;
    drawTiles(context, layers.values, screen, (tile) => tile.filled(colours));
    context.globalAlpha = 1;
  }
  context.globalAlpha = on("streets") ? 0.7 : 1; // never without: ground that wasn't seen isn't dry
  patterned(screen, NO_DATA, patterns.dots);
  context.globalAlpha = 1;
  if (on("excluded")) { patterned(screen, EXCLUDED, patterns.hatch); shown.push(EXCLUDED); }
  outline(screen, ratio, shown);
  context.restore();
  context.strokeStyle = patterns.frame; context.lineWidth = ratio;
  context.strokeRect(...screen.rect([0, 0, event.width, event.height]));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  drawMeasured();
  furniture(width);
  if ([streets, ...Object.values(layers)].every((layer) => !layer.waiting)) canvas.dataset.drawn = event.name; else delete canvas.dataset.drawn;
}

// From pixels of the map to those of the screen, whole ones, so that tiles meet.
function screenOf(ratio) {
  const across = (x) => Math.round(ratio * (view.x + x * view.scale)), down = (y) => Math.round(ratio * (view.y + y * view.scale));
  return {
    scale: ratio * view.scale,
    seen: [-view.x / view.scale, -view.y / view.scale, (stage.clientWidth - view.x) / view.scale, (stage.clientHeight - view.y) / view.scale],
    rect: ([x, y, width, height]) => [across(x), down(y), across(x + width) - across(x), down(y + height) - down(y)],
  };
}

function drawTiles(pen, layer, screen, image) {
  const level = layer.levelAt(screen.scale);
  pen.imageSmoothingEnabled = layer.levels[level].factor * screen.scale < 1;
  pen.imageSmoothingQuality = "high";
  layer.visit(level, screen.seen, (tile, source, target) => {
    const shown = image(tile);
    if (shown) pen.drawImage(shown, ...source, ...screen.rect(target));
  });
}

function backdrops(screen, ratio) {
  const mode = base(), middle = mode === "compare" ? Math.round(swipe * canvas.width) : 0;
  for (const [name, left, right] of [["before", 0, middle || canvas.width], ["after", middle, canvas.width]]) {
    if (!layers[name] || (mode !== "compare" && mode !== name)) continue;
    context.save();
    context.beginPath(); context.rect(left, 0, right - left, canvas.height); context.clip();
    drawTiles(context, layers[name], screen, (tile) => tile);
    context.restore();
  }
}

function drawStreets(screen, ratio) {
  const onScreen = ([col, row]) => [ratio * (view.x + col * view.scale), ratio * (view.y + row * view.scale)];
  const metres = (event.pixel[0] + event.pixel[1]) / 2 / screen.scale;
  context.imageSmoothingEnabled = true;
  streets.draw(context, place, onScreen, screen.seen, metres);
}

function patterned(screen, value, filling) {
  const pen = scratch.getContext("2d");
  let some = false;
  pen.globalCompositeOperation = "source-over"; pen.clearRect(0, 0, scratch.width, scratch.height);
  drawTiles(pen, layers.values, screen, (tile) => {
    const mask = tile.filled(new Map([[value, OPAQUE]]));
    some ||= mask !== null;
    return mask;
  });
  if (!some) return;
  pen.globalCompositeOperation = "source-in"; pen.fillStyle = filling; pen.fillRect(0, 0, scratch.width, scratch.height);
  context.drawImage(scratch, 0, 0);
}

function outline(screen, ratio, shown) {
  const level = layers.values.levelAt(screen.scale), pixel = layers.values.levels[level].factor * view.scale;
  const width = ratio * Math.min(1.4, 0.3 + 0.6 * pixel);
  const stroke = (tile, path, colour, wide) => { context.strokeStyle = colour; context.lineWidth = wide; context.stroke(path); };
  context.lineCap = "square";
  layers.values.visit(level, screen.seen, (tile, source, target, whole) => {
    if (!whole) return;
    const [left, top, right, bottom] = screen.rect(target), across = right / source[2], down = bottom / source[3];
    context.setTransform(across, 0, 0, down, left, top);
    tile.outlines(shown).forEach((path, at) => {
      const colour = COLOURS.get(shown[at]);
      stroke(tile, path, colour ? `rgb(${colour.slice(0, 3)})` : "#2b2b2b", (colour ? width : 0.7 * width) / across);
    });
    if (on("truth")) { stroke(tile, tile.truthOutline(), "#fff", 3 * ratio / across); stroke(tile, tile.truthOutline(), "#111", 1.3 * ratio / across); }
  });
  context.setTransform(1, 0, 0, 1, 0, 0);
}

function furniture(width) {
  $("credit").hidden = $("streetsNote").hidden = !on("streets");
  $("streetsNote").textContent = streets.failed
    ? "Some of it can't be fetched; without network the radar image is there."
    : "It is fetched from tiles.maps.eox.at, which learns what part of the world is looked at.";
  const comparing = base() === "compare";
  $("handle").hidden = $("tagBefore").hidden = $("tagAfter").hidden = !comparing;
  $("handle").style.left = `${swipe * width}px`;
  $("handle").setAttribute("aria-valuenow", Math.round(swipe * 100));
  const unit = event.pixel ? event.pixel[0] : 1, most = Math.min(130, width / 4) / view.scale * unit;
  const power = 10 ** Math.floor(Math.log10(most)), length = power * [5, 2, 1].find((step) => step * power <= most);
  $("scaleBar").style.width = `${length / unit * view.scale}px`;
  $("scaleText").textContent = event.pixel ? roundText(length) : `${number(length)} px`;
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
  touched = true;
  view.x = Math.min(Math.max(view.x + right, keep - event.width * view.scale), stage.clientWidth - keep);
  view.y = Math.min(Math.max(view.y + down, keep - event.height * view.scale), stage.clientHeight - keep);
  refresh();
}

const onMap = (x, y) => [(x - view.x) / view.scale, (y - view.y) / view.scale];

function place([col, row]) {
  const { side, longitude, latitude } = event.places, cell = (x) => Math.min(Math.max(Math.floor(x), 0), side - 2);
  const x = col / event.width * (side - 1), y = row / event.height * (side - 1);
  const left = cell(x), top = cell(y), u = x - left, v = y - top, at = top * side + left;
  const mix = (value) => (value(at) * (1 - u) + value(at + 1) * u) * (1 - v) + (value(at + side) * (1 - u) + value(at + side + 1) * u) * v;
  const turned = (one) => longitude[one] + 360 * Math.round((longitude[0] - longitude[one]) / 360);
  return [mix(turned), mix((one) => latitude[one])];
}

function showReadout(x, y) {
  const [col, row] = onMap(x, y);
  if (col < 0 || row < 0 || col >= event.width || row >= event.height) { $("readout").textContent = ""; return; }
  const parts = [];
  if (event.places) {
    const [turned, latitude] = place([col, row]), longitude = turned - 360 * Math.round(turned / 360);
    parts.push(`${Math.abs(latitude).toFixed(5)}° ${latitude < 0 ? "S" : "N"}  ${Math.abs(longitude).toFixed(5)}° ${longitude < 0 ? "W" : "E"}`);
  } else parts.push(`column ${Math.floor(col)}, row ${Math.floor(row)}`);
  parts.push(...valueAt(col, row));
  $("readout").textContent = parts.join("  ·  ");
}

function valueAt(col, row) {
  const found = layers.values.pixel(col, row), lines = [];
  if (found) {
    const { classes, reasons: why } = found.made;
    lines.push((CLASSES[classes[found.at]] ?? "") + (reasons[why[found.at]] ? ` (${reasons[why[found.at]]})` : ""));
  }
  const likely = layers.percent?.pixel(col, row);
  if (likely && likely.made.percent[likely.at] !== NO_DATA) lines.push(`water ${likely.made.percent[likely.at]} %`);
  return lines;
}

function measure(x, y) { measured.push(onMap(x, y)); refresh(); }

function drawMeasured() {
  $("measure").setAttribute("aria-pressed", measuring);
  $("measured").hidden = !measuring;
  canvas.classList.toggle("measuring", measuring);
  if (!measuring) return;
  const flat = event.places ? (points) => onPlane(points.map(place)) : (points) => points;
  const unit = event.places ? lengthText : (px) => `${number(px, 1)} px`, square = event.places ? (m2) => hectares(m2 / 1e4) : (px2) => `${number(px2)} px²`;
  const parts = [`${number(measured.length)} ${measured.length === 1 ? "point" : "points"}`];
  if (measured.length > 1) parts.push(`length ${unit(lengthOf(measured, flat))}`);
  if (measured.length > 2) parts.push(`area ${square(areaOf(measured, flat))}`);
  $("measuredText").textContent = measured.length ? parts.join("  ·  ") : "Click points of the map, or press Enter to set one in its middle.";
  const points = measured.map(([col, row]) => [view.x + col * view.scale, view.y + row * view.scale]);
  const line = () => { context.beginPath(); points.forEach(([x, y]) => context.lineTo(x, y)); };
  if (points.length > 2) { line(); context.fillStyle = "rgba(255,255,255,.25)"; context.fill(); }
  for (const [colour, wide] of [["#fff", 4], ["#111", 1.8]]) {
    context.strokeStyle = colour; context.lineWidth = wide; context.lineCap = context.lineJoin = "round";
    line(); context.stroke();
    for (const [x, y] of points) { context.beginPath(); context.arc(x, y, 3.5, 0, 7); context.fillStyle = "#fff"; context.fill(); context.stroke(); }
  }
}

function setMeasuring(wanted) { measuring = wanted; measured = []; refresh(); }

const pointers = new Map();
let pressed = null;
canvas.addEventListener("pointerdown", (e) => {
  canvas.setPointerCapture(e.pointerId); pointers.set(e.pointerId, [e.offsetX, e.offsetY]);
  pressed = pointers.size === 1 ? [e.offsetX, e.offsetY] : null;
  showReadout(e.offsetX, e.offsetY);
});
canvas.addEventListener("pointermove", (e) => {
  const last = pointers.get(e.pointerId), now = [e.offsetX, e.offsetY];
  $("readout").removeAttribute("aria-live");
  showReadout(...now);
  if (!last) return;
  if (pressed && Math.hypot(now[0] - pressed[0], now[1] - pressed[1]) > 4) pressed = null;
  if (pointers.size === 1) { if (!pressed) pan(now[0] - last[0], now[1] - last[1]); }
  else if (pointers.size === 2) {
    const other = [...pointers].find(([id]) => id !== e.pointerId)[1];
    const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
    zoom(apart(now) / apart(last), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    pan((now[0] - last[0]) / 2, (now[1] - last[1]) / 2);
  }
  if (!pressed) pointers.set(e.pointerId, now);
});
canvas.addEventListener("pointerup", (e) => { if (measuring && pressed) measure(e.offsetX, e.offsetY); });
for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (e) => pointers.delete(e.pointerId));
canvas.addEventListener("pointerleave", () => { if (!pointers.size) $("readout").textContent = ""; });
canvas.addEventListener("wheel", (e) => {
  e.preventDefault();
  const lines = e.deltaMode === 1 ? 18 : e.deltaMode === 2 ? 400 : 1;
  zoom(Math.exp(-Math.max(-400, Math.min(400, e.deltaY * lines)) / 480), e.offsetX, e.offsetY);
}, { passive: false });
canvas.addEventListener("dblclick", (e) => { if (!measuring) zoom(e.shiftKey ? 0.5 : 2, e.offsetX, e.offsetY); });
canvas.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.altKey || e.metaKey) return;
  const step = 60, middle = [stage.clientWidth / 2, stage.clientHeight / 2];
  const moves = { ArrowLeft: () => pan(step, 0), ArrowRight: () => pan(-step, 0), ArrowUp: () => pan(0, step), ArrowDown: () => pan(0, -step), "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: fit };
  const measures = { Enter: () => measure(...middle), Backspace: () => { measured.pop(); refresh(); }, Escape: () => setMeasuring(false) };
  const act = moves[e.key] ?? (measuring ? measures[e.key] : undefined);
  if (!act) return;
  e.preventDefault();
  act();
  $("readout").setAttribute("aria-live", "polite");
  showReadout(...middle);
});
const handle = $("handle");
const slide = (share) => { swipe = Math.min(Math.max(share, 0.02), 0.98); refresh(); };
handle.addEventListener("pointerdown", (e) => { handle.setPointerCapture(e.pointerId); e.preventDefault(); handle.focus(); });
handle.addEventListener("pointermove", (e) => { if (handle.hasPointerCapture(e.pointerId)) slide((e.clientX - stage.getBoundingClientRect().left) / stage.clientWidth); });
handle.addEventListener("keydown", (e) => { const by = { ArrowLeft: -0.03, ArrowRight: 0.03 }[e.key]; if (by) { e.preventDefault(); slide(swipe + by); } });
$("zoomIn").addEventListener("click", () => zoom(1.6));
$("zoomOut").addEventListener("click", () => zoom(1 / 1.6));
$("zoomAll").addEventListener("click", fit);
$("measure").addEventListener("click", () => setMeasuring(!measuring));
$("measureUndo").addEventListener("click", () => { measured.pop(); refresh(); });
$("measureEnd").addEventListener("click", () => { setMeasuring(false); $("measure").focus(); });
for (const input of document.querySelectorAll("aside input")) input.addEventListener("input", refresh);
for (const input of document.querySelectorAll("input[name=base]")) input.addEventListener("input", () => { $("show-streets").checked = false; });
$("show-streets").addEventListener("input", () => { streets.failed = false; });
$("event").addEventListener("change", (e) => { location.hash = encodeURIComponent(events[e.target.value].name); show(Number(e.target.value)); });
new ResizeObserver(() => { patterns = null; if (touched) refresh(); else fit(); }).observe(stage);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { patterns = null; refresh(); });
$("ramp").style.background = `linear-gradient(90deg, ${RAMP.join(",")})`;
const wanted = events.findIndex((one) => one.name === decodeURIComponent(location.hash.slice(1)));
$("event").value = Math.max(wanted, 0);
show(Math.max(wanted, 0));
})();
