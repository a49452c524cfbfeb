"use strict";
// Lengths and areas on the ellipsoid (WGS 84), of places that are near one another.
const MAJOR = 6378137, SQUARED = 0.00669437999014, RADIAN = Math.PI / 180;

// From longitude and latitude to metres on a plane that touches the ellipsoid in their middle.
function onPlane(places) {
  const mean = (at) => places.reduce((sum, place) => sum + place[at], 0) / places.length;
  const middle = [mean(0), mean(1)], sine = 1 - SQUARED * Math.sin(middle[1] * RADIAN) ** 2;
  const north = MAJOR * (1 - SQUARED) / sine ** 1.5, east = MAJOR / Math.sqrt(sine) * Math.cos(middle[1] * RADIAN);
  return places.map(([longitude, latitude]) => [(longitude - middle[0]) * RADIAN * east, (latitude - middle[1]) * RADIAN * north]);
}

function lengthOf(places, plane) {
  let length = 0;
  for (let at = 1; at < places.length; at += 1) {
    const [[x, y], [u, v]] = plane([places[at - 1], places[at]]);
    length += Math.hypot(u - x, v - y);
  }
  return length;
}

function areaOf(places, plane) {
  const points = plane(places);
  return Math.abs(points.reduce((sum, [x, y], at) => {
    const [u, v] = points[(at + 1) % points.length];
    return sum + x * v - u * y;
  }, 0)) / 2;
}
