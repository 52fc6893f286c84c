// The explorers of pages 02, 03, 06 and 07, live: sliders, a sentence, pictures. What they compute is in imaging.js and
// meta-run.js.

import { KERNEL, LARGEST_KERNEL, control, draw, follow, load, make } from "./controls.js";
import * as imaging from "./imaging.js";
import { exploreRun, loadRun, ticks } from "./meta-run.js";

const CAMERA = {
  ...KERNEL,
  mode: { label: "sampling", options: ["direct", "bicubic"] },
  noise: { label: "noise (white = 1)", hint: "standard deviation", min: 0, max: 0.1, step: 0.005, digits: 3 },
};

// The three bowls of page 06: angle of the steep direction, curvature along and across it, and the bottom.
export const BOWLS = [
  { angle: 0.15, steep: 1.8, flat: 0.15, optimum: [-2, 2.6], colour: "#c44e00" },
  { angle: -0.15, steep: 1.8, flat: 0.15, optimum: [2, 3.2], colour: "#5a8f5a" },
  { angle: Math.PI / 2, steep: 1.9, flat: 0.25, optimum: [0.3, -2], colour: "#8e6bb4" },
];
const ACROSS = [-4, 4], UPWARDS = [-3.4, 4.8], GRID = 0.1, DARKEST = 5, ENLARGED = 5;
const ROOM = { left: 52, right: 20, top: 20, bottom: 52 }, INK = "#222222"; // px around a landscape, for its axes and a star at its edge
const LANDSCAPE = {
  theta1: { label: "theta 1", hint: "the start, across", min: ACROSS[0], max: ACROSS[1], step: GRID, digits: 1 },
  theta2: { label: "theta 2", hint: "the start, upwards", min: UPWARDS[0], max: UPWARDS[1], step: GRID, digits: 1 },
  alpha: { label: "alpha", hint: "rate of the steps", min: 0, max: 1.2, step: 0.05, digits: 2 },
  steps: { label: "steps", hint: "gradient steps of each task", min: 0, max: 10, step: 1, digits: 0 },
};

const square = (image) => `${image.width} x ${image.height} px`;
const gaussian = (state, size = state.size) => imaging.gaussianKernel(state.lambda1, state.lambda2, state.theta, size);

/** The share of a Gaussian that lies inside its window. */
function share(state) {
  const whole = gaussian(state, 3 * LARGEST_KERNEL), edge = (whole.width - state.size) / 2;
  let sum = 0;
  for (let i = edge; i < edge + state.size; i++) {
    for (let j = edge; j < edge + state.size; j++) sum += whole.data[i * whole.width + j];
  }
  return sum;
}

function exploreKernel(hr, state) {
  const kernel = gaussian(state);
  const blurred = hr.map((channel) => imaging.blur(channel, kernel));
  const lr = imaging.degrade(hr, kernel);
  const [along, across] = [Math.sqrt(state.lambda1), Math.sqrt(state.lambda2)];
  return {
    panels: [
      { title: "original", picture: hr, line: square(hr[0]) },
      { title: "kernel", kernel, ellipses: true, line: "ellipses: 1 and 2 standard deviations" },
      { title: "blurred", picture: blurred, line: square(hr[0]) },
      { title: "low resolution", picture: lr, line: `${square(lr[0])}, every second pixel` },
    ],
    sentence:
      `Standard deviation ${along.toFixed(2)} px along the axis and ${across.toFixed(2)} px across. ` +
      `The ${state.size} x ${state.size} px hold ${(100 * share(state)).toFixed(1)} % of the Gaussian.`,
  };
}

function exploreDegradation(hr, state) {
  const kernel = gaussian(state);
  const lr = imaging.degrade(hr, kernel, state.mode, state.noise, imaging.normals(0));
  const bicubic = lr.map(imaging.upscale), aligned = imaging.enlarge(lr, state.mode);
  const [plain, register] = [bicubic, aligned].map((sr) => imaging.protocolPsnr(sr, hr));
  const gain = register - plain, signed = `${gain < 0 ? "" : "+"}${gain.toFixed(2)}`;
  return {
    panels: [
      { title: "original", picture: hr, line: square(hr[0]) },
      { title: "kernel", kernel, line: `${state.size} x ${state.size} px` },
      { title: "low resolution", picture: lr, line: square(lr[0]) },
      { title: "bicubic", picture: bicubic, line: `${plain.toFixed(2)} dB` },
      { title: "phase-aligned", picture: aligned, line: `${register.toFixed(2)} dB` },
    ],
    sentence:
      state.mode === "bicubic"
        ? "Bicubic sampling keeps the picture's middle in place: both ways to enlarge are the same."
        : `Direct sampling starts at pixel 0. Enlarged in register with that: ${signed} dB.`,
  };
}

const hessians = BOWLS.map(({ angle, steep, flat }) => {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return [steep * cos ** 2 + flat * sin ** 2, (steep - flat) * cos * sin, steep * sin ** 2 + flat * cos ** 2];
});

/** Where each task is after 0, 1, ... steps from a point, and the mean loss there. */
function walk(x, y, alpha, steps) {
  const ways = BOWLS.map(() => [[x, y]]), means = [];
  for (let step = 0; step <= steps; step++) {
    let sum = 0;
    BOWLS.forEach(({ optimum }, task) => {
      const [a, b, c] = hessians[task], [px, py] = ways[task][step], [dx, dy] = [px - optimum[0], py - optimum[1]];
      const [gx, gy] = [a * dx + b * dy, b * dx + c * dy];
      sum += (dx * gx + dy * gy) / 2;
      ways[task].push([px - alpha * gx, py - alpha * gy]);
    });
    means.push(sum / BOWLS.length);
  }
  ways.forEach((way) => way.pop());
  return { ways, means };
}

function exploreLandscape(_, { theta1, theta2, alpha, steps }) {
  const columns = Math.round((ACROSS[1] - ACROSS[0]) / GRID) + 1, rows = Math.round((UPWARDS[1] - UPWARDS[0]) / GRID) + 1;
  const heights = [imaging.plane(rows, columns), imaging.plane(rows, columns)];
  let best = { mean: Infinity };
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const [x, y] = [ACROSS[0] + GRID * j, UPWARDS[0] + GRID * i], { means } = walk(x, y, alpha, steps), mean = means[steps];
      heights[0].data[i * columns + j] = means[0];
      heights[1].data[i * columns + j] = mean;
      if (mean < best.mean) best = { mean, x, y };
    }
  }
  const { ways, means } = walk(theta1, theta2, alpha, steps), many = `${steps} step${steps === 1 ? "" : "s"}`;
  const short = (value) => String(Number(value.toFixed(1)) + 0);
  return {
    panels: ["as it is", `after ${many}`].map((title, i) => ({
      title: `mean loss ${title}`,
      line: "dark: high; rings: the tasks' bowls; star: the start",
      paint: (canvas) => paintLandscape(canvas, heights[i], ways),
    })),
    sentence:
      `The mean loss of this start is ${means[0].toFixed(2)} as it is and ${means[steps].toFixed(2)} after ${many}. The lowest ` +
      `after ${many} is ${best.mean.toFixed(2)}, from (${short(best.x)}, ${short(best.y)}).`,
  };
}

const SIDES = [ACROSS, UPWARDS].map(([low, high]) => Math.round((high - low) / GRID + 1) * ENLARGED);
const WHOLE = [SIDES[0] + ROOM.left + ROOM.right, SIDES[1] + ROOM.top + ROOM.bottom];
/** Where a point stands on the canvas of a landscape, in px. */
const at = ([x, y]) => [ROOM.left + ((x - ACROSS[0]) / GRID + 0.5) * ENLARGED, ROOM.top + ((UPWARDS[1] - y) / GRID + 0.5) * ENLARGED];

/** A start that is picked on a landscape with the mouse or a finger, by its place from the top left, in 0 to 1. */
const pickStart = (x, y) => ({
  theta1: ACROSS[0] + ((x * WHOLE[0] - ROOM.left) / ENLARGED - 0.5) * GRID,
  theta2: UPWARDS[1] - ((y * WHOLE[1] - ROOM.top) / ENLARGED - 0.5) * GRID,
});

/** The frame of a landscape, its ticks, and the names of its axes. */
function paintAxes(context) {
  const [left, floor] = [ROOM.left, ROOM.top + SIDES[1]];
  Object.assign(context, { strokeStyle: INK, fillStyle: INK, lineWidth: 1.5, font: "18px sans-serif", textBaseline: "middle" });
  context.strokeRect(left, ROOM.top, ...SIDES);
  context.beginPath();
  for (const value of ticks(...ACROSS, 5)) {
    const [x] = at([value, 0]);
    context.moveTo(x, floor);
    context.lineTo(x, floor + 6);
    context.textAlign = "center";
    context.fillText(value, x, floor + 18);
  }
  for (const value of ticks(...UPWARDS, 5)) {
    const [, y] = at([0, value]);
    context.moveTo(left, y);
    context.lineTo(left - 6, y);
    context.textAlign = "right";
    context.fillText(value, left - 9, y);
  }
  context.stroke();
  context.textAlign = "center";
  context.fillText("theta 1", left + SIDES[0] / 2, floor + 39);
  context.translate(13, ROOM.top + SIDES[1] / 2);
  context.rotate(-Math.PI / 2);
  context.fillText("theta 2", 0, 0);
}

function paintLandscape(canvas, height, ways) {
  const { height: rows, width: columns, data } = height, dark = Math.sqrt(Math.min(Math.max(...data), DARKEST ** 2)) || 1;
  [canvas.width, canvas.height] = WHOLE;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // as all charts of the pages
  context.fillRect(0, 0, ...WHOLE);
  context.save();
  context.beginPath();
  context.rect(ROOM.left, ROOM.top, ...SIDES);
  context.clip();
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const grey = Math.round(255 * (1 - Math.min(1, Math.sqrt(data[i * columns + j]) / dark)));
      context.fillStyle = `rgb(${grey}, ${grey}, ${grey})`;
      context.fillRect(ROOM.left + j * ENLARGED, ROOM.top + (rows - 1 - i) * ENLARGED, ENLARGED, ENLARGED);
    }
  }
  const unit = ENLARGED / GRID;
  BOWLS.forEach(({ angle, steep, flat, optimum, colour }, task) => {
    [context.strokeStyle, context.fillStyle] = [colour, colour];
    for (const level of [0.1, 0.4, 0.9]) {
      context.lineWidth = 2;
      context.beginPath();
      context.ellipse(...at(optimum), unit * Math.sqrt((2 * level) / steep), unit * Math.sqrt((2 * level) / flat), -angle, 0, 2 * Math.PI);
      context.stroke();
    }
    context.lineWidth = 3;
    context.beginPath();
    context.arc(...at(optimum), 7, 0, 2 * Math.PI);
    context.stroke();
    context.beginPath();
    ways[task].forEach((point) => context.lineTo(...at(point)));
    context.stroke();
    ways[task].forEach((point) => {
      context.beginPath();
      context.arc(...at(point), 4, 0, 2 * Math.PI);
      context.fill();
    });
  });
  context.restore();
  context.save();
  paintAxes(context);
  context.restore();
  const [x, y] = at(ways[0][0]);
  Object.assign(context, { font: "34px sans-serif", textAlign: "center", textBaseline: "middle", lineWidth: 4, strokeStyle: "#fff", fillStyle: "#2f5fd0" });
  context.strokeText("★", x, y);
  context.fillText("★", x, y);
}

const KINDS = {
  kernel: { controls: KERNEL, explore: exploreKernel },
  degradation: { controls: CAMERA, explore: exploreDegradation },
  landscape: { controls: LANDSCAPE, explore: exploreLandscape, pick: pickStart },
  metarun: { explore: exploreRun, prepare: loadRun },
};

/** A kernel on a grid of 21 x 21 px, from black for 0 to white for its largest value; grey where it does not reach. */
function drawKernel(canvas, kernel) {
  const edge = (LARGEST_KERNEL - kernel.width) / 2, top = Math.max(...kernel.data);
  const grid = imaging.plane(LARGEST_KERNEL, LARGEST_KERNEL);
  grid.data.fill(0.87);
  for (let i = 0; i < kernel.height; i++) {
    for (let j = 0; j < kernel.width; j++) {
      grid.data[(i + edge) * grid.width + j + edge] = kernel.data[i * kernel.width + j] / top;
    }
  }
  draw(canvas, [grid, grid, grid]);
}

function outline(state) {
  const angle = (state.theta * 180) / Math.PI, half = LARGEST_KERNEL / 2;
  const ellipse = (deviations, look) =>
    `<ellipse rx="${deviations * Math.sqrt(state.lambda1)}" ry="${deviations * Math.sqrt(state.lambda2)}" ` +
    `transform="rotate(${angle})" fill="none" ${look}/>`;
  const lines = [[1, ""], [2, 'stroke-dasharray="1.2 0.7"']].map(([deviations, dashes]) =>
    ellipse(deviations, 'stroke="#222222" stroke-width="0.42"') + ellipse(deviations, `stroke="#ffd400" stroke-width="0.22" ${dashes}`));
  return `<svg viewBox="${-half} ${-half} ${2 * half} ${2 * half}" aria-hidden="true">${lines.join("")}</svg>`;
}

/** Build an explorer in its place, and take away the stored picture above it. */
async function start(place) {
  const { explore, pick, prepare } = KINDS[place.dataset.kind], given = JSON.parse(place.dataset.start);
  let hr;
  try {
    hr = prepare ? await prepare(given) : given.picture ? await load(given.picture) : null;
  } catch (error) {
    place.append(make("p", { role: "status", class: "live-status" }, `The pictures of this explorer cannot be loaded (${error.message}).`));
    place.dataset.ready = "yes";
    return;
  }
  const controls = KINDS[place.dataset.kind].controls ?? hr.controls, state = { ...given };
  const status = make("p", { role: "status", class: "live-status" });
  const panels = make("div", { class: "live-panels" }), chart = make("div", { class: "live-chart" });
  const inputs = {};

  const show = () => {
    const found = explore(hr, state);
    found.chart?.(chart);
    found.panels.forEach((panel, number) => {
      const figure = panels.children[number] ?? panels.appendChild(make("figure", {}, make("div"), make("figcaption")));
      const [frame, caption] = figure.children;
      const canvas = frame.querySelector("canvas") ?? frame.appendChild(make("canvas", { role: "img" }));
      if (panel.paint) panel.paint(canvas);
      else if (panel.kernel) drawKernel(canvas, panel.kernel);
      else draw(canvas, panel.picture);
      if (panel.ellipses) {
        frame.querySelector("svg")?.remove();
        frame.insertAdjacentHTML("beforeend", outline(state));
      }
      canvas.setAttribute("aria-label", `${panel.title}: ${panel.line}`);
      caption.replaceChildren(make("strong", {}, panel.title), make("span", {}, panel.line));
      if (panel.shade) caption.style.borderTop = `3px solid ${panel.shade}`;
    });
    status.textContent = found.sentence;
  };
  let asked = false;
  const moved = (name) => {
    for (const [key, { read }] of Object.entries(inputs)) state[key] = read();
    // The axis that is moved takes the other along, so that lambda1 stays the larger one.
    if (name === "lambda1") state.lambda2 = Math.min(state.lambda1, state.lambda2);
    if (name === "lambda2") state.lambda1 = Math.max(state.lambda1, state.lambda2);
    for (const [key, { input, set }] of Object.entries(inputs)) {
      set(state[key]);
      input.dispatchEvent(new Event("shown"));
    }
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; show(); });
  };

  const rows = make("div", { class: "live-controls" });
  for (const [name, description] of Object.entries(controls)) {
    inputs[name] = control(name, description, state[name], moved);
    rows.append(inputs[name].row);
  }
  place.append(rows, status, chart, panels);
  show();
  if (chart.children.length) new ResizeObserver(() => requestAnimationFrame(show)).observe(place);
  if (pick) {
    follow(panels, (x, y) => {
      for (const [name, value] of Object.entries(pick(x, y))) inputs[name].input.value = value;
      moved("pointer");
    });
  }
  place.closest(".cell_output")?.querySelectorAll("img").forEach((image) => (image.closest("a") ?? image).remove());
  place.dataset.ready = "yes";
}

document.querySelectorAll(".live").forEach(start);
