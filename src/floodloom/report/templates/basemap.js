"use strict";
// A street map beneath the flood, fetched only while it is asked for. Its tiles are squares of the
// Mercator projection; each is cut into pieces, which are put where the map's own grid has them.
const STREETS = "https://tiles.maps.eox.at/wmts/1.0.0/osm_3857/default/g/{z}/{y}/{x}.jpg";
const TILE = 256, PIECES = 4, FINEST = 16, MOST_TILES = 80, WIDTH_M = 2 * Math.PI * MAJOR;

// Longitude and latitude as shares of the world's width and height, from the north-west, and back.
const toMercator = ([longitude, latitude]) => [longitude / 360 + 0.5, 0.5 - Math.asinh(Math.tan(latitude * RADIAN)) / (2 * Math.PI)];
const fromMercator = ([x, y]) => [(x - 0.5) * 360, Math.atan(Math.sinh((0.5 - y) * 2 * Math.PI)) / RADIAN];

class Basemap {
  constructor(ready) { Object.assign(this, { ready, tiles: new Map(), waiting: 0, failed: false }); }

  // An image, or null while it isn't there.
  tile(z, x, y) {
    const count = 2 ** z, address = STREETS.replace("{z}", z).replace("{x}", ((x % count) + count) % count).replace("{y}", y);
    const known = this.tiles.get(address);
    if (known) return known.image;
    const entry = { image: null }, image = new Image();
    this.tiles.set(address, entry);
    this.waiting += 1;
    image.referrerPolicy = "no-referrer";
    image.src = address;
    image.decode().then(() => { entry.image = image; }, () => { this.failed = true; })
      .finally(() => { this.waiting -= 1; this.ready(); });
    if (this.tiles.size > 4 * MOST_TILES) this.tiles.delete(this.tiles.keys().next().value);
    return null;
  }

  // place: from pixels of the map to longitude and latitude; screen: from these pixels to the pen's;
  // seen: left, top, right, bottom of what is seen; metres: of a pixel of the pen.
  draw(pen, place, screen, seen, metres) {
    const [left, top, right, bottom] = seen, middle = [(left + right) / 2, (top + bottom) / 2];
    const edge = [0, 0.5, 1].flatMap((u) => [0, 0.5, 1].map((v) => toMercator(place([left + u * (right - left), top + v * (bottom - top)]))));
    const stretch = Math.cos(place(middle)[1] * RADIAN);
    let z = Math.min(Math.max(Math.round(Math.log2(WIDTH_M * stretch / TILE / metres)), 0), FINEST), range;
    do {
      const reach = (at, limit) => limit(...edge.map((point) => Math.floor(point[at] * 2 ** z)));
      range = [reach(0, Math.min), reach(1, Math.min), reach(0, Math.max), reach(1, Math.max)];
    } while ((range[2] - range[0] + 1) * (range[3] - range[1] + 1) > MOST_TILES && (z -= 1) >= 0);
    const pixelOf = inverse(place, middle, Math.max(right - left, bottom - top) / 100);
    for (let y = Math.max(range[1], 0); y <= Math.min(range[3], 2 ** z - 1); y += 1) {
      for (let x = range[0]; x <= range[2]; x += 1) {
        const image = this.tile(z, x, y);
        if (image) this.put(pen, image, (u, v) => screen(pixelOf(fromMercator([(x + u) / 2 ** z, (y + v) / 2 ** z]))));
      }
    }
  }

  put(pen, image, at) {
    const side = image.naturalWidth / PIECES, bleed = 1;
    for (let row = 0; row < PIECES; row += 1) {
      for (let col = 0; col < PIECES; col += 1) {
        const [x, y] = at(col / PIECES, row / PIECES), [right, across] = at((col + 1) / PIECES, row / PIECES), [down, bottom] = at(col / PIECES, (row + 1) / PIECES);
        pen.setTransform((right - x) / side, (across - y) / side, (down - x) / side, (bottom - y) / side, x, y);
        pen.drawImage(image, col * side, row * side, side, side, 0, 0, side + bleed, side + bleed);
      }
    }
    pen.setTransform(1, 0, 0, 1, 0, 0);
  }
}

// From longitude and latitude to pixels, by Newton steps; `place` is smooth, so few are needed.
function inverse(place, start, step) {
  let [col, row] = start;
  return (wanted) => {
    for (let turn = 0; turn < 6; turn += 1) {
      const here = place([col, row]), right = place([col + step, row]), down = place([col, row + step]);
      const [a, b, c, d] = [right[0] - here[0], down[0] - here[0], right[1] - here[1], down[1] - here[1]];
      const [east, north] = [wanted[0] - here[0], wanted[1] - here[1]], area = a * d - b * c;
      const [by, under] = [step * (d * east - b * north) / area, step * (a * north - c * east) / area];
      col += by; row += under;
      if (Math.hypot(by, under) < 0.05) break;
    }
    return [col, row];
  };
}
