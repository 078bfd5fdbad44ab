"use strict";
// Two small helps for a page that is complete without them: clouds that can be turned, and curves that can be read.

// Clouds. Every point is a dome that faces the camera and the nearest dome wins; edges darken where the depth jumps.
// This is the picture that spa3d.rendering.point_cloud makes, drawn again for any direction.
const DOME = 1.15, FIT = 0.92, EMPTY = -1.5, LARGEST = 640;
const AROUND = [[0, 1], [0, -1], [1, 0], [-1, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]];

function unpack(text) {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0)), rows = new DataView(bytes.buffer);
  const cloud = { size: bytes.length / 9, xyz: [], rgb: [] };
  for (let at = 0; at < bytes.length; at += 9) {
    for (const k of [0, 2, 4]) cloud.xyz.push(rows.getInt16(at + k, true) / 32767 * 2);
    for (const k of [6, 7, 8]) cloud.rgb.push(bytes[at + k]);
  }
  if (cloud.rgb.every(value => value === 0)) cloud.rgb = cloud.rgb.map((_, k) => [140, 153, 168][k % 3]);
  return cloud;
}

function project(cloud, width, yaw, pitch) {
  const turn = yaw * Math.PI / 180, tilt = pitch * Math.PI / 180, places = [];
  for (let i = 0; i < cloud.size; i++) {
    const [x, y, z] = cloud.xyz.slice(3 * i, 3 * i + 3);
    const near = x * Math.sin(turn) + z * Math.cos(turn);
    const right = x * Math.cos(turn) - z * Math.sin(turn), up = y * Math.cos(tilt) - near * Math.sin(tilt);
    places.push([Math.round(width / 2 * (1 + right * FIT)), Math.round(width / 2 * (1 - up * FIT)),
      y * Math.sin(tilt) + near * Math.cos(tilt)]);
  }
  return places;
}

function splat(places, width, radius) {
  const depth = new Float32Array(width * width).fill(EMPTY), owner = new Int32Array(width * width).fill(-1);
  const reach = Math.ceil(radius);
  places.forEach(([px, py, near], i) => {
    for (let y = Math.max(0, py - reach); y <= Math.min(width - 1, py + reach); y++)
      for (let x = Math.max(0, px - reach); x <= Math.min(width - 1, px + reach); x++) {
        const away = (x - px) ** 2 + (y - py) ** 2, dome = near - away / (radius * width), at = y * width + x;
        if (away <= radius * radius && dome > depth[at]) { depth[at] = dome; owner[at] = i; }
      }
  });
  return { depth, owner };
}

function paint(canvas, cloud, grain, yaw, pitch) {
  const width = canvas.width, step = Math.max(1, Math.floor(width / 170)), pen = canvas.getContext("2d");
  const radius = Math.min(Math.max(grain * DOME * width / 2 * FIT, 2.5), width / 16);
  const { depth, owner } = splat(project(cloud, width, yaw, pitch), width, radius), image = pen.createImageData(width, width);
  for (let y = 0, at = 0; y < width; y++)
    for (let x = 0; x < width; x++, at++) {
      if (owner[at] < 0) continue;
      let shadow = 0;
      for (const [dx, dy] of AROUND) {
        const u = Math.min(Math.max(x + dx * step, 0), width - 1), v = Math.min(Math.max(y + dy * step, 0), width - 1);
        shadow += Math.min(Math.max(depth[v * width + u] - depth[at], 0), 0.4);
      }
      const light = Math.exp(-0.35 * shadow) * (0.88 + 0.12 * Math.min(Math.max(depth[at], -1), 1));
      for (let k = 0; k < 3; k++) image.data[4 * at + k] = cloud.rgb[3 * owner[at] + k] * light;
      image.data[4 * at + 3] = 255;
    }
  pen.putImageData(image, 0, 0);
}

function stage(article) {
  const pose = { yaw: Number(article.dataset.yaw), pitch: Number(article.dataset.pitch) }, grain = Number(article.dataset.grain);
  const views = [...article.querySelectorAll(".cloud")].map(figure => {
    const picture = figure.querySelector("img"), canvas = document.createElement("canvas");
    canvas.width = canvas.height = Math.min(LARGEST, 2 * Math.round(picture.clientWidth || 200));
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", picture.alt + ". Arrow keys turn it.");
    picture.replaceWith(canvas);
    return { canvas, cloud: unpack(figure.dataset.points) };
  });
  let waiting = false;
  const draw = () => { waiting = false; for (const { canvas, cloud } of views) paint(canvas, cloud, grain, pose.yaw, pose.pitch); };
  const turn = (yaw, pitch) => {
    pose.yaw += yaw;
    pose.pitch = Math.min(Math.max(pose.pitch + pitch, -89), 89);
    if (!waiting) { waiting = true; requestAnimationFrame(draw); }
  };
  const keys = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, 10], ArrowDown: [0, -10] };
  for (const { canvas } of views) {
    let last = null;
    canvas.addEventListener("pointerdown", event => { last = event; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", event => {
      if (last === null) return;
      turn((last.clientX - event.clientX) * 0.5, (event.clientY - last.clientY) * 0.4);
      last = event;
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
    canvas.addEventListener("keydown", event => {
      if (event.key in keys) { event.preventDefault(); turn(...keys[event.key]); }
    });
  }
  draw();
}

// Curves: the values at the step under the pointer.
function readable(figure) {
  const series = JSON.parse(figure.dataset.series), [first, last] = figure.dataset.steps.split(" ").map(Number);
  const [left, right, top, bottom] = figure.dataset.box.split(" ").map(Number);
  const svg = figure.querySelector("svg"), told = figure.querySelector("output");
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
  cursor.setAttribute("class", "cursor");
  const nearest = (steps, step) => steps.reduce((best, at, i) => Math.abs(at - step) < Math.abs(steps[best] - step) ? i : best, 0);
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    const step = first + Math.min(Math.max((x - left) / (right - left), 0), 1) * (last - first);
    const exact = series[0][1][nearest(series[0][1], step)], at = left + (exact - first) / (last - first) * (right - left);
    for (const [name, value] of Object.entries({ x1: at, x2: at, y1: top, y2: bottom })) cursor.setAttribute(name, value);
    svg.append(cursor);
    const values = series.map(([name, steps, ys]) => `${name} ${ys[nearest(steps, exact)].toPrecision(3)}`);
    told.textContent = `step ${exact}: ${values.join(", ")}`;
  });
  svg.addEventListener("pointerleave", () => { cursor.remove(); told.textContent = ""; });
}

document.querySelectorAll("article[data-yaw]").forEach(stage);
document.querySelectorAll("figure.chart").forEach(readable);
