"use strict";
// Pyramids of image tiles: which tiles a view needs, decoded when it needs them, and what they show.
const SIDE = 512, KEPT = 160, NO_DATA = 255;
const DRY = 0, PERMANENT = 1, FLOOD = 2, EXCLUDED = 3;

class Pyramid {
  // levels: from the finest on; prepare: what is made of a tile's image; ready: called after each.
  constructor(levels, size, prepare, ready) {
    Object.assign(this, { levels, size, prepare, ready, tiles: new Map(), waiting: 0 });
    const last = levels.length - 1;
    this.tile(last, 0, 0);
  }

  // The tile, or null while its image isn't decoded; undefined where it has none.
  tile(level, col, row) {
    const { columns, tiles } = this.levels[level], at = row * columns + col, key = `${level}/${at}`;
    if (!tiles[at]) return undefined;
    const known = this.tiles.get(key);
    if (known) { this.tiles.delete(key); this.tiles.set(key, known); return known.made; }
    const entry = { made: null }, image = new Image();
    this.tiles.set(key, entry);
    this.waiting += 1;
    image.src = `data:image/webp;base64,${tiles[at]}`;
    image.decode().then(() => { entry.made = this.prepare(image); }, () => this.tiles.delete(key))
      .finally(() => { this.waiting -= 1; this.ready(); });
    for (const [old] of this.tiles) {
      if (this.tiles.size <= KEPT) break;
      if (!old.startsWith(`${this.levels.length - 1}/`)) this.tiles.delete(old);
    }
    return null;
  }

  // The coarsest level whose pixels aren't seen, at this many pixels of the screen per pixel of the map.
  levelAt(scale) {
    for (let level = this.levels.length - 1; level > 0; level -= 1) {
      if (this.levels[level].factor * scale <= 1.4) return level;
    }
    return 0;
  }

  // Calls draw(tile, source, target, whole) for each tile between left, top, right and bottom, px of the map;
  // for one that isn't decoded with the part of a coarser one that is, and whole = false.
  visit(level, [left, top, right, bottom], draw) {
    const { factor } = this.levels[level], step = SIDE * factor;
    const columns = Math.ceil(this.size[0] / step), rows = Math.ceil(this.size[1] / step);
    for (let row = Math.max(Math.floor(top / step), 0); row < Math.min(Math.ceil(bottom / step), rows); row += 1) {
      for (let col = Math.max(Math.floor(left / step), 0); col < Math.min(Math.ceil(right / step), columns); col += 1) {
        const width = Math.min(SIDE, Math.ceil(this.size[0] / factor) - col * SIDE);
        const height = Math.min(SIDE, Math.ceil(this.size[1] / factor) - row * SIDE);
        const target = [col * step, row * step, width * factor, height * factor];
        for (let other = level; other < this.levels.length; other += 1) {
          const times = 2 ** (other - level);
          const made = this.tile(other, Math.floor(col / times), Math.floor(row / times));
          if (made === undefined) break;
          if (made === null) continue;
          const source = [(col % times) * SIDE / times, (row % times) * SIDE / times, width / times, height / times];
          draw(made, source, target, other === level);
          break;
        }
      }
    }
  }

  // The tile that holds a pixel of the map and the pixel in it: the finest that is decoded.
  pixel(col, row) {
    for (let level = 0; level < this.levels.length; level += 1) {
      const x = Math.floor(col / this.levels[level].factor), y = Math.floor(row / this.levels[level].factor);
      const made = this.tile(level, Math.floor(x / SIDE), Math.floor(y / SIDE));
      if (made) return { made, at: (y % SIDE) * made.width + (x % SIDE) };
    }
    return null;
  }
}

function plane(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width; canvas.height = height;
  return canvas;
}

function channels(image, count) {
  const pen = plane(image.width, image.height).getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  const { data } = pen.getImageData(0, 0, image.width, image.height);
  return Array.from({ length: count }, (_, band) => {
    const values = new Uint8Array(data.length / 4);
    for (let at = 0; at < values.length; at += 1) values[at] = data[4 * at + band];
    return values;
  });
}

// colours: RGBA by value, or nothing
function painted(values, width, height, colours) {
  const canvas = plane(width, height), pen = canvas.getContext("2d"), image = pen.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer), words = new Uint32Array(256);
  colours.forEach((colour, value) => { words[value] = new Uint32Array(Uint8Array.from(colour).buffer)[0]; });
  let some = false;
  for (let at = 0; at < values.length; at += 1) { pixels[at] = words[values[at]]; some ||= pixels[at] !== 0; }
  if (!some) return null;
  pen.putImageData(image, 0, 0);
  return canvas;
}

// The values of a map; images have a pixel of the tiles to the right and below.
class ValueTile {
  constructor(image) {
    this.width = image.width; this.height = image.height;
    [this.classes, this.reasons, this.truth] = channels(image, 3);
    this.made = new Map();
  }

  once(key, make) {
    if (!this.made.has(key)) this.made.set(key, make());
    return this.made.get(key);
  }

  // A canvas of some classes in their colours; null without any.
  filled(colours) {
    return this.once(`fill ${[...colours.keys()]}`, () => painted(this.classes, this.width, this.height, colours));
  }

  // Outlines of classes: a line belongs to the first of them that lies on either side.
  outlines(classes) { return this.once(`outlines ${classes}`, () => this.trace(this.classes, classes)); }
  truthOutline() { return this.once("truth", () => this.trace(this.truth, [FLOOD])[0]); }

  trace(values, classes) {
    const { width, height } = this, rank = new Uint8Array(256).fill(classes.length);
    classes.forEach((value, at) => { rank[value] = at; });
    const paths = classes.map(() => new Path2D());
    const kind = (one, other) => (values[one] === values[other] ? classes.length : Math.min(rank[values[one]], rank[values[other]]));
    const lines = (outer, inner, across, along, draw) => {
      for (let line = 0; line < outer - 1; line += 1) {
        let begun = 0, last = classes.length;
        for (let place = 0; place < inner; place += 1) {
          const at = line * across + place * along;
          const now = place === inner - 1 ? classes.length : kind(at, at + across);
          if (now === last) continue;
          if (last < classes.length) draw(paths[last], line + 1, begun, place);
          begun = place; last = now;
        }
      }
    };
    lines(height, width, width, 1, (path, y, from, to) => { path.moveTo(from, y); path.lineTo(to, y); });
    lines(width, height, 1, width, (path, x, from, to) => { path.moveTo(x, from); path.lineTo(x, to); });
    return paths;
  }
}

class PercentTile {
  constructor(image) {
    this.width = image.width; this.height = image.height;
    [this.percent] = channels(image, 1);
  }

  coloured(colours) {
    this.canvas ??= painted(this.percent, this.width, this.height, colours) ?? plane(1, 1);
    return this.canvas;
  }
}
